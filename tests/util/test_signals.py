"""A command that a signal ends says so by its exit code, and how to go on."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator

import pytest
from pytorch_lightning import Callback
from pytorch_lightning.utilities.exceptions import SIGTERMException
from support.toy import Mpt, json_lines, small_fit, write_toy
from support.toy_study import write_study

from mpt.cli.main import _how_to_go_on
from mpt.record.folder import FAILED
from mpt.study.plan.grid import plan
from mpt.study.run.one import do_run
from mpt.study.spec.study import load_study

CODES = {signal.SIGTERM: 143, signal.SIGINT: 130, signal.SIGHUP: 129}


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    kept = {number: signal.getsignal(number) for number in CODES}
    yield
    for number, handler in kept.items():
        signal.signal(number, handler)


class Ends(Callback):
    """Sends this process a signal in the third step."""

    def __init__(self, number: int) -> None:
        self.number = number

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx) -> None:
        if batch_idx == 2:
            signal.raise_signal(self.number)


@pytest.mark.long
@pytest.mark.parametrize("number", CODES)
def test_a_fit_goes_on_from_where_it_was(number, capsys, tmp_path, monkeypatch, model_folder):
    monkeypatch.setenv("WANDB_MODE", "disabled")
    mpt = Mpt(capsys)
    root = write_toy(tmp_path / "data")
    options = ["--config", "prompt_tuning", *small_fit(model_folder("t5"), root, tmp_path / "run")]
    ended = mpt(
        "fit", *options, "--trainer.callbacks+=util.test_signals.Ends", f"--trainer.callbacks.number={number:d}"
    )
    assert ended.code == CODES[number]
    said = f"mpt: stopped by {number.name}; the same command with --ckpt_path last goes on"
    assert ended.err.splitlines()[-1] == said
    assert mpt("fit", *options, "--ckpt_path", "last").code == 0
    assert [row["step"] for row in json_lines(tmp_path / "run" / "metrics.jsonl")] == [2, 4, 6]


@pytest.mark.long
def test_the_command_of_a_requeued_job_begins_where_there_is_nothing_yet(capsys, tmp_path, monkeypatch, model_folder):
    monkeypatch.setenv("WANDB_MODE", "disabled")
    root = write_toy(tmp_path / "data")
    options = ["--config", "prompt_tuning", *small_fit(model_folder("t5"), root, tmp_path / "run")]
    begun = Mpt(capsys)("fit", *options, "--ckpt_path", "last")
    assert begun.code == 0, begun.err
    assert "last.ckpt to go on from, so this run begins at step 0" in begun.out
    assert [row["step"] for row in json_lines(tmp_path / "run" / "metrics.jsonl")] == [2, 4, 6]


@pytest.mark.parametrize("number", CODES)
def test_every_command_ends_alike(number, capsys, monkeypatch):
    monkeypatch.setattr("mpt.cli.configs.run_configs_command", lambda rest: signal.raise_signal(number))
    before = signal.getsignal(signal.SIGTERM)
    ended = Mpt(capsys)("configs", "list")
    assert (ended.code, ended.err) == (CODES[number], f"mpt: stopped by {number.name}\n")
    assert signal.getsignal(signal.SIGTERM) == before
    assert signal.getsignal(signal.SIGHUP) == signal.SIG_DFL


def test_without_a_terminal_to_hang_up_it_goes_on(capsys, monkeypatch):
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup does
    monkeypatch.setattr("mpt.cli.configs.run_configs_command", lambda rest: signal.raise_signal(signal.SIGHUP))
    assert Mpt(capsys)("configs", "list").code == 0


def test_a_run_of_a_study_says_what_stopped_it(tmp_path, monkeypatch):
    def stopped(*_: object) -> None:
        raise SIGTERMException

    monkeypatch.setattr("mpt.fit.command.run_lightning", stopped)
    cell = plan(load_study(write_study(tmp_path, "mpt-tiny")), tmp_path / "out")[0]
    assert do_run(cell) == "failed"
    assert json.loads((cell.folder / FAILED).read_text())["reason"].startswith("it was stopped by SIGTERM;")


@pytest.mark.parametrize(
    ("words", "goes_on"),
    [
        (["predict", "p", "f.csv", "--out", "o"], True),
        (["predict", "p", "f.csv"], False),
        (["evaluate", "p", "f.csv"], False),
        (["study", "run", "s"], True),
        (["library", "learn"], True),
        (["library", "export", "l", "e", "f"], False),
    ],
)
def test_that_it_goes_on_is_said_where_it_does(words, goes_on):
    assert bool(_how_to_go_on(words)) == goes_on
