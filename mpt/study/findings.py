"""What a study's folder shows so far, partition by partition: what every form of its report is made from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mpt.study.results import Facts, Record, read_study
from mpt.study.settings import Setting
from mpt.study.tables import Gain, Score, choose, gains


@dataclass(frozen=True)
class Section:
    """One partition's scores and gains."""

    setting: Setting
    scores: list[Score]
    gains: list[Gain]

    @property
    def targets(self) -> list[str]:
        """Targets with at least one score, in the order of the partition."""
        seen = {row.target for row in self.scores}
        return [target for target in self.setting.targets if target in seen]


@dataclass(frozen=True)
class Report:
    """Everything a report says.

    Attributes:
        sections: a partition each, in the order of the study file. A run that several share is in each.
        missing: the runs that have no result, with why where it is known.
    """

    facts: Facts
    sections: list[Section]
    records: list[Record]
    missing: list[tuple[str, str]]


def build_report(out: Path) -> Report:
    """Read a study's folder.

    Raises:
        UserError: the folder holds no study.
    """
    facts, records = read_study(out)
    missing = [(record.key, record.failure or "not run yet") for record in records if record.result is None]
    sections = [_section(facts, setting, records) for setting in facts.settings]
    return Report(facts, sections, records, missing)


def _section(facts: Facts, setting: Setting, records: Sequence[Record]) -> Section:
    own = [
        record for record in records if record.target in setting.targets and record.partition in (None, setting.name)
    ]
    # In the order of the study file, which is that of the report's columns.
    scores = sorted(choose(own), key=lambda row: facts.methods.index(row.method))
    return Section(setting, scores, gains(scores, facts.baseline))
