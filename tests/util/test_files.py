"""Writing that leaves no half."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import torch
from support.bad_input import at_most

from mpt.util.errors import UserError
from mpt.util.files import (
    at_work,
    clear_left,
    inside,
    is_folder_name,
    links_below,
    new_folder,
    only_one,
    refuse_full,
    refuse_links,
    write_json,
    write_text,
)

NO_OWN_FILE = {
    "link": lambda path: path.symlink_to("../precious"),
    "dangling link": lambda path: path.symlink_to("../nowhere"),
    "pipe": os.mkfifo,
    "folder": Path.mkdir,
}


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_new_folder_appears_when_it_is_whole(tmp_path):
    folder = tmp_path / "a" / "b"
    with new_folder(folder) as fresh:
        (fresh / "x").write_text("1")
        assert not folder.exists()
    assert names(folder) == ["x"] and names(folder.parent) == ["b"]


def test_it_takes_the_place_of_an_old_one_whole(tmp_path):
    folder = tmp_path / "b"
    for name in ("old", "new"):
        with new_folder(folder) as fresh:
            (fresh / name).write_text("1")
    assert names(folder) == ["new"] and names(tmp_path) == ["b"]


def test_a_failure_leaves_the_old_folder_and_nothing_else(tmp_path):
    folder = tmp_path / "b"
    with new_folder(folder) as fresh:
        (fresh / "old").write_text("1")
    with pytest.raises(KeyboardInterrupt), new_folder(folder) as fresh:
        (fresh / "new").write_text("1")
        raise KeyboardInterrupt
    assert names(folder) == ["old"] and names(tmp_path) == ["b"]


def test_what_a_killed_writer_left_is_cleared_away(tmp_path):
    left = tmp_path / f".b.{os.getpid()}.new"
    left.mkdir()
    (left / "half").write_text("1")
    with new_folder(tmp_path / "b") as fresh:
        (fresh / "x").write_text("1")
    assert names(tmp_path) == ["b"] and names(tmp_path / "b") == ["x"]


def test_a_killed_writer_leaves_the_old_folder(tmp_path):
    with new_folder(tmp_path / "b") as fresh:
        (fresh / "old").write_text("1")
    kill = (
        "import os, sys; from pathlib import Path; from mpt.util.files import new_folder\n"
        "with new_folder(Path(sys.argv[1])) as fresh:\n"
        "    (fresh / 'new').write_text('1'); os.kill(os.getpid(), 9)"
    )
    assert subprocess.run([sys.executable, "-c", kill, str(tmp_path / "b")]).returncode == -9
    assert names(tmp_path / "b") == ["old"]


@pytest.mark.parametrize("exchange", [True, False])
def test_a_link_to_a_folder_stays_one_and_the_folder_is_replaced(tmp_path, monkeypatch, exchange):
    if not exchange:
        monkeypatch.setattr("mpt.util.files._exchange", lambda one, other: False)
    (tmp_path / "disk" / "b").mkdir(parents=True)
    (tmp_path / "disk" / "b" / "old").touch()
    (tmp_path / "link").symlink_to("disk/b")
    with new_folder(tmp_path / "link") as fresh:
        (fresh / "new").touch()
    assert (tmp_path / "link").is_symlink() and names(tmp_path) == ["disk", "link"]
    assert names(tmp_path / "disk") == ["b"] and names(tmp_path / "disk" / "b") == ["new"]


@pytest.mark.parametrize("kind", ["dangling link", "pipe", "file"])
def test_what_is_no_folder_is_told_before_anything_is_written(tmp_path, kind):
    (NO_OWN_FILE | {"file": Path.touch})[kind](tmp_path / "b")
    refused = pytest.raises(UserError, match=r"b is (no folder|a link .* to no folder); remove it, or name another")
    with at_most(5), refused, new_folder(tmp_path / "b"):
        raise AssertionError("it began")
    assert names(tmp_path) == ["b"]
    with pytest.raises(UserError, match=r"--out .*b exists"):
        refuse_full(tmp_path / "b", "--out")


def test_a_folder_that_cannot_be_renamed_leaves_the_old_one(tmp_path, monkeypatch):
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "old").touch()
    rename = os.rename

    def refusing(one: Path, other: Path) -> None:
        if one.name.endswith(".new"):
            raise OSError(errno.EACCES, os.strerror(errno.EACCES), str(one))
        rename(one, other)

    monkeypatch.setattr("mpt.util.files._exchange", lambda one, other: False)
    monkeypatch.setattr("os.rename", refusing)
    with pytest.raises(OSError) as told, new_folder(tmp_path / "b") as fresh:
        (fresh / "new").touch()
    assert told.value.filename == str(tmp_path / "b") and names(tmp_path) == ["b"]
    assert names(tmp_path / "b") == ["old"]


def test_text_is_written_as_given(tmp_path):
    path = tmp_path / "deep" / "file.tsv"
    write_text(path, "ä\r\nb\n")
    assert path.read_bytes() == "ä\r\nb\n".encode()
    write_text(path, "")
    assert path.read_bytes() == b"" and names(path.parent) == ["file.tsv"]


def test_json_is_readable_by_people_and_machines(tmp_path):
    content = {"task": "süß", "score": 0.1, "none": None, "rows": [1, 2]}
    write_json(tmp_path / "x.json", content)
    text = (tmp_path / "x.json").read_text(encoding="utf-8")
    assert json.loads(text) == content
    assert "süß" in text and text.endswith("}\n") and text.count("\n") > 3


def test_json_that_cannot_be_written_leaves_the_old_file(tmp_path):
    path = tmp_path / "x.json"
    write_json(path, {"a": 1})
    with pytest.raises(TypeError):
        write_json(path, {"a": object()})
    assert json.loads(path.read_text()) == {"a": 1} and names(tmp_path) == ["x.json"]


@pytest.mark.parametrize("exchange", [True, False])
def test_a_replaced_folder_is_whole_with_and_without_an_exchange(tmp_path, monkeypatch, exchange):
    if not exchange:
        monkeypatch.setattr("mpt.util.files._exchange", lambda one, other: False)
    for content in ("first", "second", "third"):
        with new_folder(tmp_path / "b") as fresh:
            (fresh / "x").write_text(content)
    assert (tmp_path / "b" / "x").read_text() == "third" and names(tmp_path) == ["b"]


@pytest.mark.long
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux exchanges two folders in one step")
def test_a_reader_never_misses_a_folder_that_is_being_replaced(tmp_path):
    folder = tmp_path / "b"
    folder.mkdir()
    done = threading.Event()
    missed = []

    def read() -> None:
        while not done.is_set():
            if not os.path.isdir(folder):
                missed.append(time.monotonic())

    reader = threading.Thread(target=read)
    reader.start()
    for number in range(300):
        with new_folder(folder) as fresh:
            (fresh / "x").write_text(str(number))
    done.set()
    reader.join()
    assert not missed and (folder / "x").read_text() == "299"


@pytest.mark.parametrize("name", ["glue-mrpc", "eli5-eli5", "Mine 2", ".hidden", "wiki_qa"])
def test_names_of_folders(name):
    assert is_folder_name(name)


@pytest.mark.parametrize("name", ["", ".", "..", "../x", "/x", "x/", "x/y", "./x", "x\\y", "x\ny", "x\0"])
def test_what_would_lead_elsewhere_is_no_name_of_a_folder(name):
    assert not is_folder_name(name)


def test_what_killed_writers_left_is_cleared_and_nothing_else(tmp_path):
    for name in (".task.12.new", ".task-b.x.3.old", ".hidden", ".task.new", "task.12.new"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text("1")
    (tmp_path / ".report.json.7.new").write_text("half")
    clear_left(tmp_path)
    assert names(tmp_path) == [".hidden", ".task.new", "task.12.new"]


def test_a_folder_is_held_by_one(tmp_path):
    folder, taken = tmp_path / "made", pytest.raises(UserError, match=r"It is taken\.")
    with only_one(folder, "It is taken."), taken, only_one(folder, "It is taken."):
        pass
    with only_one(folder, "It is taken."):
        assert names(folder) == [".lock"]


@pytest.mark.parametrize("mask", [0o022, 0o077])
def test_modes_follow_the_umask_whoever_wrote_the_file(mask, tmp_path):
    from mpt.prompt.files import save_prompt

    before = os.umask(mask)
    try:
        save_prompt(tmp_path / "prompt", torch.zeros(2, 3), "b", False, {})
        with new_folder(tmp_path / "deep") as fresh:
            (fresh / "a").mkdir(mode=0o700)
            os.close(os.open(fresh / "a" / "x", os.O_CREAT, 0o600))
        write_text(tmp_path / "text", "")
    finally:
        os.umask(before)
    paths = list(tmp_path.rglob("*"))
    assert len(paths) == 8
    assert {path.stat().st_mode & 0o777 for path in paths if path.is_file()} == {0o666 & ~mask}
    assert {path.stat().st_mode & 0o777 for path in paths if path.is_dir()} == {0o777 & ~mask}


def test_what_a_link_leads_to_is_inside_or_not(tmp_path):
    folder, outside = tmp_path / "folder", tmp_path / "outside"
    for path in (folder / "deep", outside):
        path.mkdir(parents=True)
        (path / "file").touch()
    (tmp_path / "given").symlink_to(folder)
    (folder / "own").symlink_to("deep/file")
    (folder / "out").symlink_to(outside)
    (folder / "round").symlink_to("round")
    given = tmp_path / "given"
    assert all(inside(given, given / name) for name in ("deep/file", "own", "missing"))
    assert not any(inside(given, given / name) for name in ("out", "out/file", "round", "../outside", "deep/../../x"))
    assert sorted(links_below(given)) == ["out", "own", "round"]
    with pytest.raises(UserError, match="it: out/file leads out of its folder by a link"):
        refuse_links(given, ["own", "out/file"], "it")


def test_a_snapshot_of_a_hub_has_its_blobs_and_no_others(tmp_path):
    snapshot = tmp_path / "models--a--b" / "snapshots" / "c0ffee"
    (snapshot / "deep").mkdir(parents=True)
    for blobs in (snapshot.parents[1] / "blobs", tmp_path / "blobs"):
        blobs.mkdir()
        (blobs / "1").touch()
    (snapshot / "deep" / "file").symlink_to("../../../blobs/1")
    (snapshot / "deep" / "other").symlink_to("../../../../blobs/1")
    for folder in (snapshot, snapshot / "deep"):
        assert inside(folder, snapshot / "deep" / "file") and not inside(folder, snapshot / "deep" / "other")


@pytest.mark.parametrize("kind", NO_OWN_FILE)
def test_a_lock_that_is_no_file_is_not_opened(tmp_path, kind):
    (tmp_path / "precious").write_text("kept")
    (tmp_path / "folder").mkdir()
    NO_OWN_FILE[kind](tmp_path / "folder" / ".lock")
    refused = pytest.raises(UserError, match=r"\.lock is a link, a folder or a pipe")
    with at_most(5), refused, only_one(tmp_path / "folder", "taken"):
        pass
    assert (tmp_path / "precious").read_text() == "kept" and names(tmp_path) == ["folder", "precious"]


def test_unfinished_work_lies_in_no_linked_folder(tmp_path):
    (tmp_path / "precious").mkdir()
    (tmp_path / ".out.adapting").symlink_to("precious")
    refused = pytest.raises(UserError, match=r"\.out\.adapting is a link, which could lead anywhere; remove it")
    with refused, at_work(tmp_path / ".out.adapting", "taken"):
        pass
    assert not names(tmp_path / "precious")


def test_a_link_where_a_file_is_written_first_is_not_followed(tmp_path):
    (tmp_path / "precious").write_text("kept")
    (tmp_path / f".x.{os.getpid()}.new").symlink_to("precious")
    write_text(tmp_path / "x", "new")
    assert (tmp_path / "precious").read_text() == "kept" and names(tmp_path) == ["precious", "x"]
    assert (tmp_path / "x").read_text() == "new"
