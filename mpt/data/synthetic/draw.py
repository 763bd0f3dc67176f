"""Few-shot draws of the embedded suite's tasks, as CrossFit draws them."""

from __future__ import annotations

from functools import lru_cache

from mpt.data.synthetic.second_language import OWN_RECIPES, SECOND_RECIPES
from mpt.data.synthetic.suite import RECIPES, TaskRecipe
from mpt.data.tasks.sampling import sample
from mpt.data.tasks.task import Example, FewShot, Shots, Task
from mpt.util.errors import UserError
from mpt.util.names import nearest
from mpt.util.stable_random import StableRandom

TEST_SIZE = 200
_ALL = {**RECIPES, **SECOND_RECIPES, **OWN_RECIPES}
_POOL = 4  # training examples that a seed can draw from, in units of what it draws


def synthetic_tasks() -> dict[str, Task]:
    """Every task by name: of the suite, of the same in the second language, and unlabelled text in both."""
    return {name: recipe.task for name, recipe in _ALL.items()}


def synthetic_fewshot(task: str, seed: int, k: Shots | None = None) -> FewShot:
    """One few-shot draw: a pure function of its arguments.

    Args:
        k: examples per label, or in all where there are no labels; CrossFit's 16 or 32 by default.

    The test list (:data:`TEST_SIZE` examples) depends on neither ``seed`` nor ``k``; train, dev and test
    share no input.

    Raises:
        UserError: no task of that name, ``k`` is not a positive number, or the task has too few inputs for it.
    """
    recipe = _ALL.get(task)
    if recipe is None:
        raise UserError(f"There is no task {task!r} in the synthetic suite; {nearest(task, _ALL)}")
    labels = recipe.task.labels
    if k is None:
        k = 16 if labels else 32
    if k == "all":
        raise UserError("--data.k all is for data from files; the synthetic suite has no end: give a number.")
    if k < 1:
        raise UserError(f"--data.k must be at least 1, not {k}.")
    pool, test = _drawn_from(task, k)
    train, dev = sample(pool, k, seed, by_label=bool(labels))
    return FewShot(recipe.task, seed, k, train, dev, list(test))


@lru_cache(maxsize=8)  # a study asks for thousands of draws of a task, and this is most of making one
def _drawn_from(task: str, k: int) -> tuple[list[Example], list[Example]]:
    """What all draws of a task and size have in common: the pool that they are drawn from, and the test list."""
    recipe = _ALL[task]
    test = _examples(recipe, "test", TEST_SIZE, set())
    return _examples(recipe, "pool", _POOL * k * max(1, len(recipe.task.labels)), {e.input for e in test}), test


def _examples(recipe: TaskRecipe, part: str, n: int, taken: set[str]) -> list[Example]:
    """``n`` examples with different inputs, none in ``taken``, labels in turn."""
    rng = StableRandom(recipe.task.name, part)
    labels = recipe.task.labels or ("",)
    seen = set(taken)
    out: list[Example] = []
    tries = 0
    while len(out) < n:
        text, target = recipe.make(rng, labels[len(out) % len(labels)])
        tries += 1
        if text in seen:
            if tries < 20 * n:
                continue
            if text:  # that of unlabelled text is empty
                raise UserError(
                    f"the synthetic task {recipe.task.name} has {len(out)} different inputs and not the {n} that so "
                    "large a draw is made of; lower --data.k"
                )
        seen.add(text)
        out.append(Example(text, (target,)))
    return out
