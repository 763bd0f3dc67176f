"""What a study's folder shows so far, setting by setting: what every form of its report is made from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from mpt.study.report.costs import Cost, read_costs
from mpt.study.report.paper import Stated, stated_of
from mpt.study.run.results import RunRecord, StudyFacts, read_study
from mpt.study.scores.convergence import Convergence, convergence
from mpt.study.scores.ensembles import Ensemble, ensembles
from mpt.study.scores.gains import Gain, gains
from mpt.study.scores.languages import LanguagePoint, Measured, Place, language_points, measured, varied_measures
from mpt.study.scores.oracle import oracle_scores, with_oracles
from mpt.study.scores.scores import Score, choose
from mpt.study.scores.significance import Comparison, compare, corrected
from mpt.study.scores.varied import Varied, VariedScore, varied_scores
from mpt.study.spec.retrieve import EMBEDDING
from mpt.study.spec.settings import Setting
from mpt.util.errors import UserError
from mpt.util.names import nearest


@dataclass(frozen=True)
class Section:
    """One setting's scores and what follows from them.

    Attributes:
        scores: those of oracles among them, see :mod:`mpt.study.scores.oracle`.
        comparisons: every method with the baseline, then every other with the rival; not those of oracles, which have
            seen the test scores.
        stated: method to the paper's ARG, where it has one.
        ensembles: of the methods that answer by a vote.
        varied: of the methods that are several by the value of one option, all of the same.
        measured: what runs were asked in other languages at test.
        languages: the same along the way.
        capacity: the same at test against the option of ``varied``.
        written: the same runs, judged on test by what the model writes, where the scores are of likeliest labels.
    """

    setting: Setting
    scores: list[Score]
    gains: list[Gain]
    comparisons: list[Comparison]
    convergence: Convergence = field(default_factory=lambda: Convergence([], [], {}))
    stated: dict[str, Stated] = field(default_factory=dict)
    varied: list[VariedScore] = field(default_factory=list)
    ensembles: list[Ensemble] = field(default_factory=list)
    measured: list[Measured] = field(default_factory=list)
    languages: list[LanguagePoint] = field(default_factory=list)
    capacity: dict[Place, list[VariedScore]] = field(default_factory=dict)
    written: Section | None = None

    @property
    def targets(self) -> list[str]:
        """Targets with at least one score, in the order of the partition."""
        seen = {row.target for row in self.scores}
        return [target for target in self.setting.targets if target in seen]

    @property
    def places(self) -> dict[str, set[tuple[str, int]]]:
        """Method to the (target, draw) that it has a score of."""
        found: dict[str, set[tuple[str, int]]] = {}
        for row in self.scores:
            found.setdefault(row.method, set()).add((row.target, row.seed))
        return found

    def against(self, method: str, other: str) -> Comparison | None:
        """The comparison of two methods, if there is one."""
        return next((row for row in self.comparisons if (row.method, row.other) == (method, other)), None)


@dataclass(frozen=True)
class Report:
    """Everything a report says.

    Attributes:
        sections: a setting each, in the order of the study file. A run that several share is in each.
        missing: the runs that have no result, with why where it is known.
        costs: what each method learned upstream took.
        rival: the method that others are compared with beside the baseline, if any.
        files: what has been written of it, below the study's report folder.
    """

    facts: StudyFacts
    sections: list[Section]
    records: list[RunRecord]
    missing: list[tuple[str, str]]
    rival: str | None = None
    costs: list[Cost] = field(default_factory=list)
    files: tuple[str, ...] = field(default=())

    @property
    def written(self) -> Report | None:
        """The same by what the model writes, if any setting has that."""
        sections = [section.written for section in self.sections if section.written is not None]
        return replace(self, sections=together(sections)) if sections else None


def build_report(out: Path, against: str | None = None, seeds: Sequence[int] = ()) -> Report:
    """Read a study's folder.

    Args:
        against: the method that others are compared with beside the baseline; multi-task learning (a method named
            MTL or SPoT) if not given and there is one.
        seeds: of the study's draws, those that the report is of; all if empty.
    """
    facts, records = read_study(out)
    if seeds:
        facts, records = _of_draws(facts, records, seeds)
    missing = [(record.key, record.failure or "not run yet") for record in records if record.result is None]
    rival = rival_of(facts, against)
    sections = [_section(out, facts, setting, records, rival) for setting in facts.settings]
    return Report(with_oracles(facts), together(sections), records, missing, rival, read_costs(out, facts, records))


def _of_draws(
    facts: StudyFacts, records: Sequence[RunRecord], seeds: Sequence[int]
) -> tuple[StudyFacts, list[RunRecord]]:
    """A study as if it had these draws alone, with the upstream runs that they start from and the keys they went by."""
    if strange := [seed for seed in seeds if seed not in facts.seeds]:
        known = ", ".join(map(str, facts.seeds))
        raise UserError(f"--seeds {strange[0]}: the study {facts.name} has no such draw; its draws are {known}")
    own = [record for record in records if record.stage != "upstream" and record.seed in seeds]
    above = [record for record in records if record.stage == "upstream" and _is_above(record, records, own, seeds)]
    return replace(facts, seeds=[seed for seed in facts.seeds if seed in seeds]), [*above, *own]


def _is_above(record: RunRecord, records: Sequence[RunRecord], own: Sequence[RunRecord], seeds: Sequence[int]) -> bool:
    """Whether an upstream run or a key is of some draws' runs; one that all draws share has a seed of its own."""
    if record.method == EMBEDDING:
        return record.seed in {*seeds, *(one.upstream_seed for one in own)}
    starts = {one.upstream_seed for one in own if one.method == record.method}
    if starts != {None}:
        return record.seed in starts
    # In a folder from before runs told it.
    learned = {one.seed for one in records if one.stage == "upstream" and one.method == record.method}
    return record.seed in (learned & {*seeds} or learned)


