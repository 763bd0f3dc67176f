"""Which downstream runs are trained side by side: packs, that depend on the plan and on what is finished of it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from itertools import pairwise

from mpt.backbone.source import lies_at, weights_in
from mpt.record.options import as_words, plain
from mpt.study.plan.planned_run import PlannedRun

OWN = (
    "seed_everything",
    "data.seed",
    "data.task",
    "model.optimizer.lr",
    "trainer.default_root_dir",
    "trainer.logger.name",
)
"""Options in which runs of one pack may differ: all else decides how a step is taken, or what a run leaves behind."""

_STARTS = ("model.init.path", "model.init.key", "model.init.rank", "model.init.seed")
"""Options in which they may differ beside these where what they start from was made for their target alone."""

_ON_GPU, _ON_CPU = 16, 8
_SMALL = 64 << 20
"""Bytes of a backbone's weights up to which runs side by side are taken to be faster on a CPU: with mpt-tiny (2.4 MB) 8
of them take 0.62 of the CPU time of ordinary runs (experiments/benchmarks/side_by_side.py), most of it saved on what
each call costs whatever the model's size, which a larger model feels less."""


def default_size(runs: Sequence[PlannedRun]) -> int:
    """How many runs this machine trains side by side where a study does not say: 1 where that is not faster.

    Args:
        runs: the plan, whose largest backbone decides on a CPU.
    """
    from mpt.util.machine import gpu_names

    if gpu_names():
        return _ON_GPU
    return _ON_CPU if are_small(runs) else 1


def are_small(runs: Sequence[PlannedRun]) -> bool:
    """Whether all backbones of a plan have a few megabytes of weights, so that a second thread waits more than it
    works: where other processes want the cores as well, many times so.
    """
    return all(_is_small(name) for name in {str(run.resolved["model.backbone"]) for run in runs})


def _is_small(backbone: str) -> bool:
    place = lies_at(backbone)
    return place is not None and 0 < weights_in(place) < _SMALL


def units(runs: Sequence[PlannedRun], size: int) -> list[tuple[PlannedRun, ...]]:
    """Every run in a unit of at most ``size``, those of a unit alike but for :data:`OWN`.

    Only downstream runs of prompt tuning share a unit, and such as start from the same prompt, from none, or from one
    that was made for their target alone. Units are in the
    order of their first run, runs in the order of the plan; what could not be in one unit is shared equally (17 runs
    at 16 are 8 and 9).

    Args:
        runs: the whole plan.
        size: most runs of a unit.
    """
    return _shared_out(runs, size, runs)


def units_left(
    runs: Sequence[PlannedRun], size: int, left: Collection[str], begun: Sequence[Sequence[PlannedRun]] = ()
) -> list[tuple[PlannedRun, ...]]:
    """The units of what is to do of a plan, in the order of their first run.

    Packs that have begun stay as they are, what is finished of them included: a run that is resumed must meet the same
    neighbours. So do those of which nothing is finished, whose numbers then are those of a study that was never
    stopped. What is to do of the others is shared out anew, so that nothing finished is done again.

    Args:
        left: keys of the runs that have no result.
        begun: packs that left a state; those of more runs than ``size`` begin anew, for it may be less for a reason.
    """
    fit = [unit for unit in begun if len(unit) <= max(1, size)]
    going = [tuple(unit) for unit in fit if any(run.key in left for run in unit)]
    taken = {run.key for unit in going for run in unit}
    whole: list[tuple[PlannedRun, ...]] = []
    rest: list[PlannedRun] = []
    for unit in units(runs, size):
        own = tuple(run for run in unit if run.key in left and run.key not in taken)
        if own == unit:
            whole.append(unit)
        else:
            rest += own
    return _in_order([*going, *whole, *_shared_out(rest, size, runs)], runs)


def _shared_out(some: Sequence[PlannedRun], size: int, runs: Sequence[PlannedRun]) -> list[tuple[PlannedRun, ...]]:
    alike: dict[tuple[object, ...], list[PlannedRun]] = {}
    shared = {run.key for run in runs if run.target is None}
    for run in some:
        alike.setdefault(_kind(run, shared), []).append(run)
    found: list[tuple[PlannedRun, ...]] = []
    for group in alike.values():
        number = -(-len(group) // max(1, size))
        ends = [len(group) * place // number for place in range(number + 1)]
        found += [tuple(group[first:end]) for first, end in pairwise(ends)]
    return _in_order(found, runs)


def _in_order(found: list[tuple[PlannedRun, ...]], runs: Sequence[PlannedRun]) -> list[tuple[PlannedRun, ...]]:
    place = {run.key: number for number, run in enumerate(runs)}
    return sorted(found, key=lambda unit: place[unit[0].key])


def _kind(run: PlannedRun, shared: set[str]) -> tuple[object, ...]:
    if run.stage != "downstream" or run.resolved.class_name("model") != "PromptTuning":
        return (run.key,)
    alike = shared.issuperset(run.needs)
    own = OWN if alike else OWN + _STARTS
    options = {plain(name): value for name, value in run.options.items()}
    return (
        run.method,
        run.partition,
        run.needs if alike else "its own",
        *as_words({name: value for name, value in options.items() if name not in own}),
    )
