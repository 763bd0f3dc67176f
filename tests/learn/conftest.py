"""Fixtures of the learners' tests: toy tasks once a file, and the command line in a folder of its own."""

from __future__ import annotations

import pytest
from support.toy import Mpt
from support.toy_study import write_tasks


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return write_tasks(tmp_path_factory.mktemp("data"))


@pytest.fixture
def mpt(capsys, tmp_path, monkeypatch) -> Mpt:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WANDB_MODE", "disabled")
    return Mpt(capsys)
