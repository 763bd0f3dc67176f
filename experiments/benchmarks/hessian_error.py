"""How right MAML's second-order term is by finite differences, over random prompts and tasks of mpt-tiny.

    python experiments/benchmarks/hessian_error.py
    python experiments/benchmarks/hessian_error.py --pairs 20 --steps 1 --ways finite_difference exact --out pairs.csv

A pair is an episode of a task of the synthetic suite (4 support and 4 query examples of one draw) and a prompt of 20
rows: in turn one of sampled vocabulary, one on its way upstream (after 20, 60 or 200 steps on a mixture of all tasks)
and one that prompt tuning has brought to a task, from the library that is shipped. The inner rate is drawn too, even in
its logarithm between 0.03 and 3, around those of the shipped studies and sweeps (0.03 to 1); what part of its norm the
prompt moves in the first step is a column.

The reference is double backward in float64, model and all, T5's norms and softmax too. The second-order term is what
MAML adds to FoMAML's gradient in the same arithmetic, and ``error`` is ``|term - exact term| / |exact term|``.
``against_gradient`` is ``|MAML - exact MAML| / |exact term|``, in which the rounding of FoMAML's part counts too: where
a prompt has learned its task, that alone can be larger than the term, whoever takes it (``exact``: double backward in
float32). ``gradients`` are those that a product cost, by the mean. 200 pairs take some ten minutes on one core.
"""

from __future__ import annotations

import argparse
import csv
import math
import random
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from mpt.adapt.tuning import plain_start
from mpt.backbone.encoding import Batch
from mpt.backbone.model import FrozenBackbone, token_mean
from mpt.backbone.source import ASSETS
from mpt.data.fewshot.files import load_fewshot, task_names
from mpt.data.tasks.task import FewShot
from mpt.learn import PromptAdafactor
from mpt.learn.meta import MAML
from mpt.learn.meta.inner_loop import gradient_of
from mpt.prompt.files import load_prompt

WAYS = ("finite_difference", "exact")
DRAWS = (13, 21, 42, 87, 100)
LENGTH, ROWS = 20, 4
RATES = (0.03, 3.0)
UPSTREAM_STEPS = (20, 60, 200)
UPSTREAM_SEEDS = (13, 21, 42)
ALLOWED = 0.02
FACTS = ("pair", "prompt", "task", "inner_lr", "moved", "inner_steps")
FOUND = ("second_order", "way", "error", "against_gradient", "gradients")


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0], allow_abbrev=False)
    parser.add_argument("--pairs", type=positive, default=200)
    parser.add_argument("--steps", nargs="+", type=positive, default=[1, 5, 10], help="numbers of inner steps")
    parser.add_argument("--ways", nargs="+", default=["finite_difference"], choices=WAYS)
    parser.add_argument("--seed", type=int, default=0, help="of the pairs")
    parser.add_argument("--threads", type=positive, default=1, help="CPU threads")
    parser.add_argument("--out", type=Path, help="CSV file with a row for each pair, number of steps and way")
    options = parser.parse_args(arguments)
    if options.out and options.out.is_dir():
        parser.error(f"--out {options.out} is a folder; give a file")
    torch.set_num_threads(options.threads)
    rows = list(measured(options))
    print(
        f"mpt-tiny, {options.pairs} pairs of prompt and task, inner rates {RATES[0]} to {RATES[1]}, seed {options.seed}"
    )
    print(table(rows))
    if options.out:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        with options.out.open("w", newline="") as file:
            writer = csv.DictWriter(file, [*FACTS, *FOUND])
            writer.writeheader()
            writer.writerows({key: f"{x:.4g}" if isinstance(x, float) else x for key, x in row.items()} for row in rows)
        print(f"written to {options.out}")


def positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1, not {number}")
    return number


