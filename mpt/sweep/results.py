"""What a sweep found: a table of its trials, the best setting to paste, a heatmap over two options."""

from __future__ import annotations

import math
import shlex
import textwrap
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import yaml
from rich.console import Console
from rich.table import Table
from rich.text import Text

from mpt.present.csv_text import csv_text
from mpt.present.heatmap import draw_heatmap
from mpt.record.options import as_word, as_words
from mpt.sweep.sampling import Values
from mpt.sweep.trial import TrialOutcome, TrialSetup
from mpt.util.files import write_text

TRIALS, HEATMAP, BEST = "trials.csv", "heatmap.png", "best.yaml"


def best_of(outcomes: Sequence[TrialOutcome]) -> TrialOutcome | None:
    """The trial with the highest ARG, the first of equals; none if no trial has any."""
    done = [row for row in outcomes if not row.trouble]
    return max(done, key=lambda row: row.arg) if done else None


def is_told_apart(best: TrialOutcome, outcomes: Sequence[TrialOutcome]) -> bool:
    """Whether the best is ahead of the next by more than either varies over the draws; so if there is no next."""
    others = [row for row in outcomes if not row.trouble and row.name != best.name]
    if not others:
        return True
    second = max(others, key=lambda row: row.arg)
    spread = max((std for std in (best.std, second.std) if not math.isnan(std)), default=0.0)
    return best.arg - second.arg > spread


def as_options(values: Values) -> str:
    """Values as options of ``mpt fit``, as a shell takes them."""
    return shlex.join(as_words(values))


def sheet(outcomes: Sequence[TrialOutcome], notes: dict[str, str]) -> tuple[list[str], list[list[Any]]]:
    """Columns and rows of all trials, best first, those without ARG last.

    Args:
        notes: trial's name to what is to be said of it.
    """
    options = list(dict.fromkeys(name for row in outcomes for name in row.values))
    tasks = list(dict.fromkeys(task for row in outcomes for task in row.gains))
    columns = ["trial", *options, "arg", "arg_std", *(f"gain {task}" for task in tasks), "seconds", "note"]
    rows = []
    for row in sorted(outcomes, key=lambda row: -row.arg if not row.trouble else math.inf):
        note = "; ".join(part for part in (notes.get(row.name, ""), row.trouble) if part)
        numbers = [_rounded(value) for value in (row.arg, row.std, *(row.gains.get(task, math.nan) for task in tasks))]
        values = [as_word(row.values[name]) if name in row.values else "" for name in options]
        rows.append([row.name, *values, *numbers, round(row.seconds, 1), note])
    return columns, rows


def write_sweep(
    folder: Path,
    title: str,
    outcomes: Sequence[TrialOutcome],
    notes: dict[str, str],
    own: Collection[str],
    bench: TrialSetup,
) -> tuple[list[str], list[list[Any]]]:
    """Write ``trials.csv``, ``best.yaml`` and ``heatmap.png``; the sheet that went into the first.

    Args:
        own: names of the sweep's own trials, which the others are compared with.
    """
    columns, rows = sheet(outcomes, notes)
    write_text(folder / TRIALS, csv_text(columns, rows))
    best = best_of(outcomes)
    if best is None:
        (folder / BEST).unlink(missing_ok=True)
        (folder / HEATMAP).unlink(missing_ok=True)
        return columns, rows
    done = sum(not row.trouble for row in outcomes)
    head = (
        f"# The best of {done} trials of {title}: ARG {best.arg:+.1f} % over {bench.study.baseline} on the validation "
        f"tasks.\n# Options of mpt fit, and overrides of the upstream stage of {bench.method.name} in a study.\n"
    )
    plain = {name: list(value) if isinstance(value, tuple) else value for name, value in best.values.items()}
    write_text(folder / BEST, head + yaml.safe_dump(plain, sort_keys=False))
    beside = [f"{notes[row.name]} {row.arg:+.1f}" for row in outcomes if row.name not in own and not row.trouble]
    draw(folder / HEATMAP, title, [row for row in outcomes if row.name in own], beside, bench)
    return columns, rows


