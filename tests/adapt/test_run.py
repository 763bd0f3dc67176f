"""``mpt adapt`` from a file to a prompt that plain PEFT loads, by the command line."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from peft import PeftModel
from support.changes import replaced
from support.toy import Finished, Mpt
from transformers import AutoModelForSeq2SeqLM, AutoTokenizer

import mpt.adapt.run as running
from mpt.adapt.starts import cut, own_starts
from mpt.backbone.model import FrozenBackbone
from mpt.backbone.source import resolve
from mpt.data.fewshot.files import load_fewshot
from mpt.learn.side_by_side import SideBySide
from mpt.library.library import Library
from mpt.library.recipe import KeyRecipe
from mpt.prompt.files import load_prompt

TASK = "syn-size-caption"
SHORT = ("--steps", 20, "--every", 10, "--top", 2, "--device", "cpu", "--max-target-length", 4)
Adapt = Callable[..., Finished]


@pytest.fixture(scope="module")
def library(tmp_path_factory) -> Path:
    """Three prompts of the library that ships with the package."""
    folder, shipped = tmp_path_factory.mktemp("library") / "three", Library.open("synthetic")
    folder.mkdir()
    shutil.copy(shipped.folder / "library.json", folder)
    for task in ("syn-size-ad", "syn-sentiment-review", "syn-list-last"):
        shutil.copytree(shipped.folder / "prompts" / f"{task}-13", folder / "prompts" / f"{task}-13")
    return folder


@pytest.fixture
def files(tmp_path) -> dict[str, Path]:
    """A held-out task, as someone's CSV files: the inputs are quoted and have line breaks in them."""
    draw = load_fewshot("synthetic", TASK, 13)
    paths = {}
    for split, examples in (("train", draw.train), ("dev", draw.dev), ("test", draw.test[:40])):
        paths[split] = tmp_path / f"{split}.csv"
        with paths[split].open("w", encoding="utf-8-sig", newline="") as file:
            rows = [(example.input.replace(" . ", " .\n"), example.targets[0]) for example in examples]
            csv.writer(file, quoting=csv.QUOTE_ALL).writerows([("text", "label"), *rows])
    return paths


@pytest.fixture
def adapt(library, files, tmp_path, capsys) -> Adapt:
    def run(*more: object, out: str = "found", dev: bool = True) -> Finished:
        words = ["adapt", files["train"], "--library", library, "--out", tmp_path / out, *SHORT]
        return Mpt(capsys)(*words, *(["--dev", files["dev"]] if dev else []), *more)

    return run


def by_peft(folder: Path, inputs: list[str]) -> list[str]:
    """Plain transformers and PEFT, one input at a time."""
    where = resolve("mpt-tiny")
    model = PeftModel.from_pretrained(AutoModelForSeq2SeqLM.from_pretrained(where), folder).eval()
    tokenizer = AutoTokenizer.from_pretrained(where)
    said = []
    for text in inputs:
        batch = tokenizer([text], return_tensors="pt", truncation=True, max_length=512)
        ids = model.generate(**batch, max_new_tokens=8, do_sample=False, num_beams=1)
        said.append(tokenizer.batch_decode(ids, skip_special_tokens=True)[0])
    return said


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def accuracy(said: list[str], labels: list[str]) -> float:
    """As CrossFit counts it."""
    return sum(a.strip().lower() == b.strip().lower() for a, b in zip(said, labels, strict=True)) / len(labels)


