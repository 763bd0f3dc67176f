"""A study's report: CSV files, Markdown, a figure, the table in the terminal and on W&B."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mpt.data.fewshot import SYNTHETIC
from mpt.files import write_text
from mpt.study.chart import draw_gains
from mpt.study.results import Facts, Record, read_study
from mpt.study.tables import Gain, Score, choose, gains, target_gains, target_scores, without_baseline

FOLDER, SCORES, ARG, TEXT, FIGURE = "report", "scores.csv", "arg.csv", "report.md", "relative_gain.png"


@dataclass(frozen=True)
class Report:
    """Everything a report says.

    Attributes:
        missing: the runs that have no result, with why where it is known.
    """

    facts: Facts
    scores: list[Score]
    gains: list[Gain]
    records: list[Record]
    missing: list[tuple[str, str]]

    @property
    def targets(self) -> list[str]:
        """Targets with at least one score, in the order of the partition."""
        seen = {row.target for row in self.scores}
        return [target for target in self.facts.targets if target in seen]


def build_report(out: Path) -> Report:
    """Read a study's folder.

    Raises:
        UserError: the folder holds no study.
    """
    facts, records = read_study(out)
    # In the order of the study file, which is that of the report's columns.
    scores = sorted(choose(records), key=lambda row: facts.methods.index(row.method))
    missing = [(record.key, record.failure or "not run yet") for record in records if record.result is None]
    return Report(facts, scores, gains(scores, facts.baseline), records, missing)


def write_report(out: Path) -> Report:
    """Write ``report/{scores.csv, arg.csv, report.md, relative_gain.png}`` into a study's folder from its
    result files.

    Raises:
        UserError: the folder holds no study.
    """
    report = build_report(out)
    folder = out / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    write_text(folder / SCORES, scores_csv(report.scores))
    write_text(folder / ARG, arg_csv(report.gains))
    has_figure = any(row.seeds for row in report.gains)
    if has_figure:
        facts = report.facts
        kind = "synthetic tasks" if facts.root == SYNTHETIC else facts.root
        title = f"{facts.name}: {Path(facts.partition).stem}, {Path(facts.backbone).name}, {kind}"
        gained = target_gains(report.scores, facts.baseline)
        draw_gains(folder / FIGURE, gained, report.gains, facts.baseline, title)
    else:
        (folder / FIGURE).unlink(missing_ok=True)
    write_text(folder / TEXT, markdown(report, out, has_figure))
    return report


def scores_csv(scores: Iterable[Score]) -> str:
    """One row per method, target and seed; scores are fractions (correlations in [-1, 1]), at full
    precision.
    """
    head = ["method", "target", "seed", "metric", "score", "dev_score", "learning_rate", "folder"]
    rows = [
        [
            row.method,
            row.target,
            row.seed,
            row.metric,
            row.score,
            row.dev_score,
            row.learning_rate,
            row.folder,
        ]
        for row in scores
    ]
    return _csv(head, rows)


def arg_csv(rows: Iterable[Gain]) -> str:
    """One row per method but the baseline; percent, as in table 2 of Qin et al. (2023)."""
    head = ["method", "arg_mean", "arg_std", "targets", "seeds"]
    return _csv(head, [[r.method, _cell(r.mean), _cell(r.std), r.targets, r.seeds] for r in rows])


def table(report: Report) -> tuple[list[str], list[list[str]]]:
    """Head and rows of the table of the terminal and of the Markdown: a row per target, then ARG."""
    facts = report.facts
    scored = target_scores(report.scores)
    metric = {row.target: row.metric for row in report.scores}
    rows = []
    for target in report.targets:
        cells = [scored.get((method, target)) for method in facts.methods]
        rows.append([target, metric[target], *(plus_minus(*cell) if cell else "missing" for cell in cells)])
    by_method = {row.method: row for row in report.gains}
    last = ["ARG (%)", ""]
    for method in facts.methods:
        if method == facts.baseline:
            last.append("baseline")
        elif method in by_method:
            last.append(plus_minus(by_method[method].mean, by_method[method].std, signed=True))
        else:
            last.append("missing")
    return ["target", "metric", *facts.methods], [*rows, last]


def plus_minus(mean: float, std: float, signed: bool = False) -> str:
    """``71.2 ± 3.4``, without the deviation where there is none."""
    if math.isnan(mean):
        return "undefined"
    text = f"{mean:+.1f}" if signed else f"{mean:.1f}"
    return text if math.isnan(std) else f"{text} ± {std:.1f}"


def markdown(report: Report, out: Path, has_figure: bool) -> str:
    """The report as one page."""
    facts = report.facts
    head, rows = table(report)
    lines = [f"# {facts.name}", "", _what(facts), ""]
    if facts.root == SYNTHETIC:
        lines += [
            "**All tasks here are synthetic**: made by the package from a made-up world, with the few-shot "
            "protocol of "
            "CrossFit. The numbers show how the methods compare on these tasks, and say nothing about "
            "natural language.",
            "",
        ]
    lines += [
        "## Scores and average relative gain",
        "",
        *_pipe([*head[:-1], head[-1]], [*rows[:-1], _bold(rows[-1])]),
        "",
    ]
    lines += [_reading(facts), ""]
    if has_figure:
        lines += [f"![relative gain over {facts.baseline} per target]({FIGURE})", ""]
    lines += ["## ARG by seed (%)", "", *_by_seed(report), ""]
    undefined = without_baseline(report.scores, facts.baseline)
    if undefined:
        places = ", ".join(f"{target} (seed {seed})" for target, seed in undefined)
        lines += [
            f"{facts.baseline} scores zero or less on {places}: no relative gain is defined there, and that "
            "target is left "
            "out of that seed's average.",
            "",
        ]
    if report.missing:
        lines += ["## Missing", "", *(f"- `{key}`: {reason}" for key, reason in report.missing), ""]
    lines += ["## How to have it again", "", *_again(report, out), ""]
    return "\n".join(lines)


def _what(facts: Facts) -> str:
    shots = f", k = {facts.k}" if facts.k is not None else ""
    return (
        f"{', '.join(facts.methods)} on the partition {facts.partition} ({len(facts.targets)} targets), "
        "backbone "
        f"{facts.backbone}, data {facts.root}{shots}, seeds {', '.join(map(str, facts.seeds))}."
    )


def _reading(facts: Facts) -> str:
    return (
        "Test scores are in percent (correlations times 100): mean ± sample standard deviation over the "
        "seeds. The learning "
        "rate, where there was a choice, and the step are those of the best dev score; the test set was used "
        "once. ARG is "
        f"the mean over targets of (score - {facts.baseline}'s score) / {facts.baseline}'s score, in "
        "percent, computed for "
        "each seed against the baseline of the same seed; its ± is over those per-seed averages. "
        f"`{ARG}` is in percent, `{SCORES}` in fractions."
    )


def _by_seed(report: Report) -> list[str]:
    seeds = report.facts.seeds
    rows = [
        [
            row.method,
            *(f"{row.by_seed[seed]:+.1f}" if seed in row.by_seed else "missing" for seed in seeds),
            str(row.targets),
        ]
        for row in report.gains
    ]
    return _pipe(["method", *map(str, seeds), "targets"], rows)


def _again(report: Report, out: Path) -> list[str]:
    results = [record.result for record in report.records if record.result is not None]
    seconds = sum(result["seconds"] for result in results)
    versions: dict[str, set[str]] = {}
    for result in results:
        for name, version in result["versions"].items():
            versions.setdefault(name, set()).add(version)
    told = ", ".join(f"{name} {' and '.join(sorted(found))}" for name, found in versions.items())
    devices = ", ".join(sorted({result["device"] for result in results})) or "none yet"
    return [
        "```",
        f"mpt study run {report.facts.file} --out {out}",
        "```",
        "",
        f"{len(results)} of {len(report.records)} runs are finished, {seconds:.0f} s of computing in all, "
        f"on: {devices}. "
        f"Versions: {told or 'none yet'}.",
        "",
        "Each score's run is the folder named in `scores.csv`, beside this one: `result.json` (the score, "
        "and the "
        "arguments of the `mpt fit` that made it), `config.yaml`, `metrics.jsonl` (every evaluation), "
        "`predictions.jsonl`, "
        "`prompt/`, `log.txt`.",
    ]


def log_report(report: Report, out: Path) -> str | None:
    """Log ARG, the table and the figure to one W&B run of the study; why not, if that failed. A report never
    fails by it.
    """
    try:
        import wandb

        from mpt.tracking import Tracker

        facts = report.facts
        tracker = Tracker(save_dir=str(out / FOLDER), name=f"{facts.name}/report", group=facts.name, job_type="report")
        run: Any = tracker.experiment
        columns: list[str | int] = [
            "method",
            "target",
            "seed",
            "metric",
            "score",
            "dev_score",
            "learning_rate",
        ]
        rows = [[getattr(row, str(column)) for column in columns] for row in report.scores]
        content: dict[str, Any] = {f"ARG/{row.method}": row.mean for row in report.gains}
        content |= {f"ARG_std/{row.method}": row.std for row in report.gains if not math.isnan(row.std)}
        content["scores"] = wandb.Table(columns=columns, data=rows)
        if (out / FOLDER / FIGURE).is_file():
            content["relative_gain"] = wandb.Image(str(out / FOLDER / FIGURE))
        tracker.log_hyperparams({"study": facts.__dict__})
        run.log(content)
        wandb.finish()
    except Exception as error:  # whatever a logger, its network or its disk may raise
        return f"{type(error).__name__}: {error}"
    return None


def _csv(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(head)
    writer.writerows([["" if value is None else value for value in row] for row in rows])
    return text.getvalue()


def _cell(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.4f}"


def _pipe(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    lines = [f"| {' | '.join(head)} |", f"|{'|'.join(['---'] * len(head))}|"]
    return lines + [f"| {' | '.join(row)} |" for row in rows]


def _bold(row: Sequence[str]) -> list[str]:
    return [f"**{cell}**" if cell else "" for cell in row]
