"""Build the embedded backbone's tokenizer: a token per word of the made-up world, bytes for all else.

python -m mpt.assets.tokenizer FOLDER [second]

With ``second`` it has the words of the world's second language too.
"""

from __future__ import annotations

import math
import sys
from collections import Counter
from pathlib import Path

from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

from mpt.data.synthetic.instructions import lesson
from mpt.data.synthetic.lexicon import vocabulary
from mpt.data.synthetic.second_language import other_word
from mpt.util.stable_random import StableRandom

SENTINELS = 32
PAD, EOS, UNK = "<pad>", "</s>", "<unk>"


def build_tokenizer(second: bool = False) -> PreTrainedTokenizerFast:
    """The tokenizer, with ids ordered: special tokens, words (commonest first), bytes, sentinels.

    Any UTF-8 text decodes to itself: texts are split into byte-level pieces (so there is no unknown
    character), a space is put in front (so that a word is the same token at the start of a text as
    inside it) and taken away again in decoding.
    """
    counts = Counter(dict.fromkeys(vocabulary(), 1))
    rng = StableRandom("tokenizer")
    for _ in range(20_000):
        for text in lesson(rng, 0.5):
            counts.update(text.split())
    if second:
        counts.update({other_word(word): count for word, count in counts.items() if word.isalpha()})
    total = sum(counts.values())
    as_bytes = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    # a byte costs more than any word, so that a known word is never spelt
    pieces = [(t, 0.0) for t in (PAD, EOS, UNK)]
    spelt = ((as_bytes.pre_tokenize_str(f" {word}")[0][0], n) for word, n in counts.most_common())
    pieces += [(piece, math.log(n / total)) for piece, n in spelt]
    pieces += [(byte, -25.0) for byte in sorted(pre_tokenizers.ByteLevel.alphabet())]
    tokenizer = Tokenizer(models.Unigram(pieces, unk_id=2, byte_fallback=False))
    tokenizer.normalizer = normalizers.Prepend(" ")
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            # a word with the one space before it; every other character stands alone
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True),
        ]
    )
    tokenizer.decoder = decoders.Sequence([decoders.ByteLevel(), decoders.Strip(" ", 1, 0)])
    tokenizer.add_special_tokens([PAD, EOS, UNK])
    sentinels = [AddedToken(f"<extra_id_{i}>", lstrip=True, rstrip=True, special=True) for i in range(SENTINELS)]
    tokenizer.add_special_tokens(sentinels)
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"$A {EOS}", pair=f"$A {EOS} $B {EOS}", special_tokens=[(EOS, tokenizer.token_to_id(EOS))]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token=PAD,
        eos_token=EOS,
        unk_token=UNK,
        additional_special_tokens=[f"<extra_id_{i}>" for i in range(SENTINELS)],
        clean_up_tokenization_spaces=False,
        model_max_length=512,
    )


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = build_tokenizer(second=sys.argv[2:] == ["second"])
    tokenizer.save_pretrained(folder)
    print(f"{folder}: {len(tokenizer)} tokens")