@pytest.mark.long
def test_the_prompt_in_plain_peft_reproduces_the_dev_and_test_scores(adapt, files, tmp_path):
    done = adapt("--free", "--test", files["test"], "--steps", 40, "--every", 20, "--max-target-length", 8)
    assert done.code == 0, done.err
    facts = json.loads((tmp_path / "found" / "mpt.json").read_text(encoding="utf-8"))
    for split in ("dev", "test"):
        table = rows(files[split])
        said = by_peft(tmp_path / "found", [row["text"] for row in table])
        assert accuracy(said, [row["label"] for row in table]) == pytest.approx(facts[f"{split}_score"])
        told = [
            json.loads(line)
            for line in (tmp_path / "found" / f"{split}_predictions.jsonl").read_text(encoding="utf-8").splitlines()
        ]
        assert [row["prediction"] for row in told] == [text.strip() for text in said]
    assert facts["dev_score"] > 0.6  # by chance 0.5
    # The task's own starts are among what dev chooses from, and the library's beside them.
    assert [one["start"] for one in facts["tried"]][:2] == ["sampled vocabulary", "label words"]
    assert [one["task"] != "" for one in facts["tried"]] == [False, False, True, True]
    best = max(facts["tried"], key=lambda one: (one["dev_score"], -one["dev_loss"]))
    assert facts["start"] == best["start"] and facts["dev_score"] == best["dev_score"]
    assert f"{facts['dev_score']:.3f}" in done.out and f"{facts['test_score']:.3f}" in done.out
    assert "optimistic" in done.out and "PeftModel.from_pretrained" in done.out
    assert not list(tmp_path.glob(".found*"))


@pytest.mark.long
def test_the_lines_that_are_printed_work(adapt, tmp_path, capsys):
    done = adapt("--exclude", "syn-list-last")
    printed = done.out[done.out.index("by transformers and PEFT:") :]
    lines = [line[4:] for line in printed.splitlines() if line.startswith("    ")]
    capsys.readouterr()
    exec(replaced("\n".join(lines), "your text", "x ; y"), {})
    assert capsys.readouterr().out.strip() in json.loads((tmp_path / "found" / "mpt.json").read_text())["labels"]
    assert f"    mpt predict {tmp_path / 'found'} FILE\n" in done.out
    (tmp_path / "plain").touch()
    files = {path for path in (tmp_path / "found").rglob("*") if path.is_file()}
    assert {path.stat().st_mode for path in files} == {(tmp_path / "plain").stat().st_mode}
    assert tmp_path / "found" / "README.md" in files
    assert "syn-list-last" not in done.out


@pytest.mark.long
def test_what_is_found_is_an_entry_for_a_library(adapt, library, tmp_path, capsys):
    """The key is in it, made by the library's recipe."""
    adapt()
    found = load_prompt(tmp_path / "found" / "key")
    own = Library.open(library)
    fingerprint = FrozenBackbone("mpt-tiny").fingerprint
    assert found.facts["fingerprint"] == fingerprint and list(found.weight.shape) == [20, 96]
    hits = own.search(found.weight, 2, by="centred", fingerprint=fingerprint)
    facts = json.loads((tmp_path / "found" / "mpt.json").read_text(encoding="utf-8"))
    assert [hit.entry.name for hit in hits] == [one["start"] for one in facts["tried"] if one["task"]]
    more = shutil.copytree(library, tmp_path / "more")
    assert Mpt(capsys)("library", "add", more, tmp_path / "found").out.startswith("train-13")
    entry = Library.open(more).entry("train-13")
    assert entry.task == "train" and entry.dev_score == facts["dev_score"]
    assert torch.equal(Library.open(more).key(entry), found.weight)
    assert torch.equal(Library.open(more).value(entry), load_prompt(tmp_path / "found").weight)


@pytest.mark.long
def test_a_run_that_was_stopped_leaves_nothing_half_and_goes_on(adapt, tmp_path, monkeypatch):
    few = ("--steps", 8, "--every", 4)
    adapt(*few, out="straight")
    told = running.TuningProgress.told
    for at in (0, 4):

        def stops(self, side: SideBySide, at: int = at) -> None:
            told(self, side)
            if side.steps == at:
                raise KeyboardInterrupt

        out = f"found-{at}"
        monkeypatch.setattr(running.TuningProgress, "told", stops)
        stopped = adapt(*few, out=out)
        assert stopped.code == 130 and "the same command goes on" in stopped.err
        assert not (tmp_path / out).exists()
        monkeypatch.setattr(running.TuningProgress, "told", told)
        again = adapt(*few, out=out)
        assert again.code == 0 and f"step {at} of 8" in again.out
        assert "step 0 of 8" not in again.out or at == 0
        one, other = (load_prompt(tmp_path / name) for name in ("straight", out))
        assert torch.equal(one.weight, other.weight) and one.facts == other.facts
        assert not list(tmp_path.glob(".found*"))


