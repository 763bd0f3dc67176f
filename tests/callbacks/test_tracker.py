"""The Tracker where W&B is out of reach, out of disk or in use; what it keeps of a run."""

from __future__ import annotations

import logging
import socket

import pytest
import torch
import wandb
from support.wandb_file import artifacts, read, settle

from mpt.callbacks.tracker import Tracker
from mpt.prompt.files import save_prompt
from mpt.util import wandb_runs


@pytest.fixture(autouse=True)
def fresh(monkeypatch):
    monkeypatch.delenv("WANDB_MODE", raising=False)
    monkeypatch.setattr(wandb_runs, "_asked_again", 0.0)
    settle()
    yield
    settle()


@pytest.fixture
def nowhere(monkeypatch) -> None:
    """A server's address at which nothing listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        monkeypatch.setenv("WANDB_BASE_URL", f"http://127.0.0.1:{free.getsockname()[1]}")
    monkeypatch.setenv("WANDB_API_KEY", "0" * 40)
    monkeypatch.setenv("WANDB_INIT_TIMEOUT", "2")


@pytest.mark.long
def test_a_server_out_of_reach_leaves_the_run_offline(nowhere, tmp_path, caplog):
    tracker = Tracker(save_dir=str(tmp_path), mode="online", group="g")
    with caplog.at_level(logging.WARNING, "mpt"):
        tracker.log_hyperparams({"lr": 0.3})
        tracker.log_metrics({"dev/score": 0.5}, 4)
    (told,) = [record.getMessage() for record in caplog.records if record.name.startswith("mpt")]
    assert "does not answer" in told and "kept offline" in told and str(tmp_path) in told
    settle()
    head, config, values = read(tmp_path)
    assert head.run_group == "g" and config["lr"] == "0.3"
    assert values["dev/score"] == "0.5" and values["trainer/global_step"] == "4"


@pytest.mark.long
def test_a_server_out_of_reach_is_waited_for_once(nowhere, tmp_path, monkeypatch):
    real, modes = wandb.init, []
    monkeypatch.setattr(wandb, "init", lambda **options: modes.append(options["mode"]) or real(**options))
    for name in ("one", "two"):
        Tracker(save_dir=str(tmp_path / name), mode="online").log_metrics({"dev/score": 0.5}, 4)
        wandb.finish()
    assert modes == ["online", "offline", "offline"]


def test_a_run_goes_on_without_any_logger(tmp_path, caplog, monkeypatch):
    real = wandb.init

    def full(**options: object):
        if options.get("mode") != "disabled":
            raise OSError("[Errno 28] No space left on device")
        return real(**options)

    monkeypatch.setattr(wandb, "init", full)
    tracker = Tracker(save_dir=str(tmp_path))
    with caplog.at_level(logging.WARNING, "mpt"):
        for step in range(3):
            tracker.log_metrics({"dev/score": 0.5}, step)
        tracker.finalize("success")
    (told,) = [record.getMessage() for record in caplog.records if record.name.startswith("mpt")]
    assert told == "W&B has not all of this run: OSError: [Errno 28] No space left on device"


def test_a_disk_that_fills_up_later_is_told_once(tmp_path, caplog, monkeypatch):
    tracker = Tracker(save_dir=str(tmp_path))
    tracker.log_metrics({"dev/score": 0.5}, 1)

    def full(*_: object, **__: object):
        raise OSError("[Errno 28] No space left on device")

    monkeypatch.setattr(type(tracker.experiment), "log", full)
    with caplog.at_level(logging.WARNING, "mpt"):
        tracker.log_metrics({"dev/score": 0.6}, 2)
        tracker.log_metrics({"dev/score": 0.7}, 3)
    assert len([record for record in caplog.records if record.name == "mpt.callbacks.tracker"]) == 1


def test_a_prompt_becomes_an_artifact_and_a_fine_tuned_model_does_not(tmp_path):
    folder = save_prompt(tmp_path / "prompt", torch.zeros(4, 8), "b", False, {"task": "t", "dev/score": 0.5})
    (tmp_path / "model").mkdir()
    tracker = Tracker(save_dir=str(tmp_path))
    tracker.log_prompt(folder)
    tracker.log_prompt(tmp_path / "model")
    settle()
    ((kind, about, files),) = artifacts(tmp_path)
    assert kind == "prompt" and (about["task"], about["dev/score"], about["prompt_length"]) == ("t", 0.5, 4)
    assert files == {"adapter_config.json", "adapter_model.safetensors", "mpt.json"}


def test_its_folder_does_not_depend_on_where_the_service_runs(tmp_path, monkeypatch):
    wandb.setup()  # starts the service here
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    Tracker(save_dir="run").log_metrics({"dev/score": 0.5}, 1)
    settle()
    assert read(tmp_path / "elsewhere/run")[2]["dev/score"] == "0.5"
