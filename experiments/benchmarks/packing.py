"""Whether runs trained side by side score as they do alone, and what becomes of a rounding error in them.

    python experiments/benchmarks/packing.py --out experiments/results/packing

Each run is the PT of a study (prompt tuning of one target, one seed), done by the study's own code:

- ``alone``: as ``mpt fit`` and ``mpt test`` do it;
- ``packed``: side by side with others;
- ``nudged``: alone, from a start whose every number is off by a relative 1e-6: what so small a change does to a run,
  packs or no packs;
- ``alone64``, ``packed64``: alone and side by side again, computed in float64. If packs took other steps than runs
  alone do, they would here too; rounding hardly happens.

``cells.csv`` has the test score of each; ``packing.md`` says how often they are equal, whether their mean difference
is zero (paired t test), and how far apart the prompts are from step to step.
"""

from __future__ import annotations

import argparse
import csv
import json
import platform
import statistics
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
import yaml
from scipy import stats
from torch import Tensor
from torch.optim.optimizer import register_optimizer_step_post_hook
from transformers.models.t5.modeling_t5 import T5LayerNorm

from mpt.backbone.model import FrozenBackbone
from mpt.prompt.initialisers import InitContext, SampledVocabulary
from mpt.study.plan.grid import plan
from mpt.study.plan.grouping import units
from mpt.study.plan.planned_run import PlannedRun
from mpt.study.run.environment import commit, versions
from mpt.study.run.one import do_run
from mpt.study.run.side_by_side import run_pack
from mpt.study.spec.study import load_study

WAYS = ("alone", "packed", "nudged", "alone64", "packed64")
PAIRS = {
    "side by side": ("alone", "packed"),
    "alone, start off by 1e-6": ("alone", "nudged"),
    "side by side, both in float64": ("alone64", "packed64"),
}
Far = dict[int, tuple[float, float]]
"""Relative distance between two prompts by step: median over the runs, and largest."""
OVERRIDES: dict[str, Any] = {"trainer.logger": False}


class Nudged(SampledVocabulary):
    """A start whose numbers are off by a relative 1e-6, a standard deviation."""

    def __call__(self, length: int, vocabulary: InitContext) -> Tensor:
        start = super().__call__(length, vocabulary)
        return start * (1 + 1e-6 * torch.randn(start.shape, generator=torch.Generator().manual_seed(0)))


