"""Draws that an upstream run would miss are told when a study is planned, all at once."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.changes import REMOVED, changed
from support.toy_study import SOURCES, STUDY, write_study

from mpt.fit.configs import find_config
from mpt.fit.resolve import resolve_run
from mpt.study.plan.grid import plan
from mpt.study.plan.source_draws import lacking
from mpt.study.spec.study import Study, load_study
from mpt.util.errors import UserError


@pytest.fixture
def toy(tmp_path: Path) -> Study:
    return load_study(write_study(tmp_path, "mpt-tiny"))


def rename(folder: Path, old: str, new: str) -> None:
    for path in folder.glob(f"*{old}*"):
        path.rename(path.with_name(path.name.replace(old, new)))


def test_every_lacking_draw_is_in_one_sentence(toy, tmp_path):
    plan(toy, tmp_path / "out")
    rename(tmp_path / "data/emo", "_21_", "_42_")
    rename(tmp_path / "data/trec", "_16_", "_32_")
    with pytest.raises(UserError) as raised:
        plan(toy, tmp_path / "out")
    told = str(raised.value)
    assert told.startswith(f"{toy.file}: source tasks in {toy.root} lack draws") and "\n" not in told
    assert "emo (no seed 21)" in told and "trec" not in told  # its only size is the size
    assert f"mpt data build emo --root {toy.root}" in told


def test_of_a_size_that_is_asked_for_and_of_one_that_must_be(tmp_path):
    toy = load_study(write_study(tmp_path, "mpt-tiny", {**STUDY, "target_k": 16, "source_k": 32}))
    rename(tmp_path / "data/trec", "_16_21_", "_32_21_")
    with pytest.raises(UserError) as raised:
        plan(toy, tmp_path / "out")
    assert "emo (no k = 32; it has k = 16); trec (no seed 13)" in str(raised.value)
    toy = load_study(write_study(tmp_path, "mpt-tiny"))
    with pytest.raises(UserError, match=r"trec \(k = 16 and 32: choose one\)"):
        plan(toy, tmp_path / "out")


def test_a_stage_is_asked_for_what_it_reads(toy, tmp_path):
    for path in (tmp_path / "data/emo").glob("*_dev.tsv"):
        path.unlink()
    (tmp_path / "data/trec/trec_16_21_test.tsv").unlink()  # another seed's serves
    with pytest.raises(UserError, match=r"emo \(no dev file of seeds 13, 21\)"):  # MTL pools train and dev
        plan(toy, tmp_path / "out")
    maml, options = find_config("maml").read_text(), {"data.root": toy.root, "data.seeds": [13, 21]}
    assert lacking(resolve_run(maml, options), SOURCES) == {"emo": "no dev file of seeds 13, 21"}
    assert lacking(resolve_run(maml, {**options, "data.query_splits": ["train", "test"]}), SOURCES) == {}
    assert lacking(resolve_run(maml, {**options, "data.init_args.query_splits": ["test"]}), SOURCES) == {}


def test_without_a_word_on_seeds_all_five_are_read(tmp_path):
    seeds = ("methods", "MTL", "upstream", "overrides", "data.seeds")
    toy = load_study(write_study(tmp_path, "mpt-tiny", changed(STUDY, {seeds: REMOVED})))
    with pytest.raises(UserError, match=r"emo \(no seeds 42, 87, 100\); trec \(no seeds 42, 87, 100\)"):
        plan(toy, tmp_path / "out")
