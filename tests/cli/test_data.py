"""``mpt data build`` and ``verify`` as a user meets them: files, exit codes, one sentence for each mistake."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from support.crossfit_files import SEEDS, cache_of, crossfit_folder, rows, use_cache, write_branch, write_own, write_raw
from support.toy import Mpt

from mpt.data.build.checksums import published


@pytest.fixture
def mpt(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Mpt:
    monkeypatch.chdir(tmp_path)
    use_cache(monkeypatch, tmp_path / "home")
    return Mpt(capsys)


# CrossFit's own files


@pytest.mark.long
def test_crossfits_raw_files_give_crossfits_files_and_sums(mpt, tmp_path):
    crossfit = crossfit_folder()
    built = mpt("data", "build", "--raw", crossfit / "full", "--root", "root", "--workers", 1)
    assert built.code == 0, built.err
    names = {path.name.removesuffix(".train.tsv") for path in (crossfit / "full").glob("*.train.tsv")}
    assert len(names) >= 50 and {path.name for path in Path("root").glob("[!.]*")} == names

    for name in names:
        k = next(iter(published()[name])).removeprefix(f"{name}_").partition("_")[0]
        theirs = {path.name: path.read_bytes() for path in (crossfit / "fewshot" / name).iterdir()}
        assert len(theirs) == 11
        for file, content in theirs.items():
            ours = Path("root", name, file).read_bytes()
            # Their copy of a test list may hold its first lines alone.
            assert ours.startswith(content) if file.endswith("_test.tsv") else ours == content, file
        assert len({Path("root", name, f"{name}_{k}_{seed}_test.tsv").read_bytes() for seed in SEEDS}) == 1

    verified = mpt("data", "verify", "root")
    assert verified.code == 1, "30 tasks have another training pool"
    said = dict(re.findall(r"^│ (\S+) +│ +(\d+ │ +\d+ │ +\d+ │ +\d+) │$", verified.out, flags=re.MULTILINE))
    exact = re.findall(r"^\| (\S+) \|.*\| 15/15 \|", (crossfit / "README.md").read_text(encoding="utf-8"), re.MULTILINE)
    tried = [name for name in exact if name in names]
    assert len(tried) >= 40
    for name in tried:
        assert said[name].split() == ["15", "│", "0", "│", "0", "│", "0"], name
    assert f"all {len(names)} tasks" in verified.out
    assert mpt("data", "verify", "root", *tried).code == 0

    again = mpt("data", "build", "--raw", crossfit / "full", "--root", "root", "--workers", 1)
    assert again.code == 0 and re.search(rf"there already │ +{len(names)} ", again.out)


# The hub


def test_a_build_from_a_cache_that_was_filled_elsewhere(mpt, tmp_path):
    write_branch(cache_of(tmp_path / "home"), train=rows(70), validation=rows(9, 70))
    own = write_own(tmp_path / "own.yaml")
    built = mpt("data", "build", own, "--root", "root", "--k", 2, "all", "--seeds", 13, "--workers", 1)
    assert built.code == 0
    assert sorted(os.listdir("root/own")) == sorted(
        ["build.json", *(f"own_{k}_13_{split}.tsv" for k in (2, "all") for split in ("train", "dev", "test"))]
    )
    test = "".join(f"question: Row {i}?\t{('no', 'yes')[i % 2]}\n" for i in range(70, 79))
    assert Path("root/own/own_2_13_test.tsv").read_text() == test
    verified = mpt("data", "verify", "root")
    assert verified.code == 0 and re.search(r"own +│ +0 │ +0 │ +6 │", verified.out)


@pytest.mark.long
@pytest.mark.parametrize("offline", ["1", "0"])
def test_without_a_network_it_fails_within_seconds_and_says_what_to_do(tmp_path, offline):
    environment = {
        **os.environ,
        "HF_HOME": str(tmp_path / "home"),
        "HF_HUB_OFFLINE": offline,
        "HF_ENDPOINT": "http://127.0.0.1:9",  # nobody listens there
    }
    command = [sys.executable, "-m", "mpt", "data", "build", "glue-mrpc", "hellaswag"]
    ended = subprocess.run(
        [*command, "--root", tmp_path / "root", "--workers", "1"], env=environment, capture_output=True, text=True
    )
    assert ended.returncode == 1
    why = "is not asked, for HF_HUB_OFFLINE is set" if offline == "1" else "cannot be reached"
    assert ended.stdout.count(f"failed: 2 tasks: The Hugging Face hub {why}, and its cache") == 1
    assert "--raw DIR" in ended.stdout and "HF_HOME" in ended.stdout and "Traceback" not in ended.stderr
    assert not Path(tmp_path / "root").exists(), "nothing was built, so nothing is left"


def test_a_cut_off_download_and_a_changed_schema_leave_nothing(mpt, tmp_path):
    snapshot = write_branch(cache_of(tmp_path / "home"), train=rows(70), validation=rows(9))
    own = write_own(tmp_path / "own.yaml")
    path = snapshot / "default" / "validation" / "0001.parquet"
    whole = path.read_bytes()
    path.write_bytes(whole[:-20])
    cut = mpt("data", "build", own, "--root", "root")
    assert cut.code == 2 and re.search(r"^mpt: error: own: .*0001\.parquet is no whole Parquet file", cut.err)
    path.write_bytes(whole)
    write_branch(snapshot, train=[{"sentence": "a", "label": 1}] * 4)
    changed = mpt("data", "build", own, "--root", "root")
    assert changed.code == 2 and "has no column text; it has sentence, label" in changed.err
    assert not Path("root").exists()


# Which tasks


def test_the_tasks_of_a_partition(mpt, tmp_path):
    for name in ("trec", "superglue-cb", "glue-mrpc"):
        write_raw(tmp_path / "raw", name)
    Path("own.yaml").write_text("source: [trec]\ntarget: [glue-mrpc]\nvalidation: [superglue-cb]\n")
    write_raw(tmp_path / "raw", "trec", labels=("LOC", "NUM"))
    write_raw(tmp_path / "raw", "glue-mrpc", labels=("equivalent", "not_equivalent"))
    write_raw(tmp_path / "raw", "superglue-cb", labels=("neutral", "entailment"))
    common = ("data", "build", "--partition", "own.yaml", "--raw", "raw", "--seeds", 13)
    for option, tasks in (
        (("--source",), ["trec"]),
        (("--target",), ["glue-mrpc"]),
        (("--source", "--target"), ["glue-mrpc", "trec"]),
        ((), ["glue-mrpc", "superglue-cb", "trec"]),
    ):
        root = "_".join(("root", *option))
        assert mpt(*common, *option, "--root", root, "--workers", 1).code == 0
        assert sorted(path.name for path in Path(root).glob("[!.]*")) == tasks


def test_raw_files_of_unknown_tasks_are_told(mpt, tmp_path):
    write_raw(tmp_path / "raw", "glue-mrpc", labels=("equivalent", "not_equivalent"))
    write_raw(tmp_path / "raw", "glue-mprc")
    built = mpt("data", "build", "--raw", "raw", "--root", "root")
    assert built.code == 0 and "left out, for the catalogue does not know them: glue-mprc" in built.out


def test_failures_of_one_reason_are_told_together(mpt, tmp_path):
    write_raw(tmp_path / "raw", "glue-mrpc", labels=("equivalent", "not_equivalent"))
    built = mpt("data", "build", "glue-mrpc", "trec", "glue-rte", "--raw", "raw", "--root", "root", "--workers", 1)
    assert built.code == 1
    assert "failed: 2 tasks: its raw files <task>.train.tsv and <task>.test.tsv are not in raw.\n" in built.out
    assert "\n  glue-rte, trec\n" in built.out
    assert re.search(r"built +│ +1 │ +15 │", built.out) and re.search(r"failed +│ +2 │ +0 │", built.out)


def test_the_whole_catalogue(mpt):
    Path("raw").mkdir()
    Path("there").mkdir()
    built = mpt("data", "build", "--all", "--raw", "raw", "--root", "there/deep/root", "--workers", 1)
    assert built.code == 1 and re.search(r"failed +│ +160 │", built.out) and "files:" not in built.out
    assert list(Path("there").iterdir()) == []


# Mistakes


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["--root", "root"], "Name the tasks to build, or give --partition NAME, --mixture NAME, --all, or --raw"),
        (["trec", "--all", "--root", "root"], "one of the four"),
        (["trec", "--partition", "own", "--root", "root"], "one of the four"),
        (["trec", "--source", "--root", "root"], "--source and --target choose among the tasks of --partition"),
        (["glue-mprc", "--root", "root"], "no task 'glue-mprc' in the catalogue; did you mean glue-mrpc"),
        (["../trec", "--root", "root"], "no task '../trec' in the catalogue"),
        (["trec", "trec", "--root", "root"], "task trec is named twice"),
        (["trec.yaml", "--root", "root"], "the catalogue has a task trec; name yours otherwise"),
        (["own.yaml", "there/own.yaml", "--root", "root"], "task own is named twice"),
        (["none.yaml", "--root", "root"], "Cannot read the task file none.yaml"),
        (["bad.yaml", "--root", "root"], "name '../bad' cannot be the name of a folder"),
        (["--partition", "none", "--root", "root"], "no partition 'none'"),
        (["--partition", "escapes.yaml", "--root", "root"], "../trec"),
        (["--partition", "unknown.yaml", "--root", "root"], "no task 'trek' in the catalogue; did you mean trec"),
        (["trec", "--root", "file"], "--root file is a file"),
        (["trec", "--root", "raw", "--raw", "raw"], "--raw and --root are the same folder"),
        (["trec", "--root", "raw/../raw", "--raw", "raw"], "are the same folder"),
        (["trec", "--root", "root", "--raw", "none"], "no folder none; --raw is a folder of"),
        (["--root", "root", "--raw", "raw"], "raw holds no <task>.train.tsv of a task of the catalogue"),
        (["trec", "--root", "root", "--k", "0"], "0 is neither a number of at least 1 nor the word all"),
        (["trec", "--root", "root", "--k", "many"], "many is neither a number"),
        (["trec", "--root", "root", "--k", "16", "16"], "--k names 16 twice"),
        (["trec", "--root", "root", "--seeds", "13", "13"], "--seeds names 13 twice"),
        (["trec", "--root", "root", "--seeds", "4294967296"], "--seeds must be from 0 to 4294967295"),
        (["trec", "--root", "root", "--workers", "0"], "--workers must be at least 1, not 0"),
        (["trec"], "--root"),
    ],
)
def test_a_mistake_in_what_to_build_is_answered_before_anything_is_written(mpt, tmp_path, words, complaint):
    Path("raw").mkdir()
    Path("file").write_text("")
    write_own(tmp_path / "own.yaml")
    write_own(tmp_path / "there" / "own.yaml")
    write_own(tmp_path / "trec.yaml")
    write_own(tmp_path / "bad.yaml", name="../bad")
    Path("escapes.yaml").write_text("source: [../trec]\ntarget: [glue-mrpc]\n")
    Path("unknown.yaml").write_text("source: [trek]\ntarget: [glue-mrpc]\n")
    ended = mpt("data", "build", *words)
    assert ended.code == 2 and complaint in ended.err and "Traceback" not in ended.err
    assert not Path("root").exists() and list(Path("raw").iterdir()) == []


@pytest.mark.parametrize(
    "words",
    ["build trec", "text new new.txt", "xquad xquad", "translate toy new --model mpt-tiny"],
    ids=lambda w: w.split()[0],
)
def test_a_second_command_that_writes_to_the_same_root_is_refused(words, mpt, tmp_path):
    Path("new.txt").write_text("some words\n")
    Path("xquad").mkdir()
    fcntl = pytest.importorskip("fcntl")
    Path("root").mkdir()
    with Path("root/.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        ended = mpt("data", *words.split(), "--root", "root")
    assert ended.code == 2 and "another mpt data is at work in root" in ended.err


def test_verify_tells_what_differs_by_its_exit_code(mpt, tmp_path):
    folder = tmp_path / "root" / "trec"
    folder.mkdir(parents=True)
    (folder / "trec_64_13_dev.tsv").write_text("a\tLOC\n")
    unknown = mpt("data", "verify", "root")
    assert unknown.code == 0 and re.search(r"trec +│ +0 │ +0 │ +1 │ +15 │", unknown.out)
    (folder / "trec_16_13_dev.tsv").write_text("a\tLOC\n")
    (tmp_path / "root" / "own").mkdir()
    (tmp_path / "root" / "own" / "own_16_13_dev.tsv").write_text("a\tb\n")
    differs = mpt("data", "verify", "root", "--only-differing")
    assert differs.code == 1 and re.search(r"trec +│ +0 │ +1 │ +1 │", differs.out)
    assert "differs: trec: 16_13_dev" in differs.out and "│ own" not in differs.out
    assert re.search(r"all 2 tasks +│ +0 │ +1 │ +2 │ +14 │", differs.out)
    for words in (["none"], ["root", "trek"], ["root/trec"]):
        mistake = mpt("data", "verify", *words)
        assert mistake.code == 2 and "Traceback" not in mistake.err
