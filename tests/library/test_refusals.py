"""A damaged or pickled file in a library is refused by its name, once, and the others are served."""

from __future__ import annotations

import json
import os
import pickle
from collections.abc import Callable
from pathlib import Path

import pytest
from support.toy_library import draw, filled, found

from mpt.library.library import Library

TENSORS = "adapter_model.safetensors"


class Trap:
    """Unpickled, it would leave a file."""

    def __reduce__(self) -> tuple[Callable[..., object], tuple[str]]:
        return os.mkdir, ("trap",)


def change_facts(path: Path, **changes: object) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


DAMAGE: dict[str, tuple[Callable[[Path], object], str]] = {
    "pickled tensors": (lambda f: (f / TENSORS).write_bytes(pickle.dumps(Trap())), "not a readable safetensors"),
    "pickled key": (lambda f: (f / "key" / TENSORS).write_bytes(pickle.dumps(Trap())), "not a readable safetensors"),
    "pickle beside": (lambda f: (f / "adapter_model.bin").write_bytes(pickle.dumps(Trap())), "adapter_model.bin: this"),
    "pickle in key": (lambda f: (f / "key" / "x.PT").write_bytes(pickle.dumps(Trap())), "x.PT: this may be a pickled"),
    "half": (lambda f: (f / TENSORS).write_bytes((f / TENSORS).read_bytes()[:-8]), "not a readable safetensors"),
    "empty": (lambda f: (f / "key" / TENSORS).write_bytes(b""), "not a readable safetensors"),
    "no config": (lambda f: (f / "adapter_config.json").unlink(), "adapter_config.json is missing"),
    "no key": (lambda f: os.rename(f / "key", f / "kex"), "it has no key"),
    "config": (lambda f: (f / "adapter_config.json").write_bytes(b"\xff\x00{"), "not valid JSON"),
    "deep facts": (lambda f: (f / "mpt.json").write_text("[" * 100_000), "nested too deeply"),
    "no fingerprint": (lambda f: change_facts(f / "mpt.json", fingerprint=None), "no fingerprint"),
    "strange fact": (lambda f: change_facts(f / "mpt.json", task=["a"]), "task \\['a'\\]"),
    "escapes": (lambda f: change_facts(f / "mpt.json", task="\x1b[2J"), "cannot be printed"),
    "other key": (lambda f: change_facts(f / "key" / "mpt.json", fingerprint="g"), "its key was learned on g"),
    "a link": (lambda f: (os.rename(f, f.parents[1] / "x"), os.symlink(f.parents[1] / "x", f)), "is a link"),
}


@pytest.mark.long
@pytest.mark.parametrize("indexed", [True, False])
@pytest.mark.parametrize("damage", DAMAGE)
def test_damage_is_told_by_name_and_the_rest_served(damage, indexed, tmp_path, monkeypatch, caplog):
    monkeypatch.chdir(tmp_path)
    library = filled(tmp_path / "library", 4)
    if indexed:
        assert len(found(library)) == 4
    do, said = DAMAGE[damage]
    do(library.folder / "prompts" / "f2")
    for searched in (library, Library.open(library.folder)):
        caplog.clear()
        assert sorted(found(searched)) == ["f0", "f1", "f3"]
        assert [entry.name for entry in searched.entries()] == ["f0", "f1", "f3"]
        (warning,) = [record.message for record in caplog.records]
        assert "entry f2: " in warning and warning.startswith(f"library {library.folder}")
        with pytest.raises(AssertionError, match=said):
            raise AssertionError(searched.refused["f2"])
    assert not (tmp_path / "trap").exists()


def test_an_entry_that_is_mended_is_served(tmp_path):
    library = filled(tmp_path / "library", 3)
    path = library.folder / "prompts" / "f1" / TENSORS
    content = path.read_bytes()
    path.write_bytes(b"")
    assert sorted(found(library)) == ["f0", "f2"]
    path.write_bytes(content)
    assert sorted(found(library)) == ["f0", "f1", "f2"] and not library.refused


@pytest.mark.parametrize("where", [".", "prompts"])
def test_a_stray_pickle_is_told(where, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    library = filled(tmp_path / "library", 2)
    (library.folder / where / "all.pkl").write_bytes(pickle.dumps(Trap()))
    (library.folder / where / "readme.txt").touch()
    assert sorted(found(library)) == ["f0", "f1"]
    assert "all.pkl" in library.refused and "pickled" in library.refused["all.pkl"]
    assert not (tmp_path / "trap").exists()


def test_a_prompt_of_another_length_is_refused(tmp_path):
    library = filled(tmp_path / "library", 2)
    path = library.folder / "library.json"
    content = json.loads(path.read_text())
    content["recipe"]["prompt_length"] = 5
    path.write_text(json.dumps(content))
    other = Library.open(library.folder)
    assert other.entries() == []
    assert "has 3 rows, its library's 5" in other.refused["f0"]


def test_adding_goes_on_beside_a_damaged_entry(tmp_path):
    library = filled(tmp_path / "library", 2)
    (library.folder / "prompts" / "f0" / TENSORS).unlink()
    library.add("new", *draw(5), {"fingerprint": "f"}, decoder_only=False)
    assert sorted(found(library)) == ["f1", "new"]
