"""Answers of the CTranslate2 model in this file's folder, each row of a batch by a prompt of its own.

python client.py NAME TEXT
"""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import ctranslate2
from transformers import AutoTokenizer


class Translator:
    """The model with its tokenizer.

    Args:
        folder: of the export.
        options: of ctranslate2.Translator, such as device="cuda", compute_type="int8", inter_threads.
    """

    def __init__(self, folder: Path | str, **options: Any) -> None:
        folder = Path(folder)
        known = json.loads((folder / "prompts.json").read_text(encoding="utf-8"))
        self.prompts, self.ends = known["prompts"], known["end_tokens"]
        self.tokenizer = AutoTokenizer.from_pretrained(folder / "tokenizer")
        self.model = ctranslate2.Translator(str(folder), **{"compute_type": "float32", **options})

    def __call__(self, names: Sequence[str], texts: Sequence[str]) -> list[str]:
        """The answer to each text by the prompt of its name."""
        prompts, tokenizer = [self.prompts[name] for name in names], self.tokenizer
        read = [prompt["input_prefix"] + text for prompt, text in zip(prompts, texts, strict=True)]
        rows = []
        for prompt, ids in zip(prompts, tokenizer(read, verbose=False)["input_ids"], strict=True):
            most = prompt["max_input_length"]
            kept = ids if len(ids) <= most else ids[: most - 1] + ids[-1:]
            rows.append(prompt["tokens"] + tokenizer.convert_ids_to_tokens(kept))
        longest = max(prompt["max_target_length"] for prompt in prompts)
        found = self.model.translate_batch(
            rows,
            beam_size=1,
            max_input_length=0,  # 1024 otherwise, with the prompt's
            max_decoding_length=longest,
            min_decoding_length=0,  # 1 otherwise, and no answer could be empty
            end_token=self.ends,
            return_end_token=True,
        )
        ids = [
            tokenizer.convert_tokens_to_ids(one.hypotheses[0][: prompt["max_target_length"]])
            for prompt, one in zip(prompts, found, strict=True)
        ]
        answers = tokenizer.batch_decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False)
        return [answer.strip() for answer in answers]


if __name__ == "__main__":
    print(*Translator(Path(__file__).parent)(sys.argv[1:2], sys.argv[2:3]))
