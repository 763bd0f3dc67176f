"""The lines that ``mpt adapt`` prints, run as they are printed."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import torch
from support.changes import replaced
from support.chats import chat_model
from support.small_models import bart, gpt2, llama, t5
from transformers import AutoModelForSeq2SeqLM

import mpt
from mpt.adapt.usage import command, plain_lines
from mpt.backbone.loading import BackboneOptions
from mpt.backbone.model import FrozenBackbone
from mpt.cli.main import run
from mpt.prompt.files import save_prompt
from mpt.util.errors import UserError

LABELS = ("yes", "yet", "few", "bed", "tub", "a longer label than max_target_length", "\N{PARTY POPPER}")
TEXTS = [
    "your text",
    "a",
    "",
    "a much longer text that is cut in the end",
    "two  spaces ",
    "\N{PARTY POPPER}",
    "no . ?",
    "7",
]
BEAMS = {"num_beams": 2, "early_stopping": True, "repetition_penalty": 1.5}


def hostile(folder: Path) -> None:
    """A checkpoint with generation settings of its own, and a tokenizer that pads, cuts and tells otherwise."""
    for name, more in (
        ("generation_config.json", {"repetition_penalty": 50.0, "num_beams": 3, "min_length": 9}),
        ("tokenizer_config.json", {"model_input_names": ["input_ids", "token_type_ids", "attention_mask"],
                                   "truncation_side": "left", "clean_up_tokenization_spaces": True}),
    ):  # fmt: skip
        path = folder / name
        path.write_text(json.dumps({**json.loads(path.read_text()), **more}))


@pytest.mark.long
@pytest.mark.parametrize(
    ("build", "options"),
    [(build, options) for build in (t5, bart, gpt2, llama) for options in ({}, {"labels": LABELS})]
    + [(t5, BEAMS), (llama, BEAMS)],
)
def test_the_printed_lines_answer_as_mpt_does(build, options, tmp_path, capsys):
    folder = build(tmp_path / "a 'quoted' model")
    said = answered_alike(folder, tmp_path / "a 'quoted' prompt", capsys, max_input_length=20, **options)
    assert len(set(said)) > 1, "answers that do not depend on the text compare nothing"


@pytest.mark.parametrize("labels", [(), LABELS], ids=["written", "labels"])
@pytest.mark.parametrize("name", ["chatml", "gemma"])
def test_the_printed_lines_write_a_chat_as_mpt_does(name, labels, tmp_path, capsys):
    folder = chat_model(tmp_path / "model", name)
    answered_alike(folder, tmp_path / "prompt", capsys, max_input_length=110, chat_template=True, labels=labels)


def answered_alike(folder: Path, out: Path, capsys: Any, labels: tuple[str, ...] = (), **options: Any) -> list[str]:
    """What the lines, mpt in Python and, where it has the options, mpt predict answer."""
    hostile(folder)
    backbone = FrozenBackbone(str(folder), BackboneOptions(max_target_length=8, **options)).eval()
    prompt = torch.randn(5, backbone.hidden_size, generator=torch.Generator().manual_seed(1))
    remembered = {name: value for name, value in options.items() if name not in BEAMS}
    facts = {"fingerprint": backbone.fingerprint, "labels": list(labels), "max_target_length": 8, **remembered}
    save_prompt(out, prompt, str(folder), backbone.decoder_only, facts)
    lines = "\n".join(plain_lines(backbone, out, labels))
    said: list[str] = []  # an answer may hold a line break
    there: dict[str, Any] = {"print": said.append}
    exec(replaced(lines, '["your text"]', repr(TEXTS)), there)
    assert there["tokenizer"](TEXTS[0]).keys() >= {"token_type_ids"}
    beams = {name: value for name, value in options.items() if name in BEAMS}
    answers = mpt.load_prompt(out, **beams)(TEXTS)
    assert said == [answer.text for answer in answers]
    if labels:
        shares = torch.tensor(list(there["scores"].values())).softmax(0)
        torch.testing.assert_close(shares, torch.tensor(list(answers[-1].probabilities.values())), rtol=1e-3, atol=1e-5)
    if not beams:
        texts = out.with_name("texts.jsonl")
        texts.write_text("".join(json.dumps({"text": text}) + "\n" for text in TEXTS))
        capsys.readouterr()
        run(shlex.split(replaced(command(backbone, out), "FILE", shlex.quote(str(texts))))[1:])
        rows = [json.loads(line)["prediction"] for line in capsys.readouterr().out.splitlines()]
        assert rows == [answer if text else "" for text, answer in zip(TEXTS, said, strict=True)]
    return said


@pytest.mark.long
@pytest.mark.parametrize("stored", ["float32", "bfloat16"])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_the_lines_load_the_weights_as_they_were_for_the_scores(tmp_path, stored, dtype):
    folder = t5(tmp_path / "model")
    AutoModelForSeq2SeqLM.from_pretrained(folder, dtype=stored).save_pretrained(folder)
    backbone = FrozenBackbone(str(folder), BackboneOptions(dtype=dtype))
    there: dict[str, Any] = {}
    exec("\n".join(plain_lines(backbone, Path("out"))[:2]), there)
    assert there["model"].dtype == next(backbone.model.parameters()).dtype == getattr(torch, dtype)
    assert command(backbone, Path("out")).endswith("FILE" if dtype == "float32" else "FILE --dtype bfloat16")


def test_the_printed_lines_show_how_a_text_is_made(tmp_path, capsys):
    """As the prompt in Python makes it of columns."""
    folder, made = t5(tmp_path / "model"), 'post "{a}" : {b} ?'
    backbone = FrozenBackbone(str(folder), BackboneOptions(max_target_length=8)).eval()
    prompt = torch.randn(5, backbone.hidden_size, generator=torch.Generator().manual_seed(1))
    facts = {"fingerprint": backbone.fingerprint, "max_target_length": 8, "template": made, "labels": list(LABELS)}
    save_prompt(tmp_path / "prompt", prompt, str(folder), False, facts)
    lines = "\n".join(plain_lines(backbone, tmp_path / "prompt", LABELS, made))
    there: dict[str, Any] = {"print": print}
    exec(lines, there)
    loaded = mpt.load_prompt(tmp_path / "prompt")
    (answer,) = loaded([{"a": "your text", "b": "your text", "id": "7"}])
    assert there["text"] == 'post "your text" : your text ?' and capsys.readouterr().out.strip() == answer.text
    assert loaded([there["text"]]) == [answer] == loaded({"a": "your text", "b": "your text"})


@pytest.mark.parametrize(
    ("texts", "told"),
    [
        ([None], "row 1: a text or a mapping of columns was expected, not None"),
        (["a", float("nan")], "row 2: a text or a mapping"),
        ([{"a": "x"}], "row 1 has no text 'b', which '{a} {b}' takes"),
        ([{"a": "x", "b": None}], "row 1 has no text 'b'"),
    ],
)
def test_what_is_no_text_is_told(texts, told, tmp_path):
    save_prompt(tmp_path / "prompt", torch.ones(2, 96), "mpt-tiny", False, {"template": "{a} {b}"})
    with pytest.raises(UserError, match=re.escape(told)):
        mpt.load_prompt(tmp_path / "prompt")(texts)


def test_what_is_no_option_is_told(tmp_path):
    folder = save_prompt(tmp_path / "prompt", torch.ones(2, 96), "mpt-tiny", False, {})
    with pytest.raises(UserError, match=r"mpt.load_prompt: label is no option; did you mean labels\?"):
        mpt.load_prompt(folder, label=["a", "b"])
    with pytest.raises(UserError, match="labels must be a list of texts, not the text 'ab'"):
        mpt.load_prompt(folder, labels="ab")(["x"])
    with pytest.raises(UserError, match="precision must be one of 32, bf16-mixed, not 'x'"):
        mpt.load_prompt(folder, precision="x")(["x"])
    with pytest.raises(UserError, match="knows no columns; give the text itself"):
        mpt.load_prompt(folder)([{"a": "x"}])
    with pytest.raises(UserError, match="prompts must have a number from 0 to 0 for each of the 1 texts"):
        mpt.load_prompt(folder).predictor(["a"], [3])
