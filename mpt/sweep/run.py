"""A W&B sweep file without W&B: all its trials here, as methods of one study, whose runs are done once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path

from mpt.study.plan.grid import plan
from mpt.study.plan.planned_run import PlannedRun
from mpt.study.run.grid import Watcher, run_all, unfinished
from mpt.sweep.bayes import propose
from mpt.sweep.distributions import canonical
from mpt.sweep.file import Sweep
from mpt.sweep.sampling import Values, drawn, grid
from mpt.sweep.tracking import without_agent
from mpt.sweep.trial import TrialOutcome, TrialSetup, outcome
from mpt.util.errors import UserError
from mpt.util.files import write_json
from mpt.util.reading import read_json

PROPOSED = "proposed.json"


@dataclass
class Search:
    """The trials of a sweep, done and to do.

    Attributes:
        fixed: options that the sweep's command gives to every trial.
        folder: of the sweep's report; proposals are kept there.
        watch: who is told how the runs go, anew for each round of them.
        trials: the values of each trial so far.
        notes: trial's name to what is to be said of it.
        own: names of the sweep's own trials.
        done: how many of them are planned as runs.
        runs: these runs, by key.
        fresh: how many runs were left to do.
    """

    sweep: Sweep
    bench: TrialSetup
    fixed: Values
    folder: Path
    workers: int
    watch: Callable[[], AbstractContextManager[Watcher]]
    trials: list[Values] = field(default_factory=list)
    notes: dict[str, str] = field(default_factory=dict)
    own: set[str] = field(default_factory=set)
    done: int = 0
    runs: dict[str, PlannedRun] = field(default_factory=dict)
    fresh: int = 0

    def run(self, count: int | None, seed: int, references: bool) -> list[TrialOutcome]:
        """Do the trials that are not finished, and say what came of all.

        Args:
            count: the most trials, those of earlier starts included, the references not.
            seed: of trials drawn by chance.
            references: whether the rates of the study and of the method's config are tried too.

        Raises:
            UserError: a sweep without end and no count; as :func:`mpt.study.run.grid.run_all`.
        """
        sweep = self.sweep
        count = min((number for number in (count, sweep.cap) if number is not None), default=None)
        if count is None and sweep.method != "grid":
            raise UserError(
                f"{sweep.file}: method {sweep.method} has no end of its own; give --count, or run_cap in the file"
            )
        if references:
            for what, values in self.bench.references(list(sweep.parameters)).items():
                name = self._plan(values)
                self.notes[name] = "; ".join(part for part in (self.notes.get(name), what) if part)
        if sweep.method == "bayes":
            assert count is not None
            self._follow(count, seed)
        else:
            found = grid(sweep.parameters, sweep.file) if sweep.method == "grid" else None
            for values in found[:count] if found is not None else drawn(sweep.parameters, count or 0, seed):
                self._add(values)
            self._do()
        return self._outcomes(self.trials)

    def _full(self, values: Values) -> Values:
        return {name: canonical(value) for name, value in sorted({**self.fixed, **values}.items())}

    def _add(self, values: Values) -> None:
        """Plan a trial of the sweep."""
        self.own.add(self._plan(values))

    def _plan(self, values: Values) -> str:
        """Plan a trial, once, and its name."""
        full = self._full(values)
        if full not in self.trials:
            self.trials.append(full)
        return self.bench.name(full)

    def _do(self) -> None:
        """Do what is left of the trials that are planned."""
        fresh = self.trials[self.done :]
        # Only the new ones: reading configs and data for every run of every trial before each of them would be slow.
        self.runs |= {run.key: run for run in plan(self.bench.with_trials(fresh), self.bench.out)}
        self.done = len(self.trials)
        runs = list(self.runs.values())
        self.fresh += len(unfinished(runs))
        with without_agent(), self.watch() as watcher:
            run_all(runs, self.workers, watcher)

    def _outcomes(self, trials: Sequence[Values]) -> list[TrialOutcome]:
        return [outcome(self.bench, values, list(self.runs.values())) for values in trials]

    def _follow(self, count: int, seed: int) -> None:
        """Trial after trial by what the earlier gave, as many at once as there are workers.

        What was proposed is written down before it is done, so that a sweep that goes on has the same trials, with
        whatever number of workers.
        """
        path = self.folder / PROPOSED
        ranges = {name: repr(parameter) for name, parameter in self.sweep.parameters.items()}
        told = {"parameters": ranges, "seed": seed, "fixed": {name: repr(value) for name, value in self.fixed.items()}}
        kept = read_json(path) if path.is_file() else {}
        proposed: list[Values] = []
        if kept.get("told") == told:
            if not isinstance(trials := kept.get("trials"), list) or not all(isinstance(one, dict) for one in trials):
                raise UserError(f"{path} holds no trials; delete it, and the same command writes it anew")
            proposed = [{name: canonical(value) for name, value in values.items()} for values in trials]
        proposed = proposed[:count]
        for values in proposed:
            self._add(values)
        self._do()
        while len(proposed) < count:
            history = self._history(proposed)
            for _ in range(min(self.workers, count - len(proposed))):
                fresh = propose(self.sweep.parameters, history, seed)
                if fresh is None:
                    break
                proposed.append(fresh)
                history.append((fresh, None))
                self._add(fresh)
            write_json(path, {"told": told, "trials": proposed})
            self._do()
            if fresh is None:
                return  # nothing new comes up: all has been tried

    def _history(self, proposed: Sequence[Values]) -> list[tuple[Values, float | None]]:
        rows = self._outcomes([self._full(values) for values in proposed])
        return [(values, None if row.trouble else row.arg) for values, row in zip(proposed, rows, strict=True)]
