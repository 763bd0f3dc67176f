"""Calibration of a prompt's labels on labelled examples, or by inputs that say nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from mpt.data.tables.own_file import ColumnText
from mpt.data.tables.rows import TaskRow
from mpt.use.answers.calibration import CONTENT_FREE, calibration_error
from mpt.use.answers.gold import spelt_as_known
from mpt.use.answers.predictor import Predictor
from mpt.util.errors import UserError
from mpt.util.names import nearest


def calibrate(
    predictor: Predictor,
    dev: Sequence[list[TaskRow]] | None,
    forms: Sequence[str | None] | None,
    file: Path = Path(),
) -> list[str]:
    """Calibrate each of a predictor's prompts: what was found, a sentence each.

    Args:
        predictor: its prompts are replaced by calibrated ones.
        dev: examples on which a temperature is found, as each prompt reads them; none is if not given.
        forms: what inputs of each prompt are made of, a column or a template; the labels' probabilities are divided by
            those of such inputs that say nothing (Zhao et al. 2021), unless none are given.
        file: that dev was read from.

    Raises:
        UserError: a prompt has no labels, or dev has others.
    """
    told = []
    for at, prompt in enumerate(predictor.prompts):
        if not prompt.labels:
            raise UserError(
                f"prompt {prompt.name} has no labels, whose probabilities could be calibrated; give --labels"
            )
        found = prompt.calibration
        if forms is not None:
            made = ColumnText.of(forms[at] or "text")
            found = found.with_baseline(predictor.scores([made.filled_with(word) for word in CONTENT_FREE], at))
            told.append(f"{prompt.name}: probabilities are divided by those of inputs that say nothing")
        if dev is not None:
            rows, _ = spelt_as_known(dev[at], prompt.labels, file)
            gold = [_number(row, prompt.labels, file) for row in rows]
            scores = predictor.scores([row.input for row in dev[at]], at)
            warm = found.with_temperature(scores, gold)
            errors = []
            for one in (found, warm):
                sure, best = one.probabilities(scores).max(1)
                hits = [guess == right for guess, right in zip(best.tolist(), gold, strict=True)]
                errors.append(calibration_error(sure.tolist(), hits))
            found = warm
            told.append(
                f"{prompt.name}: temperature {found.temperature:.3g}, found on {len(gold)} examples; expected "
                f"calibration error there {errors[0]:.3f} before, {errors[1]:.3f} after"
            )
        predictor.prompts[at] = replace(prompt, calibration=found)
    return told


def _number(row: TaskRow, labels: tuple[str, ...], file: Path) -> int:
    if row.output not in labels:
        raise UserError(f"{file}, line {row.line}: {row.output!r} is no label; {nearest(row.output, labels)}")
    return labels.index(row.output)
