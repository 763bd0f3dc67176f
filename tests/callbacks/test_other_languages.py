"""Tasks in other languages, answered along the way: against the same answers measured by hand."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from support.toy import Mpt, json_lines, small_fit, write_toy

from mpt.backbone.loading import BackboneOptions
from mpt.backbone.model import FrozenBackbone
from mpt.backbone.translator import Translator
from mpt.callbacks import OtherLanguages
from mpt.data.fewshot.files import load_fewshot
from mpt.metrics.generation import ascii_share, empty_share, language_confidence, sp_rouge
from mpt.prompt.files import load_prompt
from mpt.record.language_answers import read_answers
from mpt.util.errors import UserError

pytestmark = pytest.mark.long


@pytest.fixture
def options(tmp_path, monkeypatch, model_folder) -> list[object]:
    monkeypatch.setenv("WANDB_MODE", "disabled")
    root = write_toy(write_toy(tmp_path / "data"), "andere")
    fit = small_fit(model_folder("t5"), root, tmp_path / "run", data__metric="SP-ROUGE")
    watch = ["--trainer.callbacks+=OtherLanguages", '--trainer.callbacks.tasks={"andere": "de"}']
    return ["--config", "prompt_tuning", *fit, *watch, "--trainer.callbacks.examples=2"]


def answered(model: Path, run: Path, split: str, most: int | None) -> tuple[list[str], list[tuple[str, ...]]]:
    """The answers of a run's prompt, and the references."""
    backbone = FrozenBackbone(str(model), BackboneOptions(max_input_length=32, max_target_length=4))
    examples = getattr(load_fewshot(run.parent / "data", "andere", 13, metric="SP-ROUGE"), split)[:most]
    batch = backbone.encode([one.input for one in examples], [one.targets[0] for one in examples])
    with torch.no_grad():
        said = backbone.answer(load_prompt(run / "prompt").weight, batch).texts
    return said, [one.targets for one in examples]


def by_hand(model: Path, run: Path, split: str, most: int | None) -> dict[str, float]:
    said, golds = answered(model, run, split, most)
    return {
        "SP-ROUGE": sp_rouge(said, golds, FrozenBackbone(str(model), BackboneOptions()).pieces),
        "LID_de": language_confidence(said, "de"),
        "LID_en": language_confidence(said, "en"),
        "ASCII": ascii_share(said),
        "empty": empty_share(said),
    }


def test_what_is_logged_is_what_the_prompt_answers(options, capsys, tmp_path, model_folder):
    mpt, run, model = Mpt(capsys), tmp_path / "run", model_folder("t5")
    one = [*options, "--trainer.max_steps=2"]
    assert mpt("fit", *one).code == 0
    (row,) = json_lines(run / "metrics.jsonl")
    found = {name: value for name, value in row.items() if name.startswith("dev/andere/")}
    assert found == pytest.approx({f"dev/andere/{k}": v for k, v in by_hand(model, run, "dev", 2).items()}, abs=1e-5)
    assert mpt("test", *one).code == 0
    tested = json_lines(run / "metrics.jsonl")[-1]
    found = {name: value for name, value in tested.items() if name.startswith("test/andere/")}
    assert found == pytest.approx(
        {f"test/andere/{k}": v for k, v in by_hand(model, run, "test", None).items()}, abs=1e-5
    )
    kept = json_lines(run / "languages.jsonl")
    assert [(line["split"], line["step"], line["language"]) for line in kept] == [("dev", 2, "de")] * 2 + [
        ("test", kept[-1]["step"], "de")
    ] * 3


def test_answers_are_translated_back_before_they_are_measured(options, capsys, tmp_path, model_folder):
    mpt, run, model = Mpt(capsys), tmp_path / "run", model_folder("bart")
    one = [*options, "--trainer.max_steps=2"]
    back = json.dumps({"andere": {"model": str(model), "ask": "say: ", "longest": 8}})
    assert mpt("fit", *one, f"--trainer.callbacks.back={back}").code == 0
    plain, _ = answered(model_folder("t5"), run, "dev", 2)
    backbone = FrozenBackbone(str(model), BackboneOptions(max_input_length=8, max_target_length=8))
    with torch.no_grad():
        said = [backbone.answer(None, backbone.encode([f"say: {text}"])).texts[0] for text in plain]
    assert [line["prediction"] for line in json_lines(run / "languages.jsonl")] == said
    assert json_lines(run / "metrics.jsonl")[0]["dev/andere/ASCII"] == pytest.approx(ascii_share(said), abs=1e-5)


def test_a_run_that_goes_on_says_each_once(options, capsys, tmp_path):
    mpt, run = Mpt(capsys), tmp_path / "run"
    assert mpt("fit", *options, "--trainer.max_steps=4").code == 0
    with (run / "languages.jsonl").open("ab") as file:  # a kill after an evaluation that the checkpoint does not have
        last = replace(read_answers(run / "languages.jsonl")[-1], step=6, prediction="คำถาม}")
        file.write(f"{last.line()}\n{last.line()}".encode()[:-6])  # inside a letter
    assert mpt("fit", *options, "--ckpt_path", "last").code == 0
    assert [line["step"] for line in json_lines(run / "languages.jsonl")] == [2, 2, 4, 4, 6, 6]
    for _ in range(2):  # a kill at the test: it trains no more
        assert mpt("test", *options).code == 0
    assert [line["split"] for line in json_lines(run / "languages.jsonl")] == ["dev"] * 6 + ["test"] * 3


def test_mistakes_are_told(options, capsys, tmp_path):
    with pytest.raises(UserError, match="names no task"):
        OtherLanguages({})
    with pytest.raises(UserError, match="examples must be at least 1"):
        OtherLanguages({"a": "de"}, examples=0)
    with pytest.raises(UserError, match="back names b, which is none of tasks: a"):
        OtherLanguages({"a": "de"}, back={"b": Translator("t5")})
    with pytest.raises(UserError, match="kept goes with recombine"):
        OtherLanguages({"a": "de"}, kept=True)
    wrong = Mpt(capsys)("fit", *[str(word).replace("andere", "nowhere") for word in options])
    assert wrong.code == 2 and "nowhere" in wrong.err and wrong.err.count("\n") == 1
    for option, told in (
        ("--trainer.callbacks.recombine=true", "recombine goes with SubPromptTuning, not with PromptTuning"),
        ('--trainer.callbacks.back={"andere": {"model": "nowhere"}}', "nowhere"),
    ):
        wrong = Mpt(capsys)("fit", *options, option)
        assert wrong.code == 2 and told in wrong.err
        assert not (tmp_path / "run" / "metrics.jsonl").exists(), "before anything is learned"
