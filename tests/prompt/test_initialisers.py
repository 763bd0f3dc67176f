"""Where prompts start."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor

from mpt.prompt.files import save_prompt
from mpt.prompt.initialisers import (
    ClassLabels,
    Demonstrations,
    FromText,
    InitContext,
    Initialiser,
    SampledVocabulary,
    SavedPrompt,
    TaskNames,
    Uniform,
)
from mpt.prompt.soft import SoftPrompt
from mpt.util.errors import UserError

WIDTH = 6
EMBEDDINGS = torch.arange(50.0).view(50, 1) + torch.linspace(0, 0.5, WIDTH)  # row i lies in [i, i + 0.5]


def vocabulary(seed: int = 0, **changes: Any) -> InitContext:
    words = {"yes": [10], "no": [11], "not at all": [12, 13, 17], "": []}
    given: dict[str, Any] = {
        "embeddings": EMBEDDINGS,
        "tokenize": lambda text: words[text],
        "special_ids": frozenset({0, 1, 3, 49}),
        "labels": (),
        "backbone": "some/model",
        "fingerprint": "f00",
        "generator": torch.Generator().manual_seed(seed),
    }
    return InitContext(**{**given, **changes})


def ids(rows: Tensor) -> list[int]:
    """Which rows of the embeddings these are."""
    found = rows[:, 0].long().tolist()
    assert torch.equal(rows, EMBEDDINGS[found])
    return found


def test_uniform_fills_its_interval_evenly():
    rows = Uniform()(1000, vocabulary())
    assert rows.shape == (1000, WIDTH) and rows.dtype == torch.float32
    assert stats.kstest(rows.flatten().numpy(), stats.uniform(-0.5, 1.0).cdf).pvalue > 0.01
    wide = Uniform(bound=3.0)(1000, vocabulary())
    assert 2.9 < wide.abs().max() <= 3.0


@pytest.mark.parametrize("initialiser", [Uniform(), SampledVocabulary(), ClassLabels(labels=["yes"]), FromText("no")])
def test_a_seed_gives_the_same_prompt_and_another_seed_another(initialiser):
    first, again, other = (initialiser(12, vocabulary(seed=seed)) for seed in (5, 5, 6))
    assert first.shape == (12, WIDTH)
    assert torch.equal(first, again) and not torch.equal(first, other)


@pytest.mark.parametrize("kind", [Uniform, SampledVocabulary])
def test_a_seed_of_its_own_is_another_draw_for_each_seed_of_the_run(kind):
    pairs = [(run, own) for run in (5, 6) for own in (None, 0, 1, 5, 6)]
    starts = [kind(seed=own)(12, vocabulary(seed=run)) for run, own in pairs]
    assert all(not torch.equal(one, two) for i, one in enumerate(starts) for two in starts[:i])
    assert torch.equal(kind(seed=1)(12, vocabulary(seed=5)), starts[2])
    mixed = np.random.SeedSequence([5, 1]).generate_state(1, np.uint64)
    assert torch.equal(kind()(12, vocabulary(seed=int(mixed[0]))), starts[2])
    rest = ClassLabels(labels=["yes"], backoff=kind(seed=1))(13, vocabulary(seed=5))
    assert torch.equal(rest[1:], starts[2])
    with pytest.raises(UserError, match="seed must be a whole number from 0 on, not -1"):
        kind(seed=-1)


def test_the_global_random_state_plays_no_part():
    torch.manual_seed(1)
    state = torch.get_rng_state()
    first = SampledVocabulary()(9, vocabulary())
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(2)
    assert torch.equal(SampledVocabulary()(9, vocabulary()), first)


def test_sampled_rows_are_the_commonest_words_without_repetition():
    # The ten lowest ids that are no special ones.
    common = [2, 4, 5, 6, 7, 8, 9, 10, 11, 12]
    assert sorted(ids(SampledVocabulary(10)(10, vocabulary()))) == common
    few = ids(SampledVocabulary(10)(7, vocabulary()))
    assert len(set(few)) == 7 and set(few) <= set(common)


def test_sampled_rows_repeat_evenly_when_there_are_too_few():
    drawn = ids(SampledVocabulary(4)(10, vocabulary()))
    assert set(drawn) == {2, 4, 5, 6}
    assert {drawn.count(word) for word in set(drawn)} == {2, 3}
    assert len(set(drawn[:4])) == len(set(drawn[4:8])) == 4


def test_a_small_vocabulary_is_used_whole():
    drawn = ids(SampledVocabulary(5000)(46, vocabulary()))
    assert sorted(drawn) == sorted(set(range(50)) - {0, 1, 3, 49})


def test_every_common_word_is_drawn_equally_often():
    drawn = [word for seed in range(300) for word in ids(SampledVocabulary(10)(3, vocabulary(seed=seed)))]
    counts = torch.tensor(drawn).bincount()
    assert stats.chisquare(counts[counts > 0].numpy()).pvalue > 0.001


def test_sampling_from_nothing_is_refused():
    with pytest.raises(UserError, match="most_common must be at least 1, not 0"):
        SampledVocabulary(0)


def test_class_labels_are_means_of_their_tokens_then_backoff():
    start = ClassLabels()(6, vocabulary(labels=("no", "not at all", "yes")))
    expected = torch.stack([EMBEDDINGS[11], (EMBEDDINGS[12] + EMBEDDINGS[13] + EMBEDDINGS[17]) / 3, EMBEDDINGS[10]])
    torch.testing.assert_close(start[:3], expected)
    assert torch.equal(start[3:], SampledVocabulary()(3, vocabulary()))
    given = ClassLabels(labels=["yes"], backoff=Uniform(0.1))(3, vocabulary(labels=("no",)))
    assert torch.equal(given[0], EMBEDDINGS[10]) and given[1:].abs().max() <= 0.1


def test_more_labels_than_rows_are_cut():
    assert ids(ClassLabels(labels=["yes", "no"])(1, vocabulary())) == [10]


def test_labels_without_tokens_are_left_to_the_backoff():
    assert ids(ClassLabels(labels=["", "no"])(2, vocabulary()))[0] == 11
    assert len(ClassLabels(labels=[""])(2, vocabulary())) == 2


def test_a_task_without_labels_is_told_what_to_use():
    with pytest.raises(UserError, match=r"ClassLabels: the task has no labels; .* SampledVocabulary"):
        ClassLabels()(4, vocabulary())


def test_task_names_are_means_of_their_words_then_backoff():
    start = TaskNames()(4, vocabulary(tasks=("not-at_all", "no")))
    expected = torch.stack([(EMBEDDINGS[12] + EMBEDDINGS[13] + EMBEDDINGS[17]) / 3, EMBEDDINGS[11]])
    torch.testing.assert_close(start[:2], expected)
    assert torch.equal(start[2:], SampledVocabulary()(2, vocabulary()))
    assert ids(TaskNames()(1, vocabulary(tasks=("yes", "no")))) == [10]
    with pytest.raises(UserError, match=r"TaskNames: the data name no task; use SampledVocabulary"):
        TaskNames()(4, vocabulary())


def test_text_is_its_tokens_then_backoff():
    start = FromText("not at all")(5, vocabulary())
    assert ids(start[:3]) == [12, 13, 17]
    assert torch.equal(start[3:], SampledVocabulary()(2, vocabulary()))
    assert ids(FromText("not at all")(2, vocabulary())) == [12, 13]
    with pytest.raises(UserError, match="the text '' has no tokens"):
        FromText("")(5, vocabulary())


def test_a_saved_prompt_is_that_prompt(tmp_path):
    weight = torch.randn(4, WIDTH)
    save_prompt(tmp_path / "p", weight, "elsewhere/model", False, {"fingerprint": "f00"})
    assert torch.equal(SavedPrompt(str(tmp_path / "p"))(4, vocabulary()), weight)
    with pytest.raises(UserError, match=r"has length 4, but prompt_length is 5"):
        SavedPrompt(str(tmp_path / "p"))(5, vocabulary())
    with pytest.raises(UserError, match=r"hidden size 6 .* hidden size 2"):
        SavedPrompt(str(tmp_path / "p"))(4, vocabulary(embeddings=torch.zeros(9, 2)))
    with pytest.raises(UserError, match=r"weights f00.*ba5"):
        SavedPrompt(str(tmp_path / "p"))(4, vocabulary(fingerprint="ba5"))


def test_half_precision_embeddings_start_a_float32_prompt():
    small = vocabulary(embeddings=EMBEDDINGS.bfloat16())
    for initialiser in (SampledVocabulary(), ClassLabels(labels=["yes"]), Uniform(), FromText("no")):
        assert initialiser(4, small).dtype == torch.float32


def test_rows_are_copies():
    before = EMBEDDINGS.clone()
    for initialiser in (SampledVocabulary(), FromText("no"), ClassLabels(labels=["no"])):
        prompt = SoftPrompt(initialiser(3, vocabulary()))
        with torch.no_grad():
            prompt.weight.zero_()
    assert torch.equal(EMBEDDINGS, before)


def test_the_base_says_that_it_is_none():
    with pytest.raises(TypeError, match="abstract class Initialiser"):
        Initialiser()(3, vocabulary())


@pytest.mark.parametrize("shape", [(0, 4), (4,), (2, 3, 4)])
def test_a_prompt_is_a_matrix(shape):
    with pytest.raises(ValueError, match=r"\[P, H\] matrix"):
        SoftPrompt(torch.zeros(shape))


SHOWN = [(f"text {i}", "yes" if i < 5 else "no") for i in range(6)]  # five of yes, one of no


def shown(length: int, shots: int, seed: int = 0, examples=SHOWN) -> list[int]:
    """Which examples the rows show: two tokens of each, its number and its output's."""

    def tokenize(text: str) -> list[int]:
        _, number, output = text.split()
        assert text == f"text {number} {output}\n\n"
        return [20 + int(number), 10 if output == "yes" else 11]

    rows = ids(Demonstrations(shots)(length, vocabulary(seed, tokenize=tokenize, demonstrations=examples)))
    numbers, outputs = [one - 20 for one in rows[::2]], ["yes" if one == 10 else "no" for one in rows[1::2]]
    assert [SHOWN[one][1] for one in numbers] == outputs
    return numbers