def together(sections: Sequence[Section]) -> list[Section]:
    """The sections of one report, whose tests are corrected for each other."""
    rows = corrected([section.comparisons for section in sections])
    return [replace(section, comparisons=own) for section, own in zip(sections, rows, strict=True)]


def rival_of(facts: StudyFacts, against: str | None) -> str | None:
    """The method that others are compared with beside the baseline, see :func:`build_report`."""
    others = [method for method in facts.methods if method != facts.baseline]
    if against is None:
        return next((method for method in others if method.lower() in ("mtl", "spot")), None)
    if against not in others:
        why = "the baseline, which all are compared with" if against == facts.baseline else "no method of it"
        raise UserError(f"--against {against}: in the study {facts.name} that is {why}; {nearest(against, others)}")
    return against


def compared(scores: Sequence[Score], baseline: str, rival: str | None) -> tuple[list[Gain], list[Comparison]]:
    """ARG of each method, and every comparison: each with the baseline, then each other with the rival."""
    gained = gains(scores, baseline)
    there = [row.method for row in gained]
    pairs = [(method, baseline) for method in there]
    pairs += [(method, rival) for method in there if rival in there and rival is not None and method != rival]
    return gained, [compare(scores, baseline, *pair) for pair in pairs]


def _section(
    out: Path, facts: StudyFacts, setting: Setting, records: Sequence[RunRecord], rival: str | None
) -> Section:
    own = [
        record for record in records if record.target in setting.targets and record.partition in (None, setting.name)
    ]
    section = _judged(out, facts, setting, own, rival)
    scores = [row for row in section.scores if row.method in facts.methods]
    # Along the way and in other languages each prompt was asked by itself: nobody knows how several would have voted.
    alone = [row for row in scores if row.method not in facts.ensembles]
    varied = [Varied(*one) for one in facts.varied]
    varied = varied if len({one.option for one in varied}) == 1 else []
    asked = measured(alone, own)
    written = _judged_by_writing(own)
    return replace(
        section,
        convergence=convergence(out, alone, facts.baseline),
        stated=stated_of(setting, facts.root, facts.backbone, facts.methods),
        varied=varied_scores(varied, scores),
        measured=asked,
        languages=language_points(out, alone) if asked else [],
        capacity=varied_measures(varied, asked),
        written=_judged(out, facts, setting, written, rival, True) if written else None,
    )


def _judged(
    out: Path,
    facts: StudyFacts,
    setting: Setting,
    own: Sequence[RunRecord],
    rival: str | None,
    written: bool = False,
) -> Section:
    """The scores of a setting's runs, and who is ahead."""
    voted = ensembles(out, replace(facts, backbone=setting.backbone or facts.backbone), own, written)
    found = [*choose([record for record in own if record.method not in facts.ensembles]), *(one.vote for one in voted)]
    # In the order of the study file, which is that of the report's columns.
    place = {method: number for number, method in enumerate(facts.methods)}
    scores = sorted(found, key=lambda row: place[row.method])
    oracles = oracle_scores(facts, own)
    gained, comparisons = compared(scores, facts.baseline, rival)
    gained = [*gained, *gains([*scores, *oracles], facts.baseline)[len(gained) :]]
    return Section(setting, [*scores, *oracles], gained, comparisons, ensembles=voted)


def _judged_by_writing(records: Sequence[RunRecord]) -> list[RunRecord]:
    """The runs of which it is known how good what the model writes is, with that as their score."""
    return [
        replace(record, result=replace(result, score=result.score_written, score_written=None))
        for record in records
        if (result := record.result) is not None and result.score_written is not None
    ]
