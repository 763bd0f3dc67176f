"""One trial of a sweep: a method of a study with other upstream options, measured on the validation tasks."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import yaml

from mpt.data.tasks.partitions import load_partition
from mpt.fit.configs import find_config
from mpt.fit.resolve import resolve_run
from mpt.record.options import as_word, plain
from mpt.study.plan.planned_run import PlannedRun
from mpt.study.run.results import read_record, refuse_strange
from mpt.study.scores.gains import gains, target_gains
from mpt.study.scores.scores import choose
from mpt.study.spec.methods import Method
from mpt.study.spec.settings import settings
from mpt.study.spec.study import Study, Variant, load_study
from mpt.sweep.sampling import Values
from mpt.util.errors import UserError
from mpt.util.files import write_text
from mpt.util.names import nearest

TARGETS = "targets"

_LONGEST = 80


@dataclass(frozen=True)
class TrialSetup:
    """What all trials of a method share.

    Attributes:
        study: the study that the method is of, with the validation tasks for targets, and only the baseline for
            methods. Its runs are the same for every trial and for every method swept in the same folder.
        method: the method whose upstream is tuned.
        out: folder of the runs.
    """

    study: Study
    method: Method
    out: Path

    def with_trials(self, trials: Sequence[Values]) -> Study:
        """The study of the baseline and a method for each trial."""
        return replace(self.study, methods=(*self.study.methods, *(self.trial(values) for values in trials)))

    def trial(self, values: Values) -> Method:
        """The method with a trial's values over its own upstream options."""
        upstream = self.method.upstream
        assert upstream is not None
        for variant in self.study.variants:
            own = {plain(name) for name in variant.overrides}
            if fixed := [name for name in values if plain(name) in own]:
                raise UserError(
                    f"{self.study.file}: the setting {variant.name} sets {fixed[0]} itself, over any trial's"
                )
        overrides = {**upstream.overrides, **values}
        own_upstream = replace(upstream, overrides=overrides)
        return replace(self.method, name=self.name(values), upstream=own_upstream, family="", varied={})

    def name(self, values: Values) -> str:
        """A trial's name and folder: the method and the last word and value of each option."""
        short = [name.rpartition(".")[2] for name in values]
        parts = [self.method.name]
        for name, last, value in zip(values, short, values.values(), strict=True):
            word = last if short.count(last) == 1 else name
            parts.append(word + as_word(value))
        plain = "-".join(parts)
        clean = re.sub(r"[^\w.+-]", "_", plain)[:_LONGEST]
        # Two names that differ only in what a folder cannot show are two folders.
        return clean if clean == plain else f"{clean}-{hashlib.sha256(plain.encode()).hexdigest()[:8]}"

    def references(self, names: Sequence[str]) -> dict[str, Values]:
        """What the options are where nobody tunes them: in the study, and in the method's config alone.

        Only those of which every option has a value there.
        """
        upstream = self.method.upstream
        assert upstream is not None
        text = find_config(upstream.config, beside=self.study.file).read_text(encoding="utf-8")
        own, study = (
            {name: run.said(plain(name)) for name in names}
            for run in (resolve_run(text), resolve_run(text, {**self.study.overrides, **upstream.overrides}))
        )
        found = {"the study's own": study, f"the default of {upstream.config}": own}
        return {what: values for what, values in found.items() if None not in values.values()}


@dataclass(frozen=True)
class TrialOutcome:
    """What came of a trial.

    Attributes:
        arg: average relative gain over the baseline on the validation tasks, in percent; NaN where there is none.
        std: its sample deviation over the draws, as in :class:`mpt.study.scores.gains.Gain`.
        gains: task to relative gain in percent; only tasks where it is defined.
        seconds: computing time of its own runs.
        trouble: why there is no ARG; empty if there is.
    """

    values: Values
    name: str
    arg: float
    std: float
    gains: dict[str, float]
    seconds: float
    trouble: str = ""


