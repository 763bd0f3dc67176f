"""What a study's method says under ``retrieve``: which prompts or source tasks of the library it takes for a target."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from mpt.util.errors import UserError
from mpt.util.keyed_yaml import Keys

EMBEDDING = "embedding"
"""Config of the runs that make the targets' keys, and the folder of these."""

# As mpt.transfer has them, without the seconds that importing it takes.
ORDERS = ("highest", "random", "lowest")
MEASURES = ("per_token", "average_token", "subspace")

_USES = {
    "best": "prompt tuning from each of the top_k prompts, and the best of them on dev",
    "average": "prompt tuning from their weighted average",
    "tasks": "upstream on the top_k tasks whose prompts come first, each once",
    "mixture": "upstream on these tasks and the target's train examples",
}
_UPSTREAM = ("tasks", "mixture")


@dataclass(frozen=True)
class Retrieve:
    """How a method uses the library (SPoT, section 3.3; Qin et al. 2023, A.7).

    Attributes:
        use: ``best`` of the retrieved prompts on dev, their weighted ``average``, or an upstream stage on their
            ``tasks``, or on the ``mixture`` of these and the target's train examples.
        top_k: how many; None for all that there are. Prompts, but for ``tasks`` and ``mixture`` tasks, each counted
            once: where the library has several prompts of a task this is more than the tasks of the first top_k
            prompts, which SPoT takes.
        order: which come first: ``highest``, ``random``, ``lowest``.
        by: the measure of similarity: ``per_token`` unless said, the choice of SPoT (section 3.3), so that a study is
            theirs; :class:`mpt.library.retrieval.Retrieval` says why ``mpt adapt`` has another.
        everything: retrieve among all of the library but the target tasks, not among the setting's source tasks alone.
    """

    use: str = "best"
    top_k: int | None = 3
    order: str = "highest"
    by: str = "per_token"
    everything: bool = False

    @property
    def tries_all(self) -> bool:
        """Whether runs start from every prompt that may be retrieved, one by one."""
        return self.use == "best" and self.top_k is None


def read_retrieve(method: Keys) -> Retrieve | None:
    """What a method's ``retrieve`` says; None if it has none.

    Args:
        method: the method's keys, of which ``upstream`` has not been taken yet.

    Raises:
        UserError: a key or value that is wrong, or that does not go with the method's stages.
    """
    has_upstream = method.left.get("upstream") is not None
    if "retrieve" in method.left and method.left["retrieve"] is None:
        raise UserError(f"{method.where}: retrieve is empty; say what, for example {{use: best, top_k: 3}}")
    keys = method.below("retrieve", None)
    if keys is None:
        return None
    use = _one_of(keys, "use", list(_USES), "tasks" if has_upstream else "best")
    top_k = _top_k(keys)
    order = _one_of(keys, "order", ORDERS, "highest")
    by = _one_of(keys, "by", MEASURES, "per_token")
    among = _one_of(keys, "from", ["sources", "library"], "sources")
    keys.end()
    if use in _UPSTREAM and not has_upstream:
        raise UserError(f"{keys.where}: use {use} is {_USES[use]}, so the method needs an upstream stage")
    if use not in _UPSTREAM and has_upstream:
        raise UserError(f"{keys.where}: use {use} is {_USES[use]}; leave out upstream, or use tasks or mixture")
    if use in _UPSTREAM and among == "library":
        raise UserError(f"{keys.where}: from library is for prompts; an upstream stage learns on source tasks alone")
    return Retrieve(use, top_k, order, by, among == "library")


def check_retrieve(method: Keys, retrieve: Retrieve | None, upstream: Any) -> None:
    """That an upstream stage can be one on retrieved tasks.

    Args:
        upstream: the method's :class:`mpt.study.spec.study.Stage`, if it has one.

    Raises:
        UserError: it cannot.
    """
    if retrieve is None or upstream is None:
        return
    where = f"{method.where}.upstream"
    if upstream.epochs is not None:
        raise UserError(
            f"{where}: epochs cannot be counted before the tasks are retrieved; give trainer.max_steps in overrides"
        )
    if upstream.seeds and retrieve.use == "mixture":
        raise UserError(
            f"{where}: a mixture learns on one draw of the target, so that each seed needs its own; leave out "
            f"{'seeds' if len(upstream.seeds) > 1 else 'seed'}"
        )


def _top_k(keys: Keys) -> int | None:
    if keys.left.get("top_k") == "all":
        keys.take("top_k", str)
        return None
    if isinstance(keys.left.get("top_k"), str):
        raise UserError(f"{keys.where}: top_k must be a whole number or the word all, not {keys.left['top_k']!r}")
    top_k: int = keys.take("top_k", int, 3)
    if top_k < 1:
        raise UserError(f"{keys.where}: top_k must be at least 1, or all, not {top_k}")
    return top_k


def _one_of(keys: Keys, name: str, known: Sequence[str], default: str) -> str:
    value = keys.take(name, str, default)
    if value not in known:
        raise UserError(f"{keys.where}: {name} is one of {', '.join(known)}, not {value!r}")
    return value