@pytest.mark.long
def test_mistakes_are_one_sentence_and_leave_nothing(adapt, files, library, tmp_path, capsys):
    lines = files["dev"].read_text(encoding="utf-8-sig").split("\n")
    files["dev"].write_text("\n".join([*lines[:-1], '"a text","middling"', ""]), encoding="utf-8")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").touch()
    empty = tmp_path / "empty"
    Library.create(empty, Library.open(library).recipe)
    cases = [
        ((), {}, f"dev.csv, line {len(lines)}: the label 'middling' is not among"),
        ((), {"out": "full"}, "exists; name another"),
        (("--exclude", "syn-list-last", "syn-size-ad", "syn-sentiment-review"), {"dev": False}, "after --exclude"),
        (("--exclude", "syn-list-lst"), {"dev": False}, "has no prompt of that task; did you mean syn-list-last?"),
        (("--library", empty), {"dev": False}, "is empty"),
        (("--library", "nowhere"), {"dev": False}, "library nowhere"),
        (("--by", "cosine"), {"dev": False}, "--by is one of"),
        (("--library", "none"), {"dev": False}, "--top speaks of a library's prompts"),
        (("--dev-share", 0.5), {}, "--dev-share is of TRAIN where there is no --dev"),
        (("--every", 50), {"dev": False}, "--every 50"),
        (("--rate", 0), {"dev": False}, "--rate must be above 0"),
        (("--prompt-length", 7), {"dev": False}, "have 20 rows; leave out either --prompt-length or --library"),
        (("--instruction", " "), {"dev": False}, "--instruction is empty"),
        (("--start", "nowhere"), {"dev": False}, "prompt nowhere: no such folder"),
        (("--start", "synthetic:none"), {"dev": False}, "the library synthetic has no entry none"),
        (("--start", *["synthetic:syn-size-ad-13"] * 2), {"dev": False}, "is named twice"),
    ]
    for more, options, said in cases:
        done = adapt(*more, **options)
        assert done.code == 2 and said in done.err and done.err.count("\n") == 1, done.err
    assert not (tmp_path / "found").exists() and not list(tmp_path.glob(".*"))


def test_a_library_of_another_backbone_is_refused_with_the_way_on(adapt, tmp_path, model_folder):
    done = adapt("--backbone", model_folder("t5"))
    assert done.code == 2 and "has no prompt of backbone" in done.err and "mpt-tiny" in done.err
    assert "or leave out --library" in done.err


