"""Going on from a checkpoint: of the same run, and by one process at a time."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from support.small_models import t5
from support.toy import Mpt, json_lines, small_fit, write_toy
from support.toy_study import write_study

from mpt.record.folder import STARTED, RunFolder
from mpt.study.plan.grid import plan
from mpt.study.run.one import do_run
from mpt.study.spec.study import load_study
from mpt.util.errors import UserError
from mpt.util.files import held, write_json

pytestmark = pytest.mark.long

CONFIG = ("--config", "prompt_tuning")


@pytest.fixture(scope="module")
def done(tmp_path_factory, model_folder) -> Path:
    """A run of six steps, ``run``, and its data, of tasks toy and other."""
    folder = tmp_path_factory.mktemp("done")
    write_toy(folder / "data", seeds=(13, 21))
    write_toy(folder / "data", "other")
    shutil.copytree(folder / "data", folder / "edited")
    table = folder / "edited" / "toy" / "toy_16_13_train.tsv"
    first, rest = table.read_text(encoding="utf-8").split("\n", 1)
    table.write_text(f"once more {first}\n{rest}", encoding="utf-8")
    t5(folder / "another", feed_forward_proj="gated-gelu")
    with pytest.MonkeyPatch.context() as patch, pytest.raises(SystemExit) as end:
        patch.setenv("WANDB_MODE", "disabled")
        from mpt.cli.main import main

        main(["fit", *CONFIG, *map(str, small_fit(model_folder("t5"), folder / "data", folder / "run"))])
        raise SystemExit(0)
    assert end.value.code == 0
    return folder


@pytest.fixture
def mpt(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Mpt:
    monkeypatch.setenv("WANDB_MODE", "disabled")
    return Mpt(capsys)


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


OTHERS = {
    "another backbone": ({"model__backbone": "another"}, ["weights "]),
    "another task": ({"data__task": "other"}, ["task toy (now other)"]),
    "another draw": ({"data__seed": 21}, ["data seed 13 (now 21)"]),
    "another length": ({"model__prompt_length": 7}, ["prompt length 4 (now 7)"]),
    "another optimiser": (
        {"model__optimizer": "torch.optim.AdamW", "model__optimizer__lr": 0.01},
        ["optimizer PromptAdafactor (now AdamW)", "learning rate 0.3 (now 0.01)"],
    ),
    "another metric": ({"data__metric": "EM"}, ["metric ACC (now EM)"]),
    "another length of targets": (
        {"model__backbone_options__max_target_length": 5},
        ["max_target_length 4 (now 5)"],
    ),
    "another rate": ({"model__optimizer__lr": 0.25}, ["learning rate 0.3 (now 0.25)"]),
    "another seed": ({"seed_everything": 14}, ["seed 13 (now 14)"]),
    "another batch": ({"data__batch_size": 3}, ["data batch size 8 (now 3)"]),
    "inputs with the task's name": ({"data__task_prefix": "true"}, ["data task prefix False (now True)"]),
    "another decay": (
        {"model__optimizer__weight_decay": 0.5},
        ["optimizer weight decay 1e-05 (now 0.5)"],
    ),
    "more batches a step": ({"trainer__accumulate_grad_batches": 2}, ["accumulated batches 1 (now 2)"]),
    "an edited table": ({"data__root": "edited"}, ["data examples 7 (digest ", "(now 7 (digest "]),
    "another reference": ({"data__references": "drawn"}, ["data references first (now drawn)"]),
    "answers judged otherwise": ({"model__answers": "labels"}, ["answers written (now labels)"]),
}


@pytest.mark.parametrize(("changes", "words"), OTHERS.values(), ids=OTHERS)
def test_another_run_does_not_go_on(changes, words, mpt, done, model_folder):
    changes = {name: done / value if value in ("another", "edited") else value for name, value in changes.items()}
    before = files(done / "run")
    options = small_fit(model_folder("t5"), done / "data", done / "run", trainer__max_steps=8, **changes)
    ended = mpt("fit", *CONFIG, *options, "--ckpt_path", "last")
    assert ended.code == 2 and "Traceback" not in ended.err
    (told,) = [line for line in ended.err.splitlines() if line.startswith("mpt: error: ")]
    for word in ["is of another run", *words, "start anew without --ckpt_path"]:
        assert word in told
    assert files(done / "run") == before


@pytest.mark.parametrize(
    ("changes", "words"),
    [({"data__task": "other"}, []), ({"model__prompt_length": 7}, ["prompt length 4 (now 7)"])],
)
def test_a_checkpoint_is_tested_on_any_task_by_the_same_model(changes, words, mpt, done, model_folder, tmp_path):
    options = small_fit(model_folder("t5"), done / "data", tmp_path / "run", **changes)
    ended = mpt("test", *CONFIG, *options, "--ckpt_path", done / "run" / "last.ckpt")
    assert ended.code == (2 if words else 0), ended.err
    assert all(word in ended.err for word in words)


def test_a_checkpoint_of_an_earlier_version_is_judged_by_its_shapes(mpt, done, model_folder, tmp_path):
    shutil.copytree(done / "run", tmp_path / "run")
    content = torch.load(tmp_path / "run" / "last.ckpt", weights_only=True)
    del content["of"]
    torch.save(content, tmp_path / "run" / "last.ckpt")
    options = small_fit(model_folder("t5"), done / "data", tmp_path / "run", trainer__max_steps=8)
    wrong = mpt("fit", *CONFIG, *options, "--model.prompt_length", 7, "--ckpt_path", "last")
    assert wrong.code == 2 and "prompt.weight [4, 32] (now [7, 32])" in wrong.err
    assert mpt("fit", *CONFIG, *options, "--ckpt_path", "last").code == 0
    assert json_lines(tmp_path / "run" / "metrics.jsonl")[-1]["step"] == 8


DAMAGED = {
    "no tensors": ({"state_dict": 7}, "what it has as state_dict is none"),
    "no tensor": ({"state_dict": {"prompt.weight": 7}}, "what it has as prompt.weight is none or not finite"),
    "complex": ({"state_dict": {"prompt.weight": torch.zeros(4, 32, dtype=torch.complex64)}}, "as prompt.weight is"),
    "not finite": ({"state_dict": {"prompt.weight": torch.full((4, 32), float("nan"))}}, "as prompt.weight is"),
    "another name": ({"of": {}, "state_dict": {"soft": torch.zeros(4, 32)}}, "another run or version: it has prompt.w"),
    "one more": ({"of": {}, "state_dict": {"prompt.weight": torch.zeros(4, 32), "x": torch.zeros(1)}}, "it has x [1]"),
    "no loops": ({"loops": {}}, "KeyError: 'fit_loop'"),
    "an optimiser's state": ({"optimizer_states": [{"state": {}, "param_groups": []}]}, "number of parameter groups"),
    "a place in the data": ({"FewShotData": {"batches": "x", "step": 4}}, "invalid literal for int"),
    "a count": ({"spent": {"examples": "x", "seconds": 1.0}}, "invalid literal for int"),
    "a callback's": ({"callbacks": 7}, "what it has as callbacks is none"),
    "of another Lightning": ({"pytorch-lightning_version": "x"}, "InvalidVersion"),
}


@pytest.mark.parametrize(("parts", "says"), DAMAGED.values(), ids=DAMAGED)
def test_a_checkpoint_that_is_damaged_or_of_another_version_is_named(parts, says, mpt, done, model_folder, tmp_path):
    shutil.copytree(done / "run", tmp_path / "run")
    last = tmp_path / "run" / "last.ckpt"
    torch.save({**torch.load(last, weights_only=True), **parts}, last)
    options = small_fit(model_folder("t5"), done / "data", tmp_path / "run", trainer__max_steps=8)
    ended = mpt("fit", *CONFIG, *options, "--ckpt_path", "last")
    (told,) = [line for line in ended.err.splitlines() if line.startswith("mpt: error: ")]
    assert ended.code == 2 and "Traceback" not in ended.err
    assert told.startswith(f"mpt: error: checkpoint {last} is ") and says in told
    assert told.endswith("start anew without --ckpt_path")


@pytest.mark.parametrize("how", [(), ("--ckpt_path", "last")])
def test_a_second_fit_in_a_folder_is_refused(how, mpt, done, model_folder):
    before = files(done / "run")
    options = small_fit(model_folder("t5"), done / "data", done / "run", trainer__max_steps=8)
    with held(done / "run", "it is free"):
        ended = mpt("fit", *CONFIG, *options, *how)
    assert ended.code == 2 and f"another mpt fit is at work in {done / 'run'}" in ended.err
    assert files(done / "run") == before and [path.name for path in done.glob("run*")] == ["run"]


def test_the_folder_that_one_is_in_is_not_renamed_under_ones_feet(mpt, done, model_folder, monkeypatch):
    before = files(done / "run")
    monkeypatch.chdir(done / "run")
    for here in (".", "../run"):
        ended = mpt("fit", *CONFIG, *small_fit(model_folder("t5"), done / "data", here))
        assert ended.code == 2 and "is the folder that you are in, which cannot be renamed" in ended.err
    assert files(done / "run") == before and [path.name for path in done.glob("run*")] == ["run"]


def test_an_evaluation_by_itself_is_no_step_of_the_run(mpt, done, model_folder, tmp_path):
    shutil.copytree(done / "run", tmp_path / "run")
    before = (tmp_path / "run" / "metrics.jsonl").read_text()
    options = small_fit(model_folder("t5"), done / "data", tmp_path / "run")
    assert mpt("validate", *CONFIG, *options).code == 0
    assert (tmp_path / "run" / "metrics.jsonl").read_text() == before


def test_a_hold_ends_with_its_process(tmp_path):
    code = "import os, sys; from pathlib import Path; from mpt.util.files import held\n"
    code += "with held(Path(sys.argv[1]), 'x'): print('held', flush=True); input()"
    words = [sys.executable, "-c", code, str(tmp_path / "run")]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None and other.stdout.readline() == "held\n"
        with pytest.raises(UserError, match="it is taken"), held(tmp_path / "run", "it is taken"):
            pass
        other.kill()
    with held(tmp_path / "run", "it is taken"):
        assert os.listdir(tmp_path / "run") == []


@pytest.mark.parametrize("of_before", [False, True])
def test_a_checkpoint_of_a_study_that_cannot_be_gone_on_from_is_worth_no_more_than_none(
    of_before, model_folder, tmp_path, monkeypatch
):
    monkeypatch.setenv("WANDB_MODE", "disabled")
    cells = plan(load_study(write_study(tmp_path, model_folder("t5"))), tmp_path / "out")
    cell = next(cell for cell in cells if cell.method == "PT")
    write_json(cell.folder / STARTED, {"fingerprint": cell.fingerprint, "recipe": cell.recipe})
    (cell.folder / "last.ckpt").write_bytes(b"half")
    if of_before:  # what is learned had another shape
        torch.save({"state_dict": {"prompt.weight": torch.zeros(3, 33)}}, cell.folder / "last.ckpt")
    assert do_run(cell) == "finished"


FULL = (torch.OutOfMemoryError("CUDA out of memory. Tried"), OSError(errno.ENOSPC, "No space left on device"))


@pytest.mark.parametrize("error", FULL)
def test_a_checkpoint_outlives_a_full_memory_or_disk(error, model_folder, tmp_path, monkeypatch):
    cells = plan(load_study(write_study(tmp_path, model_folder("t5"))), tmp_path / "out")
    cell = next(cell for cell in cells if cell.method == "PT")
    write_json(cell.folder / STARTED, {"fingerprint": cell.fingerprint, "recipe": cell.recipe})
    (cell.folder / "last.ckpt").write_bytes(b"whole")

    def fail(run, resumed):
        assert resumed
        raise error

    monkeypatch.setattr("mpt.study.run.one._fit_and_test", fail)
    assert do_run(cell) == "failed" and (cell.folder / "last.ckpt").read_bytes() == b"whole"


REFUSED = {
    "by Lightning": (["--trainer.limit_train_batches", "0.5"], "limit_train_batches"),
    "by the learner": (["--trainer.precision", "bf16-true"], "would round what is learned"),
    "by a callback": (
        ["--trainer.callbacks+=mpt.callbacks.KeepEarly", "--trainer.callbacks.steps=[10]"],
        "KeepEarly is to keep step 10",
    ),
    "by the clock": (["--trainer.max_time", "00:00:00:00"], "before the first evaluation"),
    "by a monitor": (
        [
            "--trainer.callbacks+=pytorch_lightning.callbacks.EarlyStopping",
            "--trainer.callbacks.monitor=dev/nosuch",
            "--trainer.max_steps=4",
        ],
        "Early stopping conditioned on metric `dev/nosuch`",
    ),
}


@pytest.mark.parametrize(("words", "said"), REFUSED.values(), ids=REFUSED)
def test_a_fit_that_learns_nothing_leaves_the_earlier_run_where_it_was(words, said, mpt, done, model_folder):
    before = files(done / "run")
    ended = mpt("fit", *CONFIG, *small_fit(model_folder("t5"), done / "data", done / "run"), *words)
    assert ended.code == 2 and said in ended.err
    kept = {path.name for path in done.glob("run*")}
    if said.startswith("Early stopping"):  # after a step, so that both are there
        assert kept == {"run", "run.1"}
        shutil.rmtree(done / "run")
        (done / "run.1").rename(done / "run")
    else:
        assert kept == {"run"}
    assert files(done / "run") == before


def test_a_trial_writes_nothing(mpt, done, model_folder, tmp_path):
    before = files(done / "run")
    for folder in (done / "run", tmp_path / "new"):
        options = small_fit(model_folder("t5"), done / "data", folder)
        assert mpt("fit", *CONFIG, *options, "--trainer.fast_dev_run", "true").code == 0
    assert files(done / "run") == before and not files(tmp_path)


def test_two_that_keep_the_best_stand_side_by_side(mpt, done, model_folder, tmp_path):
    more = ["--trainer.callbacks+=mpt.callbacks.KeepBest", "--trainer.callbacks.folder"]
    options = small_fit(model_folder("t5"), done / "data", tmp_path / "run")
    assert mpt("fit", *CONFIG, *options, *more, "other").code == 0
    assert files(tmp_path / "run" / "prompt") == files(tmp_path / "run" / "other")
    ended = mpt("fit", *CONFIG, *small_fit(model_folder("t5"), done / "data", tmp_path / "two"), *more, "prompt")
    assert ended.code == 2 and "Found more than one stateful callback" in ended.err


def test_a_time_between_evaluations_is_refused(mpt, done, model_folder, tmp_path):
    options = small_fit(model_folder("t5"), done / "data", tmp_path / "run")
    ended = mpt("fit", *CONFIG, *options, "--trainer.val_check_interval", "00:00:00:01")
    assert ended.code == 2 and "trainer.val_check_interval must be a number of batches, not a time" in ended.err


def test_what_was_learned_or_stopped_is_not_taken_away(tmp_path):
    """Only a folder with no more than a config and numbers is none that anybody misses."""
    for name in ("best/prompt.safetensors", "early/step-2/adapter_config.json", "checkpoints/epoch=3.ckpt"):
        run = RunFolder(tmp_path / name.split("/")[0] / "run")
        run.path.mkdir(parents=True)
        run.config.write_text("of the earlier run")
        earlier = run.set_aside()
        (run.path / name).parent.mkdir(parents=True)
        (run.path / name).write_text("learned")
        run.put_back(earlier)
        assert (run.path / name).read_text() == "learned" and (earlier / "config.yaml").is_file()


def test_a_finished_run_that_is_not_evaluated_is_finished_again(mpt, done, model_folder, tmp_path):
    options = small_fit(model_folder("t5"), done / "data", tmp_path / "run", trainer__max_steps=4)
    own = ["--trainer.callbacks=[{class_path: mpt.callbacks.KeepBest, init_args: {monitor: null}}, "
           "{class_path: mpt.callbacks.ResumePoint, init_args: {every_n_steps: 2}}]"]  # fmt: skip
    options += ["--trainer.limit_val_batches", 0]
    assert mpt("fit", *CONFIG, *options, *own).code == 0
    kept = files(tmp_path / "run" / "prompt")
    shutil.rmtree(tmp_path / "run" / "prompt")  # as a kill behind the last checkpoint leaves it
    for _ in range(2):
        ended = mpt("fit", *CONFIG, *options, *own, "--ckpt_path", "last")
        assert ended.code == 0, ended.err
        assert files(tmp_path / "run" / "prompt").keys() == kept.keys()
