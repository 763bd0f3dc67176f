"""What the methods of a study answered to some test examples, side by side."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from pathlib import Path

from mpt.present.table import Table, TableCell
from mpt.record.folder import PREDICTIONS
from mpt.record.rows import Prediction, read_predictions
from mpt.study.report.contents import Report, Section
from mpt.study.scores.ensembles import vote
from mpt.util.errors import UserError
from mpt.util.names import nearest

_INPUT, _ANSWER = 60, 24


def answer_tables(report: Report, out: Path, task: str | None, seed: int | None, rows: int) -> Iterator[Table]:
    """A table for each target of each setting: test examples, at even distances, and a column of answers per method.

    Of several upstream seeds the first one's are shown, of an ensemble what most of its prompts say. Where what a model
    wrote is not the likeliest label, which counts, it stands behind it in brackets.

    Args:
        out: the study's folder.
        task: only this target.
        seed: the draw; the study's first if not given.
        rows: how many examples of each target.

    Raises:
        UserError: there is no such target or draw, or nothing of it is finished.
    """
    targets = list(dict.fromkeys(target for section in report.sections for target in section.targets))
    if task is not None and task not in targets:
        raise UserError(f"--task {task}: no target of {report.facts.name} with a result; {nearest(task, targets)}")
    if seed is not None and seed not in report.facts.seeds:
        drawn = ", ".join(map(str, report.facts.seeds))
        raise UserError(f"--seed {seed}: the draws of {report.facts.name} are {drawn}")
    if not targets:
        raise UserError(f"{out}: no run has a test score yet")
    draw = report.facts.seeds[0] if seed is None else seed
    shown = False
    for section in report.sections:
        place = f"{section.setting.name}: " if report.facts.has_several else ""
        for target in section.targets:
            if task in (None, target) and (found := _answers(section, out, target, draw)):
                shown = True
                yield _table(f"{place}{target}, draw {draw}", found, rows)
    if not shown:
        raise UserError(f"{out}: no run of draw {draw}{f' on {task}' if task else ''} has answers yet")


def _answers(section: Section, out: Path, target: str, seed: int) -> dict[str, list[Prediction]]:
    """By method."""
    found: dict[str, list[Prediction]] = {}
    together = {(one.vote.method, one.vote.folder): one.members for one in section.ensembles}
    for score in section.scores:
        if (score.target, score.seed) == (target, seed) and score.method not in found:
            path = out / score.folder / PREDICTIONS
            if members := together.get((score.method, score.folder)):
                found[score.method] = vote(out, members)
            elif path.is_file():
                found[score.method] = read_predictions(path)
    return found


def _table(head: str, found: dict[str, list[Prediction]], rows: int) -> Table:
    examples = next(iter(found.values()), [])
    taken = [number * len(examples) // rows for number in range(rows)] if len(examples) > rows else range(len(examples))
    lines: list[list[TableCell]] = []
    for number in dict.fromkeys(taken):
        one = examples[number]
        answers = [_said(own[number]) if number < len(own) else "" for own in found.values()]
        lines.append([_short(one.input, _INPUT), _short(" | ".join(one.references), _ANSWER), *answers])
    return Table([head, "right", *found], lines, texts=2)


def _said(row: Prediction) -> str:
    said = _short(row.prediction, _ANSWER)
    return said if row.written in (None, row.prediction) else f"{said} ({_short(row.written or 'nothing', _ANSWER)})"


def _short(text: str, width: int) -> str:
    return textwrap.shorten(text, width, placeholder=" …") or text[:width]