@pytest.mark.long
def test_without_a_library_any_backbone_is_tuned_from_starts_of_the_tasks_own(files, tmp_path, capsys, model_folder):
    """The starts against the rows of the model's own table; a number for each option that no library gives."""
    model, out = model_folder("t5"), tmp_path / "found"
    words = ("--steps", 4, "--every", 2, "--max-target-length", 4, "--max-input-length", 32, "--device", "cpu")
    words += ("--prompt-length", 6, "--rate", 0.01, "--batch-size", 2, "--instruction", "is it large or small ?")
    done = Mpt(capsys)("adapt", files["train"], "--dev", files["dev"], "--backbone", model, "--out", out, *words)
    assert done.code == 0, done.err
    facts = json.loads((out / "mpt.json").read_text(encoding="utf-8"))
    assert [one["start"] for one in facts["tried"]] == ["sampled vocabulary", "label words", "instruction"]
    assert facts["library"] is None and facts["learning_rate"] == 0.01 and not (out / "key").exists()
    assert load_prompt(out).weight.shape[0] == 6
    keyless = Mpt(capsys)("library", "add", tmp_path / "new", out)
    assert keyless.code == 2 and "is a prompt without a key" in keyless.err and not (tmp_path / "new").exists()
    assert "chosen on dev: " in done.out and "from sampled vocabulary" in done.out and "transfer" not in done.out

    backbone = FrozenBackbone(str(model))
    table, tokenizer = backbone.model.get_input_embeddings().weight, backbone.tokenizer
    sampled, words_of_labels, instruction = own_starts(backbone, 6, 13, ("plus", "minus"), "large")
    of = [tokenizer(text, add_special_tokens=False)["input_ids"] for text in ("plus", "minus", "large")]
    assert torch.equal(words_of_labels.prompt[:2], torch.stack([table[of[0]].mean(0), table[of[1]].mean(0)]))
    assert torch.equal(instruction.prompt[: len(of[2])], table[of[2]][:6])
    assert all(any(torch.equal(row, known) for known in table) for row in sampled.prompt)
    assert (
        cut(backbone, 1, "large small ?") == len(tokenizer("large small ?", add_special_tokens=False)["input_ids"]) - 1
    )


@pytest.mark.long
def test_without_a_library_the_key_is_the_plain_tunings_and_begins_a_library(files, tmp_path, capsys, monkeypatch):
    """Against the key that the same recipe makes by itself."""
    monkeypatch.setattr(running, "DEFAULTS", replace(running.DEFAULTS, key_steps=3, learning_rate=0.1))
    out = tmp_path / "found"
    words = ("--steps", 4, "--every", 4, "--max-target-length", 4, "--device", "cpu", "--batch-size", 2)
    done = Mpt(capsys)("adapt", files["train"], "--dev", files["dev"], "--out", out, *words)
    assert done.code == 0, done.err
    assert Mpt(capsys)("library", "add", tmp_path / "new", out).out.startswith("train-13")
    new = Library.open(tmp_path / "new")
    assert new.recipe == KeyRecipe("mpt-tiny", 20, key_steps=3, learning_rate=0.1, batch_size=2, seed=13)
    again = Mpt(capsys)("adapt", files["train"], "--library", tmp_path / "new", "--out", tmp_path / "again",
                        "--dev", files["dev"], *words)  # fmt: skip
    assert again.code == 0, again.err
    key, other = (load_prompt(folder / "key").weight for folder in (out, tmp_path / "again"))
    assert torch.allclose(key, other, atol=1e-4)


@pytest.mark.long
def test_the_best_prompts_on_dev_may_vote(files, tmp_path, capsys):
    out, report = tmp_path / "found", tmp_path / "report.json"
    words = ("--steps", 6, "--every", 3, "--max-target-length", 4, "--device", "cpu", "--ensemble", 4)
    words += ("--start", "synthetic:syn-size-ad-13")
    done = Mpt(capsys)("adapt", files["train"], "--dev", files["dev"], "--test", files["test"], "--out", out, *words)
    assert done.code == 0, done.err
    tried = {one["start"]: one for one in json.loads((out / "mpt.json").read_text(encoding="utf-8"))["tried"]}
    assert list(tried) == [
        *("sampled vocabulary", "label words"),
        *("synthetic:syn-size-ad-13", "sampled vocabulary, seed 1013"),
    ]
    members = [load_prompt(out / "ensemble" / str(number)) for number in (1, 2, 3, 4)]
    assert torch.equal(members[0].weight, load_prompt(out).weight)
    scores = [one.facts["dev_score"] for one in members]
    assert scores == sorted(scores, reverse=True) == [tried[one.facts["start"]]["dev_score"] for one in members]
    assert Mpt(capsys)("evaluate", out / "ensemble", files["test"], "--out", report).code == 0
    vote = json.loads(report.read_text())["score"]
    assert f"on test {vote:.3f}, alone" in done.out and "mpt predict " in done.out
