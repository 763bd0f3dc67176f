"""One task's few-shot files: CrossFit's byte for byte, all or none, and never two kinds unawares."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import replace

import pytest
from support.crossfit_files import SEEDS, crossfit_folder, own_task, rows, write_branch, write_own, write_raw

from mpt.data.build.build import BuildJob, build
from mpt.data.build.checksums import md5
from mpt.data.build.lossy import Lossy
from mpt.data.catalogue.recipe import Record
from mpt.data.fewshot.files import load_fewshot, read_tsv
from mpt.data.tasks.known import catalogue, read_task
from mpt.data.tasks.task import Task
from mpt.util.errors import UserError


def no_hub(source, split):
    raise AssertionError("nobody asked for the hub")


@pytest.fixture
def job(tmp_path):
    """A job of the own task with other fields than these by keyword."""
    raw = write_raw(tmp_path / "raw", "own")
    task = own_task(tmp_path)

    def make(**fields):
        return BuildJob(**{"task": task, "root": tmp_path / "root", "seeds": (13, 21), "raw": raw, **fields})

    return make


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_the_files_of_every_draw_and_what_they_hold(job, tmp_path):
    asked = job(ks=(2, "all"))
    assert build(asked, no_hub) == "built"
    there = contents(asked.folder)
    assert set(there) == {*asked.files, "build.json"} and len(asked.files) == 12
    pool = (tmp_path / "raw" / "own.train.tsv").read_bytes().splitlines(keepends=True)
    for seed in (13, 21):
        for k in (2, "all"):
            assert there[f"own_{k}_{seed}_test.tsv"] == (tmp_path / "raw" / "own.test.tsv").read_bytes()
        train, dev = (there[f"own_2_{seed}_{split}.tsv"].splitlines(keepends=True) for split in ("train", "dev"))
        assert [sum(line.endswith(b"yes\n") for line in part) for part in (train, dev)] == [2, 2]
        assert len(train) == len(dev) == 4 and len({*train, *dev} & {*pool}) == 8
        train, dev = (there[f"own_all_{seed}_{split}.tsv"].splitlines(keepends=True) for split in ("train", "dev"))
        assert sorted([*train, *dev]) == sorted(pool) and len(dev) == 20
    assert there["own_all_13_dev.tsv"] != there["own_all_21_dev.tsv"]
    written = json.loads(there["build.json"])
    assert written[0]["source"] == str(tmp_path / "raw")
    assert written[0]["files"] == {name: md5(asked.folder / name) for name in asked.files}
    assert os.listdir(tmp_path / "root") == ["own"]


def test_sizes_and_draws_are_crossfits_by_default(tmp_path):
    assert BuildJob(own_task(tmp_path), tmp_path).sizes == (16,)
    assert BuildJob(Task("free", "qa", "EM"), tmp_path).sizes == (32,)
    assert BuildJob(own_task(tmp_path), tmp_path).seeds == SEEDS


def test_hub_and_raw_files_give_the_same(job, tmp_path):
    branch = write_branch(tmp_path / "branch", train=rows(50), validation=rows(9, 50))
    for split, first, size in (("train", 0, 50), ("test", 50, 9)):
        lines = (f"question: Row {i}?\t{('no', 'yes')[i % 2]}\n" for i in range(first, first + size))
        (tmp_path / "raw" / f"own.{split}.tsv").write_text("".join(lines))
    asked = job(root=tmp_path / "hub", raw=None)
    assert build(asked, lambda source, split: sorted((branch / source.config / split).iterdir())) == "built"
    assert json.loads((asked.folder / "build.json").read_text())[0]["source"] == (
        "who/what (default) at refs/convert/parquet"
    )
    assert build(job(), no_hub) == "built"
    for name in asked.files:
        assert (asked.folder / name).read_bytes() == (job().folder / name).read_bytes()


def test_crossfits_record_over_two_lines_is_built_and_loaded(tmp_path):
    raw = crossfit_folder() / "full"
    build(BuildJob(catalogue()["crows_pairs"], tmp_path, ("all",), (13,), raw), no_hub)
    draw = load_fewshot(tmp_path, "crows_pairs", 13)
    assert draw.k == "all"
    assert [example.input.count("\n") for example in (*draw.train, *draw.dev)].count(1) == 1
    pool = read_tsv(raw / "crows_pairs.train.tsv", continued=True)
    assert sorted((*draw.train, *draw.dev), key=str) == sorted(pool, key=str)


# Again


def test_what_is_there_is_not_made_again(job):
    build(job(), no_hub)
    before = {path.name: path.stat() for path in job().folder.iterdir()}
    (job().raw / "own.train.tsv").unlink()
    assert build(job(), no_hub) == "there already"
    assert build(job(seeds=(21,)), no_hub) == "there already"
    assert {path.name: path.stat() for path in job().folder.iterdir()} == before


def test_raw_files_are_known_by_what_is_in_them(job, tmp_path):
    build(job(), no_hub)
    shutil.copytree(job().raw, tmp_path / "copy")
    assert build(job(raw=tmp_path / "copy"), no_hub) == "there already"
    path = tmp_path / "raw" / "own.train.tsv"
    path.write_bytes(path.read_bytes().partition(b"\n")[2])
    with pytest.raises(UserError, match="from a source that has changed since; --overwrite"):
        build(job(), no_hub)
    assert build(job(raw=tmp_path / "copy", ks=(2,)), no_hub) == "built"
    assert len(json.loads((job().folder / "build.json").read_text())) == 2, "each build says where its raw files lay"


def test_a_whole_draw_of_another_hand_is_left_as_it_is(job):
    build(job(), no_hub)
    (job().folder / "build.json").unlink()
    before = contents(job().folder)
    result = build(job(), no_hub)
    assert result == "there already" and "by another hand" in result.note
    assert contents(job().folder) == before


def test_sizes_that_a_pool_is_too_small_for_do_not_cost_the_others(job):
    with pytest.raises(UserError, match=r"100 records leaves none for dev at k = 64, 128; the files of the other"):
        build(job(ks=(16, 64, 128, "all")), no_hub)
    assert set(contents(job().folder)) == {*job(ks=(16, "all")).files, "build.json"}
    assert build(job(ks=(16, "all")), no_hub) == "there already"


@pytest.mark.parametrize(("line", "trouble"), [("in\t\n", "a blank output"), ("in\t \tb\n", "a blank output")])
def test_lines_that_are_read_back_otherwise(job, tmp_path, line, trouble):
    raw = write_raw(tmp_path / "raw", "aqua_rat")
    with (raw / "aqua_rat.test.tsv").open("a") as file:
        file.write(line)
    result = build(job(task=catalogue()["aqua_rat"]), no_hub)
    assert result == "built" and result.note.endswith(f"read back otherwise: 1 with {trouble}")
    assert len(load_fewshot(tmp_path / "root", "aqua_rat", 13).test) == 10
    free = replace(catalogue()["aqua_rat"], name="mine")
    for split in ("train", "test"):
        shutil.copy(raw / f"aqua_rat.{split}.tsv", raw / f"mine.{split}.tsv")
    with pytest.raises(UserError, match=rf"record 11 has {trouble}, which its line in the file cannot hold"):
        build(job(task=free), no_hub)
    assert not (tmp_path / "root" / "mine").exists()


@pytest.mark.parametrize(
    ("record", "trouble"),
    [(("a\tb", "c"), "a tab in the input"), (("a", "b\nc"), "a line break in an output"), (("a\nb", "c"), "")],
)
def test_what_only_the_hubs_rows_can_hold(record, trouble):
    lossy = Lossy(catalogue()["aqua_rat"])
    assert list(lossy.watched([Record(*record), Record("x", "y")])) == [record, ("x", "y")]
    assert (trouble in lossy.note) if trouble else lossy.note == ""


def test_a_file_that_is_gone_is_made_again(job):
    build(job(), no_hub)
    whole = contents(job().folder)
    (job().folder / "own_16_13_dev.tsv").unlink()
    assert build(job(), no_hub) == "built"
    assert contents(job().folder) == whole


def test_other_draws_and_other_files_stay(job):
    build(job(), no_hub)
    (job().folder / "notes").mkdir()
    (job().folder / "notes" / "mine.txt").write_text("mine")
    (job().folder / "own_8_13_train.tsv").write_text("of another hand\tyes\n")
    before = (
        contents(job(seeds=()).folder / "notes"),
        {name: (job().folder / name).read_bytes() for name in job().files},
    )
    assert build(job(ks=(2,), seeds=(42,)), no_hub) == "built"
    assert (contents(job().folder / "notes"), {n: (job().folder / n).read_bytes() for n in job().files}) == before
    assert (job().folder / "own_8_13_train.tsv").read_text() == "of another hand\tyes\n"
    assert (job().folder / "own_2_42_dev.tsv").exists()
    assert build(job(), no_hub) == build(job(ks=(2,), seeds=(42,)), no_hub) == "there already"
    assert len(json.loads((job().folder / "build.json").read_text())) == 1


def test_another_source_is_refused_until_overwrite(job, tmp_path):
    build(job(), no_hub)
    whole = contents(job().folder)
    other = write_raw(tmp_path / "other", "own", 80)
    newer = read_task(write_own(tmp_path / "v2" / "own.yaml", version=2))
    for changed in (job(raw=other), job(raw=other, ks=(2,)), job(raw=None), job(raw=None, task=newer)):
        with pytest.raises(UserError, match=rf"holds files that were made from {tmp_path}/raw; --overwrite replaces"):
            build(changed, no_hub)
    assert contents(job().folder) == whole
    assert build(job(raw=other, ks=(2,), overwrite=True), no_hub) == "built"
    both = contents(job().folder)
    assert all(both[name] == content for name, content in whole.items() if name != "build.json")
    assert build(job(raw=other, overwrite=True), no_hub) == "built"
    assert contents(job().folder)["own_16_13_train.tsv"] != whole["own_16_13_train.tsv"]
    assert build(job(raw=other, ks=(2, 16)), no_hub) == "there already", "of the old source nothing is left"


def test_a_newer_catalogue_file_is_another_source(tmp_path):
    branch = write_branch(tmp_path / "branch", train=rows(80), validation=rows(9))
    fetch = lambda source, split: sorted((branch / source.config / split).iterdir())  # noqa: E731
    build(BuildJob(own_task(tmp_path), tmp_path / "root", seeds=(13,)), fetch)
    with pytest.raises(UserError, match=r"made from who/what \(default\) at refs/convert/parquet \(version 1\)"):
        build(BuildJob(own_task(tmp_path / "new", version=2), tmp_path / "root", seeds=(13,)), fetch)


def test_a_source_that_changed_is_refused_until_overwrite(job):
    build(job(), no_hub)
    whole = contents(job().folder)
    write_raw(job().raw, "own", 90)
    with pytest.raises(UserError, match="from a source that has changed since; --overwrite"):
        build(job(ks=(2,)), no_hub)
    assert contents(job().folder) == whole
    assert build(job(overwrite=True), no_hub) == "built"
    assert contents(job().folder) != whole


def test_files_of_another_hand_are_refused_until_overwrite(job):
    job().folder.mkdir(parents=True)
    (job().folder / "own_16_21_dev.tsv").write_text("mine\tyes\n")
    with pytest.raises(UserError, match=r"not by mpt data build \(own_16_21_dev\.tsv\); --overwrite"):
        build(job(), no_hub)
    assert build(job(overwrite=True), no_hub) == build(job(overwrite=True), no_hub) == "built"
    path = job().folder / "own_16_21_dev.tsv"
    path.write_text(path.read_text() + "mine\tyes\n")
    with pytest.raises(UserError, match=r"and then changed \(own_16_21_dev\.tsv\)"):
        build(job(), no_hub)


@pytest.mark.parametrize("content", ["{", "{}", "[1]", '[{"files": {}}]', "[{}]"])
def test_a_build_file_of_another_form_is_refused(job, content):
    job().folder.mkdir(parents=True)
    (job().folder / "build.json").write_text(content)
    with pytest.raises(UserError, match=r"build\.json was not written by mpt data build"):
        build(job(), no_hub)


# Nothing half-written


@pytest.mark.parametrize(
    ("file", "content", "complaint"),
    [
        ("own.test.tsv", "a\tyes\nb\tmaybe\n", "has the output 'maybe'"),
        ("own.test.tsv", "a\tyes\nb", "looks cut off"),
        ("own.train.tsv", "a\tyes\n", "pool of 1 records leaves none for dev at k = 16"),
    ],
)
def test_a_failure_leaves_what_was_there(job, tmp_path, file, content, complaint):
    build(job(ks=(2,)), no_hub)
    whole = contents(job().folder)
    (job().raw / file).write_text(content)
    for overwrite in (False, True):
        with pytest.raises(UserError, match=complaint if overwrite else None):
            build(job(overwrite=overwrite), no_hub)
        assert contents(job().folder) == whole and os.listdir(tmp_path / "root") == ["own"]


@pytest.mark.parametrize("name", ["..", ".", "", "../x", "a/b", "a\\b", ".hidden"])
def test_a_name_that_is_no_folder_of_the_root_is_refused(job, tmp_path, name):
    with pytest.raises(UserError, match="cannot be the name of a folder"):
        build(job(task=Task(name, "qa", "EM")), no_hub)
    assert not (tmp_path / "root").exists()


def test_a_link_out_of_the_root_is_refused(job, tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (tmp_path / "root").mkdir()
    job().folder.symlink_to(outside)
    with pytest.raises(UserError, match=r"root/own is a link to .*outside"):
        build(job(overwrite=True), no_hub)
    assert list(outside.iterdir()) == [] and job().folder.is_symlink()
    job().folder.unlink()
    job().folder.write_text("")
    with pytest.raises(UserError, match="is a file"):
        build(job(), no_hub)


def test_raw_files_that_are_what_the_hub_gave_go_on_with_its_build(job, tmp_path):
    branch = write_branch(tmp_path / "branch", train=rows(70), validation=rows(9, 70))

    def fetch(source, split):
        return sorted((branch / source.config / split).glob("*.parquet"))

    assert build(job(raw=None), fetch) == "built"
    lines = {"train": range(70), "test": range(70, 79)}
    for split, numbers in lines.items():
        text = "".join(f"question: Row {i}?\t{('no', 'yes')[i % 2]}\n" for i in numbers)
        (tmp_path / "raw" / f"own.{split}.tsv").write_text(text)
    assert build(job(), no_hub) == "there already"
    assert build(job(ks=(2,)), no_hub) == "built"
    assert build(job(raw=None, ks=(2, 16)), no_hub) == "there already"
    (tmp_path / "raw" / "own.test.tsv").write_text("question: Another?\tno\n")
    with pytest.raises(UserError, match=r"made from who/what .* --overwrite replaces"):
        build(job(), no_hub)
