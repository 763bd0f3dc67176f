"""What the pages under docs/ tell a reader to type or to set, tried."""

from __future__ import annotations

import re
import shlex

import pytest
from support.paths import ROOT
from support.toy import Mpt

PAGE = (ROOT / "docs" / "paper_and_code.md").read_text(encoding="utf-8")


@pytest.fixture
def mpt(capsys, tmp_path, monkeypatch) -> Mpt:
    monkeypatch.chdir(tmp_path)
    return Mpt(capsys)


def test_the_commands_run(mpt):
    (block,) = re.findall(r"^```bash\n(.*?)^```", PAGE, flags=re.M | re.S)
    for line in block.splitlines():
        ended = mpt(*shlex.split(line)[1:])
        assert ended.code == 0 and "40 upstream runs first" in ended.out, ended.err


def test_every_option_of_the_table_is_one(mpt):
    rows = [line.split("|")[1:-1] for line in PAGE.splitlines() if line.startswith("| ")]
    assert {len(row) for row in rows} == {5} and len(rows) == 13
    options = " ".join(row[-1] for row in rows[1:])
    asked = dict(re.findall(r"`((?:model|data|trainer)\.[\w.]+): ([^`]+)`", options))
    assert len(asked) == 11
    words = [f"--{name}={value}" for name, value in asked.items()]
    printed = mpt("fit", "--config", "maml", *words, "--print_config")
    assert printed.code == 0, printed.err
    for name, value in asked.items():
        assert f"{name.rpartition('.')[2]}:" in printed.out and value in printed.out, name
