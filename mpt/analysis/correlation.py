"""Does similarity tell transfer? Pearson's r and p for each target (SPoT, section 3.3, figure 5)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from mpt.analysis.matrix import Transfer, transfers_by
from mpt.analysis.transfers import SourceTrial, Transfers, mean
from mpt.present.figure_style import COLOURS, bare, new_figure, save
from mpt.present.table import Table, TableCell, p_value

LEVEL = 0.05
_ACROSS = 4


@dataclass(frozen=True)
class Correlation:
    """Of similarity to the target with relative error reduction on it, over the sources.

    Attributes:
        by: the measure of similarity.
        r, p: Pearson's correlation over the source prompts, and its two-sided p; NaN where it is undefined.
        sources: how many prompts went into it.
        task_r, task_p: the same over the source tasks, each the mean of its prompts. Prompts of one task are not
            independent of each other, so that ``p`` is too small where a task has several; ``task_p`` is not.
        tasks: how many.
    """

    target: str
    by: str
    r: float
    p: float
    sources: int
    task_r: float
    task_p: float
    tasks: int


def correlations(transfers: Transfers) -> list[Correlation]:
    """A correlation for each target, over source prompts: similarity and score are means over the target's seeds."""
    prompts, tasks = (transfers_by(transfers, kind) for kind in ("source", "task"))
    found = []
    for target in transfers.targets:
        (r, p, n), (task_r, task_p, m) = (pearson(*_points(rows, target)) for rows in (prompts, tasks))
        found.append(Correlation(target, transfers.by, r, p, n, task_r, task_p, m))
    return found


def pearson(x: Sequence[float], y: Sequence[float]) -> tuple[float, float, int]:
    """r, two-sided p, and the number of pairs without NaN that they are of; NaN for fewer than three, or where all of
    one side are equal.
    """
    from scipy.stats import linregress

    pairs = [(a, b) for a, b in zip(x, y, strict=True) if math.isfinite(a) and math.isfinite(b)]
    if len(pairs) < 3 or any(max(side) - min(side) <= 1e-12 for side in zip(*pairs, strict=True)):
        return math.nan, math.nan, len(pairs)
    result = linregress(*zip(*pairs, strict=True))
    return float(result.rvalue), float(result.pvalue), len(pairs)


def correlation_table(found: Sequence[Correlation]) -> Table:
    """A row per target and measure; r in bold where p over the source tasks is below 0.05."""
    rows: list[list[TableCell]] = []
    bold = set()
    for i, row in enumerate(found):
        if row.task_p < LEVEL:
            bold.add((i, 5))
        cells = [_r(row.r), p_value(row.p), str(row.sources), _r(row.task_r), p_value(row.task_p), str(row.tasks)]
        rows.append([row.target, row.by, *cells])
    head = ["target", "similarity", "r over prompts", "p", "prompts", "r over tasks", "p", "tasks"]
    starts = frozenset(i for i, row in enumerate(found) if i and row.by != found[i - 1].by)
    return Table(head, rows, texts=2, bold=frozenset(bold), rules=starts)


def summary(found: Sequence[Correlation]) -> str:
    """A sentence on all targets of one measure."""
    defined = [row for row in found if not math.isnan(row.r)]
    if not defined:
        return f"{found[0].by}: no correlation is defined." if found else ""
    sure = [row.target for row in defined if row.task_p < LEVEL and row.task_r > 0]
    against = [row.target for row in defined if row.task_p < LEVEL and row.task_r < 0]
    parts = [
        f"{found[0].by}: mean r over {len(defined)} targets {mean([row.r for row in defined]):+.2f}",
        f"positive with p < {LEVEL:g} over source tasks on {len(sure)}" + (f" ({', '.join(sure)})" if sure else ""),
    ]
    parts += [f"negative on {len(against)} ({', '.join(against)})"] if against else []
    chance = LEVEL / 2 * len(defined)
    return f"{'; '.join(parts)}; without any relation {chance:.1f} of either sign are expected."


