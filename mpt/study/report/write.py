"""Writing a study's report: tables, figures and pages into its folder, the same on W&B."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from mpt.present.html import html_page
from mpt.present.latex import latex_table
from mpt.present.markdown import markdown
from mpt.study.report.contents import Report, build_report
from mpt.study.report.csv_tables import SCORE_COLUMNS, SOMETIMES, csv_files, gain_rows, score_rows, sure_rows
from mpt.study.report.figures import KINDS, draw_all, figure_files
from mpt.study.report.language_samples import sample_blocks
from mpt.study.report.score_file import report_of_scores
from mpt.study.report.tables import arg_table, score_table
from mpt.study.report.text import page
from mpt.study.run.results import PAGE, REPORT
from mpt.util.errors import UserError, one_line
from mpt.util.files import write_text
from mpt.util.made_files import filling

HTML, SAMPLES = "report.html", "languages.html"


def write_report(out: Path, against: str | None = None, seeds: Sequence[int] = ()) -> Report:
    """Write ``report/`` into a study's folder from its result files: ``report.html`` (all in one file) and
    ``report.md``; ``arg``, ``significance``, ``relative_gain``, ``scores``, ``costs``, ``convergence`` and ``curves``
    as CSV; ``arg.tex`` and ``scores.tex``; the figures as PNG.

    Args:
        against, seeds: as in :func:`mpt.study.report.contents.build_report`.

    Raises:
        UserError: the folder holds no study; no such method.
    """
    return _write(build_report(out, against, seeds), out / REPORT, out)


def write_report_of_scores(path: Path, baseline: str, out: Path, against: str | None = None) -> Report:
    """Write the same, but for what only runs can tell (learning curves and costs), from a file of test scores.

    Args:
        path, baseline, against: as in :func:`mpt.study.report.score_file.report_of_scores`.
        out: the report's folder.

    Raises:
        UserError: as there.
    """
    return _write(report_of_scores(path, out.resolve().name, baseline, against), out, out)


def _write(report: Report, folder: Path, out: Path) -> Report:
    """In a study's own folder files of an earlier report give way; one that --out names may hold files of others."""
    sheets = {**csv_files(report), **_latex(report)}
    _check_names(report, {HTML, PAGE, SAMPLES, *SOMETIMES, *sheets, *KINDS})
    samples = sample_blocks(report, out) if report.records else []
    with filling(folder, {SAMPLES, *SOMETIMES, *figure_files(report)}, bool(report.records)) as fresh:
        figures = draw_all(report, fresh)
        blocks = page(report, out, figures)
        texts = {HTML: html_page(blocks, fresh), PAGE: markdown(blocks), **sheets}
        if samples:
            texts |= {SAMPLES: html_page(samples, fresh)}
        for name, text in texts.items():
            write_text(fresh / name, text)
    files = (*texts, *(figure.file for figure in figures))
    return replace(report, files=files)


def _check_names(report: Report, files: set[str]) -> None:
    """Of several settings each has a folder beside the report's files."""
    names = [section.setting.name for section in report.sections]
    if clash := next((name for name in names if report.facts.has_several and name in files), None):
        raise UserError(f"{report.facts.file}: {clash} is a file of the report; give that setting another name")


def _latex(report: Report) -> dict[str, str]:
    facts = report.facts
    spread = f", mean and deviation over {len(facts.seeds)} draws" if len(facts.seeds) > 1 else ""
    caption = f"{facts.name}: average relative gain (ARG, %) over {facts.baseline}{spread}. Bold: the best."
    scores = [
        latex_table(
            score_table(facts, section),
            f"{facts.name}, {section.setting.name}: test scores (%){spread}, and ARG over {facts.baseline}. "
            "Bold: the best.",
            f"tab:{facts.name}-{section.setting.name}-scores",
        )
        for section in report.sections
    ]
    arg = latex_table(arg_table(report), caption, f"tab:{facts.name}-arg")
    return {"arg.tex": arg, "scores.tex": "\n".join(scores)}


def log_report(report: Report, out: Path) -> str | None:
    """Log ARG, the tables and the figures to one W&B run of the study; why not, if that failed. A report never fails
    by it.
    """
    try:
        import wandb

        from mpt.util.wandb_runs import start_job

        facts = report.facts
        run = start_job(out / REPORT, facts.name, f"{facts.name}/report", "report", {"study": asdict(facts)})
        content: dict[str, Any] = {}
        for section in report.sections:
            place = f"{section.setting.name}/" if facts.has_several else ""
            content |= {f"ARG/{place}{row.method}": row.mean for row in section.gains}
            content |= {f"ARG_std/{place}{row.method}": row.std for row in section.gains if not math.isnan(row.std)}
        columns = [column for column in SCORE_COLUMNS if column != "folder"]
        for name, (head, rows) in {
            "scores": score_rows(report, columns),
            "relative_gains": gain_rows(report),
            "significance": sure_rows(report),
        }.items():
            content[name] = wandb.Table(columns=list(head), data=[[_plain(value) for value in row] for row in rows])
        for file in report.files:
            if file.endswith(".png"):
                content[f"figures/{file.removesuffix('.png')}"] = wandb.Image(str(out / REPORT / file))
        run.log(content)
        run.finish()
    except Exception as error:  # whatever a logger, its network or its disk may raise
        return one_line(error)
    return None


def _plain(value: Any) -> Any:
    """W&B's tables take no NaN into a column of numbers."""
    return None if isinstance(value, float) and math.isnan(value) else value
