"""mpt library: from runs to a library and out of it again, as a user types it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
import yaml
from support.fake_hub import FakeHub
from support.toy import Mpt, small_fit, write_toy
from support.toy_library import RECIPE, draw, filled

from mpt.library import hub as hub_module
from mpt.library.library import Library
from mpt.library.recipe import KeyRecipe
from mpt.prompt.files import load_prompt, save_prompt
from mpt.util.errors import UserError


@pytest.fixture
def mpt(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Mpt:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WANDB_MODE", "disabled")
    return Mpt(capsys)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory, model_folder) -> Path:
    """Folders of two runs that kept early prompts: of the draws 13 and 21, from one start."""
    from mpt.cli.main import main

    folder = tmp_path_factory.mktemp("runs")
    root = write_toy(folder / "data", seeds=(13, 21))
    kept = [{"class_path": "mpt.callbacks.KeepBest"}, {"class_path": "mpt.callbacks.MetricsFile"}]
    kept.append({"class_path": "mpt.callbacks.KeepEarly", "init_args": {"steps": [1, 2]}})
    (folder / "keep.yaml").write_text(yaml.safe_dump({"trainer": {"callbacks": kept}}))
    config = ["--config", "prompt_tuning", "--config", str(folder / "keep.yaml"), "--trainer.logger", "false"]
    for seed in (13, 21):
        options = small_fit(model_folder("t5"), root, folder / f"run{seed}", data__seed=seed, data__k=16)
        main(["fit", *config, *map(str, options)])
    return folder


@pytest.mark.long
def test_a_library_of_runs(mpt, runs, model_folder):
    added = mpt("library", "add", "library", runs / "run13", runs / "run21", "--key-steps", 2)
    assert added.code == 0 and "toy-13 (dev " in added.out and "toy-21 (dev " in added.out
    library = Library.open("library")
    assert library.recipe == KeyRecipe(str(model_folder("t5")), 4, 2, 0.3, 8, 13)
    one, other = library.entries()
    assert (one.name, one.task, one.seed, other.seed) == ("toy-13", "toy", 13, 21)
    for entry, run in ((one, "run13"), (other, "run21")):
        assert torch.equal(library.key(entry), load_prompt(runs / run / "early" / "step-2").weight)
        value = load_prompt(runs / run / "prompt")
        assert torch.equal(library.value(entry), value.weight)
        assert entry.dev_score == value.facts["dev/score"] and entry.fingerprint == value.facts["fingerprint"]
        assert library.cost(entry) == (6, 6 * 8, None)
    assert not torch.equal(library.key(one), library.key(other)), "the draws differ"

    listed = mpt("library", "list", "library").out.splitlines()
    assert [line.split()[0] for line in listed] == ["name", "toy-13", "toy-21"]
    assert mpt("library", "list", "library", "--names").out == "toy-13\ntoy-21\n"
    assert "has no entry of the backbone x" in mpt("library", "list", "library", "--backbone", "x").err
    shown = mpt("library", "show", "library").out
    assert all(part in shown for part in ("key_steps      2", "entries        2", "tasks          1"))
    assert "fingerprint" in mpt("library", "show", "library", "toy-13").out
    assert "did you mean toy-" in mpt("library", "show", "library", "toy-12").err
    for key in (runs / "run13", runs / "run13" / "early" / "step-2"):
        found = mpt("library", "search", "library", key, "-k", 2).out.splitlines()
        assert sorted(line.split()[1] for line in found) == ["name", "toy-13", "toy-21"]
    missed = mpt("library", "search", "library", runs / "run13", "--exclude", "toy")
    assert (missed.code, "has no entry for" in missed.err) == (2, True)

    misspelt = mpt("library", "search", "library", runs / "run13", "--exclude", "toyy")
    assert misspelt.code == 2 and "--exclude toyy: the library library has no prompt of that task" in misspelt.err
    assert "did you mean toy?" in misspelt.err and misspelt.err.count("\n") == 1

    again = mpt("library", "add", "library", runs / "run13")
    assert (again.code, "there is an entry toy-13 already" in again.err) == (2, True)
    assert mpt("library", "add", "library", runs / "run13", "--name", "more").code == 0
    twice = mpt("library", "add", "library", runs / "run13", runs / "run21", "--name", "x")
    assert "--name x is for one run, not 2" in twice.err


def changed(runs: Path, folder: Path, *changes: tuple[str, object]) -> Path:
    """A copy of a run whose config says something else."""
    shutil.copytree(runs / "run13", folder)
    config = yaml.safe_load((folder / "config.yaml").read_text())
    for name, value in changes:
        *parts, last = name.split(".")
        part = config
        for word in parts:
            part = part[word]
        part[last] = value
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    return folder


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("model.init_args.optimizer.init_args.lr", 0.5, r"learning_rate 0.3 \(not 0.5\); those of the run"),
        ("data.init_args.batch_size", 4, r"batch_size 8 \(not 4\)"),
        ("seed_everything", 21, r"seed 13 \(not 21\)"),
        (
            "model.init_args.init.class_path",
            "mpt.prompt.initialisers.SavedPrompt",
            "model.init is mpt.prompt.initialisers.Saved",
        ),
        ("model.init_args.optimizer.class_path", "torch.optim.AdamW", "made with PromptAdafactor"),
        ("model.class_path", "mpt.learn.MAML", "made with PromptTuning"),
        ("model.init_args.lr_scheduler", {"class_path": "x"}, "constant rate"),
        ("data.init_args", {}, "data.batch_size is missing"),
        ("model.init_args.init.init_args.most_common", 100, "most_common is 100, but .* from the 5000 most common"),
        ("model.init_args.init.init_args.seed", 5, "model.init.seed is 5, but .* start from one draw"),
        ("model.init_args.reparameterisation", "Residual", "reparameterisation is Residual, but .* as they are"),
        ("model.init_args.optimizer.init_args.weight_decay", 0.1, "weight_decay is 0.1, but .* made with 1e-05"),
        ("trainer.accumulate_grad_batches", 2, "accumulate_grad_batches is 2, but each step .* takes one batch"),
        ("trainer.gradient_clip_val", 1.0, "gradient_clip_val is 1.0, but .* with whole gradients"),
        ("data.init_args.task_prefix", True, "data.task_prefix is true, but .* are made with false"),
        ("data.init_args.references", "drawn", "data.references is drawn, but .* are made with first"),
        ("trainer.max_steps", 100_000, "was stopped at step 6 of 100000; go on"),
        ("trainer.max_steps", -1, "nothing says whether the run finished"),
    ],
)
def test_keys_that_were_made_otherwise_are_refused(name, value, said, runs, tmp_path):
    library = Library.create(tmp_path / "library", KeyRecipe("mpt-tiny", 4, 2, 0.3, 8, 13))
    with pytest.raises(UserError, match=said):
        library.add_run(changed(runs, tmp_path / "run", (name, value)))
    assert library.entries() == []


def test_init_args_spelt_out_or_not_are_the_same_run(runs, tmp_path):
    library = Library.create(tmp_path / "library", KeyRecipe("mpt-tiny", 4, 2, 0.3, 8, 13))
    folder = changed(runs, tmp_path / "run")
    config = yaml.safe_load((folder / "config.yaml").read_text())
    config["data"] |= config["data"].pop("init_args")
    model = config["model"] | config["model"].pop("init_args")
    config["model"] = model | {"init": "SampledVocabulary", "optimizer": {"class_path": "PromptAdafactor", "lr": 0.3}}
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    assert library.add_run(folder).facts == library.add_run(runs / "run13", "spelt-out").facts


def test_a_run_is_added_once_nothing_can_better_its_prompt(runs, tmp_path):
    library = Library.create(tmp_path / "library", KeyRecipe("mpt-tiny", 4, 2, 0.3, 8, 13))
    assert library.add_run(changed(runs, tmp_path / "odd", ("trainer.max_steps", 7)), "odd").facts["k"] == 16

    def stopped(patience: int) -> Path:
        stopper = {"monitor": "dev/score", "mode": "max", "patience": patience}
        callbacks = [{"class_path": "pytorch_lightning.callbacks.EarlyStopping", "init_args": stopper}]
        changes = (("trainer.max_steps", 1000), ("trainer.callbacks", callbacks))
        folder = changed(runs, tmp_path / f"stopped{patience}", *changes)
        rows = [{"step": 2 * i, "dev/score": score} for i, score in enumerate((0.1, 0.5, 0.4, 0.5), start=1)]
        (folder / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        return folder

    assert library.cost(library.add_run(stopped(2), "stopped")) == (8, 8 * 8, None)
    with pytest.raises(UserError, match="was stopped at step 8 of 1000"):
        library.add_run(stopped(3), "killed")
    (tmp_path / "odd" / "metrics.jsonl").unlink()
    with pytest.raises(UserError, match=r"has no metrics.jsonl .* mpt.callbacks.MetricsFile"):
        library.add_run(tmp_path / "odd", "again")


def test_what_a_studys_run_took_is_told_by_its_result(runs, tmp_path):
    library = Library.create(tmp_path / "library", KeyRecipe("mpt-tiny", 4, 2, 0.3, 8, 13))
    folder = changed(runs, tmp_path / "run")
    (folder / "result.json").write_text(json.dumps({"steps": 6, "examples": 45, "seconds": 2.5}))
    assert library.cost(library.add_run(folder)) == (6, 45, 2.5)
    (folder / "result.json").write_text(json.dumps({"examples": "many", "seconds": -1}))
    assert library.cost(library.add_run(folder, "odd")) == (6, 6 * 8, None)


def test_what_an_entrys_facts_do_not_tell_is_not_known(tmp_path):
    library = Library.create(tmp_path / "library", KeyRecipe("mpt-tiny", 3, 2, 0.3, 8, 13))
    for number, (facts, cost) in enumerate(
        [
            ({}, (None, None, None)),
            ({"steps": 0}, (0, 0, None)),
            ({"steps": True, "seconds": float("inf")}, (None, None, None)),
            ({"steps": 7, "examples": 50, "seconds": 0.5}, (7, 50, 0.5)),
        ]
    ):
        entry = library.add(f"p{number}", *draw(1), {"fingerprint": "f", **facts}, decoder_only=False)
        assert library.cost(entry) == cost


def test_what_is_no_run_is_told(mpt, runs, tmp_path):
    assert "is no run's folder" in mpt("library", "add", "library", tmp_path / "nowhere").err
    assert "has kept the prompts of steps 1, 2; choose" in mpt("library", "add", "library", runs / "run13").err
    missing = mpt("library", "add", "library", runs / "run13", "--key-steps", 7).err
    assert "has not kept the prompt of step 7 (of steps 1, 2 in early/)" in missing
    assert not (tmp_path / "library").exists()
    mpt("library", "add", "library", runs / "run13", "--key-steps", 2)
    assert "the keys of library are of step 2" in mpt("library", "add", "library", runs / "run21", "--key-steps", 1).err
    bare = changed(runs, tmp_path / "bare")
    shutil.rmtree(bare / "early")
    assert "(none in early/)" in mpt("library", "add", "library", bare).err


def test_an_entry_is_exported_as_a_plain_folder(mpt, tmp_path):
    filled(tmp_path / "library", 2)
    assert mpt("library", "export", "library", "f1", "deep/out").out == "deep/out\n"
    stored = load_prompt(tmp_path / "deep" / "out")
    assert torch.equal(stored.weight, draw(1)[1]) and stored.facts["task"] == "task0"
    names = ["README.md", "adapter_config.json", "adapter_model.safetensors", "mpt.json"]
    assert sorted(path.name for path in (tmp_path / "deep" / "out").iterdir()) == names
    for name in ("../library", "f1/key", "/etc", ".index", ""):
        refused = mpt("library", "export", "library", name, "other")
        assert (refused.code, "cannot name an entry" in refused.err) == (2, True)
    assert "has no entry f7; known are f0, f1" in mpt("library", "export", "library", "f7", "other").err
    assert "there already" in mpt("library", "export", "library", "f1", "deep/out").err
    assert not (tmp_path / "other").exists()


def test_a_damaged_entry_is_named_and_the_rest_listed(mpt, tmp_path, caplog):
    library = filled(tmp_path / "library", 3)
    (library.folder / "prompts" / "f1" / "adapter_model.safetensors").write_bytes(b"\x80\x04.")
    listed = mpt("library", "list", "library", "--names")
    assert (listed.code, listed.out) == (0, "f0\nf2\n")
    assert "entry f1: " in caplog.text
    exported = mpt("library", "export", "library", "f1", "out")
    assert exported.code == 2 and "entry f1" in exported.err
    rebuilt = mpt("library", "rebuild", "library")
    assert rebuilt.out == "2 entries, 1 refused\n"
    assert "refused        1" in mpt("library", "show", "library").out


def test_a_key_without_a_fingerprint_finds_nothing(mpt, tmp_path):
    filled(tmp_path / "library", 1)
    save_prompt(tmp_path / "key", draw(1)[0], "mpt-tiny", False, {})
    assert "does not say in mpt.json" in mpt("library", "search", "library", "key").err


def test_a_prompt_that_is_no_key_of_the_library_is_told_of(mpt, tmp_path, caplog):
    library = filled(tmp_path / "library", 4)
    by_entry = mpt("library", "search", "library", library.folder / "prompts" / "f2").out
    assert by_entry == mpt("library", "search", "library", library.folder / "prompts" / "f2" / "key").out
    assert by_entry.splitlines()[1].split()[1] == "f2"
    for step, said in ((RECIPE.key_steps, []), (300, ["key is a prompt of step 300, but the keys"])):
        save_prompt(tmp_path / "key", draw(1)[0], "mpt-tiny", False, {"fingerprint": "f", "step": step})
        assert "f1" in mpt("library", "search", "library", "key").out
        assert [record.message.partition(" of the library")[0] for record in caplog.records] == said


def test_push_and_pull(mpt, tmp_path, monkeypatch):
    hub = FakeHub(tmp_path / "cache")
    monkeypatch.setattr(hub_module, "HfApi", hub.api)
    monkeypatch.setattr(hub_module, "get_token", lambda: "hf_token")
    filled(tmp_path / "library", 2)
    assert mpt("library", "push", "library", "me/prompts").out == "2 entries pushed to me/prompts, 0 were there\n"
    assert mpt("library", "pull", "me/prompts", "copy").out == "2 entries pulled to copy, 0 were there\n"
    assert mpt("library", "list", "hub:me/prompts", "--names").out == "f0\nf1\n"


def test_help_and_mistakes(mpt):
    assert "search WHERE KEY" in mpt("library").out
    assert "mpt library knows add, list" in mpt("library", "serach").err
    assert "  library list | search" in mpt("--help").out
