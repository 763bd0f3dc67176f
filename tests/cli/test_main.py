"""The command line as a user meets it: whole runs, a kill, and every mistake answered in one sentence."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from support.small_models import bert
from support.toy import ROWS, Mpt, json_lines, small_fit, write_toy

from mpt.backbone.loading import BackboneOptions
from mpt.backbone.model import FrozenBackbone
from mpt.prompt.files import load_prompt

CONFIG = ("--config", "prompt_tuning")


@pytest.fixture
def mpt(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Mpt:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WANDB_MODE", "disabled")
    return Mpt(capsys)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return write_toy(tmp_path / "data")


@pytest.mark.long
@pytest.mark.parametrize("kind", ["t5", "bart", "gpt2"])
def test_fit_test_predict_end_with_the_metric_and_the_answers_of_the_best_prompt(
    kind, mpt, root, model_folder, tmp_path
):
    folder = tmp_path / "run"
    options = small_fit(model_folder(kind), root, folder)
    assert mpt("fit", *CONFIG, *options).code == 0
    tested = mpt("test", *CONFIG, *options)
    assert tested.code == 0
    rows = json_lines(folder / "predictions.jsonl")
    right = sum(row["prediction"] in row["references"] for row in rows)
    assert f"ACC {right / len(rows):.4f} on 5 examples" in tested.out
    (folder / "predictions.jsonl").unlink()
    assert mpt("predict", *CONFIG, *options).code == 0
    assert json_lines(folder / "predictions.jsonl") == rows

    # The same answers by hand, from the saved folder.
    backbone = FrozenBackbone(str(model_folder(kind)), BackboneOptions(max_input_length=32, max_target_length=4))
    batch = backbone.encode([question for question, _ in ROWS["test"]])
    by_hand = backbone.answer(load_prompt(folder / "prompt").weight, batch).texts
    assert [row["prediction"] for row in rows] == by_hand


@pytest.mark.long
@pytest.mark.parametrize("command", ["validate", "test", "predict"])
def test_where_nothing_was_learned_nothing_is_left(command, mpt, root, model_folder, tmp_path):
    options = small_fit(model_folder("t5"), root, tmp_path / "run")
    for changes, said in (((), "nothing learned there yet; run mpt fit"), (("--data.task", "no-task"), "no-task")):
        refused = mpt(command, *CONFIG, *options, *changes)
        assert refused.code == 2 and said in refused.err and refused.err.count("\n") == 1
        assert not (tmp_path / "run").exists() and not (tmp_path / "wandb").exists()


@pytest.mark.long
def test_the_run_folder_tells_what_was_run(mpt, root, model_folder, tmp_path):
    folder = tmp_path / "run"
    options = small_fit(model_folder("t5"), root, folder)
    mpt("fit", *CONFIG, *options)
    assert [row["step"] for row in json_lines(folder / "metrics.jsonl")] == [2, 4, 6]
    facts = load_prompt(folder / "prompt").facts
    assert facts["task"] == "toy" and facts["method"] == "PromptTuning" and facts["step"] in (2, 4, 6)
    # The saved configuration alone runs again.
    assert mpt("validate", "--config", folder / "config.yaml").code == 0


@pytest.mark.long
def test_a_second_fit_keeps_the_first_and_the_seed_decides_the_result(mpt, root, model_folder, tmp_path):
    folder = tmp_path / "run"
    options = small_fit(model_folder("t5"), root, folder)
    mpt("fit", *CONFIG, *options)
    refused = mpt("fit", *CONFIG, *options, "--trainer.max_steps", "1")
    assert refused.code == 2 and "before the first evaluation" in refused.err
    assert [path.name for path in tmp_path.glob("run*")] == ["run"]  # it is where it was
    again = mpt("fit", *CONFIG, *options)
    assert "kept as run.1" in again.out
    mpt("fit", *CONFIG, *options, "--seed_everything", 21)
    first, second, other = (load_prompt(tmp_path / name / "prompt").weight for name in ("run.1", "run.2", "run"))
    assert torch.equal(first, second) and not torch.equal(first, other)


@pytest.mark.long
def test_a_checkpoint_holds_the_prompt_and_not_the_frozen_model(mpt, root, model_folder, tmp_path):
    mpt("fit", *CONFIG, *small_fit(model_folder("t5"), root, tmp_path / "run"))
    checkpoint = torch.load(tmp_path / "run" / "last.ckpt", weights_only=True)
    assert list(checkpoint["state_dict"]) == ["prompt.weight"]


@pytest.mark.long
def test_fine_tuning_keeps_its_best_model(mpt, root, model_folder, tmp_path):
    folder = tmp_path / "run"
    options = [*small_fit(model_folder("t5"), root, folder, model__prompt_length=None)]
    assert mpt("fit", "--config", "fine_tuning", *options).code == 0
    assert mpt("test", "--config", "fine_tuning", *options).code == 0
    tuned = FrozenBackbone(str(folder / "model"), BackboneOptions(max_input_length=32, max_target_length=4))
    by_hand = tuned.answer(None, tuned.encode([question for question, _ in ROWS["test"]])).texts
    assert [row["prediction"] for row in json_lines(folder / "predictions.jsonl")] == by_hand
    assert tuned.fingerprint != FrozenBackbone(str(model_folder("t5"))).fingerprint


@pytest.mark.long
def test_killed_and_resumed_is_undisturbed_to_the_bit(mpt, root, model_folder, tmp_path):
    """Dropout is on, so this also holds that the masks of the steps after the kill are those of an undisturbed run."""
    steps = {"trainer__max_steps": 24, "trainer__val_check_interval": 4}
    assert mpt("fit", *CONFIG, *small_fit(model_folder("t5"), root, tmp_path / "straight", **steps)).code == 0

    command = [sys.executable, "-m", "mpt", "fit", *CONFIG]
    command += map(str, small_fit(model_folder("t5"), root, tmp_path / "killed", **steps))
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    metrics = tmp_path / "killed" / "metrics.jsonl"
    deadline = time.monotonic() + 120
    while not (metrics.exists() and metrics.read_text().count("\n") >= 2):
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert metrics.read_text().count("\n") < 6, "it was killed too late to show anything"

    resumed = small_fit(model_folder("t5"), root, tmp_path / "killed", **steps)
    assert mpt("fit", *CONFIG, *resumed, "--ckpt_path", "last").code == 0
    straight, killed = (
        torch.load(tmp_path / name / "last.ckpt", weights_only=True)["state_dict"]["prompt.weight"]
        for name in ("straight", "killed")
    )
    assert torch.equal(straight, killed)
    for file in ("metrics.jsonl", "prompt/adapter_model.safetensors"):
        assert (tmp_path / "straight" / file).read_bytes() == (tmp_path / "killed" / file).read_bytes()


MISTAKES = {
    "wrong task": ({"data__task": "toi"}, ["toi", "toy"]),
    "no data folder": ({"data__root": "nowhere"}, ["nowhere", "--data.root"]),
    "wrong seed": ({"data__seed": 99}, ["99", "13"]),
    "no metric": ({"data__metric": None}, ["--data.metric", "Rouge-L"]),
    "unknown metric": ({"data__metric": "BLEU"}, ["BLEU", "Rouge-L"]),
    "no backbone folder": ({"model__backbone": "./nowhere"}, ["./nowhere", "no such folder"]),
    "unknown backbone": ({"model__backbone": "mpt-tinny"}, ["mpt-tinny", "hub"]),
    "prompt length": ({"model__prompt_length": 0}, ["prompt_length", "at least 1"]),
    "batch size": ({"data__batch_size": 0}, ["--data.batch_size"]),
    "input length": ({"model__backbone_options__max_input_length": 0}, ["max_input_length", "at least 1"]),
    "float16 on T5": ({"trainer__precision": "16-mixed"}, ["16-mixed", "T5", "NaN", "bf16"]),
    "bfloat16 prompt": ({"trainer__precision": "bf16-true"}, ["bf16-true", "backbone_options.dtype", "bf16-mixed"]),
    "trained too short": ({"trainer__max_steps": 1}, ["max_steps 1", "val_check_interval"]),
    "half a step": (
        {"trainer__accumulate_grad_batches": 4},
        ["trainer.val_check_interval 2", "middle of a step", "trainer.accumulate_grad_batches 4"],
    ),
    "an epoch that never comes": ({"trainer__check_val_every_n_epoch": 2}, ["check_val_every_n_epoch 2", "null"]),
    "options that exclude each other": ({"trainer__barebones": "true"}, ["trainer:", "barebones"]),
    "a rate below zero": ({"model__optimizer__lr": -1}, ["model.optimizer.lr", "at least 0"]),
    "the same few batches": ({"trainer__overfit_batches": 1}, ["overfit_batches 1", "endless stream", "--data.k"]),
    "epochs of a stream": (
        {"trainer__max_epochs": 1, "trainer__max_steps": -1},
        ["endless stream without epochs", "set trainer.max_steps"],
    ),
    "a stream begun anew": ({"trainer__limit_train_batches": 2}, ["limit_train_batches 2", "trainer.max_steps"]),
    "best of a checkpoint": ({"ckpt_path": "best"}, ["--ckpt_path best", "--ckpt_path last"]),
    "nothing to resume": ({"ckpt_path": "nothing.ckpt"}, ["nothing.ckpt", "no such file", "last"]),
    "labels that are one": (
        {"model__backbone_options__max_target_length": 1},
        ["'yes' and 'no' of toy", "max_target_length=1 tokens", "raise it to 4"],
    ),
    "no such prompt": (
        {"model__init": "SavedPrompt", "model__init__path": "nothing/here"},
        ["nothing/here", "no such folder"],
    ),
}  # fmt: skip


@pytest.mark.long
@pytest.mark.parametrize(("changes", "words"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_told_in_one_sentence(changes, words, mpt, root, model_folder, tmp_path):
    ended = mpt("fit", *CONFIG, *small_fit(model_folder("t5"), root, tmp_path / "run", **changes))
    _assert_one_sentence(ended, words)
    assert not (tmp_path / "run" / "prompt").exists()


def _assert_one_sentence(ended, words):
    assert ended.code == 2, ended.err
    told = [line for line in ended.err.splitlines() if line.startswith("mpt: error: ")]
    assert len(told) == 1 and "Traceback" not in ended.err
    for word in words:
        assert word in told[0]


@pytest.mark.parametrize(
    ("split", "content", "words"),
    [
        ("train", "a line without a tab\n", ["toy_16_13_train.tsv", "line 1", "tab"]),
        ("train", "fine\tyes\nbroken\n", ["toy_16_13_train.tsv", "line 2"]),
        ("dev", "", ["toy_16_13_dev.tsv", "empty"]),
        ("dev", None, ["toy_16_13_dev.tsv"]),
    ],
    ids=["malformed line", "malformed second line", "empty dev set", "missing file"],
)
def test_a_bad_file_is_named_with_its_line(split, content, words, mpt, root, model_folder, tmp_path):
    file = root / "toy" / f"toy_16_13_{split}.tsv"
    file.unlink() if content is None else file.write_text(content)
    _assert_one_sentence(mpt("fit", *CONFIG, *small_fit(model_folder("t5"), root, tmp_path / "run")), words)


@pytest.mark.long
def test_a_prompt_of_another_width_length_or_model_names_both_sides(mpt, root, model_folder, tmp_path):
    mpt("fit", *CONFIG, *small_fit(model_folder("t5"), root, tmp_path / "run"))
    saved = {"model__init": "SavedPrompt", "model__init__path": tmp_path / "run" / "prompt"}

    def start(**changes):
        return mpt("fit", *CONFIG, *small_fit(model_folder("t5"), root, tmp_path / "next", **saved | changes))

    _assert_one_sentence(start(model__prompt_length=6), ["length 4", "6"])
    _assert_one_sentence(
        start(model__backbone=model_folder("bart")), [str(model_folder("t5")), str(model_folder("bart"))]
    )
    from support.small_models import t5

    wide = t5(tmp_path / "wide", d_model=48)
    _assert_one_sentence(start(model__backbone=wide), ["hidden size 32", "hidden size 48"])
    assert start().code == 0


def test_a_prompt_that_does_not_fit_the_positions_is_refused_before_training(mpt, root, model_folder, tmp_path):
    options = small_fit(model_folder("bart"), root, tmp_path / "run", model__prompt_length=690)
    _assert_one_sentence(mpt("fit", *CONFIG, *options), ["prompt_length 690", "max_input_length 32", "700 positions"])


def test_an_encoder_alone_cannot_be_a_backbone(mpt, root, tmp_path):
    options = small_fit(bert(tmp_path / "bert"), root, tmp_path / "run")
    _assert_one_sentence(mpt("fit", *CONFIG, *options), ["bert", "encoder-decoder"])


def test_nothing_learned_cannot_be_tested(mpt, root, model_folder, tmp_path):
    ended = mpt("test", *CONFIG, *small_fit(model_folder("t5"), root, tmp_path / "empty"))
    _assert_one_sentence(ended, [str(tmp_path / "empty"), "mpt fit"])


def test_unknown_words_and_files(mpt):
    _assert_one_sentence(mpt("fitt"), ["fitt", "fit, validate"])
    _assert_one_sentence(mpt("fit", "--config", "prompt_tunin.yaml"), ["prompt_tunin.yaml", "prompt_tuning"])
    unknown = mpt("fit", *CONFIG, "--model.prompt_lenght", 3)
    assert unknown.code == 2 and "prompt_lenght" in unknown.err and "Traceback" not in unknown.err


@pytest.mark.long
def test_the_installed_command_and_the_module_answer_alike(tmp_path):
    for command in ([sys.executable, "-m", "mpt"], [str(Path(sys.executable).with_name("mpt"))]):
        helped = subprocess.run([*command, "--help"], capture_output=True, text=True, cwd=tmp_path)
        assert helped.returncode == 0 and helped.stdout.startswith("usage: mpt")
        wrong = subprocess.run([*command, "fix"], capture_output=True, text=True, cwd=tmp_path)
        assert wrong.returncode == 2 and "fix is not a command" in wrong.stderr and "Traceback" not in wrong.stderr


@pytest.mark.long
@pytest.mark.parametrize("task", ["superglue-cb"])
def test_real_crossfit_files(task, mpt, model_folder, tmp_path, caplog):
    crossfit = os.environ.get("MPT_CROSSFIT")
    if not crossfit:
        pytest.skip("MPT_CROSSFIT does not name the folder with CrossFit's data")
    changes = {"data__task": task, "data__metric": None, "data__seed": 13, "data__eval_batch_size": 64}
    options = small_fit(model_folder("t5"), Path(crossfit) / "fewshot", tmp_path / "run", **changes)
    assert mpt("fit", *CONFIG, *options).code == 0
    tested = mpt("test", *CONFIG, *options)
    assert "ACC" in tested.out and "on 56 examples" in tested.out
    assert "56 of 56 inputs were longer than max_input_length=32 tokens" in caplog.text