def measured(options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """A row for each pair, number of steps and way."""
    suite, wide = Suite(), Suite(torch.float64)
    for number, (facts, prompt, support, query) in enumerate(pairs(suite, options.pairs, options.seed), start=1):
        rate = facts["inner_lr"]
        for steps in sorted(set(options.steps)):
            with AllFloat64():
                exact, exact_first, _ = wide.gradients(MAML(rate, steps, "exact"), prompt.double(), support, query)
            term = exact - exact_first
            for way in dict.fromkeys(options.ways):
                found, first, evaluations = suite.gradients(MAML(rate, steps, way), prompt, support, query)
                yield {
                    **facts,
                    "inner_steps": steps,
                    "second_order": norm(term) / norm(exact),
                    "way": way,
                    "error": norm((found.double() - first) - term) / norm(term),
                    "against_gradient": norm(found - exact) / norm(term),
                    "gradients": (evaluations - 1) / steps - 1,  # all but the query's and those of the inner steps
                }
        if number % 20 == 0:
            print(f"{number} of {options.pairs} pairs", file=sys.stderr, flush=True)


def norm(tensor: Tensor) -> float:
    return float(tensor.norm())


def table(rows: list[dict[str, Any]]) -> str:
    """Quantiles of the error over the pairs by way and number of steps, and what a product cost."""
    words = ["inner steps", "median", "99 %", "worst", "over 2 %", "against gradient: 99 %", "worst", "gradients"]
    lines = ["way".ljust(20) + "".join(f"    {word}" for word in words)]
    keys = {(WAYS.index(row["way"]), row["inner_steps"]) for row in rows}
    for place, steps in sorted(keys):
        mine = [row for row in rows if (row["way"], row["inner_steps"]) == (WAYS[place], steps)]
        error, against = (np.array([row[name] for row in mine]) for name in ("error", "against_gradient"))
        cells = [
            str(steps),
            *(percent(value) for value in (np.median(error), np.quantile(error, 0.99), error.max())),
            f"{(error > ALLOWED).sum()}/{len(error)}",
            *(percent(value) for value in (np.quantile(against, 0.99), against.max())),
            f"{np.mean([row['gradients'] for row in mine]):.2f}",
        ]
        columns = zip(words, cells, strict=True)
        lines.append(WAYS[place].ljust(20) + "".join(f"    {cell:>{len(word)}}" for word, cell in columns))
    return "\n".join(lines)


def percent(share: float) -> str:
    return f"{100 * share:.2f} %"


class Suite:
    """mpt-tiny on the synthetic tasks.

    Attributes:
        tasks: their names.
    """

    def __init__(self, dtype: torch.dtype = torch.float32) -> None:
        self.backbone = FrozenBackbone("mpt-tiny").eval().to(dtype)
        self.tasks = task_names("synthetic")

    def batch(self, rng: random.Random, task: str, draw: int, split: str, rows: int) -> Batch:
        return self.encoded(rng.sample(getattr(drawn(task, draw), split), rows))

    def encoded(self, examples: Any) -> Batch:
        return self.backbone.encode([one.input for one in examples], [one.targets[0] for one in examples])

    def loss(self, prompt: Tensor, batch: Batch) -> Tensor:
        return token_mean(self.backbone.loss(prompt, batch), batch)

    def gradients(self, algorithm: MAML, prompt: Tensor, support: Batch, query: Batch) -> tuple[Tensor, Tensor, int]:
        """MAML's gradient, FoMAML's, and how often the former evaluated the loss."""
        evaluations = 0

        def counted(prompt: Tensor, batch: Batch) -> Tensor:
            nonlocal evaluations
            evaluations += 1
            return self.loss(prompt, batch)

        found = algorithm(counted, prompt, [support], query)
        return found.gradient, gradient_of(self.loss, found.adapted, query)[1], evaluations

    def upstream(self, seed: int) -> dict[int, Tensor]:
        """A prompt on its way over a mixture of all tasks, by the number of steps."""
        rng = random.Random(seed)
        prompt = torch.nn.Parameter(plain_start(self.backbone, LENGTH, seed))
        optimizer, seen = PromptAdafactor([prompt], lr=0.1), {}
        for step in range(1, max(UPSTREAM_STEPS) + 1):
            draws = [drawn(task, rng.choice(DRAWS)) for task in rng.sample(self.tasks, 24)]
            batch = self.encoded([rng.choice(draw.train) for draw in draws])
            optimizer.zero_grad()
            self.loss(prompt, batch).backward()
            optimizer.step()
            if step in UPSTREAM_STEPS:
                seen[step] = prompt.detach().clone()
        return seen


@cache
def drawn(task: str, draw: int) -> FewShot:
    return load_fewshot("synthetic", task, draw)


def pairs(suite: Suite, count: int, seed: int) -> Iterator[tuple[dict[str, Any], Tensor, Batch, Batch]]:
    """What each is, its prompt, support and query batch."""
    stored = sorted((ASSETS / "library" / "synthetic" / "prompts").iterdir())
    ways: dict[int, dict[int, Tensor]] = {}
    for number in range(count):
        rng = random.Random(f"{seed}-{number}")
        task, draw, start = rng.choice(suite.tasks), rng.choice(DRAWS), rng.choice(UPSTREAM_SEEDS)
        if number % 3 == 0:
            kind, prompt = "vocabulary", plain_start(suite.backbone, LENGTH, rng.randrange(2**31))
        elif number % 3 == 1:
            ways[start] = ways.get(start) or suite.upstream(start)
            steps = rng.choice(UPSTREAM_STEPS)
            kind, prompt = f"upstream {steps}", ways[start][steps]
        else:
            folder = rng.choice(stored)
            kind, prompt = folder.name, load_prompt(folder).weight
        rate = math.exp(rng.uniform(*map(math.log, RATES)))
        support, query = (suite.batch(rng, task, draw, split, ROWS) for split in ("train", "dev"))
        moved = rate * norm(gradient_of(suite.loss, prompt, support)[1]) / norm(prompt)
        facts = {"pair": number, "prompt": kind, "task": task, "inner_lr": rate, "moved": moved}
        yield facts, prompt, support, query


class AllFloat64(TorchFunctionMode):
    """Casts of float64 to float32 are left out: T5 takes its norms and softmax so, and our loss its own softmax."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        narrows = func is Tensor.float or (func is Tensor.to and args[1:] == (torch.float32,))
        if narrows and args[0].dtype == torch.float64:
            return args[0]
        return func(*args, **(kwargs or {}))


if __name__ == "__main__":
    main()
