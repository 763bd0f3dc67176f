"""The index says what the folders say, whatever happened to either."""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import signal
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from support.bad_input import at_most
from support.toy_library import direct, draw, filled, found

from mpt.library.entry import read_entry
from mpt.library.index import FILE, Index, IndexRow
from mpt.library.library import Library
from mpt.library.similarity import pool_per_token
from mpt.prompt.files import read_prompt, save_prompt


@pytest.fixture
def library(tmp_path: Path) -> Library:
    """Five entries that were searched, so that there is an index."""
    library = filled(tmp_path / "library")
    assert found(library) == pytest.approx(direct(library), abs=1e-6)
    return library


def assert_true(library: Library, names: str) -> None:
    """What is open and what is opened now find the same, which is what the folders say."""
    again = Library.open(library.folder)
    assert sorted(direct(again)) == names.split()
    for searched in (library, Library.open(library.folder)):
        similarities = found(searched)
        assert similarities == pytest.approx(direct(again), abs=1e-6)
        assert list(similarities) == list(direct(again))
        assert [entry.name for entry in searched.entries()] == names.split()


def test_folders_are_added_removed_and_renamed_by_hand(library):
    prompts = library.folder / "prompts"
    shutil.rmtree(prompts / "f0")
    assert_true(library, "f1 f2 f3 f4")
    shutil.copytree(prompts / "f1", prompts / "copy")
    assert_true(library, "copy f1 f2 f3 f4")
    os.rename(prompts / "f2", prompts / "other")
    assert_true(library, "copy f1 f3 f4 other")
    shutil.rmtree(prompts)
    assert_true(library, "")


