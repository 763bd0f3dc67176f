"""A library filled with the prompts of tasks: whole, gone on with, and refused where the recipe is another."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from support.chats import chat_model
from support.small_models import t5
from support.toy import Mpt, write_toy

import mpt.adapt.fill_library as learning
from mpt.adapt.tuning import early_prompts, plain_start
from mpt.backbone.loading import BackboneOptions
from mpt.backbone.model import FrozenBackbone
from mpt.cli.library_learn import add_learn_options, run_learn
from mpt.cli.options import Parser
from mpt.data.modules.few_shot import FewShotData
from mpt.library.library import Library
from mpt.util.errors import UserError


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    return t5(tmp_path_factory.mktemp("models") / "still", dropout_rate=0.0)


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("data")
    for task in ("one", "two", "three"):
        write_toy(root, task, (13, 21))
    return root


def learn(model: Path, root: Path, out: Path, *more: object) -> bool:
    parser = Parser(prog="mpt library learn")
    add_learn_options(parser)
    words = ["--backbone", model, "--root", root, "--out", out, "--metric", "QA-F1", "--prompt-length", 3]
    words += ["--steps", 4, "--every", 2, "--key-steps", 2, "--at-once", 2, "--max-target-length", 4, "--device", "cpu"]
    return run_learn(parser.parse_args([str(word) for word in (*words, *more)]))


def test_it_is_an_action_of_the_command_line(capsys):
    mistaken = Mpt(capsys)("library", "learn", "--tasks", "one", "--partition", "two", "--out", "nowhere")
    assert mistaken.code == 2 and "either --tasks or --partition" in mistaken.err


@pytest.mark.long
def test_each_task_and_draw_makes_an_entry(model, root, tmp_path, capsys):
    assert learn(model, root, tmp_path / "lib", "--tasks", "one", "two", "--seeds", 13, 21)
    library = Library.open(tmp_path / "lib")
    entries = library.entries()
    assert [(entry.name, entry.task, entry.seed) for entry in entries] == [
        ("one-13", "one", 13), ("one-21", "one", 21), ("two-13", "two", 13), ("two-21", "two", 21),
    ]  # fmt: skip
    for entry in entries:
        assert library.cost(entry)[:2] == (4, 4 * 8) and library.cost(entry)[2] == entry.facts["seconds"] > 0
    backbone = FrozenBackbone(str(model))
    assert {entry.fingerprint for entry in entries} == {backbone.fingerprint}
    job = learning.TuningJob(
        "one",
        learning.FewShotData("one", str(root), 21, metric="QA-F1", batch_size=8),
        plain_start(backbone, 3, 13),
        0.3,
    )
    # The key is the prompt that this task has after the recipe's steps from the recipe's start, whoever was beside it.
    assert torch.allclose(library.key(entries[1]), early_prompts(backbone, [job], 2)[0], atol=1e-5)
    assert not (tmp_path / "lib" / learning.WORK).exists()
    assert "has 4 entries" in capsys.readouterr().out


@pytest.mark.long
def test_what_is_there_is_left_and_the_rest_is_made(model, root, tmp_path, monkeypatch, capsys):
    tasks = ["--tasks", "one", "two", "three"]
    learn(model, root, tmp_path / "straight", *tasks)
    out = tmp_path / "lib"
    add = Library.add

    def dies(self, name, *rest, **options):
        if name == "two-13":
            raise KeyboardInterrupt
        return add(self, name, *rest, **options)

    monkeypatch.setattr(Library, "add", dies)
    with pytest.raises(KeyboardInterrupt):
        learn(model, root, out, *tasks)
    monkeypatch.setattr(Library, "add", add)
    assert [entry.name for entry in Library.open(out).entries()] == ["one-13"]
    before = (out / "prompts" / "one-13" / "mpt.json").stat().st_mtime_ns
    capsys.readouterr()
    assert learn(model, root, out, *tasks)
    assert "1 of 3 entries" in capsys.readouterr().out
    assert (out / "prompts" / "one-13" / "mpt.json").stat().st_mtime_ns == before
    whole, resumed = Library.open(tmp_path / "straight"), Library.open(out)
    for one, other in zip(whole.entries(), resumed.entries(), strict=True):
        assert one.name == other.name and torch.equal(whole.value(one), resumed.value(other))
        assert torch.equal(whole.key(one), resumed.key(other))
    assert learn(model, root, out, *tasks) and "3 of 3 entries" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--tasks", "one", "--key-steps", 3], "key_steps 2"),
        (["--tasks", "one", "on"], "no task 'on'"),
        (["--tasks", "one", "--seeds", 14], "no draw for seed 14"),
        (["--tasks", "one", "one"], "names one twice"),
        (["--tasks", "one", "--seeds", 13, 13], "--seeds names 13 twice"),
        ([], "either --tasks or --partition"),
        (["--tasks", "one", "--key-steps", 9], "--key-steps 9 is more than the 4"),
        (["--tasks", "one", "--every", 9], "--every must be 1 to the 4"),
        (["--tasks", "one", "--k", "some"], "--k: some is neither a number"),
        (["--tasks", "one", "--device", "warp"], "--device warp"),
        (["--tasks", "one", "--start-seed", "99999999999999999999"], "seed must be from 0 to 4294967295"),
    ],
)
def test_mistakes_are_told_before_anything_is_learned(model, root, tmp_path_factory, words, said):
    out = tmp_path_factory.getbasetemp() / "learned"
    if not out.exists():
        learn(model, root, out, "--tasks", "two")
    with pytest.raises(UserError, match=said):
        learn(model, root, out, *words)
    assert [entry.name for entry in Library.open(out).entries()] == ["two-13"]


def test_a_prompt_that_ran_away_is_told_and_the_others_are_kept(model, root, tmp_path, monkeypatch, capsys):
    tune = learning.tune

    def one_fails(*arguments, **options):
        tuned = tune(*arguments, **options)
        tuned[0].value, tuned[0].ended = None, "its loss was no longer finite"
        return tuned

    monkeypatch.setattr(learning, "tune", one_fails)
    assert not learn(model, root, tmp_path / "lib", "--tasks", "one", "two")
    assert [entry.name for entry in Library.open(tmp_path / "lib").entries()] == ["two-13"]
    assert "one-13 failed: its loss" in capsys.readouterr().out


@pytest.mark.long
def test_a_key_that_is_not_finite_does_not_end_the_others(model, root, tmp_path, monkeypatch, capsys):
    job = learning.TuningJob

    def from_nowhere(name, data, start, *rest):
        return job(name, data, start * float("nan") if name == "one-13" else start, *rest)

    monkeypatch.setattr(learning, "TuningJob", from_nowhere)
    assert not learn(model, root, tmp_path / "lib", "--tasks", "one", "two", "--every", 4)
    said = capsys.readouterr().out
    assert "one-13 failed: the prompt is no longer finite after 2 steps" in said and "1 failed" in said
    assert [entry.name for entry in Library.open(tmp_path / "lib").entries()] == ["two-13"]
    monkeypatch.undo()
    assert learn(model, root, tmp_path / "lib", "--tasks", "one", "two", "--every", 4)
    assert len(Library.open(tmp_path / "lib").entries()) == 2


@pytest.mark.long
def test_an_own_task_is_an_entry_until_its_examples_change(model, root, tmp_path):
    rows = "".join(f"one {n},{('two', 'three')[n % 2]}\n" for n in range(20))
    (tmp_path / "a.csv").write_text(f"text,label\n{rows}", encoding="utf-8")
    (tmp_path / "mine.yaml").write_text('file: a.csv\ninput: "say {text}"\noutput: label\n', encoding="utf-8")
    words = [model, root, tmp_path / "lib", "--k", 4, "--metric", "EM", "--tasks", tmp_path / "mine.yaml"]
    assert learn(*words) and learn(*words)
    (entry,) = Library.open(tmp_path / "lib").entries()
    assert (entry.name, entry.task, entry.facts["metric"]) == ("mine-13", "mine", "EM")
    assert (entry.facts["labels"], entry.facts["template"]) == (["three", "two"], "say {text}")
    (tmp_path / "a.csv").write_text(f"text,label\n{rows}one 20,two\n", encoding="utf-8")
    with pytest.raises(UserError, match=r"has an entry mine-13 that was learned on other examples than .*mine.yaml"):
        learn(*words)


@pytest.mark.long
def test_a_task_whose_files_changed_is_refused_and_one_that_does_not_say_its_data_is_left(model, tmp_path):
    write_toy(tmp_path / "data", "one")
    words = [model, tmp_path / "data", tmp_path / "lib", "--tasks", "one", "--seeds", 13]
    assert learn(*words)
    table = tmp_path / "data" / "one" / "one_16_13_train.tsv"
    table.write_text(table.read_text() + "one more dog\tyes\n")
    with pytest.raises(UserError, match=r"has an entry one-13 that was learned on other examples than one has now"):
        learn(*words)
    facts = tmp_path / "lib" / "prompts" / "one-13" / "mpt.json"
    said = json.loads(facts.read_text())
    del said["data"]  # as earlier versions wrote it
    facts.write_text(json.dumps(said))
    assert learn(*words)


@pytest.mark.long
def test_a_library_of_chats_makes_a_prompt_of_chats(root, tmp_path, capsys):
    """Its keys, its entries, what mpt adapt finds with it and what mpt predict answers: all behind the template."""
    chats, plain, mpt = chat_model(tmp_path / "model", "chatml"), tmp_path / "plain", Mpt(capsys)
    assert learn(chats, root, tmp_path / "lib", "--tasks", "one", "two", "--chat-template", "--max-input-length", 64)
    library = Library.open(tmp_path / "lib")
    assert library.recipe.chat_template and all(entry.facts["chat_template"] for entry in library.entries())
    backbone = FrozenBackbone(str(chats), BackboneOptions(chat_template=True, max_target_length=4, max_input_length=64))
    start = plain_start(backbone, 3, 13)
    data = FewShotData("one", str(root), 13, metric="QA-F1")
    [key] = early_prompts(backbone, [learning.TuningJob("one", data, start, 0.3)], 2)
    torch.testing.assert_close(library.key(library.entry("one-13")), key, rtol=1e-4, atol=1e-4)

    train = tmp_path / "train.csv"
    train.write_text("text,label\n" + "".join(f"a dog {n},{('yes', 'no')[n % 2]}\n" for n in range(8)), "utf-8")
    words = ("adapt", train, "--steps", 2, "--every", 1, "--max-target-length", 4, "--max-input-length", 64)
    assert mpt(*words, "--library", tmp_path / "lib", "--out", tmp_path / "found").code == 0
    facts = json.loads((tmp_path / "found" / "mpt.json").read_text(encoding="utf-8"))
    assert facts["chat_template"] is True
    answered = mpt("predict", tmp_path / "found", train, "--out", tmp_path / "answers.csv")
    assert answered.code == 0, answered.err

    assert learn(chats, root, plain, "--tasks", "one")
    assert "chat_template" not in (plain / "library.json").read_text(encoding="utf-8")
    refused = mpt(*words, "--library", plain, "--chat-template", "--out", tmp_path / "other")
    assert (
        refused.code == 2 and f"--chat-template: the prompts of the library {plain} were learned without" in refused.err
    )
    with pytest.raises(UserError, match="chat_template"):
        learn(chats, root, plain, "--tasks", "two", "--chat-template")