@dataclass(frozen=True)
class Done:
    """What a run left: its test score, and its prompts by step."""

    score: float
    prompts: Mapping[int, Tensor]


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0], allow_abbrev=False)
    parser.add_argument("--model", default="mpt-tiny", help="mpt-tiny, or a folder")
    parser.add_argument("--targets", nargs="*", help="all of synthetic-random-to-random if not given")
    parser.add_argument("--seeds", nargs="*", type=int, default=[13, 21, 42, 87, 100])
    parser.add_argument("--rate", type=float, default=0.1)
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--every", type=int, default=25, help="steps between evaluations")
    parser.add_argument("--prompt-length", type=int, default=20)
    parser.add_argument("--size", type=int, default=8, help="most runs side by side")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, required=True, help="folder for cells.csv and packing.md")
    options = parser.parse_args(arguments)

    torch.set_num_threads(options.threads)
    done = {}
    for way in WAYS:
        with tempfile.TemporaryDirectory() as folder, in_float64(way.endswith("64")):
            cells = plan(load_study(study(options, way == "nudged", Path(folder))), Path(folder) / "out")
            done[way] = run(cells, options.size if way.startswith("packed") else 1, options.steps)
        print(f"{way}: {len(done[way])} runs", flush=True)
    options.out.mkdir(parents=True, exist_ok=True)
    rows = [row(target, seed, {way: done[way][target, seed] for way in WAYS}) for target, seed in done["alone"]]
    with (options.out / "cells.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    text = page(options, rows, {name: apart(done[one], done[two]) for name, (one, two) in PAIRS.items()})
    (options.out / "packing.md").write_text(text, encoding="utf-8")
    print(text)


# The runs -------------------------------------------------------------------------------------------------


def study(options: argparse.Namespace, nudged: bool, folder: Path) -> Path:
    """The file of a study of PT alone."""
    overrides = {
        **OVERRIDES,
        **({"model.init": "packing.Nudged"} if nudged else {}),
        "model.prompt_length": options.prompt_length,
        "model.optimizer.lr": options.rate,
        "trainer.max_steps": options.steps,
        "trainer.val_check_interval": options.every,
        "trainer.accelerator": "cpu",
    }
    content: dict[str, Any] = {
        "name": "packing",
        "backbone": options.model,
        "root": "synthetic",
        "partition": "synthetic-random-to-random",
        "seeds": options.seeds,
        "baseline": "PT",
        "methods": {"PT": {"downstream": {"config": "prompt_tuning", "overrides": overrides}}},
    }
    if options.targets:
        content["targets"] = options.targets
    path = folder / "study.yaml"
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    return path


def run(cells: Sequence[PlannedRun], size: int, steps: int) -> dict[tuple[str, int], Done]:
    """Do all cells, ``size`` side by side at most: what they left, by target and seed."""
    done = {}
    for unit in units(cells, size):
        with watched(steps) as prompts:
            ended = run_pack(unit) if len(unit) > 1 else {unit[0].key: do_run(unit[0])}
        if set(ended.values()) != {"finished"}:
            raise SystemExit("\n".join((cell.folder / "log.txt").read_text() for cell in unit))
        for cell, kept in zip(unit, prompts, strict=True):
            result = json.loads((cell.folder / "result.json").read_text())
            assert result.get("side_by_side", 1) == len(unit), "done one by one after all"
            done[str(cell.target), cell.seed] = Done(result["score"], kept)
    return done


@contextmanager
def watched(last: int) -> Iterator[list[dict[int, Tensor]]]:
    """The prompts of the runs that are done meanwhile, in the order of their first steps, at some steps."""
    steps, place = moments(last), {}
    found: list[dict[int, Tensor]] = []

    def look(optimizer: torch.optim.Optimizer, *_: Any) -> None:
        if optimizer not in place:  # an optimiser is kept, so that no other comes to lie where it lay
            place[optimizer] = len(found)
            found.append({})
        prompt = optimizer.param_groups[0]["params"][0]
        if (step := optimizer.state[prompt]["step"]) in steps:
            found[place[optimizer]][step] = prompt.detach().clone()

    hook = register_optimizer_step_post_hook(look)
    try:
        yield found
    finally:
        hook.remove()


def moments(last: int) -> list[int]:
    """Steps at which prompts are compared."""
    return [1, *(step for step in (5, 10, 25, 50, 75) if step < last), last]


@contextmanager
def in_float64(wanted: bool = True) -> Iterator[None]:
    """Make everything float64: the weights of a T5, prompts, losses, and its norms, which are always float32 else."""
    load = FrozenBackbone.__init__

    def loaded(self: FrozenBackbone, *options: Any) -> None:
        load(self, *options)
        self.double()

    def norm(self: T5LayerNorm, hidden: Tensor) -> Tensor:
        return self.weight * hidden * torch.rsqrt(hidden.pow(2).mean(-1, keepdim=True) + self.variance_epsilon)

    with ExitStack() as stack:
        if wanted:
            stack.enter_context(patch.object(FrozenBackbone, "__init__", loaded))
            stack.enter_context(patch.object(T5LayerNorm, "forward", norm))
            stack.enter_context(patch.object(Tensor, "float", Tensor.double))
        yield


# What is said of them -------------------------------------------------------------------------------------


def row(target: str, seed: int, done: Mapping[str, Done]) -> dict[str, Any]:
    """A line of ``cells.csv``: scores and differences from alone, in fractions."""
    score = {way: done[way].score for way in WAYS}
    return {
        "target": target,
        "seed": seed,
        "alone": score["alone"],
        "packed": score["packed"],
        "difference": round(score["packed"] - score["alone"], 6),
        "nudged": score["nudged"],
        "nudged_difference": round(score["nudged"] - score["alone"], 6),
        "alone64": score["alone64"],
        "packed64": score["packed64"],
        "difference64": round(score["packed64"] - score["alone64"], 6),
    }


def apart(one: Mapping[Any, Done], two: Mapping[Any, Done]) -> Far:
    """How far apart what two ways left is."""

    def distance(cell: Any, step: int) -> float:
        first, second = one[cell].prompts[step].double(), two[cell].prompts[step].double()
        return float((first - second).norm() / first.norm())

    steps = next(iter(one.values())).prompts
    found = {step: [distance(cell, step) for cell in one] for step in steps}
    return {step: (statistics.median(values), max(values)) for step, values in found.items()}


def differences(rows: Sequence[Mapping[str, Any]], one: str, two: str) -> list[float]:
    """In points, a cell each."""
    return [100 * (float(row[two]) - float(row[one])) for row in rows]


def page(
    options: argparse.Namespace,
    rows: Sequence[Mapping[str, Any]],
    distances: Mapping[str, Far],
) -> str:
    """``packing.md``."""
    found = {name: differences(rows, *pair) for name, pair in PAIRS.items()}
    packed, nudged = (found[name] for name in list(PAIRS)[:2])
    alike = stats.wilcoxon([abs(a) - abs(b) for a, b in zip(packed, nudged, strict=True)], zero_method="zsplit").pvalue
    steps = list(next(iter(distances.values())))
    lines = [
        "# Runs side by side and alone",
        "",
        f"{len(rows)} runs of PT ({Path(options.model).name}, prompt {options.prompt_length}, Adafactor at "
        f"{options.rate:g}, {options.steps} steps, dev every {options.every}) on the synthetic suite, at most "
        f"{options.size} side by side, each against the same run alone. Differences of test scores in points; p of a "
        "paired t test.",
        "",
        "Side by side the same sums are rounded otherwise, for matrices have other shapes and texts other padding. The "
        "second row says what a change of that size does to a run that has nothing to do with packs. In the third, "
        "rounding is a billion times smaller: steps that were not the same would show from the first on.",
        "",
        "| against alone | equal scores | mean difference ± standard error | p | mean size | largest |",
        "|:--|--:|--:|--:|--:|--:|",
        *(table_row(name, values) for name, values in found.items()),
        "",
        "Relative distance between the two prompts, median over the runs and, in brackets, largest:",
        "",
        f"| step | {' | '.join(map(str, steps))} |",
        f"|:--|{'--:|' * len(steps)}",
        *(f"| {name} | {' | '.join(map(told, far.values()))} |" for name, far in distances.items()),
        "",
        f"Sizes of the first two rows' differences, run by run: p = {alike:.2f} (Wilcoxon's signed ranks).",
        "",
        "`python experiments/benchmarks/packing.py --out experiments/results/packing`, "
        f"{options.threads} thread{'s' * (options.threads > 1)} of "
        f"{processor()}; {', '.join(map(' '.join, versions().items()))}; commit {(commit() or 'unknown')[:7]}.",
    ]
    return "\n".join(lines) + "\n"


def told(distance: tuple[float, float]) -> str:
    """A cell of the second table."""
    return "{:.0e} ({:.0e})".format(*distance)


def table_row(name: str, values: Sequence[float]) -> str:
    """A line of the first table."""
    error = statistics.stdev(values) / len(values) ** 0.5
    # Equal throughout, there is nothing to test.
    p = f"{stats.ttest_1samp(values, 0).pvalue:.2f}" if error else ""
    equal = sum(abs(value) < 1e-4 for value in values)
    sizes = [abs(value) for value in values]
    return (
        f"| {name} | {equal} of {len(values)} | {statistics.mean(values):+.2f} ± {error:.2f} | {p} | "
        f"{statistics.mean(sizes):.1f} | {max(sizes):.1f} |"
    )


def processor() -> str:
    """Name of the processor."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


if __name__ == "__main__":
    main()
