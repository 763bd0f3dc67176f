"""What was answered in languages that were not learned, evaluation by evaluation: a page beside the report."""

from __future__ import annotations

from pathlib import Path

from mpt.present.markdown import Block
from mpt.present.table import Table
from mpt.record.folder import LANGUAGES
from mpt.record.language_answers import LanguageAnswer, read_answers
from mpt.study.report.contents import Report
from mpt.study.scores.scores import Score

ABOUT = (
    "The first answers to each task in another language, after every evaluation on dev and at test (of the prompt that "
    "was best on dev), of each method's run on the first draw."
)


def sample_blocks(report: Report, out: Path) -> list[Block]:
    """The page; empty where no run kept answers.

    Raises:
        UserError: a run's file of answers is damaged; names file and line.
    """
    blocks: list[Block] = []
    for section in report.sections:
        first: dict[tuple[str, str], Score] = {}
        for row in section.scores:
            first.setdefault((row.target, row.method), row)
        asked: dict[tuple[str, str], list[Block]] = {}
        for (target, method), row in first.items():
            for task, lines in _by_task(out / row.folder / LANGUAGES).items():
                own = asked.setdefault((target, task), _questions(lines))
                own += [f"**{method}**, draw {row.seed}", _answers(lines)]
        for (target, task), parts in asked.items():
            place = f", {section.setting.name}" if report.facts.has_several else ""
            blocks += [f"## {task}, learned: {target}{place}", *parts]
    return [f"# {report.facts.name}: answers in other languages", ABOUT, *blocks] if blocks else []


def _questions(lines: list[LanguageAnswer]) -> list[Block]:
    """The examples that are shown, by split."""
    seen = dict.fromkeys((line.split, line.input, " / ".join(line.references)) for line in lines)
    return [Table(["split", "input", "right"], [list(row) for row in seen], texts=3)]


def _answers(lines: list[LanguageAnswer]) -> Table:
    """A row an evaluation, a column an example."""
    rows: dict[tuple[str, int], list[str]] = {}
    for line in lines:
        rows.setdefault((line.split, line.step), []).append(line.prediction)
    most = max(map(len, rows.values()))
    head = ["split", "step", *(f"answer {number}" for number in range(1, most + 1))]
    return Table(
        head,
        [[split, str(step), *said, *[""] * (most - len(said))] for (split, step), said in rows.items()],
        texts=most + 2,
    )


def _by_task(path: Path) -> dict[str, list[LanguageAnswer]]:
    """The rows of a run's file of answers, by task."""
    found: dict[str, list[LanguageAnswer]] = {}
    for row in read_answers(path):
        found.setdefault(row.task, []).append(row)
    return found
