"""The rows of a run's files: an evaluation, a prediction, what is said of a prompt."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mpt.util.files import write_text
from mpt.util.reading import read_json_lines

DEV_SCORE = "dev/score"
"""What the score on dev is called in metrics and in the facts of a run's prompt."""


def seven_digits(value: Any) -> float:
    """Round to seven significant digits, as many as Lightning's float32 has."""
    return float(f"{float(value):.7g}")


@dataclass(frozen=True)
class MetricsRow:
    """What was measured after a step.

    Attributes:
        values: by name, such as ``dev/score``, to seven digits.
    """

    step: int
    values: Mapping[str, float]

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> MetricsRow:
        """From a mapping that has the step among the numbers."""
        values = {name: seven_digits(value) for name, value in row.items() if name != "step"}
        return cls(int(row["step"]), values)

    def line(self) -> str:
        """This row as one line of JSON."""
        return json.dumps({"step": self.step, **self.values})


def read_metrics(path: Path, cut_short: bool = False) -> list[MetricsRow]:
    """The rows of a run's file of metrics; none if there is no such file.

    Args:
        cut_short: whether a kill may have left half a line, which is left out.

    Raises:
        UserError: a line is not what was written; names file and line.
    """
    return read_json_lines(path, "evaluation of a run", _measured, cut_short) if path.exists() else []


def _measured(row: Any) -> MetricsRow:
    if not isinstance(row, dict) or type(row.get("step")) is not int or row["step"] < 0:
        raise ValueError("it has no step, a whole number")
    if wrong := [name for name, value in row.items() if type(value) not in (int, float)]:
        raise ValueError(f"{wrong[0]} is no number")
    return MetricsRow.of(row)


def write_metrics(path: Path, rows: Iterable[MetricsRow]) -> None:
    """Write a run's file of metrics anew."""
    write_text(path, "".join(f"{row.line()}\n" for row in rows))


@dataclass(frozen=True)
class Prediction:
    """What was answered to an example.

    Attributes:
        references: the right answers; none where they are not known.
        task: which of several the example is of; not written down.
        written: what the model writes where the prediction is the likeliest label.
    """

    input: str
    references: Sequence[str]
    prediction: str
    task: str | None = None
    written: str | None = None

    def line(self) -> str:
        """This row as one line of JSON."""
        row = {"input": self.input, "references": list(self.references), "prediction": self.prediction}
        if self.written is not None:
            row["written"] = self.written
        return json.dumps(row, ensure_ascii=False)


def write_predictions(path: Path, rows: Iterable[Prediction]) -> None:
    """Write predictions, one JSON object per line."""
    write_text(path, "".join(f"{row.line()}\n" for row in rows))


def read_predictions(path: Path) -> list[Prediction]:
    """What :func:`write_predictions` wrote.

    Raises:
        UserError: it is gone, or a line is not what was written; names file and line.
    """
    return read_json_lines(path, "prediction of a run", _predicted)


def _predicted(row: Any) -> Prediction:
    if not isinstance(row, dict) or not isinstance(row.get("references"), list):
        raise ValueError("it has no references, a list")
    answers = {name: row[name] for name in ("prediction", "written") if name in row}
    texts = [row.get("input"), row.get("prediction"), *answers.values(), *row["references"]]
    if not all(isinstance(text, str) for text in texts):
        raise ValueError("input, prediction and references must be texts")
    return Prediction(row["input"], row["references"], **answers)


def prompt_facts(learner: object, data: object, step: int | None) -> dict[str, Any]:
    """The facts that ``mpt.json`` holds of a prompt kept after a step, beside those its learner knows.

    Args:
        data: of one task or of several, of which none is named.
    """
    task = getattr(data, "task", None)
    known: dict[str, Any] = {"metric": task.metric, "labels": list(task.labels)} if task else {}
    known |= {name: said for name in ("template", "input_prefix") if (said := getattr(data, name, ""))}
    return {"method": type(learner).__name__, "task": task.name if task else None, **known, "step": step}


def dev_score(facts: Mapping[str, Any]) -> Any:
    """The score on dev that a prompt's facts tell, a run's or a library's; None if they do not."""
    return facts.get("dev_score", facts.get(DEV_SCORE))