def prepare(
    file: Path, method: str, out: Path | None, seeds: Sequence[int] = (), tasks: Sequence[str] = (), setting: str = ""
) -> TrialSetup:
    """A study with its validation tasks in the place of its targets.

    Args:
        file: the study's.
        method: the one to tune; it must learn upstream.
        out: ``runs/sweeps/<name of the study>`` if none.
        seeds: in place of the study's.
        tasks: in place of the partition's validation tasks; the one word ``targets`` for the study's own targets, where
            these were made for choosing.
        setting: name of the setting or partition, in a study of several.

    Raises:
        UserError: no such method or setting, or nothing to validate on.
    """
    study = load_study(file)
    methods = {known.name: known for known in study.methods}
    if method not in methods:
        raise UserError(f"{file}: --method {method} is none of its methods; {nearest(method, methods)}")
    chosen = methods[method]
    if chosen.upstream is None or method == study.baseline:
        able = [name for name, known in methods.items() if known.upstream and name != study.baseline]
        raise UserError(f"{file}: --method {method} learns nothing upstream to tune; those that do: {', '.join(able)}")
    # Once a trial: the seeds are draws of the validation tasks.
    once = (chosen.upstream.seeds or tuple(seeds) or study.seeds)[:1]
    chosen = replace(chosen, upstream=replace(chosen.upstream, seeds=once))
    given, variants = _setting(study, setting)
    sources = _sources(study, given, variants)
    out = out or Path("runs") / "sweeps" / (study.name if not setting else f"{study.name}-{setting}")
    refuse_strange(out)
    if tuple(tasks) == (TARGETS,):
        tasks = study.targets or load_partition(given).target
        validation = _written(given, sources, tasks, out)
    else:
        validation = _validation(given, sources, tasks, out)
    study = replace(
        study,
        name=f"{study.name}-validation",
        partitions=(str(validation),),
        variants=tuple(replace(variant, partition=str(validation), sources=()) for variant in variants),
        targets=(),
        # By name, so that the runs do not know the file just written, and a moved folder is still the same.
        sources=load_partition(str(validation)).source,
        only=(),
        seeds=tuple(seeds) or study.seeds,
        methods=(methods[study.baseline],),
    )
    return TrialSetup(study, chosen, out)


def outcome(bench: TrialSetup, values: Values, runs: Sequence[PlannedRun]) -> TrialOutcome:
    """What the finished runs among a study's say of a trial; no ARG before all of its runs are finished."""
    name, baseline = bench.name(values), bench.study.baseline
    records = [read_record(run.out, run.key, run.identity) for run in runs if run.method in (name, baseline)]
    seconds = sum(record.result.seconds for record in records if record.method == name and record.result)
    lacking = [record for record in records if record.result is None]
    if lacking:
        # The first cause: a failed upstream run takes all that follow with it.
        first = next((record for record in lacking if record.failure), lacking[0])
        trouble = f"{first.key}: {first.failure}" if first.failure else f"{len(lacking)} runs are not finished"
        return TrialOutcome(values, name, math.nan, math.nan, {}, seconds, trouble)
    scores = choose(records)
    (row,) = [row for row in gains(scores, baseline) if row.method == name]
    by_task = {t: mean for t, (mean, _) in target_gains(scores, baseline)[name].items() if not math.isnan(mean)}
    trouble = f"{baseline} scores nothing on any validation task" if math.isnan(row.mean) else ""
    return TrialOutcome(values, name, row.mean, row.std, by_task, seconds, trouble)


def _setting(study: Study, setting: str) -> tuple[str, tuple[Variant, ...]]:
    """The partition that the trials learn and are measured on, and what else its setting says."""
    names: dict[str, tuple[str, tuple[Variant, ...]]]
    names = {variant.name: (variant.partition, (variant,)) for variant in study.variants}
    if not names:
        names = {load_partition(given).name: (given, ()) for given in study.partitions}
    if setting and setting not in names:
        raise UserError(f"{study.file}: --setting {setting} is none of its settings; {nearest(setting, names)}")
    if not setting and len(names) > 1:
        raise UserError(f"{study.file} has several settings; choose one by --setting: {', '.join(names)}")
    return names[setting or next(iter(names))]


def _sources(study: Study, given: str, variants: Sequence[Variant]) -> Sequence[str]:
    """What the method learns on in the study itself: of mixtures, all but the study's own targets."""
    variants = variants or [Variant("", given)]
    (own,) = settings(replace(study, variants=tuple(variants), only=()), strict=False)
    return own.sources


def _validation(given: str, sources: Sequence[str], tasks: Sequence[str], out: Path) -> Path:
    """A partition in the sweep's folder whose targets are another's validation tasks, or tasks of no part of it."""
    partition = load_partition(given)
    tasks = tuple(tasks) or partition.validation
    if not tasks:
        raise UserError(
            f"The partition {partition.name} names no validation tasks; name some, neither source nor target, by "
            "--validation TASK …, or in a partition file of your own under validation"
        )
    if used := [task for task in tasks if partition.part_of(task) in ("source", "target")]:
        raise UserError(
            f"{used[0]} is a {partition.part_of(used[0])} task of {partition.name}; rates chosen on it would be chosen "
            "on what is learned or measured: validate on tasks that are neither"
        )
    return _written(given, sources, tasks, out)


def _written(given: str, sources: Sequence[str], tasks: Sequence[str], out: Path) -> Path:
    """The partition with other targets and without them among its sources, in the sweep's folder."""
    partition = load_partition(given)
    path = out / f"{partition.name}-validation.yaml"
    content = {"source": [task for task in sources if task not in tasks], "target": list(tasks)}
    head = f"# Validation tasks of {partition.name} in the place of its targets; written by mpt sweep\n"
    write_text(path, head + yaml.safe_dump(content, sort_keys=False))
    return path
