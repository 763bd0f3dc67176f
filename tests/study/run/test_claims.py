"""Claims within one process: whole units, failures of old, and one study a folder."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from shutil import rmtree

import pytest
from support.seven_runs import write_seven

from mpt.study.plan.grid import plan
from mpt.study.run import claims
from mpt.study.run.claims import claim, failures, join, settled
from mpt.study.run.worker import run_unit
from mpt.study.spec.study import load_study
from mpt.util.errors import UserError


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return write_seven(tmp_path, "mpt-tiny")


def test_a_unit_is_claimed_whole_or_not_at_all(file, tmp_path):
    one, two, three, *_ = plan(load_study(file), tmp_path)
    with claim([two]) as held:
        assert held
        with claim([one, two, three]) as refused:
            assert not refused
        with claim([three, one]) as free:
            assert free
        assert run_unit((two,), {}) == {two.key: "elsewhere"}
    with claim([one, two, three]) as held:
        assert held


def test_no_link_is_followed_to_what_is_locked(file, tmp_path):
    (cell, *_), elsewhere = plan(load_study(file), tmp_path / "out"), tmp_path / "elsewhere"
    elsewhere.mkdir()
    locks = tmp_path / "out" / claims.CLAIMS
    locks.mkdir(parents=True)
    for path in (locks / f"{cell.key.replace('/', '__')}.lock", locks / "report"):
        path.symlink_to(elsewhere / path.name)
    with pytest.raises(UserError, match=r"\.lock is a link"), claim([cell]):
        pass
    with pytest.raises(UserError, match="report is a link"), claims.reporting(tmp_path / "out"):
        pass
    rmtree(locks)
    locks.symlink_to(elsewhere)
    with pytest.raises(UserError, match=rf"{locks} is a link"), claim([cell]):
        pass
    assert not list(elsewhere.iterdir())


def test_only_failures_since_one_came_count(file, tmp_path):
    cell, other, *_ = plan(load_study(file), tmp_path)
    cell.files.fail("of old", cell.arguments)
    past = failures([cell, other])
    assert settled(cell, past) is None and settled(other, past) is None
    cell.files.fail("anew", cell.arguments)
    other.files.fail("anew", other.arguments)
    assert settled(cell, past) == "failed" and settled(other, past) == "failed"


def test_processes_of_different_studies_do_not_mix(file, tmp_path):
    cells, begun = plan(load_study(file), tmp_path), []
    changed = [replace(cells[0], fingerprint="other", options={**cells[0].options, "x": 1}), *cells[1:]]
    with join(cells, tmp_path, lambda: begun.append("first")) as others:
        assert not others
        with join(cells, tmp_path, lambda: begun.append("second")) as others:
            assert others
        with pytest.raises(UserError, match=f"another .* is at work .* {cells[0].key}: .*--x=1.* another --out"):
            join(changed, tmp_path, lambda: begun.append("third")).__enter__()
        with pytest.raises(UserError, match=rf"other runs \(1 differ, such as {cells[-1].key}\)"):
            join(cells[:-1], tmp_path, lambda: begun.append("fourth")).__enter__()
    with join(changed, tmp_path, lambda: begun.append("fifth")) as others:
        assert not others
    assert begun == ["first", "fifth"]


def test_without_flock_one_process_a_folder(file, tmp_path, monkeypatch):
    cells = plan(load_study(file), tmp_path)
    monkeypatch.setattr(claims, "fcntl", None)
    with (
        join(cells, tmp_path, lambda: None),
        claim(cells) as held,
        pytest.raises(UserError, match="another mpt study run is at work"),
        join(cells, tmp_path, lambda: None),
    ):
        pass
    assert held