def ranking(measures: Sequence[Transfers]) -> str:
    """Which measure goes with transfer most, by the mean over targets of r over source tasks; empty for one measure.

    All measures are compared on the same: the trials that each of them is defined on, and of these the targets on which
    each has a correlation. One that is defined on no trial, such as LEEP without labels, is left out and named.
    """
    nowhere = [one.by for one in measures if not any(math.isfinite(row.similarity) for row in one.trials)]
    measures = [one for one in measures if one.by not in nowhere]
    if len(measures) < 2:
        return ""
    known = [{_place(row) for row in one.trials if math.isfinite(row.similarity)} for one in measures]
    shared = set.intersection(*known)
    found: dict[str, dict[str, float]] = {}
    for one in measures:
        cut = replace(one, trials=[row for row in one.trials if _place(row) in shared])
        found[one.by] = {row.target: row.task_r for row in correlations(cut) if not math.isnan(row.task_r)}
    names = [name for name in measures[0].targets if all(name in own for own in found.values())]
    if not names:
        return "Which measure tells transfer best is not known: there is no target on which each has a correlation."
    means = {by: mean([own[name] for name in names]) for by, own in found.items()}
    order = sorted(means.items(), key=lambda pair: -pair[1])
    told = ", ".join(f"{by} {value:+.2f}" for by, value in order)
    sources = {source for target, _, source in shared if target in names}
    on = f"{len(names)} of {len(measures[0].targets)} targets and {len(sources)} of {len(measures[0].sources)} prompts"
    on += " that every measure is defined on" + (f" ({', '.join(nowhere)} is on none)" if nowhere else "")
    return f"Which tells transfer best, by mean r over source tasks on the {on}: {told}."


def _place(row: SourceTrial) -> tuple[str, int, str]:
    return row.target, row.seed, row.source


def draw_correlations(path: Path, transfers: Transfers) -> None:
    """SPoT's figure 5: a panel per target, a point per source prompt, the line of least squares, r and p above."""
    from scipy.stats import linregress

    prompts = transfers_by(transfers, "source")
    found = {row.target: row for row in correlations(transfers)}
    down = -(-len(transfers.targets) // _ACROSS)
    across = -(-len(transfers.targets) // down)
    figure = new_figure(3.0 * across + 0.6, 2.8 * down + 0.9)
    panels = figure.subplots(down, across, squeeze=False).flat
    for i, panel in enumerate(panels):
        if i >= len(transfers.targets):
            panel.set_visible(False)
            continue
        target = transfers.targets[i]
        x, y = _points(prompts, target)
        row = found[target]
        bare(panel, "both")
        panel.axhline(0, color="#888888", linewidth=0.8)
        panel.scatter(x, y, s=22, color=COLOURS[0], alpha=0.75, linewidths=0)
        if not math.isnan(row.r):
            line, ends = linregress(x, y), [min(x), max(x)]
            panel.plot(ends, [line.intercept + line.slope * end for end in ends], color=COLOURS[3], linewidth=1.6)
        r_and_p = f"r = {_r(row.r)}, p {_equals(row.p)}" if not math.isnan(row.r) else "r undefined"
        panel.set_title(f"{target}\n{r_and_p}", fontsize=9)
        panel.tick_params(labelsize=8)
        panel.locator_params(axis="x", nbins=5)
    figure.supxlabel(f"similarity of source and target ({transfers.by})", fontsize=10)
    figure.supylabel("relative error reduction (%)", fontsize=10)
    figure.suptitle(f"{transfers.study}: similarity and transfer, a point per source prompt", fontsize=11)
    save(figure, path)


def _points(rows: Sequence[Transfer], target: str) -> tuple[list[float], list[float]]:
    own = [row for row in rows if row.target == target and math.isfinite(row.similarity + row.error_reduction)]
    return [row.similarity for row in own], [row.error_reduction for row in own]


def _r(value: float) -> str:
    return "undefined" if math.isnan(value) else f"{value:+.2f}"


def _equals(p: float) -> str:
    text = p_value(p)
    return text if text.startswith("<") else f"= {text}"
