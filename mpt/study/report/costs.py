"""What each method learned upstream cost: steps, example passes and seconds, the library that it retrieves from
included.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mpt.present.table import Table, TableCell
from mpt.record.folder import RunFolder
from mpt.record.options import RunOptions
from mpt.study.plan.fingerprints import TEACHERS
from mpt.study.run.results import RunRecord, StudyFacts
from mpt.study.spec.retrieve import EMBEDDING
from mpt.util.errors import UserError
from mpt.util.reading import parse_json

_SPENT = ("steps", "examples", "seconds")
COST_COLUMNS = ["method", "part", "runs", *_SPENT, "at_least"]

READING = (
    "all that was learned before a target's own runs, over all upstream seeds and targets of the setting. An example "
    "pass is a row of a training batch, each time that it is read for a loss: a meta-learner reads its support rows at "
    "each inner step and its query rows once (what MAML's Hessian reads again is not counted). The prompts of the "
    "library that may be retrieved count whole for each method that retrieves, those of a library of teachers for each "
    "that learns from them, and so do the runs that make the targets' keys, though all "
    "are paid for once: shared is how many of the passes that is. > stands where a part is "
    "not known. What follows on the targets is not in here; a method that tries several starts or rates has as many "
    "runs there."
)

Spent = tuple[int | None, int | None, float | None]
"""Steps, example passes and seconds of one training; None where they are not known."""

Source = tuple[str, str, str, str]
"""A library as a run's command line names it: where it is, the backbone, the tasks left out (JSON), the digest of the
rest.
"""


@dataclass(frozen=True)
class Amount:
    """A sum, of which parts may not be known: ``1,200``, ``> 1,200``, ``unknown``."""

    known: float = 0
    whole: bool = True

    @classmethod
    def of(cls, values: Iterable[float | None]) -> Amount:
        """The sum of values, of which None is not known."""
        values = list(values)
        return cls(sum(value for value in values if value is not None), None not in values)

    def __add__(self, other: Amount) -> Amount:
        return Amount(self.known + other.known, self.whole and other.whole)

    def __str__(self) -> str:
        if not self.whole and not self.known:
            return "unknown"
        return f"{'' if self.whole else '> '}{self.known:,.0f}"


@dataclass(frozen=True)
class Cost:
    """What a part of what a method learned upstream took, in one setting.

    Attributes:
        part: ``own`` upstream runs, the runs that make the targets' ``keys``, the ``library``'s prompts that may be
            retrieved, or ``none`` where a method learns nothing before its targets.
        runs: finished ones; of a library the prompts.
        examples: example passes, see :attr:`mpt.learn.learner.Learner.examples`.
    """

    setting: str
    method: str
    part: str
    runs: int = 0
    steps: Amount = Amount()
    examples: Amount = Amount()
    seconds: Amount = Amount()

    @property
    def is_shared(self) -> bool:
        """Whether it is paid for once, whatever the number of methods that use it."""
        return self.part in ("keys", "library")


def read_costs(out: Path, facts: StudyFacts, records: Sequence[RunRecord]) -> list[Cost]:
    """The costs of a study's methods, setting by setting, in the order of the study file.

    Reads the libraries that its runs name, and the ``config.yaml`` of upstream runs whose results do not tell their
    examples, as far as they are there.
    """
    told = [_with_examples(out, record) for record in records]
    sources = dict.fromkeys(source for record in told if (source := _source(record)) is not None)
    return upstream_costs(facts, told, {source: _read_library(source) for source in sources})


def upstream_costs(
    facts: StudyFacts, records: Sequence[RunRecord], libraries: Mapping[Source, Sequence[Spent] | None]
) -> list[Cost]:
    """:func:`read_costs` of what has been read; pure.

    A method of which nothing is finished in a setting is left out there.

    Args:
        libraries: by how the runs name them, what each of their prompts took; None if one cannot be read.
    """
    costs: list[Cost] = []
    for setting in facts.settings:
        there = [
            record
            for record in records
            if record.partition in (None, setting.name) and record.target in (None, *setting.targets)
        ]
        keys = [record for record in there if record.method == EMBEDDING]
        for method in facts.methods:
            own = [record for record in there if record.method == method]
            if all(record.result is None for record in own):
                continue
            sources = list(dict.fromkeys(source for record in own if (source := _source(record)) is not None))
            parts = [_of_runs(Cost(setting.name, method, "own"), own)]
            if any(_retrieved_from(record) for record in own):
                parts.append(_of_runs(Cost(setting.name, method, "keys"), keys))
            if sources:
                parts += [_of_library(Cost(setting.name, method, "library"), libraries[source]) for source in sources]
            found = [part for part in parts if part is not None]
            costs += found or [Cost(setting.name, method, "none")]
    return costs


def costs_table(costs: Sequence[Cost], setting: str) -> Table:
    """A row per method of a setting: what it learned upstream, and what that took; to be read with :data:`READING`."""
    rows: list[list[TableCell]] = []
    for method in dict.fromkeys(cost.method for cost in costs if cost.setting == setting):
        own = [cost for cost in costs if (cost.setting, cost.method) == (setting, method)]
        learned = ", ".join(_told(cost) for cost in own)
        totals = [sum((getattr(cost, name) for cost in own), Amount()) for name in _SPENT]
        shared = sum((cost.examples for cost in own if cost.is_shared), Amount())
        rows.append([method, learned, *map(str, totals), str(shared)])
    return Table(["method", "learned upstream", "steps", "example passes", "seconds", "passes shared"], rows, texts=2)


def cost_rows(costs: Sequence[Cost]) -> list[list[Any]]:
    """The setting and :data:`COST_COLUMNS`, a row per setting, method and part; None where nothing of a number is
    known, and ``at_least`` names those of which a part is not.
    """
    rows: list[list[Any]] = []
    for cost in costs:
        found = {name: getattr(cost, name) for name in _SPENT}
        known = [own.known if own.whole or own.known else None for own in found.values()]
        least = " ".join(name for name, own in found.items() if own.known and not own.whole)
        rows.append([cost.setting, cost.method, cost.part, cost.runs, *known, least])
    return rows


def examples_of(run: RunOptions, steps: int) -> int | None:
    """Example passes of so many steps of a run; None of a kind of run that is not known here."""
    rows, tasks, inner_steps = map(run.said, ("data.batch_size", "data.meta_batch_size", "model.algorithm.inner_steps"))
    try:
        if not all(isinstance(size, int | None) for size in (rows, tasks, inner_steps)):  # a text times a number is one
            return None
        if tasks is not None:
            query = rows if (size := run.said("data.query_batch_size")) is None else size
            rows = tasks * (inner_steps * rows + query) * run.said("model.accumulate_grad_batches")
        rows *= 1 if run.said(TEACHERS) is None else 3  # teacher and student read each once more
        found = steps * rows * (run.said("trainer.accumulate_grad_batches") or 1)
        return found if type(found) is int else None
    except TypeError:  # one of them is not said
        return None


def _of_runs(cost: Cost, records: Sequence[RunRecord]) -> Cost | None:
    """A part with what its upstream runs took, of which nothing is known without a result; None if there are none."""
    results = [record.result for record in records if record.stage == "upstream"]
    if not results:
        return None
    spent = [
        (None, None, None) if result is None else (result.steps, result.examples, result.seconds) for result in results
    ]
    return _with(cost, sum(result is not None for result in results), spent)


def _of_library(cost: Cost, prompts: Sequence[Spent] | None) -> Cost:
    return _with(cost, len(prompts), prompts) if prompts else _with(cost, 0, [(None, None, None)])


def _with(cost: Cost, runs: int, spent: Sequence[tuple[float | None, ...]]) -> Cost:
    steps, examples, seconds = (Amount.of(column) for column in zip(*spent, strict=True))
    return replace(cost, runs=runs, steps=steps, examples=examples, seconds=seconds)


def _told(cost: Cost) -> str:
    if cost.part == "none":
        return "nothing"
    if cost.part == "library":
        return f"library of {cost.runs} prompts" if cost.runs else "a library that is not what it was, or not there"
    what = "key" if cost.part == "keys" else "run"
    return f"{cost.runs} {what}{'' if cost.runs == 1 else 's'}"


def _source(record: RunRecord) -> Source | None:
    """The library that a run took something from, be it what it was taught by."""
    options = record.options
    backbone = options.get("model.backbone", "")
    if begin := _retrieved_from(record):
        exclude, digest = (options.get(f"{begin}.{name}", "") for name in ("exclude", "digest"))
        return options[f"{begin}.library"], backbone, exclude, digest
    teachers = options.get(TEACHERS)
    return (teachers, backbone, "", "") if teachers else None


def _retrieved_from(record: RunRecord) -> str | None:
    """The option that says the library which a run retrieved from; none if it did not."""
    return next((begin for begin in ("model.init", "data.retrieved") if record.options.get(f"{begin}.library")), None)


def _read_library(source: Source) -> list[Spent] | None:
    """What the prompts took that may be retrieved; None if they are not there, or are not those that the runs had."""
    from mpt.library.retrieval import candidates, digest, open_library

    where, backbone, exclude, known = source
    try:
        library = open_library(where)
        entries = candidates(library, [str(task) for task in parse_json(exclude or "[]")])
        if known and digest(entries) != known:
            return None
    except (UserError, OSError, TypeError, ValueError):
        return None
    # By the rule of mpt.study.plan.library.StudyLibrary.candidates, as far as names go.
    own = [entry for entry in entries if Path(entry.backbone).name == Path(backbone).name]
    return [library.cost(entry) for entry in own or entries]


def _with_examples(out: Path, record: RunRecord) -> RunRecord:
    """A record whose result tells its examples, where its steps and its config do."""
    result = record.result
    if result is None or record.stage != "upstream" or result.examples is not None or result.steps is None:
        return record
    try:
        run = RunFolder(out / record.key).options()
    except UserError:
        return record
    return replace(record, result=replace(result, examples=examples_of(run, result.steps)))
