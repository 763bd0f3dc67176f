"""A report from scores alone: anyone's, one row for each method, target and draw."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Mapping
from pathlib import Path

from mpt.data.tasks.partitions import load_partition
from mpt.study.report.contents import Report, Section, compared, rival_of, together
from mpt.study.report.paper import Stated, stated
from mpt.study.run.results import StudyFacts
from mpt.study.scores.convergence import Convergence
from mpt.study.scores.scores import Score
from mpt.study.spec.settings import Setting
from mpt.util.errors import UserError
from mpt.util.files import is_folder_name
from mpt.util.names import nearest
from mpt.util.reading import read_bytes, why_unread

COLUMNS = ("partition", "method", "target", "draw", "test_score")
UPSTREAM = "upstream_seed"
_LONGEST = 200


def report_of_scores(path: Path, name: str, baseline: str, against: str | None = None) -> Report:
    """The report of a CSV file of test scores.

    Args:
        path: a file with the columns :data:`COLUMNS` in any order, scores as fractions, draws and, in a column
            :data:`UPSTREAM` that may be left out, upstream seeds as whole numbers.
        name: of the report.
        baseline: the method that relative gains are relative to.
        against: as in :func:`mpt.study.report.contents.build_report`.

    Raises:
        UserError: the file is not of that form; names the line. No such baseline, or none on some partition.
    """
    by_partition = _read(path)
    everything = [row for rows in by_partition.values() for row in rows]
    methods = list(dict.fromkeys(row.method for row in everything))
    if baseline not in methods:
        raise UserError(f"--baseline {baseline}: no method of {path} is named so; {nearest(baseline, methods)}")
    for partition, rows in by_partition.items():
        if all(row.method != baseline for row in rows):
            raise UserError(f"{path}: the partition {partition} has no scores of the baseline {baseline}")
    facts = StudyFacts(
        name=name,
        file=str(path),
        backbone="",
        root="",
        settings=[_setting(partition, rows) for partition, rows in by_partition.items()],
        baseline=baseline,
        methods=[baseline, *(method for method in methods if method != baseline)],
        seeds=sorted({row.seed for row in everything}),
    )
    rival = rival_of(facts, against)
    sections = [
        Section(
            setting,
            by_partition[setting.name],
            *compared(by_partition[setting.name], baseline, rival),
            Convergence([], [], {}),
            _stated(setting, methods),
        )
        for setting in facts.settings
    ]
    return Report(facts, together(sections), [], [], rival)


def _read(path: Path) -> dict[str, list[Score]]:
    """Partition to its scores, both in the order of the file."""
    try:
        lines = read_bytes(path).decode("utf-8-sig").splitlines()
    except (OSError, ValueError) as error:
        raise UserError(f"--scores {path} cannot be read: {why_unread(error)}") from error
    table = csv.DictReader(lines, strict=True)
    try:
        head = list(table.fieldnames or [])
    except csv.Error as error:
        raise UserError(f"{path}, line 1: {error}") from error
    known = {*COLUMNS, UPSTREAM}
    if len(set(head)) < len(head) or not set(COLUMNS) <= set(head) <= known:
        raise UserError(
            f"{path}: its first line must name the columns {', '.join(COLUMNS)}, and {UPSTREAM} if there is one; it is "
            f"{','.join(head)[:200] or 'empty'}"
        )
    found: dict[str, dict[tuple[object, ...], Score]] = {}
    try:
        for row in table:
            score = _score(row, f"{path}, line {table.line_num}")
            own = found.setdefault(row["partition"].strip(), {})
            place = score.method, score.target, score.seed, score.upstream_seed
            if place in own:
                raise UserError(
                    f"{path}, line {table.line_num}: a second score of {score.method} on {score.target}, draw "
                    f"{score.seed}, in {row['partition'].strip()}; leave one"
                )
            own[place] = score
    except csv.Error as error:
        raise UserError(f"{path}, line {table.line_num + 1}: {error}") from error  # which counts lines it has read
    if not found:
        raise UserError(f"{path} holds no scores")
    return {name: list(own.values()) for name, own in found.items()}


def _score(row: Mapping[str, str | None], where: str) -> Score:
    if None in row or None in row.values():
        raise UserError(f"{where}: as many values as the first line has columns are needed")
    values = {name: (value or "").strip() for name, value in row.items()}
    if not is_folder_name(values["partition"]):
        raise UserError(f"{where}: partition {values['partition']!r} is used as a folder; give it another name")
    if strange := next((text for text in values.values() if len(text) > _LONGEST or not text.isprintable()), None):
        raise UserError(f"{where}: {strange[:40]!r} is no name: at most {_LONGEST} signs that can be printed are")
    if empty := [name for name in COLUMNS if not values[name]]:
        raise UserError(f"{where}: {empty[0]} is empty")
    upstream = values.get(UPSTREAM)
    return Score(
        method=values["method"],
        target=values["target"],
        seed=_whole(values["draw"], f"{where}: draw"),
        metric="",
        score=_fraction(values["test_score"], where),
        dev_score=None,
        learning_rate=None,
        folder="",
        upstream_seed=_whole(upstream, f"{where}: {UPSTREAM}") if upstream else None,
    )


def _whole(text: str, where: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise UserError(f"{where} must be a whole number, not {text!r}") from None


def _fraction(text: str, where: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not -1 <= value <= 1:
        raise UserError(f"{where}: test_score must be a fraction from 0 to 1 (a correlation from -1), not {text!r}")
    return value


def _setting(name: str, rows: Iterable[Score]) -> Setting:
    return Setting(name, name, targets=tuple(dict.fromkeys(row.target for row in rows)), sources=())


def _stated(setting: Setting, methods: Iterable[str]) -> dict[str, Stated]:
    """The paper's numbers, where the partition is one of the paper's with all its targets."""
    try:
        partition = load_partition(setting.name)
    except UserError:
        return {}
    if set(partition.target) != set(setting.targets):
        return {}
    found = {method: stated(setting.name, method) for method in methods}
    return {method: value for method, value in found.items() if value is not None}
