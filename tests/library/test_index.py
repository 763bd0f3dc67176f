"""The index says what the folders say, whatever happened to either."""

from __future__ import annotations

import gc
import json
import multiprocessing
import os
import shutil
import tempfile
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from support.toy_library import direct, draw, filled, found

from mpt.library.library import Library
from mpt.library.similarity import pool_per_token
from mpt.prompt.files import save_prompt


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
    assert (library.folder / ".index").is_dir()
    (index,) = {path.parent for path in library.folder.glob(".index/current")}
    shutil.rmtree(index)
    index.write_text("no folder can be made here")
    assert found(library) == pytest.approx(direct(library), abs=1e-6)
    assert library._index.folder != index


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


@pytest.mark.parametrize("name", ["rows", "table", "per_token", "average_token", "current", "generation"])
@pytest.mark.parametrize("how", ["gone", "empty", "half", "noise"])
def test_whatever_happens_to_the_index(name, how, library):
    index = library.folder / ".index"
    folders = [path for path in index.iterdir() if path.is_dir()]
    (path,) = folders if name == "generation" else index.glob(name if name == "current" else f"*/*/{name}")
    if path.is_dir():
        shutil.rmtree(path)
        if how != "gone":
            path.write_bytes(os.urandom(100))
    elif how == "gone":
        path.unlink()
    else:
        content = path.read_bytes()
        changed = {"empty": b"", "half": content[: len(content) // 2], "noise": os.urandom(len(content))}
        path.write_bytes(changed[how])
    assert_true(Library.open(library.folder), "f0 f1 f2 f3 f4")


def test_what_a_killed_writer_left_does_not_count(library):
    (shard,) = library.folder.glob(".index/*/*")
    for name in ("rows", "table", "per_token"):
        with (shard / name).open("ab") as file:
            file.write(b"torn")
    filled(library.folder, 2, "g")
    library.add("f9", *draw(9), {"fingerprint": "f"}, decoder_only=False)
    assert sorted(found(Library.open(library.folder))) == ["f0", "f1", "f2", "f3", "f4", "f9"]
    assert found(library) == pytest.approx(direct(library), abs=1e-6)


def test_the_whole_index_is_made_anew(library):
    shutil.rmtree(library.folder / ".index")
    assert_true(Library.open(library.folder), "f0 f1 f2 f3 f4")
    before = {path.name for path in (library.folder / ".index").iterdir()}
    library.rebuild()
    after = {path.name for path in (library.folder / ".index").iterdir()}
    assert len(after) == len(before) and after != before, "an old generation is removed"
    assert_true(library, "f0 f1 f2 f3 f4")


def test_an_index_is_not_read_again_if_nothing_changed(library, monkeypatch):
    monkeypatch.setattr("mpt.library.index._SURELY_LATER", 0)
    found(library)
    monkeypatch.setattr("mpt.library.index.marks", lambda _: pytest.fail("the folder was listed"))
    monkeypatch.setattr("mpt.library.entry.load_prompt", lambda _: pytest.fail("a prompt was read"))
    for searched in (library, Library.open(library.folder)):
        assert len(found(searched)) == 5


@pytest.mark.parametrize("how", ["short", "long", "odd", "other", "gone"])
def test_what_a_process_listed_is_not_believed_if_it_was_damaged(how, library, monkeypatch):
    monkeypatch.setattr("mpt.library.index._SURELY_LATER", 0)
    found(library)
    (path,) = library.folder.glob(".index/listed-*")
    content = path.read_bytes()
    changed = {"short": content[:-8], "long": content * 2, "odd": content[:-3], "other": content[:-1] + b"x"}
    path.write_bytes(changed[how]) if how in changed else path.unlink()
    assert_true(Library.open(library.folder), "f0 f1 f2 f3 f4")
    shutil.rmtree(library.folder / "prompts" / "f3")
    assert_true(Library.open(library.folder), "f0 f1 f2 f4")


def test_a_library_that_cannot_be_written_to_is_searched(library, monkeypatch):
    shutil.rmtree(library.folder / ".index")
    monkeypatch.setattr("mpt.library.index._writable", lambda _: False)
    other = Library.open(library.folder)
    assert found(other) == pytest.approx(direct(other), abs=1e-6)
    assert not (library.folder / ".index").exists()
    own = other._index.folder
    assert own.is_dir()
    del other
    gc.collect()
    assert not own.exists()


_KEPT: list[Library] = []


def _search_apart(folder: Path, own: Path) -> None:
    tempfile.tempdir = str(own)
    _KEPT.append(Library.open(f"hub:{folder}"))
    assert len(found(_KEPT[0])) == 5


def test_a_worker_of_a_pool_leaves_no_index_of_its_own(library, tmp_path, monkeypatch):
    monkeypatch.setattr("mpt.library.download.fetch", Path)
    (tmp_path / "own").mkdir()
    worker = multiprocessing.get_context("fork").Process(target=_search_apart, args=(library.folder, tmp_path / "own"))
    worker.start()
    worker.join()
    assert worker.exitcode == 0 and not list((tmp_path / "own").iterdir())
