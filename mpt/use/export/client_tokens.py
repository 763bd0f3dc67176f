"""Answers of the checkpoint in this file's folder, each row of a batch by a prompt of its own.

python client.py NAME TEXT

Any engine that takes token ids can stand in for transformers: ``ids`` makes them.
"""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer


class PromptedModel:
    """The checkpoint with its tokenizer.

    Args:
        folder: of the export.
        options: of from_pretrained, such as device_map="cuda", dtype="bfloat16".
    """

    def __init__(self, folder: Path | str, **options: Any) -> None:
        folder = Path(folder)
        self.known = json.loads((folder / "prompts.json").read_text(encoding="utf-8"))
        self.prompts = self.known["prompts"]
        self.tokenizer = AutoTokenizer.from_pretrained(folder)
        self.model = AutoModelForCausalLM.from_pretrained(folder, **{"dtype": "float32", **options}).eval()

    def ids(self, name: str, text: str) -> list[int]:
        """All that the model reads: the prompt's tokens, then those of the text, cut if there are too many."""
        known, prompt = self.known, self.prompts[name]
        text = prompt["input_prefix"] + text
        text = known["before"] + (text.strip() if known["strips"] else text) + known["after"]
        ids = self.tokenizer(text, add_special_tokens=known["special_tokens"], verbose=False)["input_ids"]
        most, kept = prompt["max_input_length"], known["kept_ids"]
        return prompt["ids"] + (ids if len(ids) <= most else ids[: most - len(kept)] + kept)

    @torch.no_grad()
    def __call__(self, names: Sequence[str], texts: Sequence[str]) -> list[str]:
        """The answer to each text by the prompt of its name."""
        rows = [self.ids(name, text) for name, text in zip(names, texts, strict=True)]
        limits = [self.prompts[name]["max_target_length"] for name in names]
        width = max(map(len, rows))
        padded = [[self.known["pad_id"]] * (width - len(row)) + row for row in rows]
        known = [[0] * (width - len(row)) + [1] * len(row) for row in rows]
        read, mask = (torch.tensor(part, device=self.model.device) for part in (padded, known))
        written = self.model.generate(input_ids=read, attention_mask=mask, max_new_tokens=max(limits))[:, width:]
        hidden = self.known["hidden_ids"]
        kept = [
            [token for token in row[:limit] if token not in hidden]
            for row, limit in zip(written.tolist(), limits, strict=True)
        ]
        answers = self.tokenizer.batch_decode(kept, skip_special_tokens=True, clean_up_tokenization_spaces=False)
        return [answer.strip() for answer in answers]


if __name__ == "__main__":
    print(*PromptedModel(Path(__file__).parent)(sys.argv[1:2], sys.argv[2:3]))
