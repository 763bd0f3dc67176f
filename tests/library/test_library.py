"""A library of prompts: what is added is found, by its backbone and task, and never half of it."""

from __future__ import annotations

import json
import os
import time

import pytest
import torch
from peft import PeftModel
from support.toy_library import RECIPE, WIDTH, draw, filled, found
from transformers import AutoModelForSeq2SeqLM

from mpt.library import entry as entry_module
from mpt.library.library import Library, shipped_libraries
from mpt.library.recipe import KeyRecipe, as_json
from mpt.library.similarity import SIMILARITIES
from mpt.prompt.files import load_prompt
from mpt.util.errors import UserError


def test_what_was_added_comes_back_bit_for_bit(tmp_path):
    filled(tmp_path / "library")
    library = Library.open(tmp_path / "library")
    assert library.recipe == RECIPE
    entries = library.entries()
    assert [entry.name for entry in entries] == ["f0", "f1", "f2", "f3", "f4"]
    for i, entry in enumerate(entries):
        key, value = draw(i)
        assert torch.equal(library.key(entry), key) and torch.equal(library.value(entry), value)
        assert (entry.task, entry.seed, entry.dev_score) == (f"task{i // 2}", i, i / 10)
        assert (entry.prompt_length, entry.hidden_size, entry.backbone) == (3, WIDTH, "mpt-tiny")
        assert load_prompt(entry.folder).facts == entry.facts
    assert torch.equal(library.keys(entries[1:3]), torch.stack([draw(1)[0], draw(2)[0]]))


@pytest.mark.parametrize("by", SIMILARITIES)
def test_a_search_finds_the_most_similar_first(by, tmp_path, monkeypatch):
    monkeypatch.setattr("mpt.library.search._AT_ONCE", 2)
    library = filled(tmp_path / "library")
    sought = draw(7)[0]
    similar = SIMILARITIES[by](sought[None], torch.stack([draw(i)[0] for i in range(5)]))[0]
    direct = {f"f{i}": float(value) for i, value in enumerate(similar)}
    hits = library.search(sought, 3, by, fingerprint="f")
    assert [hit.entry.name for hit in hits] == sorted(direct, key=lambda name: -direct[name])[:3]
    assert [hit.similarity for hit in hits] == pytest.approx([direct[hit.entry.name] for hit in hits], abs=1e-6)


def test_a_search_stays_with_its_backbone_and_leaves_tasks_out(tmp_path):
    library = filled(tmp_path / "library")
    filled(tmp_path / "library", fingerprint="g")
    hits = library.search(draw(3)[0], 100, fingerprint="g")
    assert {hit.entry.name for hit in hits} == {"g0", "g1", "g2", "g3", "g4"}
    assert not library.search(draw(3)[0], 3, fingerprint="h")
    hits = library.search(draw(3)[0], 100, fingerprint="f", exclude_tasks={"task1"})
    assert {hit.entry.name for hit in hits} == {"f0", "f1", "f4"}


def test_a_name_is_taken_once(tmp_path):
    library = filled(tmp_path / "library", 1)
    with pytest.raises(UserError, match="an entry f0 already"):
        library.add("f0", *draw(1), {"fingerprint": "f"}, decoder_only=False)
    assert torch.equal(library.value(library.entries()[0]), draw(0)[1])


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "..",
        "../x",
        "a/b",
        "/etc/x",
        ".hidden",
        "a\\b",
        "a\0b",
        "a\nb",
        "C:x",
        "x" * 129,
        "-rf",
        "a ",
        "é" * 65,
    ],
)
def test_names_that_escape_or_surprise_are_refused(name, tmp_path):
    library = filled(tmp_path / "library", 1)
    with pytest.raises(UserError, match="cannot name an entry"):
        library.add(name, *draw(1), {"fingerprint": "f"}, decoder_only=False)
    assert [path.name for path in tmp_path.iterdir()] == ["library"]
    assert [entry.name for entry in library.entries()] == ["f0"]


