"""Every source prompt tried on every target: what a finished study says of them, as numbers."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from mpt.library.pooling import MEASURES
from mpt.study.plan.planned_run import PLACE
from mpt.study.run.results import RunRecord, StudyFacts, read_study
from mpt.study.scores.scores import Score, choose
from mpt.study.spec.settings import Setting
from mpt.util.errors import UserError
from mpt.util.names import nearest


@dataclass(frozen=True)
class SourceTrial:
    """A target learned from one source prompt with one seed.

    Attributes:
        source: the prompt's name in its library.
        task: the source task; several prompts may be of one.
        similarity: of the source's key to the target's.
        score: test score, in [0, 1] or for a correlation in [-1, 1].
        dev_score: what a choice may see.
    """

    target: str
    seed: int
    source: str
    task: str
    similarity: float
    score: float
    dev_score: float


@dataclass(frozen=True)
class Transfers:
    """A setting of a study: its baseline, and each source prompt on each target.

    Attributes:
        study: its name.
        setting: the setting's, which is the partition's where there is one.
        method: the method that tried them.
        baseline: the method without transfer.
        by: the measure of similarity.
        targets: in the order of the partition, those with trials.
        base: test score of the baseline, by target and seed.
        trials: of each target, seed and source the learning rate that was best on dev.
        missing: runs of the method or the baseline without a result.
        library: where the prompts are.
        keys: prompt folder of each target's key, by target and seed.
    """

    study: str
    setting: str
    method: str
    baseline: str
    by: str
    targets: list[str]
    base: dict[tuple[str, int], float]
    trials: list[SourceTrial]
    missing: int
    library: str
    keys: dict[tuple[str, int], Path]

    @property
    def sources(self) -> list[str]:
        """Names of the prompts, sorted."""
        return sorted({trial.source for trial in self.trials})

    @property
    def tasks(self) -> list[str]:
        """The source tasks, sorted."""
        return sorted({trial.task for trial in self.trials})

    @property
    def seeds(self) -> list[int]:
        """Seeds of the targets' runs."""
        return sorted({trial.seed for trial in self.trials})

    def with_similarities(self, by: str, found: Mapping[tuple[str, int, str], float]) -> Transfers:
        """The same with another measure's similarities, given by target, seed and source."""
        trials = [replace(trial, similarity=found[trial.target, trial.seed, trial.source]) for trial in self.trials]
        return replace(self, by=by, trials=trials)


def read_transfers(out: Path, method: str | None = None, baseline: str | None = None) -> list[Transfers]:
    """What a study's folder says, setting by setting; settings without trials are left out.

    Args:
        method: the method that tried every source (``retrieve: {use: best, top_k: all}``); the one that tried most if
            not given.
        baseline: the method without transfer; the study's if not given.

    Raises:
        UserError: no study; no such method; no method has tried prompts one by one.
    """
    facts, records = read_study(out)
    for option, name in (("--method", method), ("--baseline", baseline)):
        if name is not None and name not in facts.methods:
            raise UserError(
                f"{option} {name}: the study {facts.name} has no such method; {nearest(name, facts.methods)}"
            )
    method = method or _most_sources(out, facts, records)
    baseline = baseline or facts.baseline
    found = [_setting(out, facts, setting, records, method, baseline) for setting in facts.settings]
    if not any(transfers.trials for transfers in found):
        raise UserError(
            f"{out}: no run of {method} has a result with a source beside one of the baseline {baseline}; "
            "finish the study first (mpt study run)"
        )
    return [transfers for transfers in found if transfers.trials]


def error_reduction(score: float, base: float) -> float:
    """Relative error reduction of a transfer (SPoT, section 3.1), in percent.

    The share of what the baseline lacks to 100 % that the transfer makes up for. Negative where the transfer harms, NaN
    where the baseline lacks nothing.

    Args:
        score, base: of the transfer and of the baseline, from 0 to 1.

    >>> round(error_reduction(0.970, 0.927), 1)  # the largest in SPoT's figure 3
    58.9
    """
    return 100 * (score - base) / (1 - base) if base < 1 else math.nan


def mean(values: Sequence[float]) -> float:
    """NaN of none."""
    return math.fsum(values) / len(values) if values else math.nan


def _most_sources(out: Path, facts: StudyFacts, records: Sequence[RunRecord]) -> str:
    """The method with the most sources."""
    sources: dict[str, set[str]] = {}
    for record in records:
        source = record.source if record.stage == "downstream" else None
        if isinstance(source, str):
            sources.setdefault(record.method, set()).add(source)
    if not sources:
        raise UserError(
            f"{out}: no finished run says which source prompt it started from; a method with "
            "retrieve: {use: best, top_k: all} tries them all, one by one"
        )
    most = max(map(len, sources.values()))
    best = [name for name in facts.methods if len(sources.get(name, ())) == most]
    if len(best) > 1:
        raise UserError(f"{out}: {' and '.join(best)} have tried {most} source prompts each; choose one by --method")
    return best[0]


def _setting(
    out: Path,
    facts: StudyFacts,
    setting: Setting,
    records: Sequence[RunRecord],
    method: str,
    baseline: str,
) -> Transfers:
    own = [
        record
        for record in records
        if record.target in setting.targets
        and record.partition in (None, setting.name)
        and record.stage == "downstream"
        and record.method in (method, baseline)
    ]
    scores: dict[tuple[str, int], list[float]] = {}
    for row in choose([record for record in own if record.method == baseline]):
        scores.setdefault((row.target, row.seed), []).append(row.score)
    base = {place: mean(several) for place, several in scores.items()}  # over the upstream seeds
    groups: dict[str, list[RunRecord]] = {}
    options: dict[str, str] = {}
    keys: dict[tuple[str, int], Path] = {}
    for record in own:
        if record.method != method or not isinstance(record.source, str):
            continue
        groups.setdefault(record.source, []).append(record)
        options = record.options
        if (key := options.get("model.init.key")) and record.target:
            keys[record.target, record.seed] = Path(key.replace(PLACE, str(out)))
    trials = []
    for source, group in groups.items():
        similarities = {record.key: record.result.similarity for record in group if record.result is not None}
        for row in choose(group):
            if (row.target, row.seed) in base:
                trials.append(_trial(row, source, similarities[row.folder]))
    if (by := options.get("model.init.by", "per_token")) not in MEASURES:
        raise UserError(f"{out}: its runs say --model.init.by={by}, which is no similarity; {nearest(by, MEASURES)}")
    seen = {trial.target for trial in trials}
    return Transfers(
        study=facts.name,
        setting=setting.name,
        method=method,
        baseline=baseline,
        by=by,
        targets=[target for target in setting.targets if target in seen],
        base=base,
        trials=sorted(trials, key=lambda row: (setting.targets.index(row.target), row.seed, row.source)),
        missing=sum(record.result is None for record in own),
        library=options.get("model.init.library", ""),
        keys=keys,
    )


def _trial(row: Score, source: str, similarity: object) -> SourceTrial:
    return SourceTrial(
        target=row.target,
        seed=row.seed,
        source=source,
        task=re.sub(r"-\d+$", "", source),
        similarity=float(similarity) if isinstance(similarity, int | float) else math.nan,
        score=row.score,
        dev_score=row.dev_score if row.dev_score is not None else -math.inf,
    )
