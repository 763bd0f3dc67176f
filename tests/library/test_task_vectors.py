"""What tuning added to a prompt's start: sums by hand, and the arithmetic of a library's entries."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from support.toy import Mpt
from support.toy_library import RECIPE, WIDTH, draw, filled

from mpt.library.library import Library
from mpt.library.retrieved import Retrieved
from mpt.library.task_vectors import recipe_start, task_vector
from mpt.prompt.files import load_prompt, save_prompt
from mpt.prompt.initialisers import InitContext, SampledVocabulary
from mpt.util.errors import UserError

TABLE = torch.randn(30, WIDTH, generator=torch.Generator().manual_seed(2))


def vocabulary(seed: int) -> InitContext:
    generator = torch.Generator().manual_seed(seed)
    return InitContext(TABLE, list, frozenset({0}), (), "mpt-tiny", "f", generator)


@pytest.fixture
def library(tmp_path: Path) -> Library:
    return filled(tmp_path / "library", 4)


@pytest.fixture
def key(tmp_path: Path) -> str:
    return str(save_prompt(tmp_path / "key", draw(7)[0], "mpt-tiny", False, {"fingerprint": "f", "task": "target"}))


def test_a_run_starts_from_a_new_start_and_the_sum_of_what_tasks_added(library, key):
    init = Retrieved(str(library.folder), key, top_k=2, use="sum")
    begun = init(3, vocabulary(5))
    old = SampledVocabulary()(3, vocabulary(RECIPE.seed))
    added = sum(draw(int(name[1]))[1] - old for name in init.origin["source"])
    torch.testing.assert_close(begun, SampledVocabulary()(3, vocabulary(5)) + added)
    assert torch.equal(recipe_start(RECIPE, vocabulary(5)), old), "whatever draws the new start"


def test_each_of_several_is_for_a_mixture(library, key):
    init = Retrieved(str(library.folder), key, top_k=3, use="each")
    begun = init(3, vocabulary(5))
    assert torch.equal(begun, torch.stack([draw(int(name[1]))[1] for name in init.origin["source"]]))


def test_of_one_task_with_the_librarys_own_seed_it_is_its_prompt(library, key):
    init = Retrieved(str(library.folder), key, top_k=1, use="sum")
    begun = init(3, vocabulary(RECIPE.seed))
    torch.testing.assert_close(begun, draw(int(init.origin["source"][1]))[1])


def test_what_was_adapted_from_elsewhere_has_no_vector(library, key):
    facts = {"fingerprint": "f", "task": "own", "method": "adapt"}
    entry = library.add("own", *draw(9), facts, decoder_only=False)
    with pytest.raises(UserError, match="entry own was adapt, not tuned from the library's start"):
        task_vector(library, entry, torch.zeros(3, WIDTH))
    with pytest.raises(UserError, match="use sum is of the first top_k prompts"):
        Retrieved(str(library.folder), key, rank=1, use="sum")


@pytest.mark.long
def test_arithmetic_on_the_command_line(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    mpt, shipped = Mpt(capsys), Library.open("synthetic")
    one, two, three = (entry.name for entry in shipped.entries()[:3])
    ended = mpt("library", "combine", "synthetic", "out", one, "+", two, "-", one)
    assert ended.code == 0, ended.err
    stored = load_prompt("out")
    torch.testing.assert_close(stored.weight, shipped.value(shipped.entry(two)), rtol=1e-5, atol=1e-5)
    assert stored.facts["combined"] == f"+ {one} + {two} - {one}" and stored.backbone == "mpt-tiny"
    assert mpt("library", "combine", "synthetic", "another", one, "--seed", 7).code == 0
    moved = load_prompt("another").weight - shipped.value(shipped.entry(one))
    assert mpt("library", "combine", "synthetic", "third", two, "--seed", 7).code == 0
    again = load_prompt("third").weight - shipped.value(shipped.entry(two))
    torch.testing.assert_close(moved, again, rtol=1e-4, atol=1e-4)
    assert float(moved.norm()) > 1
    for words, told in (
        (["out", one, "+", three], "out exists"),
        (["new", one, two], "with + or - between them"),
        (["new", one, "+"], "with + or - between them"),
        (["new", one, "-", f"{two}x"], f"has no entry {two}x"),
    ):
        ended = mpt("library", "combine", "synthetic", *words)
        assert ended.code == 2 and told in ended.err and ended.err.count("\n") == 1 and not Path("new").exists()
    (tmp_path / "new.txt").write_text("a text\n")
    assert mpt("predict", "out", "new.txt", "--free").code == 0
