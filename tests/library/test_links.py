"""No link leads out of a library: what is outside of it is neither shown nor copied, written or removed."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from support.toy import Mpt
from support.toy_library import filled, found

from mpt.library.index import FILE
from mpt.library.library import Library
from mpt.util.errors import UserError


@pytest.fixture
def mpt(capsys: pytest.CaptureFixture[str]) -> Mpt:
    return Mpt(capsys)


def seen(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def moved(path: Path, outside: Path) -> None:
    """Something of a library, now outside of it, and a link in its place."""
    outside.mkdir(exist_ok=True)
    shutil.move(path, outside / path.name)
    path.symlink_to(outside / path.name)


@pytest.mark.parametrize("name", [".index", ".adding", f".index/{FILE}", f".index/{FILE}-journal", ".index/other"])
def test_nothing_is_written_or_removed_where_a_link_leads(name, mpt, tmp_path):
    library, outside = filled(tmp_path / "library", 3), tmp_path / "outside"
    assert len(found(library)) == 3
    for place in ("1-precious", "2-precious/deep"):
        (outside / place).mkdir(parents=True)
        (outside / place / "file").write_text("kept")
        os.utime(outside / place, (0, 0))
        os.utime(outside / place.split("/")[0], (0, 0))
    (outside / "lock").write_text("kept")
    place = library.folder / name
    if place.is_dir():
        shutil.rmtree(place)
    place.unlink(missing_ok=True)
    place.symlink_to(outside / "lock" if FILE in name else outside)
    before = seen(outside)
    for words in (["list"], ["show"], ["rebuild"]):
        ended = mpt("library", *words, library.folder)
        assert ended.code == 0, ended.err
    assert seen(outside) == before
    assert sorted(found(Library.open(library.folder))) == ["f0", "f1", "f2"]
    if name == ".adding":
        with pytest.raises(UserError, match="is a link"):
            library.copy(library.entry("f0"))
        assert seen(outside) == before


@pytest.mark.parametrize("name", ["mpt.json", "key/mpt.json", "adapter_config.json", "key/adapter_model.safetensors"])
def test_an_entry_with_a_file_from_elsewhere_is_left_out(name, mpt, tmp_path):
    library = filled(tmp_path / "library", 2)
    moved(library.folder / "prompts" / "f1" / name, tmp_path / "outside")
    assert sorted(found(library)) == ["f0"] and f"{name} leads out of its folder by a link" in library.refused["f1"]
    for words in (["show", library.folder, "f1"], ["export", library.folder, "f1", tmp_path / "new"]):
        ended = mpt("library", *words)
        assert ended.code == 2 and "leads out of its folder by a link" in ended.err
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("name", ["prompts", "library.json"])
def test_a_library_that_is_elsewhere_is_none(name, mpt, tmp_path):
    library = filled(tmp_path / "library", 1)
    moved(library.folder / name, tmp_path / "outside")
    ended = mpt("library", "list", library.folder)
    assert ended.code == 2 and f"{name} leads out of its folder by a link" in ended.err


def test_a_library_may_be_given_by_a_link_and_a_cache_may_have_them(tmp_path):
    library = filled(tmp_path / "library", 2)
    (tmp_path / "given").symlink_to(library.folder)
    assert sorted(found(Library.open(tmp_path / "given"))) == ["f0", "f1"]
    snapshot = tmp_path / "models--a--b" / "snapshots" / "c0ffee"
    shutil.copytree(library.folder, snapshot, ignore=shutil.ignore_patterns(".*"))
    blobs = snapshot.parents[1] / "blobs"
    blobs.mkdir()
    for number, path in enumerate(path for path in list(snapshot.rglob("*")) if path.is_file()):
        shutil.move(path, blobs / str(number))
        path.symlink_to(os.path.relpath(blobs / str(number), path.parent))
    cached = Library(snapshot, "hub:a/b")
    assert sorted(found(cached)) == ["f0", "f1"]
    copy = Library.create(tmp_path / "copy", library.recipe)
    copy.copy(cached.entry("f0"))
    assert not any(path.is_symlink() for path in copy.folder.rglob("*")) and sorted(found(copy)) == ["f0"]