def test_an_index_that_another_process_holds_is_done_without_and_left_to_it(library, monkeypatch):
    monkeypatch.setattr("mpt.library.index._PATIENCE", 0.05)
    file = library.folder / ".index" / FILE
    before = file.stat().st_ino
    with closing(sqlite3.connect(file)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with at_most(10):
            again = Library.open(library.folder)
            assert found(again) == pytest.approx(direct(library), abs=1e-6)
        assert file.stat().st_ino == before, "another was made in its place"
        other.rollback()
    shutil.rmtree(library.folder / "prompts" / "f0")
    assert_true(library, "f1 f2 f3 f4")
    assert file.is_file()


def test_a_folder_is_replaced_by_another_of_its_name(library, tmp_path):
    other = filled(tmp_path / "other", 7)
    shutil.rmtree(library.folder / "prompts" / "f0")
    shutil.move(other.folder / "prompts" / "f6", library.folder / "prompts" / "f0")
    assert torch.equal(library.key(library.entries()[0]), draw(6)[0])
    assert_true(library, "f0 f1 f2 f3 f4")


def test_a_folder_of_the_same_inode_holds_another_entry(library):
    """As after rm -r and cp -r, to which some file systems give the inode that has just become free."""
    *_, last = found(library)
    assert list(found(library, k=1)) != [last]
    folder = library.folder / "prompts" / last
    inode = folder.stat().st_ino
    shutil.rmtree(folder / "key")
    likest = pool_per_token(draw(7)[0][None]).expand(3, -1)
    save_prompt(folder / "key", likest, "mpt-tiny", False, {"fingerprint": "f"})
    (library.folder / "prompts" / "touched").mkdir()
    (library.folder / "prompts" / "touched").rmdir()
    assert folder.stat().st_ino == inode
    for searched in (Library.open(library.folder), library):
        assert list(found(searched, k=1)) == [last]
    assert_true(library, "f0 f1 f2 f3 f4")


def test_what_was_mended_with_the_times_of_another_is_read_anew(library):
    """cp -a gives a file the times of the one that it was copied from."""
    best, *_ = found(library)
    path = library.folder / "prompts" / best / "key" / "adapter_model.safetensors"
    before = path.stat()
    content = bytearray(path.read_bytes())
    content[-12:] = bytes(12)
    path.write_bytes(content)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert path.stat().st_ino == before.st_ino
    assert_true(library, "f0 f1 f2 f3 f4")


def test_the_index_is_removed_under_an_open_library(library):
    shutil.rmtree(library.folder / ".index")
    assert_true(library, "f0 f1 f2 f3 f4")
    assert (library.folder / ".index" / FILE).is_file()
    shutil.rmtree(library.folder / ".index")
    (library.folder / ".index").write_text("no folder can be made here")
    assert found(library) == pytest.approx(direct(library), abs=1e-6)
    assert_true(Library.open(library.folder), "f0 f1 f2 f3 f4")
    assert (library.folder / ".index").read_text() == "no folder can be made here"


def test_a_key_is_changed_where_it_lies(library):
    best = next(iter(found(library)))
    path = library.folder / "prompts" / best / "key" / "adapter_model.safetensors"
    save_file({"prompt_embeddings": -draw(7)[0]}, path)
    assert_true(library, "f0 f1 f2 f3 f4")
    assert list(found(library))[-1] == best


def test_an_entry_changes_its_backbone_where_it_lies(library):
    for folder in (library.folder / "prompts" / "f3", library.folder / "prompts" / "f3" / "key"):
        facts = json.loads((folder / "mpt.json").read_text())
        (folder / "mpt.json").write_text(json.dumps({**facts, "fingerprint": "g"}))
    assert sorted(found(library)) == ["f0", "f1", "f2", "f4"]
    assert sorted(found(library, "g")) == ["f3"]
    assert sorted(found(Library.open(library.folder))) == ["f0", "f1", "f2", "f4"]


@pytest.mark.long
@pytest.mark.parametrize("name", [FILE, f"{FILE}-journal"])
@pytest.mark.parametrize("how", ["gone", "empty", "half", "noise", "folder"])
def test_whatever_happens_to_the_index(name, how, library):
    path = library.folder / ".index" / name
    content = path.read_bytes() if path.exists() else (library.folder / ".index" / FILE).read_bytes()
    path.unlink(missing_ok=True)
    changed = {"empty": b"", "half": content[: len(content) // 2], "noise": os.urandom(len(content))}
    if how == "folder":
        path.mkdir()
    elif how != "gone":
        path.write_bytes(changed[how])
    assert_true(Library.open(library.folder), "f0 f1 f2 f3 f4")


@pytest.mark.long
def test_no_byte_of_the_index_is_believed(library, monkeypatch):
    """Each part of the file in its turn is another: a page's header, a name, a number, a vector."""
    path, expected, reads = library.folder / ".index" / FILE, direct(library), []
    monkeypatch.setattr("mpt.library.entry.read_prompt", lambda folder: reads.append(folder) or read_prompt(folder))
    for place in range(0, path.stat().st_size, 97):
        content = bytearray(path.read_bytes())
        content[place % len(content)] ^= 0xFF
        path.write_bytes(content)
        (library.folder / "prompts" / "f0" / "touched").touch()  # so that there is something to write too
        (library.folder / "prompts" / "f0" / "touched").unlink()
        for _ in range(3):
            reads.clear()
            again = found(Library.open(library.folder))
            assert again == pytest.approx(expected, abs=1e-6) and list(again) == list(expected), place
        assert not reads, "made anew"


def test_a_damaged_index_is_made_anew(library, monkeypatch):
    path = library.folder / ".index" / FILE
    content = path.read_bytes()
    path.write_bytes(content.replace(draw_pooled(0), bytes(len(draw_pooled(0)))))
    assert path.read_bytes() != content
    assert_true(Library.open(library.folder), "f0 f1 f2 f3 f4")
    assert draw_pooled(0) in path.read_bytes()
    monkeypatch.setattr("mpt.library.library.read_entry", lambda *_, **__: pytest.fail("an entry was read"))
    assert len(found(Library.open(library.folder))) == 5


def draw_pooled(seed: int) -> bytes:
    return pool_per_token(draw(seed)[0][None]).numpy().tobytes()


def test_what_a_killed_writer_left_does_not_count(library):
    """It had begun to write when it was killed: its rows in the file, and what was there before in the journal."""
    writer = multiprocessing.get_context("fork").Process(
        target=_write_and_die, args=(library.folder / ".index" / FILE,)
    )
    writer.start()
    writer.join()
    assert writer.exitcode == -signal.SIGKILL
    assert (library.folder / ".index" / f"{FILE}-journal").stat().st_size, "there is something to take back"
    filled(library.folder, 2, "g")
    library.add("f9", *draw(9), {"fingerprint": "f"}, decoder_only=False)
    assert sorted(found(Library.open(library.folder))) == ["f0", "f1", "f2", "f3", "f4", "f9"]
    assert found(library) == pytest.approx(direct(library), abs=1e-6)


def _write_and_die(path: Path) -> None:
    database = sqlite3.connect(path)
    database.execute("PRAGMA cache_size = 1")
    database.execute("UPDATE entries SET facts = ?, per_token = average_token", ("x" * 100_000,))
    os.kill(os.getpid(), signal.SIGKILL)


def test_the_whole_index_is_made_anew(library):
    shutil.rmtree(library.folder / ".index")
    assert_true(Library.open(library.folder), "f0 f1 f2 f3 f4")
    before = (library.folder / ".index" / FILE).stat().st_ino
    hold = (library.folder / ".index" / FILE).open()  # so that the number is not given again
    library.rebuild()
    assert (library.folder / ".index" / FILE).stat().st_ino != before
    hold.close()
    assert_true(library, "f0 f1 f2 f3 f4")


def test_an_index_of_an_earlier_version_is_removed(library):
    index = library.folder / ".index"
    (index / FILE).unlink()
    (index / "2-0123" / "f-4").mkdir(parents=True)
    (index / "2-0123" / "f-4" / "rows").write_bytes(bytes(56))
    for name in ("current", "lock", "listed-2"):
        (index / name).write_text("2-0123")
    assert_true(Library.open(library.folder), "f0 f1 f2 f3 f4")
    assert [path.name for path in index.iterdir()] == [FILE]


def test_an_index_is_not_read_again_if_nothing_changed(library, monkeypatch):
    monkeypatch.setattr("mpt.library.index._SURELY_LATER", 0)
    found(library)
    monkeypatch.setattr("mpt.library.index.marks", lambda _: pytest.fail("the folder was listed"))
    monkeypatch.setattr("mpt.library.entry.read_prompt", lambda _: pytest.fail("a prompt was read"))
    assert len(found(library)) == 5
    monkeypatch.undo()
    monkeypatch.setattr("mpt.library.library.read_entry", lambda *_, **__: pytest.fail("an entry was read"))
    assert len(found(Library.open(library.folder))) == 5


@pytest.mark.parametrize("indexed", [False, True])
def test_a_library_that_cannot_be_written_to_is_searched(indexed, library, monkeypatch):
    """The index that somebody else left in it is used, and what is new is known to this process alone."""
    path = library.folder / ".index" / FILE
    if not indexed:
        shutil.rmtree(path.parent)
    library.add("f9", *draw(9), {"fingerprint": "f"}, decoder_only=False)
    before = path.read_bytes() if indexed else b""
    connect = sqlite3.connect

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError

    def read_only(path: Path, **options: float) -> sqlite3.Connection:
        return connect(f"file:{path}?mode=ro", uri=True, **options)

    for name in ("mkdir", "unlink", "rmdir"):  # a root's tests may write everywhere
        monkeypatch.setattr(f"os.{name}", refuse)
    monkeypatch.setattr("mpt.library.index.sqlite3.connect", read_only)
    other = Library.open(library.folder)
    for _ in range(2):
        assert found(other) == pytest.approx(direct(other), abs=1e-6) and len(found(other)) == 6
    assert path.read_bytes() == before if indexed else not path.exists()


def test_a_copy_in_the_cache_of_the_hub_gets_no_index(library, monkeypatch):
    monkeypatch.setattr("mpt.library.hub.fetch", Path)
    shutil.rmtree(library.folder / ".index")
    hub = Library.open(f"hub:{library.folder}")
    assert found(hub) == pytest.approx(direct(hub), abs=1e-6)
    assert not (library.folder / ".index").exists()


def test_what_others_wrote_down_is_taken_and_each_row_of_the_file_read_once(tmp_path, monkeypatch):
    prompts, reads, rows = filled(tmp_path / "library", 30).folder / "prompts", [], []

    def read(folder):
        reads.append(folder.name)
        return read_entry(folder)

    checked = IndexRow.checksum
    monkeypatch.setattr(IndexRow, "checksum", lambda row: rows.append(row.name) or checked(row))
    first, second = (Index(prompts, tmp_path / "library" / ".index", read) for _ in range(2))
    for _ in range(3):
        for number in range(10):
            shutil.copytree(prompts / f"f{number}", prompts / f"g{len(reads)}-{number}")
        for index in (first, second):
            rows.clear()
            index.update()
            assert list(index.rows) == sorted(path.name for path in prompts.iterdir())
            assert len(rows) == len(set(rows)) if index is second else True
        assert len(rows) <= 40  # of the second: those of all at first, and then what is new
    assert sorted(reads) == sorted(path.name for path in prompts.iterdir())
