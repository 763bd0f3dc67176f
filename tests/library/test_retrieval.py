"""What a key retrieves, against a loop over the definition; and the prompt that training starts from."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from support.toy_library import WIDTH, draw, filled
from torch import Tensor

from mpt.cli.main import main
from mpt.data.fewshot.files import load_fewshot, write_fewshot
from mpt.data.modules.mixture import MixtureData
from mpt.library.library import Library
from mpt.library.retrieval import Retrieval, candidates, digest
from mpt.library.retrieved import Retrieved
from mpt.prompt.files import save_prompt
from mpt.prompt.initialisers import InitContext
from mpt.util.errors import UserError

HERE, OTHER = "f", "g"


@pytest.fixture
def library(tmp_path: Path) -> Library:
    """Six prompts of three tasks, and two of another backbone."""
    filled(tmp_path / "library", 6, HERE)
    return filled(tmp_path / "library", 2, OTHER)


@pytest.fixture
def key(tmp_path: Path) -> str:
    facts = {"fingerprint": HERE, "task": "target"}
    return str(save_prompt(tmp_path / "key", draw(7)[0], "mpt-tiny", False, facts))


def cosines(library: Library) -> dict[str, float]:
    """Per-token average cosine similarity to the key, pair by pair."""
    found = {}
    for entry in library.entries(HERE):
        total = 0.0
        for a in draw(7)[0].double():
            for b in library.key(entry).double():
                total += float(a @ b / a.norm() / b.norm())
        found[entry.name] = total / 9
    return found


def vocabulary(**changes: Any) -> InitContext:
    given: dict[str, Any] = {
        "embeddings": torch.zeros(5, WIDTH),
        "tokenize": list,
        "special_ids": frozenset(),
        "labels": (),
        "backbone": "mpt-tiny",
        "fingerprint": HERE,
        "generator": torch.Generator(),
    }
    return InitContext(**{**given, **changes})


def start(init: Retrieved, **changes: Any) -> Tensor:
    return init(3, vocabulary(**changes))


def names(retrieval: Retrieval) -> list[str]:
    return [hit.entry.name for hit in retrieval.ranked()[2]]


def test_the_ranking_is_that_of_the_definition_and_of_one_backbone_alone(library, key):
    expected = cosines(library)
    best = sorted(expected, key=lambda name: -expected[name])
    retrieval = Retrieval(str(library.folder), key)
    assert names(retrieval) == best
    assert {hit.entry.name: pytest.approx(hit.similarity, abs=1e-6) for hit in retrieval.ranked()[2]} == expected
    assert names(replace(retrieval, order="lowest")) == best[::-1]
    assert names(replace(retrieval, exclude=["task0", "task2"])) == [name for name in best if name in ("f2", "f3")]


def test_a_random_order_depends_on_the_seed_and_the_target_and_on_nothing_else(library, key, tmp_path):
    retrieval = Retrieval(str(library.folder), key, order="random")
    orders = [tuple(names(replace(retrieval, seed=seed))) for seed in range(60)]
    assert names(retrieval) == list(orders[0]) and len(set(orders)) > 40
    assert {order[0] for order in orders} == {f"f{i}" for i in range(6)}
    facts = {"fingerprint": HERE, "task": "target"}
    same = save_prompt(tmp_path / "another", draw(8)[0], "mpt-tiny", False, facts)
    assert names(replace(retrieval, key=str(same))) == list(orders[0])
    another = save_prompt(tmp_path / "another", draw(7)[0], "mpt-tiny", False, {**facts, "task": "elsewhere"})
    assert names(replace(retrieval, key=str(another))) != list(orders[0])


def test_tasks_come_in_the_order_of_their_first_prompt_each_once(library, key):
    expected = cosines(library)
    tasks = [f"task{int(name[1:]) // 2}" for name in sorted(expected, key=lambda name: -expected[name])]
    hits = Retrieval(str(library.folder), key, top_k=3).hits
    assert [hit.entry.task for hit in hits] == list(dict.fromkeys(tasks))
    with pytest.raises(UserError, match="has 3 tasks to retrieve, and top_k is 4"):
        _ = Retrieval(str(library.folder), key, top_k=4).hits


def test_a_run_starts_from_the_prompt_of_a_rank_and_remembers_which(library, key):
    expected = cosines(library)
    second = sorted(expected, key=lambda name: -expected[name])[1]
    init = Retrieved(str(library.folder), key, rank=2)
    assert torch.equal(start(init), draw(int(second[1]))[1])
    assert init.origin == {"source": second, "similarity": pytest.approx(expected[second], abs=1e-6)}


def test_or_from_the_average_weighted_by_the_share_of_the_similarities(library, key):
    expected = cosines(library)
    best = sorted(expected, key=lambda name: -expected[name])[:2]
    assert all(expected[name] > 0 for name in best)
    total = sum(expected[name] for name in best)
    prompt = sum(expected[name] / total * draw(int(name[1]))[1].double() for name in best)
    init = Retrieved(str(library.folder), key, top_k=2)
    torch.testing.assert_close(start(init).double(), prompt, atol=1e-6, rtol=0)
    assert init.origin["source"] == best


def test_what_does_not_fit_is_told(library, key, tmp_path):
    where = str(library.folder)
    with pytest.raises(UserError, match=r"either rank .* or top_k"):
        Retrieved(where, key)
    with pytest.raises(UserError, match="count from 1"):
        Retrieved(where, key, rank=0)
    with pytest.raises(UserError, match=r"rank is 7, and .* has 6 to retrieve"):
        start(Retrieved(where, key, rank=7))
    with pytest.raises(UserError, match="other weights"):
        start(Retrieved(where, key, rank=1), fingerprint=OTHER)
    with pytest.raises(UserError, match="length 3, but prompt_length is 4"):
        Retrieved(where, key, rank=1)(4, vocabulary())
    with pytest.raises(UserError, match=r"nothing to retrieve .* of 8 prompts"):
        start(Retrieved(where, key, rank=1, exclude=["task0", "task1", "task2"]))
    with pytest.raises(UserError, match="order is one of highest, random, lowest"):
        Retrieval(where, key, order="last")  # type: ignore[arg-type]
    plain = save_prompt(tmp_path / "plain", draw(7)[0], "mpt-tiny", False, {})
    with pytest.raises(UserError, match="does not say which weights"):
        start(Retrieved(where, str(plain), rank=1))


def test_a_library_that_has_changed_is_told_by_its_name_unless_no_digest_is_asked_for(library, key):
    was = digest(candidates(library, ["task0"]))
    pinned = Retrieved(str(library.folder), key, rank=1, exclude=["task0"], digest=was)
    first = start(pinned)
    library.add("more", *draw(9), {"fingerprint": HERE, "task": "task0"}, decoder_only=False)
    assert torch.equal(start(pinned), first)  # what may not be retrieved is no matter
    weights = library.folder / "prompts" / "f3" / "adapter_model.safetensors"
    weights.write_bytes((library.folder / "prompts" / "f2" / "adapter_model.safetensors").read_bytes())
    with pytest.raises(UserError, match=f"the library {library.folder} has changed: .* was {was}"):
        start(pinned)
    start(Retrieved(str(library.folder), key, rank=1, exclude=["task0"]))


def test_a_mixture_takes_of_the_target_the_train_examples_of_one_draw_alone():
    sources = ["syn-topic-news", "syn-size-ad"]
    data = MixtureData(sources, seeds=[21, 42], seed=42, target="syn-age-blog", k=4, target_k=8)
    data.setup("fit")
    assert list(data.pools) == [*sources, "syn-age-blog"]

    assert data.pools["syn-age-blog"] == load_fewshot("synthetic", "syn-age-blog", 42, 8).train
    # A larger draw holds examples that are dev in the smaller.
    unsaid = MixtureData(sources, seeds=[21], seed=42, target="syn-age-blog", k=64)
    unsaid.setup("fit")
    assert unsaid.pools["syn-age-blog"] == load_fewshot("synthetic", "syn-age-blog", 42).train
    with pytest.raises(UserError, match=r"--data.target syn-size-ad is among the source tasks"):
        MixtureData(sources, target="syn-size-ad").setup("fit")
    with pytest.raises(UserError, match=r"retrieved .* or named, and not both"):
        MixtureData(sources, retrieved=Retrieval("library", "key"))


def test_a_target_with_draws_of_several_sizes_asks_for_its_own_option(tmp_path):
    for k in (4, 8):
        write_fewshot(tmp_path, load_fewshot("synthetic", "syn-age-blog", 42, k))
    write_fewshot(tmp_path, load_fewshot("synthetic", "syn-topic-news", 42, 4))
    data = MixtureData(["syn-topic-news"], root=str(tmp_path), seeds=[42], seed=42, target="syn-age-blog", k=4)
    with pytest.raises(UserError, match=r"syn-age-blog holds draws for k = 4, 8; choose one with --data.target_k"):
        data.setup("fit")


@pytest.mark.parametrize("words", [["adapt", "--help"], ["library", "search", "--help"]])
def test_the_help_says_why_the_default_similarity_is_what_it_is(words, capsys):
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == 0
    told = " ".join(capsys.readouterr().out.split())
    assert "SPoT's choice" in told and "centred" in told
