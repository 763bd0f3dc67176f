"""What the bad input is made of: one good file of each kind, and the command that has to refuse a damaged one."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from support.bad_input import Refused, make_alike
from support.changes import write_yaml
from support.toy import Mpt, write_toy
from support.toy_library import filled
from support.toy_study import SOURCES, TARGETS, write_partition, write_tasks

from mpt.prompt.files import save_prompt
from mpt.study.plan.fingerprints import read_draw


@pytest.fixture(scope="session")
def good(tmp_path_factory, model_folder) -> Path:
    """A folder with a good file of each kind."""
    folder = tmp_path_factory.mktemp("good") / "good"
    model = str(model_folder("t5"))
    write_toy(folder / "data")
    write_tasks(folder / "tasks")
    weight = torch.linspace(-1, 1, 4 * 32).reshape(4, 32)
    save_prompt(folder / "prompt", weight, model, False, {"task": "toy", "labels": ["yes", "no"], "metric": "ACC"})
    filled(folder / "library", 2)
    np.save(folder / "rows.npy", weight.numpy())
    rows = "".join(f"cat {number}\tno\nbig dog {number}\tyes\n" for number in range(10))
    (folder / "rows.tsv").write_text(rows)
    (folder / "rows.csv").write_text("input,output\n" + rows.replace("\t", ","))
    objects = (dict(zip(("input", "output"), line.split("\t"), strict=True)) for line in rows.splitlines())
    (folder / "rows.jsonl").write_text("".join(f"{json.dumps(one)}\n" for one in objects))
    (folder / "rows.txt").write_text("a b\n\nc d\n\n")
    (folder / "run").mkdir()
    write_yaml(folder / "run/config.yaml", {"seed_everything": 13})
    (folder / "scores.csv").write_text(
        "partition,method,target,draw,test_score\np,PT,a,13,0.5\np,PT,a,21,0.6\np,MTL,a,13,0.7\np,MTL,a,21,0.5\n"
    )
    write_partition(folder / "partition.yaml", SOURCES, TARGETS)
    write_yaml(folder / "own.yaml", {"file": "rows.csv", "input": "input", "output": "output"})
    write_yaml(folder / "mixture.yaml", {"tasks": list(SOURCES)})
    downstream = {"config": "prompt_tuning", "overrides": {"model.prompt_length": 3}}
    study = {"backbone": model, "root": "tasks", "partition": "partition.yaml", "seeds": [13]}
    write_yaml(folder / "study.yaml", {**study, "methods": {"PT": {"downstream": downstream}}})
    parameters = {"model.optimizer.lr": {"values": [0.1, 0.2]}}
    command = ["${env}", "mpt", "sweep", "trial", "study.yaml", "--method", "PT", "${args}"]
    sweep = {
        "program": "mpt",
        "command": command,
        "method": "grid",
        "metric": {"name": "ARG", "goal": "maximize"},
        "parameters": parameters,
    }
    write_yaml(folder / "sweep.yaml", sweep)
    write_yaml(folder / "config.yaml", {"model": {"class_path": "PromptTuning"}, "data": {"class_path": "FewShotData"}})
    torch.save({"state_dict": {"prompt": weight}}, folder / "run.ckpt")
    return folder


@pytest.fixture(scope="session")
def copied(good, tmp_path_factory) -> Path:
    """One copy for all tests, for most of them leave it as it was: a copy each would be eighty thousand files."""
    return Path(shutil.copytree(good, tmp_path_factory.mktemp("bad_input") / "here"))


@pytest.fixture
def here(good, copied, monkeypatch) -> Path:
    """The copy as it was at first, in which the commands work."""
    make_alike(good, copied)
    monkeypatch.chdir(copied)
    read_draw.cache_clear()  # which goes by names
    return copied


@pytest.fixture
def refused(capsys, here) -> Refused:
    return Refused(Mpt(capsys), here.parent)


def pytest_terminal_summary(terminalreporter) -> None:
    """Say how many there were."""
    tried = [
        one
        for reports in terminalreporter.stats.values()
        for one in reports
        if "bad_input/" in getattr(one, "nodeid", "") and getattr(one, "when", "") == "call"
    ]
    if tried:
        terminalreporter.write_line(f"bad inputs tried: {len(tried)}")
