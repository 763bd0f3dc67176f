"""``mpt export ctranslate2``: one CTranslate2 model, run for real, answers each row by its own prompt as mpt does."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from support.exported import answered, client, prompts_of, requests_of
from support.small_models import VOCABULARY, byte_tokenizer, t5, t5_of_kind
from support.toy import Mpt

from mpt.backbone.model import FrozenBackbone
from mpt.data.synthetic.draw import synthetic_fewshot
from mpt.library.library import Library
from mpt.prompt.files import load_prompt
from mpt.use.export.export_ctranslate2 import KINDS


@pytest.fixture
def mpt(capsys) -> Mpt:
    return Mpt(capsys)


def test_all_prompts_of_the_shipped_library_answer_in_mixed_batches_as_alone(mpt, tmp_path):
    ended = mpt("export", "ctranslate2", "synthetic", tmp_path / "out")
    assert ended.code == 0 and "53 prompts of mpt-tiny" in ended.out, ended.err
    entries, backbone = Library.open("synthetic").entries(), FrozenBackbone("mpt-tiny")
    names = [one.name for one in entries]
    texts = [synthetic_fewshot(one.task, 13, 1).train[0].input for one in entries]
    translator = client(tmp_path / "out").Translator(tmp_path / "out", intra_threads=1)
    found: list[str] = []
    for start in range(0, len(names), 16):
        found += translator(names[start : start + 16], texts[start : start + 16])
    alone = [
        backbone.answer(load_prompt(one.folder).weight, backbone.encode([text])).texts[0]
        for one, text in zip(entries, texts, strict=True)
    ]
    assert len(found) == 53 and found == alone and len(set(found)) > 40
    by_another = translator([*names[1:], names[0]], texts)
    assert sum(one != other for one, other in zip(by_another, alone, strict=True)) > 30


CHANGES = {
    "t5": {},
    "t5_with_an_epsilon": {"layer_norm_epsilon": 0.3},
    "t5_1.1": {"tie_word_embeddings": False, "feed_forward_proj": "gated-gelu", "vocab_size": 263},
    "mt5": {},
    "umt5": {},
}


@pytest.mark.parametrize("kind", CHANGES)
def test_prompts_of_unlike_lengths_and_limits_answer_in_one_batch_as_alone(kind, mpt, tmp_path):
    model = t5_of_kind(kind.partition("_")[0], tmp_path / "model", **CHANGES[kind])
    backbone = FrozenBackbone(str(model))
    prompts = prompts_of(backbone, tmp_path)
    ended = mpt("export", "ctranslate2", *prompts, tmp_path / "out")
    assert ended.code == 0, ended.err
    names, texts, alone = map(list, zip(*requests_of(prompts), strict=True))
    found = client(tmp_path / "out").Translator(tmp_path / "out", intra_threads=1)(names, texts)
    assert found == alone
    assert len(set(found)) > 10


def test_an_answer_ends_with_each_of_the_models_ends(mpt, tmp_path):
    model = t5(tmp_path / "model")
    prompts = prompts_of(FrozenBackbone(str(model)), tmp_path)
    alone = answered(prompts[1], "hello")
    settings = json.loads((model / "generation_config.json").read_text())
    settings["eos_token_id"] = [1, FrozenBackbone(str(model)).encode.labels(alone)[0, -2].item()]
    (model / "generation_config.json").write_text(json.dumps(settings))
    assert mpt("export", "ctranslate2", *prompts, tmp_path / "out").code == 0
    found = client(tmp_path / "out").Translator(tmp_path / "out", intra_threads=1)(["seven"], ["hello"])
    assert found == answered(prompts[1], "hello") != alone


@pytest.mark.long
def test_the_client_answers_on_the_command_line_without_mpt(mpt, tmp_path, model_folder):
    prompts = prompts_of(FrozenBackbone(str(model_folder("t5"))), tmp_path)
    assert mpt("export", "ctranslate2", f"a={prompts[0]}", f"b={prompts[1]}", tmp_path / "out").code == 0
    script = (tmp_path / "out" / "client.py").read_text("utf-8")
    assert "import mpt" not in script and "from mpt" not in script
    told = subprocess.run(
        [sys.executable, "client.py", "b", "hello"], cwd=tmp_path / "out", capture_output=True, text=True
    )
    assert [told.stdout.strip()] == answered(prompts[1], "hello"), told.stderr


def test_a_model_that_is_computed_otherwise_is_refused(mpt, tmp_path, model_folder, monkeypatch):
    from ctranslate2.converters.transformers import T5Loader

    right = T5Loader.get_model_spec

    def wrong(self, model):
        spec = right(self, model)
        spec.encoder.layer[0].ffn.layer_norm.gamma = 2 * model.encoder.block[0].layer[1].layer_norm.weight.detach()
        return spec

    monkeypatch.setattr(T5Loader, "get_model_spec", wrong)
    prompts = prompts_of(FrozenBackbone(str(model_folder("t5"))), tmp_path)
    ended = mpt("export", "ctranslate2", *prompts, tmp_path / "out")
    assert ended.code == 2 and "CTranslate2 does not compute what" in ended.err and ended.err.count("\n") == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one", "seven", "twenty"]


@pytest.mark.parametrize("kind", ["bart", "gpt2"])
def test_other_models_are_refused(kind, mpt, tmp_path, model_folder):
    prompts = prompts_of(FrozenBackbone(str(model_folder(kind))), tmp_path)
    ended = mpt("export", "ctranslate2", *prompts, tmp_path / "out")
    assert (
        ended.code == 2
        and f"of the kinds {', '.join(KINDS)}, not of {kind}" in ended.err
        and not (tmp_path / "out").exists()
    )


def test_a_token_that_the_backbone_has_is_refused(mpt, tmp_path):
    model = t5(tmp_path / "model", vocab_size=VOCABULARY + 1)
    tokenizer = byte_tokenizer(True, pad_token="<pad>")
    tokenizer.add_tokens(["<one-0>"])
    tokenizer.save_pretrained(model)
    prompts = prompts_of(FrozenBackbone(str(model)), tmp_path)
    ended = mpt("export", "ctranslate2", *prompts, tmp_path / "out")
    assert ended.code == 2 and "<one-0> is a token of" in ended.err
    assert mpt("export", "ctranslate2", f"two={prompts[0]}", tmp_path / "out").code == 0


def test_without_the_package_it_is_named(mpt, tmp_path, model_folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "ctranslate2", None)
    prompts = prompts_of(FrozenBackbone(str(model_folder("t5"))), tmp_path)
    ended = mpt("export", "ctranslate2", *prompts, tmp_path / "out")
    assert ended.code == 2 and "[serve]" in ended.err