def test_demonstrations_are_of_each_label_in_turn_as_far_as_they_fit():
    assert sorted(shown(100, 16)) == list(range(6))  # as many rows as they need
    for seed in range(5):
        taken = shown(100, 2, seed)
        assert len(taken) == 2 and 5 in taken  # the one of no
        assert len(shown(7, 16, seed)) == 3  # whole ones
    assert len({tuple(shown(100, 16, seed)) for seed in range(5)}) > 1
    assert shown(100, 16, 3) == shown(100, 16, 3)


def test_demonstrations_that_cannot_be():
    with pytest.raises(UserError, match="shots must be at least 1, not 0"):
        Demonstrations(0)
    with pytest.raises(UserError, match="the data have no train examples of one task"):
        Demonstrations()(9, vocabulary())
    with pytest.raises(UserError, match="none of the examples fits into prompt_length 1; raise it"):
        shown(1, 4)


def test_a_text_for_each_task():
    by_task = FromText({"a": "yes", "b": "no"})
    assert ids(by_task(1, vocabulary(tasks=("b",)))) == [11]
    with pytest.raises(UserError, match="there is no text for c, but for a, b"):
        by_task(1, vocabulary(tasks=("c",)))
    with pytest.raises(UserError, match="there is no text for several tasks together"):
        by_task(1, vocabulary(tasks=("a", "b")))
