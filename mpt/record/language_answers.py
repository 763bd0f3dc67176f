"""What a run answered to a few examples of tasks in other languages: the rows of ``languages.jsonl``."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mpt.util.files import write_text
from mpt.util.reading import read_json_lines

_KINDS = {"step": int, "split": str, "task": str, "language": str, "input": str, "references": list, "prediction": str}


@dataclass(frozen=True)
class LanguageAnswer:
    """One answer, after a step, to an example of dev or test."""

    step: int
    split: str
    task: str
    language: str
    input: str
    references: Sequence[str]
    prediction: str

    def line(self) -> str:
        """This row as one line of JSON."""
        return json.dumps(asdict(self), ensure_ascii=False)


def write_answers(path: Path, rows: Iterable[LanguageAnswer]) -> None:
    """Write a run's file of answers anew."""
    write_text(path, "".join(f"{row.line()}\n" for row in rows))


def read_answers(path: Path, cut_short: bool = False) -> list[LanguageAnswer]:
    """The rows of a run's file of answers; none if there is no such file.

    Args:
        cut_short: whether a kill may have left half a line, which is left out.

    Raises:
        UserError: a line is not what was written; names file and line.
    """
    return read_json_lines(path, "answer of a run", _answer, cut_short) if path.exists() else []


def _answer(row: Any) -> LanguageAnswer:
    if not isinstance(row, dict) or any(type(row.get(name)) is not kind for name, kind in _KINDS.items()):
        raise ValueError(f"it must have {', '.join(_KINDS)}")
    if not all(isinstance(text, str) for text in row["references"]):
        raise ValueError("references must be texts")
    return LanguageAnswer(**{name: row[name] for name in _KINDS})