def draw(path: Path, title: str, outcomes: Sequence[TrialOutcome], beside: Sequence[str], bench: TrialSetup) -> None:
    """The heatmap over the first two options that are numbers and differ between trials; none if there are not two.

    Where other options differ too, a field shows the best of its trials; where values were drawn from ranges, a field
    takes in a part of each range.

    Args:
        beside: what is to be said of trials that are not in the picture.
    """
    options = dict.fromkeys(name for row in outcomes for name in row.values)
    numeric = [name for name in options if _is_numeric([row.values.get(name) for row in outcomes])]
    # Outer rates along, inner rates up, as the options' names sort.
    if len(numeric) < 2 or all(row.trouble for row in outcomes):
        path.unlink(missing_ok=True)
        return
    up, along = numeric[:2]
    axes = [[float(row.values[name]) for row in outcomes] for name in (up, along)]  # type: ignore[arg-type]
    # Where every trial has values of its own, most fields of a full table would be empty.
    few = len(set(axes[0])) * len(set(axes[1])) <= 2 * len(outcomes)
    (rows, row_of), (columns, column_of) = (_values(found) if few else _ranges(found) for found in axes)
    values = [[math.nan] * len(columns) for _ in rows]
    for row, i, j in zip(outcomes, row_of, column_of, strict=True):
        if not row.trouble and not values[i][j] >= row.arg:
            values[i][j] = row.arg
    lines = [f"{title}: ARG over {bench.study.baseline} on validation tasks"]
    if len(outcomes) > len(set(zip(row_of, column_of, strict=True))):
        lines.append("the best trial of each field")
    if beside:
        lines += textwrap.wrap(f"not in it: {', '.join(beside)}", 60)
    draw_heatmap(path, rows, columns, values, up, along, "\n".join(lines))


def show(
    console: Console, title: str, columns: Sequence[str], rows: Sequence[Sequence[Any]], names: Sequence[str]
) -> None:
    """Print the trials, best first: number, options, ARG and its deviation, seconds, what is to be said."""
    shown = Table(title=Text(title), title_justify="left", title_style="bold")
    for column in (*names, "ARG (%)", "seconds", ""):
        shown.add_column(column, justify="left" if column == "" else "right", no_wrap=column != "")
    place = {column: i for i, column in enumerate(columns)}
    for number, row in enumerate(rows):
        arg, std = row[place["arg"]], row[place["arg_std"]]
        text = "-" if arg is None else f"{arg:+.1f}" + ("" if std is None else f" ± {std:.1f}")
        cells = [*(row[place[name]] for name in names), text, f"{row[place['seconds']]:.0f}", row[place["note"]]]
        shown.add_row(*(Text(str(cell)) for cell in cells), style="bold" if number == 0 and arg is not None else None)
    console.print(shown)


def _values(found: Sequence[float]) -> tuple[list[float | str], list[int]]:
    """The values of an axis, rising, and the place of each."""
    distinct = sorted(set(found))
    return list(distinct), [distinct.index(value) for value in found]


def _ranges(found: Sequence[float]) -> tuple[list[float | str], list[int]]:
    """As many ranges of equal ratio, or width, as leave a few values to each field of a square, and their places."""
    count = max(2, min(6, round(math.sqrt(len(found) / 2))))
    log = min(found) > 0 and max(found) / min(found) > 10
    scale = [math.log(value) if log else value for value in found]
    low, width = min(scale), (max(scale) - min(scale)) / count
    ends = [low + width * i for i in range(count + 1)]
    told = [f"{math.exp(end) if log else end:.2g}" for end in ends]
    places = [min(count - 1, int((value - low) / width)) for value in scale]
    return [f"{told[i]} to {told[i + 1]}" for i in range(count)], places


def _is_numeric(values: Sequence[Any]) -> bool:
    numbers = all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)
    return numbers and len(set(values)) > 1


def _rounded(value: float) -> float | None:
    return None if math.isnan(value) else round(value, 4)
