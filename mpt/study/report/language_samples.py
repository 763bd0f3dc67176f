"""What was answered in languages that were not learned, evaluation by evaluation: a page beside the report."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mpt.present.markdown import Block
from mpt.present.table import Table
from mpt.record.folder import LANGUAGES
from mpt.study.report.contents import Report
from mpt.study.scores.scores import Score
from mpt.util.errors import UserError
from mpt.util.reading import LARGEST_DATA, parse_json, read_bytes, why_unread

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
            for task, lines in _by_task(out / row.folder / LANGUAGES):
                own = asked.setdefault((target, task), _questions(lines))
                own += [f"**{method}**, draw {row.seed}", _answers(lines)]
        for (target, task), parts in asked.items():
            place = f", {section.setting.name}" if report.facts.has_several else ""
            blocks += [f"## {task}, learned: {target}{place}", *parts]
    return [f"# {report.facts.name}: answers in other languages", ABOUT, *blocks] if blocks else []


def _questions(lines: list[dict[str, Any]]) -> list[Block]:
    """The examples that are shown, by split."""
    seen = dict.fromkeys((line["split"], line["input"], " / ".join(line["references"])) for line in lines)
    return [Table(["split", "input", "right"], [list(row) for row in seen], texts=3)]


def _answers(lines: list[dict[str, Any]]) -> Table:
    """A row an evaluation, a column an example."""
    rows: dict[tuple[str, int], list[str]] = {}
    for line in lines:
        rows.setdefault((line["split"], line["step"]), []).append(line["prediction"])
    most = max(map(len, rows.values()))
    head = ["split", "step", *(f"answer {number}" for number in range(1, most + 1))]
    return Table(
        head,
        [[split, str(step), *said, *[""] * (most - len(said))] for (split, step), said in rows.items()],
        texts=most + 2,
    )


def _by_task(path: Path) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """The lines of a run's file of answers, by task."""
    found: dict[str, list[dict[str, Any]]] = {}
    for line in _read(path):
        found.setdefault(line["task"], []).append(line)
    yield from found.items()


_KINDS = {"step": int, "split": str, "task": str, "input": str, "references": list, "prediction": str}


def _read(path: Path) -> list[dict[str, Any]]:
    if not path.exists():
        return []
    try:
        lines = read_bytes(path, LARGEST_DATA).decode("utf-8").split("\n")
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: the answers cannot be read: {why_unread(error)}") from error
    rows = []
    for number, line in enumerate(filter(None, lines), start=1):
        try:
            row = parse_json(line)
            if not isinstance(row, dict) or any(type(row.get(name)) is not kind for name, kind in _KINDS.items()):
                raise ValueError(f"it must have {', '.join(_KINDS)}")
            if not all(isinstance(text, str) for text in row["references"]):
                raise ValueError("references must be texts")
        except ValueError as error:
            raise UserError(f"{path}, line {number} is no answer of a run: {error}") from error
        rows.append(row)
    return rows
