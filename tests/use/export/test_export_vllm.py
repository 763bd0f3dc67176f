"""``mpt export vllm``: what the client sends, answered by transformers alone, gives mpt's answers."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import pytest
import torch
from support.architectures import DECODER_ONLY, build
from support.chats import chat_model
from support.exported import client, prompts_of, requests_of
from support.small_models import BUILDERS
from support.toy import Mpt
from transformers import AutoModelForCausalLM, AutoTokenizer

from mpt.backbone.model import FrozenBackbone


class Server:
    """What a server of completions does with embeddings, by transformers."""

    def __init__(self, folder):
        self.folder = str(folder)
        self.model = AutoModelForCausalLM.from_pretrained(folder).eval()
        self.tokenizer = AutoTokenizer.from_pretrained(folder)

    def complete(self, asked):
        if (asked["model"], asked["prompt"], asked["temperature"]) != (self.folder, None, 0):
            return 404, {"error": f"the model {asked['model']} does not exist"}
        embeds = torch.load(io.BytesIO(base64.b64decode(asked["prompt_embeds"])), weights_only=True)
        assert embeds.ndim == 2 and embeds.is_floating_point()
        written = self.model.generate(
            inputs_embeds=embeds.to(self.model.dtype)[None],
            attention_mask=torch.ones(1, len(embeds), dtype=torch.long),
            max_new_tokens=asked["max_tokens"],
            do_sample=False,
            eos_token_id=asked["stop_token_ids"],
            pad_token_id=0,
        )[0].tolist()
        if written[-1] in asked["stop_token_ids"]:
            written.pop()
        return 200, {"choices": [{"index": 0, "text": self.tokenizer.decode(written, skip_special_tokens=True)}]}

    @contextmanager
    def at_work(self) -> Iterator[str]:
        """Its address."""

        class Handler(BaseHTTPRequestHandler):
            def do_POST(handler):
                body = handler.rfile.read(int(handler.headers["Content-Length"]))
                known = handler.path == "/v1/completions" and handler.headers["Authorization"] == "Bearer secret"
                status, found = self.complete(json.loads(body)) if known else (401, {"error": "unauthorized"})
                handler.send_response(status)
                handler.end_headers()
                handler.wfile.write(json.dumps(found).encode())

            def log_message(self, *_):
                pass

        with HTTPServer(("127.0.0.1", 0), Handler) as server:
            Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
            yield f"http://127.0.0.1:{server.server_port}"
            server.shutdown()


@pytest.mark.long
@pytest.mark.parametrize("kind", ["llama", "gpt2", "chat"])
def test_a_server_that_is_sent_embeddings_answers_each_text_by_its_prompt_as_mpt_does(kind, capsys, tmp_path):
    chats = kind == "chat"
    folder = chat_model(tmp_path / "model", "chatml") if chats else BUILDERS[kind](tmp_path / "model")
    one, seven, twenty = prompts_of(FrozenBackbone(str(folder)), tmp_path, chat_template=chats)
    prompts = [one if chats else seven, twenty]  # an input cut to twelve tokens has no room for a template
    ended = Mpt(capsys)("export", "vllm", *prompts, tmp_path / "out")
    assert ended.code == 0, ended.err
    assert f"vllm serve {folder} --enable-prompt-embeds" in ended.out
    names, texts, alone = map(list, zip(*requests_of(prompts), strict=True))
    with Server(folder).at_work() as url:
        made = client(tmp_path / "out").PromptClient(tmp_path / "out", url, key="secret")
        assert made(names, texts) == alone and len(set(alone)) > 3
        with pytest.raises(RuntimeError, match=r"401.*unauthorized"):
            client(tmp_path / "out").PromptClient(tmp_path / "out", url)(names[:1], texts[:1])
        assert sorted(map(len, made.rows.values())) == [1 if chats else 7, 20]


def test_what_vllm_is_not_known_to_serve_is_refused(capsys, tmp_path):
    mpt = Mpt(capsys)
    ended = mpt("export", "vllm", "synthetic", tmp_path / "out")
    assert ended.code == 2 and "export vllm is for decoder-only models" in ended.err
    folder = build(tmp_path / "model", "gemma2", DECODER_ONLY["gemma2"])
    prompts = prompts_of(FrozenBackbone(str(folder)), tmp_path)
    ended = mpt("export", "vllm", *prompts, tmp_path / "out")
    assert ended.code == 2 and "multiplies its embeddings by 5.657, and whether vLLM" in ended.err
    assert ended.err.count("\n") == 1 and not (tmp_path / "out").exists()
