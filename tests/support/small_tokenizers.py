"""Tokenizers of kinds other than that of :mod:`small_models`, each made as its kind is and knowing a few words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast


def unigram(closing: bool = True, more: Sequence[str] = (), **special: Any) -> PreTrainedTokenizerFast:
    """As T5's: compatible forms are made one, white space is one space, and what is no letter or digit is unknown.

    Args:
        more: pieces that it knows too.
    """
    signs = "▁abcdefghijklmnopqrstuvwxyz0123456789.,'"
    pieces = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), *[(sign, -3.0) for sign in [*signs, *more]]]
    core = Tokenizer(models.Unigram(pieces, unk_id=2))
    core.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Replace(Regex(r"\s+"), " ")])
    core.pre_tokenizer, core.decoder = pre_tokenizers.Metaspace(), decoders.Metaspace()
    if closing:
        core.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    special = {"pad_token": "<pad>", "eos_token": "</s>", "unk_token": "<unk>", **special}
    return PreTrainedTokenizerFast(tokenizer_object=core, **special)


def llama2(**special: Any) -> PreTrainedTokenizerFast:
    """As Llama 2's: a ▁ is put before every text, and words are not split from one another beforehand."""
    words = ["<unk>", "<s>", "</s>", "▁", "g", "o", "d", "go", "od", "good", "▁good", "b", "a", "ba", "bad", "▁bad"]
    merges = [("g", "o"), ("o", "d"), ("go", "od"), ("▁", "good"), ("b", "a"), ("ba", "d"), ("▁", "bad")]
    core = Tokenizer(models.BPE(vocab={word: i for i, word in enumerate(words)}, merges=merges, unk_token="<unk>"))
    core.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    core.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.Fuse(), decoders.Strip(content=" ", left=1, right=0)]
    )
    special = {"eos_token": "</s>", "unk_token": "<unk>", "bos_token": "<s>", **special}
    return PreTrainedTokenizerFast(tokenizer_object=core, **special)