@pytest.mark.parametrize(
    ("key", "value", "facts", "said"),
    [
        (torch.zeros(2, 4), torch.zeros(3, 4), {"fingerprint": "f"}, r"its key has the shape \[2, 4\]"),
        (torch.zeros(3, 4), torch.zeros(3, 5), {"fingerprint": "f"}, r"its value has the shape \[3, 5\]"),
        (torch.zeros(3, 4), torch.zeros(3, 4), {}, "no fingerprint"),
        (torch.zeros(3, 4), torch.full((3, 4), torch.nan), {"fingerprint": "f"}, "holds numbers that are not finite"),
        (torch.zeros(3, 4), torch.zeros(3, 4), {"fingerprint": "f", "seed": "13"}, "seed '13'"),
        (torch.zeros(3, 4), torch.zeros(3, 4), {"fingerprint": "f", "dev_score": "good"}, "dev_score 'good'"),
    ],
)
def test_what_could_not_be_read_back_is_not_added(key, value, facts, said, tmp_path):
    library = filled(tmp_path / "library", 1)
    with pytest.raises(UserError, match=said):
        library.add("new", key, value, facts, decoder_only=False)
    assert [entry.name for entry in library.entries()] == ["f0"]
    assert not list((tmp_path / "library" / ".adding").iterdir())


def test_an_interrupted_add_leaves_nothing(tmp_path, monkeypatch):
    library = filled(tmp_path / "library", 1)

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(entry_module.os, "rename", stop)
    with pytest.raises(KeyboardInterrupt):
        library.add("new", *draw(1), {"fingerprint": "f"}, decoder_only=False)
    monkeypatch.undo()
    assert [path.name for path in (library.folder / "prompts").iterdir()] == ["f0"]
    assert not list((library.folder / ".adding").iterdir())


def test_what_a_killed_add_left_is_swept_once_it_is_old(tmp_path):
    library = filled(tmp_path / "library", 1)
    left = library.folder / ".adding" / "0123"
    (left / "half").mkdir(parents=True)
    library.rebuild()
    assert left.is_dir(), "it may be at work"
    old = time.time() - 3600
    os.utime(left, (old, old))
    with entry_module._work_folder(library.folder / ".adding") as busy:
        os.utime(busy, (old, old))
        library.rebuild()
        assert busy.is_dir(), "it holds its lock"
    assert not left.exists()


def test_a_recipe_is_kept_and_another_refused(tmp_path):
    Library.create(tmp_path / "library", RECIPE)
    assert Library.create(tmp_path / "library", RECIPE).recipe == RECIPE
    with pytest.raises(UserError, match=r"were made with key_steps 20 \(not 30\), seed 13 \(not 21\)"):
        Library.create(tmp_path / "library", KeyRecipe("mpt-tiny", 3, 30, 0.3, 8, 21))
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.tex").touch()
    with pytest.raises(UserError, match="there and no prompt library"):
        Library.create(tmp_path / "other", RECIPE)
    with pytest.raises(UserError, match="is no prompt library"):
        Library.open(tmp_path / "other")
    with pytest.raises(UserError, match="no such folder"):
        Library.open(tmp_path / "nowhere")


def test_where_nothing_can_be_written_is_told(tmp_path):
    library = filled(tmp_path / "library", 1)
    (tmp_path / "file").touch()
    for place in (tmp_path / "file" / "below", tmp_path / ("x" * 300)):
        with pytest.raises(UserError, match=f"entry f0 cannot be written to {place}: (Not a dir|File name too long)"):
            library.export("f0", place)
        with pytest.raises(UserError, match=f"cannot write to the library {place}: (Not a dir|File name too long)"):
            Library.create(place, RECIPE)
    (tmp_path / "library" / ".adding").rmdir()
    (tmp_path / "library" / ".adding").touch()
    with pytest.raises(UserError, match="cannot write to the library"):
        library.add("more", *draw(1), {"fingerprint": "f"}, decoder_only=False)


