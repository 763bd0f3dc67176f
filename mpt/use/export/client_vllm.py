"""Answers of a vLLM server, each text behind a prompt of its own from this file's folder.

vllm serve MODEL --enable-prompt-embeds
python client.py NAME TEXT
"""

import base64
import io
import json
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import torch
from safetensors.torch import load_file
from transformers import AutoTokenizer


class PromptClient:
    """Asks a server for completions, and sends embeddings in place of tokens.

    Args:
        folder: of the export.
        url: of the server.
        model: what the server calls its model (default: what the prompts call their backbone).
        key: what the server was given as --api-key.
        dtype: of the embeddings that are sent; with the server's own, such as torch.bfloat16, they are half as long.
        requests: how many are under way at a time, which the server batches.
    """

    def __init__(
        self,
        folder: Path | str,
        url: str = "http://localhost:8000",
        model: str | None = None,
        key: str | None = None,
        dtype: torch.dtype = torch.float32,
        requests: int = 16,
    ) -> None:
        folder = Path(folder)
        self.known = json.loads((folder / "prompts.json").read_text(encoding="utf-8"))
        self.prompts = self.known["prompts"]
        self.rows = {name: torch.load(folder / one["file"], weights_only=True) for name, one in self.prompts.items()}
        self.table = load_file(folder / "embeddings.safetensors")["embeddings"]
        self.tokenizer = AutoTokenizer.from_pretrained(folder / "tokenizer")
        self.url, self.model, self.dtype, self.requests = url, model or self.known["model"], dtype, requests
        self.headers = {"Content-Type": "application/json", **({"Authorization": f"Bearer {key}"} if key else {})}

    def embeds(self, name: str, text: str) -> torch.Tensor:
        """All that the model reads, ``[P + T, H]``: the prompt, then the text's tokens, cut if there are too many."""
        known, prompt = self.known, self.prompts[name]
        text, most = prompt["input_prefix"] + text, prompt["max_input_length"]
        text = known["before"] + (text.strip() if known["strips"] else text) + known["after"]
        ids = self.tokenizer(text, add_special_tokens=known["special_tokens"], verbose=False)["input_ids"]
        kept = ids if len(ids) <= most else ids[: most - len(known["kept_ids"])] + known["kept_ids"]
        return torch.cat([self.rows[name], self.table[torch.tensor(kept, dtype=torch.long)]]).to(self.dtype)

    def request(self, name: str, text: str) -> dict[str, Any]:
        """The body of a request to /v1/completions."""
        file = io.BytesIO()
        torch.save(self.embeds(name, text), file)
        return {
            "model": self.model,
            "prompt": None,
            "prompt_embeds": base64.b64encode(file.getvalue()).decode(),
            "max_tokens": self.prompts[name]["max_target_length"],
            "stop_token_ids": self.known["end_ids"],
            "temperature": 0,
            "repetition_penalty": 1,  # a server takes the checkpoint's otherwise
        }

    def answer(self, name: str, text: str) -> str:
        """The answer to a text by the prompt of a name."""
        body = json.dumps(self.request(name, text)).encode()
        try:
            with urlopen(Request(f"{self.url}/v1/completions", body, self.headers)) as response:
                found = json.load(response)
        except HTTPError as error:
            raise RuntimeError(f"{error}: {error.read().decode(errors='replace')}") from error
        return str(found["choices"][0]["text"]).strip()

    def __call__(self, names: Sequence[str], texts: Sequence[str]) -> list[str]:
        """The answer to each text by the prompt of its name."""
        with ThreadPoolExecutor(self.requests) as pool:
            return list(pool.map(lambda asked: self.answer(*asked), zip(names, texts, strict=True)))


if __name__ == "__main__":
    print(*PromptClient(Path(__file__).parent)(sys.argv[1:2], sys.argv[2:3]))
