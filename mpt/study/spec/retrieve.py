"""What a study's method says under ``retrieve``: which prompts or source tasks of the library it takes for a target."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import Field

from mpt.util.schema import Checked, FromFile, one_of, whole

EMBEDDING = "embedding"
"""Config of the runs that make the targets' keys, and the folder of these."""

# As mpt.library has them, without the seconds that importing it takes.
ORDERS = ("highest", "random", "lowest")
MEASURES = ("per_token", "average_token", "subspace", "centred")

_USES = {
    "best": "prompt tuning from each of the top_k prompts, and the best of them on dev",
    "average": "prompt tuning from their weighted average",
    "sum": "prompt tuning from a new start plus the sum of what their tasks added to theirs",
    "mixed": "prompt tuning of a new prompt and the weights of a mixture of it and theirs",
    "tasks": "upstream on the top_k tasks whose prompts come first, each once",
    "mixture": "upstream on these tasks and the target's train examples",
}
_UPSTREAM = ("tasks", "mixture")


_COUNT = whole(1, word="all")
_FROM = one_of(("sources", "library"))

TopK = Annotated[
    int | None, Checked(lambda given, _: None if _COUNT.check(given, _as_given) == "all" else given, _COUNT.schema)
]
Everything = Annotated[
    bool, Checked(lambda given, _: _FROM.check(given, _as_given) == "library", {"type": "string", **_FROM.schema})
]


@dataclass(frozen=True)
class Retrieve(FromFile):
    """How a method uses the library (SPoT, section 3.3; Qin et al. 2023, A.7).

    Attributes:
        use: ``best`` of the retrieved prompts on dev, their weighted ``average``, the ``sum`` of their task vectors
            (:mod:`mpt.library.task_vectors`) or a learned mixture (``mixed``, :mod:`mpt.prompt.mixture`), or an
            upstream stage on their ``tasks``, or on the ``mixture`` of these and the target's train examples.
        top_k: how many; None for all that there are. Prompts, but for ``tasks`` and ``mixture`` tasks, each counted
            once: where the library has several prompts of a task this is more than the tasks of the first top_k
            prompts, which SPoT takes.
        order: which come first: ``highest``, ``random``, ``lowest``.
        by: the measure of similarity: ``per_token`` unless said, the choice of SPoT (section 3.3), so that a study is
            theirs; :class:`mpt.library.retrieval.Retrieval` says why ``mpt adapt`` has another.
        everything: retrieve among all of the library but the target tasks, not among the setting's source tasks alone.
    """

    use: Annotated[str, one_of(tuple(_USES))] = "best"
    top_k: TopK = 3
    order: Annotated[str, one_of(ORDERS)] = "highest"
    by: Annotated[str, one_of(MEASURES)] = "per_token"
    everything: Annotated[Everything, Field(alias="from")] = False

    @property
    def tries_all(self) -> bool:
        """Whether runs start from every prompt that may be retrieved, one by one."""
        return self.use == "best" and self.top_k is None


def check_retrieve(retrieve: Retrieve, upstream: Any) -> None:
    """That what is retrieved goes with a method's upstream stage.

    Args:
        upstream: what the file says of it, if the method has one.
    """
    use = f".retrieve: use {retrieve.use} is {_USES[retrieve.use]}"
    if retrieve.use not in _UPSTREAM:
        if upstream is not None:
            raise ValueError(f"{use}; leave out upstream, or use tasks or mixture")
        return
    if upstream is None:
        raise ValueError(f"{use}, so the method needs an upstream stage")
    if retrieve.everything:
        raise ValueError(".retrieve: from library is for prompts; an upstream stage learns on source tasks alone")
    if upstream.epochs is not None or "epochs" in upstream.vary:
        raise ValueError(
            ".upstream: epochs cannot be counted before the tasks are retrieved; give trainer.max_steps in overrides"
        )
    if retrieve.use == "mixture" and (upstream.seeds or upstream.seed is not None):
        raise ValueError(
            ".upstream: a mixture learns on one draw of the target, so that each seed needs its own; leave out "
            f"{'seeds' if upstream.seeds else 'seed'}"
        )


def _as_given(value: Any) -> Any:
    return value
