"""The methods of a study: what the file says of them, and what they are in its table."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar

from mpt.record.options import plain
from mpt.study.spec.options import Epochs, Overrides, Rates, Seed, Seeds, StudyPart, Vary
from mpt.study.spec.retrieve import Retrieve, check_retrieve
from mpt.util.schema import Text, whole

_STEPS, _RATE = "trainer.max_steps", "model.optimizer.lr"
_MOST = 10_000


@dataclass(frozen=True)
class Stage:
    """One kind of run: a method's upstream, or its downstream.

    Attributes:
        config: experiment file, as for ``mpt fit --config``.
        overrides: dotted command-line option to value.
        learning_rates: downstream, the rates to choose from on dev; the config's own rate where there is
            none.
        seeds: upstream, those of its prompts, from each of which all seeds of the study start (``seed: 13`` is short
            for ``seeds: [13]``); where there are none, each seed of the study has its own prompt.
        epochs: upstream on a mixture, how long in place of steps: times that each of the pooled source examples is
            taken, on average.
    """

    config: str
    overrides: Mapping[str, Any] = field(default_factory=dict)
    learning_rates: tuple[float, ...] = ()
    seeds: tuple[int, ...] = ()
    epochs: float | None = None


@dataclass(frozen=True)
class Method:
    """A row of the table: learned upstream on the source tasks if it has such a stage, then on each target.

    Attributes:
        name: also the name of its folder.
        retrieve: what it takes from the study's library for each target, if anything: prompts to start from, or source
            tasks that its upstream stage learns on, target by target.
        family: the name in the file, where ``vary`` makes several methods of it.
        varied: by option the value by which it is one of them.
        ensemble: how many prompts it tunes for each target and seed, from starts of different seeds, to answer by
            their vote; 0 where it tunes one.
    """

    name: str
    downstream: Stage
    upstream: Stage | None = None
    retrieve: Retrieve | None = None
    family: str = ""
    varied: Mapping[str, float] = field(default_factory=dict, hash=False)
    ensemble: int = 0


@dataclass(frozen=True)
class DownstreamFile(StudyPart):
    config: Text
    overrides: Overrides = field(default_factory=dict)
    learning_rates: Rates = ()
    vary: Vary = field(default_factory=dict)

    def __post_init__(self) -> None:
        if "epochs" in self.vary:
            raise ValueError(f".vary: epochs are for the upstream stage; give {_STEPS}")
        if self.learning_rates and any(plain(name) == _RATE for name in self.vary):
            raise ValueError(f": learning_rates and vary both set {_RATE}; leave one of them out")

    def stages(self) -> Iterator[tuple[Mapping[str, float], Stage]]:
        """The one stage, or one for each combination of the values that are varied, with these."""
        for values in _combinations(self.vary):
            yield values, Stage(self.config, {**self.overrides, **values}, self.learning_rates)


@dataclass(frozen=True)
class UpstreamFile(StudyPart):
    config: Text
    overrides: Overrides = field(default_factory=dict)
    seed: Seed | None = None
    seeds: Seeds = ()
    epochs: Epochs | None = None
    vary: Vary = field(default_factory=dict)

    MISPLACED: ClassVar = {
        "learning_rates": "is for the downstream stage, whose dev scores choose among them; upstream, give one rate in "
        "overrides (model.optimizer.lr)"
    }

    def __post_init__(self) -> None:
        said = {plain(name) for name in (*self.overrides, *self.vary)}
        if _STEPS in said and (self.epochs is not None or "epochs" in said):
            raise ValueError(f": give epochs or {_STEPS}, not both")
        if self.epochs is not None and "epochs" in said:
            raise ValueError(": give epochs once, for all or in vary")
        if self.seeds and self.seed is not None:
            raise ValueError(": give seed (one) or seeds (a list), not both")

    def stages(self) -> Iterator[tuple[Mapping[str, float], Stage]]:
        """As downstream."""
        seeds = self.seeds if self.seed is None else (self.seed,)
        for values in _combinations(self.vary):
            own = {**self.overrides, **values}
            epochs = own.pop("epochs", self.epochs)
            yield values, Stage(self.config, own, seeds=seeds, epochs=epochs)


@dataclass(frozen=True)
class MethodFile(StudyPart):
    downstream: DownstreamFile
    upstream: UpstreamFile | None = None
    retrieve: Retrieve | None = None
    ensemble: Annotated[int, whole(2, 1000)] | None = None

    @classmethod
    def prepared(cls, content: dict[Any, Any]) -> Any:
        content = super().prepared(content)
        if content.get("retrieve", {}) is None:
            raise ValueError(": retrieve is empty; say what, for example {use: best, top_k: 3}")
        if isinstance(retrieve := content.get("retrieve"), dict) and "upstream" in content:
            content["retrieve"] = {"use": "tasks"} | retrieve
        return content

    def __post_init__(self) -> None:
        varied = [self.downstream.vary, self.upstream.vary if self.upstream is not None else {}]
        size = math.prod(len(values) for vary in varied for values in vary.values())
        if size > _MOST:
            raise ValueError(f": its vary makes {size:,} methods of it, and {_MOST:,} are the most; take fewer values")
        if self.retrieve is not None and self.ensemble is not None:
            raise ValueError(": give retrieve or ensemble, not both; what is retrieved is tried one by one")
        if self.upstream is not None and self.ensemble is not None:
            raise ValueError(
                ": an ensemble is of several starts, and what upstream learned is one; leave one of them out"
            )
        if self.retrieve is not None:
            check_retrieve(self.retrieve, self.upstream)

    def methods(self, name: str) -> Iterator[Method]:
        upstream: list[tuple[Mapping[str, float], Stage | None]] = [({}, None)]
        if self.upstream is not None:
            upstream = list(self.upstream.stages())
        for (first, learned), (then, stage) in itertools.product(upstream, self.downstream.stages()):
            end = "".join(f"-{value:g}" for value in (*first.values(), *then.values()))
            family, varied = name if end else "", {**first, **then}
            if both := first.keys() & then.keys():  # two options of one name
                varied |= {f"upstream {option}": first[option] for option in both}
            yield Method(name + end, stage, learned, self.retrieve, family, varied, self.ensemble or 0)


def _combinations(vary: Mapping[str, Sequence[float]]) -> Iterator[dict[str, float]]:
    return (dict(zip(vary, values, strict=True)) for values in itertools.product(*vary.values()))
