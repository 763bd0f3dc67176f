"""A folder that PEFT itself wrote, which has no mpt.json, is a prompt like any other; a library wants a key."""

from __future__ import annotations

import json

import pytest
import torch
from peft import PromptTuningConfig, get_peft_model
from support.small_models import BUILDERS
from support.toy import Mpt
from transformers import AutoModelForCausalLM, AutoModelForSeq2SeqLM

from mpt.backbone.model import FrozenBackbone
from mpt.prompt.initialisers import InitContext, SavedPrompt

LABELS = ["yes", "no", "perhaps"]
TEXTS = ["hello", "a longer text", "b", "is it so?"]


@pytest.mark.parametrize("kind, task", [("t5", "SEQ_2_SEQ_LM"), ("llama", "CAUSAL_LM")])
def test_it_is_used_as_it_is(kind, task, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    mpt, auto = Mpt(capsys), AutoModelForCausalLM if kind == "llama" else AutoModelForSeq2SeqLM
    model = BUILDERS[kind](tmp_path / "model")
    torch.manual_seed(3)
    peft = get_peft_model(auto.from_pretrained(model), PromptTuningConfig(task_type=task, num_virtual_tokens=4))
    peft.save_pretrained("learned")
    rows = peft.prompt_encoder["default"].embedding.weight.detach()[:4]
    assert not (tmp_path / "learned" / "mpt.json").exists()

    backbone = FrozenBackbone(str(model))
    start = SavedPrompt("learned")(4, InitContext.of(backbone, seed=13))
    assert torch.equal(start, rows)
    scores = backbone.score(rows, backbone.encode(TEXTS), LABELS)
    (tmp_path / "new.txt").write_text("\n".join(TEXTS) + "\n")
    ended = mpt("predict", "learned", "new.txt", "--labels", *LABELS, "--out", "new.jsonl")
    assert ended.code == 0, ended.err
    found = [json.loads(line) for line in (tmp_path / "new.jsonl").read_text().splitlines()]
    told = torch.tensor([[row["probabilities"][label] for label in LABELS] for row in found])
    torch.testing.assert_close(told, scores.softmax(1), rtol=1e-3, atol=1e-5)

    ended = mpt("library", "add", "library", "learned")
    assert ended.code == 2 and "learned is a prompt without a key, by which a library would find it" in ended.err
    assert not (tmp_path / "library").exists()