def as_text(**changes: object) -> str:
    content = as_json(RECIPE)
    return json.dumps({**content, "recipe": {**content["recipe"], **changes}})


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "cannot be read: not valid JSON"),
        ("[" * 100_000, "it is nested too deeply"),
        ("[]", "holds no JSON object; copy it anew"),
        ('{"format": 2}', '"format": 1'),
        ('{"format": 1}', "the key recipe is missing"),
        ('{"format": 1, "recipe": {"backbone": "b", "prompt_length": true}}', "recipe.prompt_length must be a whole"),
        (as_text(seed=2**64), "library.json: recipe.seed must be a whole number from 0 to 4294967295, not 1844"),
        (as_text(seed=-1), "recipe.seed must be a whole number from 0 to"),
    ],
)
def test_a_damaged_recipe_is_told(content, said, tmp_path):
    Library.create(tmp_path / "library", RECIPE)
    (tmp_path / "library" / "library.json").write_text(content)
    with pytest.raises(UserError, match=said):
        Library.open(tmp_path / "library")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"by": "per_tokens"}, "no similarity per_tokens; did you mean per_token?"),
        ({"k": 0}, "at least 1, not 0"),
        ({"key": torch.zeros(2, WIDTH)}, r"are \[3, H\] and finite; the one sought is \[2, 4\]"),
        ({"key": torch.full((3, WIDTH), torch.inf)}, "finite"),
        ({"key": torch.zeros(3, 8)}, "have the hidden size 4, but the one sought has 8"),
    ],
)
def test_a_search_for_nonsense_is_told(options, said, tmp_path):
    library = filled(tmp_path / "library", 2)
    with pytest.raises(UserError, match=said):
        library.search(**{"key": draw(7)[0], "k": 3, "fingerprint": "f", **options})


def test_equal_similarities_are_in_the_order_of_names(tmp_path):
    library = Library.create(tmp_path / "library", RECIPE)
    for name in ("d", "b", "a", "c"):
        library.add(name, *draw(1), {"fingerprint": "f"}, decoder_only=False)
    assert list(found(library, k=3)) == ["a", "b", "c"]


def test_an_empty_library_finds_nothing(tmp_path):
    library = Library.create(tmp_path / "library", RECIPE)
    assert library.entries() == [] and found(library) == {}


def test_keys_of_two_backbones_are_not_mixed(tmp_path):
    filled(tmp_path / "library", 1)
    library = filled(tmp_path / "library", 1, "g")
    with pytest.raises(UserError, match="several backbones"):
        library.keys(library.entries())


def test_peft_loads_an_entry_as_it_lies(model_folder, tmp_path):
    library = Library.create(tmp_path / "library", KeyRecipe("t5", 3, 20, 0.3, 8, 13))
    value = torch.randn(3, 32)
    facts = {"fingerprint": "f", "backbone": str(model_folder("t5"))}
    entry = library.add("some", torch.randn(3, 32), value, facts, decoder_only=False)
    model = AutoModelForSeq2SeqLM.from_pretrained(model_folder("t5"))
    loaded = PeftModel.from_pretrained(model, str(entry.folder))
    assert torch.equal(loaded.get_prompt_embedding_to_save("default"), value)
    assert json.loads((entry.folder / "mpt.json").read_text())["backbone"] == str(model_folder("t5"))


def test_shipped_libraries_are_named(tmp_path, monkeypatch):
    monkeypatch.setattr("mpt.library.library.SHIPPED", tmp_path)
    filled(tmp_path / "some", 2)
    monkeypatch.chdir(tmp_path.parent)
    assert list(shipped_libraries()) == ["some"]
    library = Library.open("some")
    assert len(found(library)) == 2 and not (tmp_path / "some" / ".index").exists()
    with pytest.raises(UserError, match=r"did you mean some\?"):
        Library.open("sone")
