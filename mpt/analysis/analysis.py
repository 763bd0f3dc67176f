"""What a study that tried every source prompt says of transfer: tables, figures and a page in its report's folder."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

from mpt.analysis.clusters import Clusters, cluster, clusters_csv, draw_clusters
from mpt.analysis.correlation import Correlation, correlation_table, correlations, draw_correlations, ranking, summary
from mpt.analysis.matrix import COLUMNS, draw_matrix, matrix_table, transfers_by
from mpt.analysis.remeasure import TaskKeys, largest_difference, measured, read_keys
from mpt.analysis.search_space import SearchSpaceCut, draw_search_space, rankings, search_space, search_table
from mpt.analysis.transfers import Transfers
from mpt.library.library import Library
from mpt.present.csv_text import csv_text
from mpt.present.markdown import Block, Figure, bullets, markdown
from mpt.present.table import Table
from mpt.util.errors import UserError
from mpt.util.files import write_text

OnExamples = Callable[[Transfers, Library, TaskKeys], dict[str, Transfers]]

PAGE = "transfer.md"
_SEARCH = ["k", "removed", "score", "std", "gain", "reduction", "kept", "by_chance", "possible", "possible_kept"]
_CORRELATION = ["target", "by", "r", "p", "sources", "task_r", "task_p", "tasks"]


@dataclass(frozen=True)
class Analysis:
    """The analysis of one setting.

    Attributes:
        transfers: with the similarities that everything but the correlation table goes by.
        correlations: by measure.
        ranking: which measure tells transfer best, in a sentence.
        clusters: none where the keys cannot be read.
        notes: what whoever reads it should know, such as why something is left out.
    """

    transfers: Transfers
    correlations: dict[str, list[Correlation]]
    ranking: str
    cuts: list[SearchSpaceCut]
    clusters: Clusters | None
    notes: list[str] = field(default_factory=list)

    def tables(self) -> list[tuple[str, Table]]:
        """All tables, each with its title."""
        base = self.transfers.baseline
        return [
            (f"Relative error reduction over {base} (%), source to target", matrix_table(self.transfers)),
            (
                "Similarity and transfer (Pearson)",
                correlation_table([row for rows in self.correlations.values() for row in rows]),
            ),
            (f"Best of the k most similar prompts ({self.transfers.by})", search_table(self.transfers, self.cuts)),
        ]


def analyse(
    transfers: Transfers,
    library: str | None = None,
    by: str | None = None,
    ks: Sequence[int] | None = None,
    on_examples: OnExamples | None = None,
) -> Analysis:
    """Analyse one setting of a study.

    Where library and keys are at hand all measures of similarity are compared; otherwise there is the one that the
    study wrote down.

    Args:
        library: where the prompts are, if not where the study had them.
        by: the measure that sources are ranked and clustered by; the study's if not given.
        ks: how many of the most similar prompts are tried; SPoT's if not given.
        on_examples: gives more measures, see :func:`mpt.analysis.on_examples.measured_on_examples`.

    Raises:
        UserError: a library or measure that was asked for by name cannot be had.
    """
    notes: list[str] = []
    own, keys = {transfers.by: transfers}, None
    try:
        opened = Library.open(library or transfers.library)
        keys = read_keys(transfers, opened)
    except UserError as error:
        if library is not None or by not in (None, transfers.by) or on_examples is not None:
            raise
        notes.append(f"Only the similarities that the study wrote down are used, and no tasks are clustered: {error}.")
    else:
        own = measured(transfers, keys)
        if (difference := largest_difference(transfers, own[transfers.by])) > 1e-4:
            notes.append(
                f"Similarities differ by up to {difference:.4f} from those that the study wrote down: its library or "
                "its targets' keys have changed since."
            )
        if on_examples is not None:
            own |= on_examples(own[transfers.by], opened, keys)
    chosen = own[by or transfers.by]
    if transfers.missing:
        notes.append(f"{transfers.missing} runs have no result yet.")
    cuts = search_space(chosen, ks)
    places = {(trial.target, trial.seed) for trial in chosen.trials}
    if (whole := len(rankings(chosen))) < len(places):
        notes.append(
            f"What the search saves is told of the {whole} of {len(places)} targets and seeds on which every source "
            "was tried."
        )
    return Analysis(
        chosen,
        {name: correlations(found) for name, found in own.items()},
        ranking(list(own.values())),
        cuts,
        cluster(keys.all, keys.tasks, chosen.by) if keys is not None else None,
        notes,
    )


def write_analysis(analysis: Analysis, folder: Path) -> list[str]:
    """Write tables as CSV, figures as PNG, and ``transfer.md`` with all of them; the files' names."""
    transfers, clusters = analysis.transfers, analysis.clusters
    figures = {
        "matrix": Figure("matrix.png", "matrix.png", None, "relative error reduction from each source to each target"),
        "correlation": Figure("correlation.png", "correlation.png", None, "transfer against similarity per target"),
        "search": Figure("search_space.png", "search_space.png", None, "share of the gain kept against search saved"),
        "clusters": Figure("clusters.png", "clusters.png", None, "similarities of tasks, clustered"),
    }
    draw_matrix(folder / "matrix.png", transfers)
    draw_correlations(folder / "correlation.png", transfers)
    draw_search_space(folder / "search_space.png", transfers, analysis.cuts)
    texts = {
        "matrix.csv": _csv(COLUMNS, transfers_by(transfers)),
        "prompts.csv": _csv(COLUMNS, transfers_by(transfers, "source")),
        "correlation.csv": _csv(_CORRELATION, chain.from_iterable(analysis.correlations.values())),
        "search_space.csv": _csv(_SEARCH, analysis.cuts),
    }
    if clusters is not None:
        title = f"{transfers.study}: similarity of task embeddings; in bold the targets"
        draw_clusters(folder / "clusters.png", clusters, title, transfers.targets)
        texts["clusters.csv"] = clusters_csv(clusters)
    else:
        figures.pop("clusters")
    texts[PAGE] = markdown(_page(analysis, figures))
    for name, text in texts.items():
        write_text(folder / name, text)
    return [*texts, *(figure.file for figure in figures.values())]


def _page(analysis: Analysis, figures: dict[str, Figure]) -> list[Block]:
    transfers = analysis.transfers
    (_, matrix), (_, pearson), (_, search) = analysis.tables()
    seeds = ", ".join(map(str, transfers.seeds))
    blocks: list[Block] = [
        f"# {transfers.study}: transfer on {transfers.setting}",
        (
            f"{len(transfers.sources)} source prompts of {len(transfers.tasks)} tasks, each tried as the start of "
            f"prompt tuning on {len(transfers.targets)} targets (method {transfers.method}, seeds {seeds}), beside "
            f"{transfers.baseline} without transfer. Learning rates, and the best of several prompts, are chosen on "
            "dev."
        ),
    ]
    blocks += [bullets(analysis.notes)] if analysis.notes else []
    blocks += [
        "## From every source to every target",
        matrix,
        (
            "Relative error reduction: the share of what the baseline's score lacks to 100 % that the transfer makes "
            "up for, of mean test scores over prompts and seeds (Vu et al. 2022, section 3.1). Bold is the best of a "
            "column."
        ),
        figures["matrix"],
        "## Does similarity tell transfer?",
        pearson,
        bullets([summary(rows) for rows in analysis.correlations.values()]),
        analysis.ranking,
        (
            "A point is a source prompt; similarity and scores are means over the target's seeds. Prompts of one task "
            "are not independent of each other, so that p over prompts is too small; over tasks, each is the mean of "
            "its prompts."
        ),
        figures["correlation"],
        "## How much of the search can be saved?",
        search,
        (
            "The best on dev of the k most similar prompts, mean over targets ± deviation over seeds, and the share of "
            "the gain of trying all that is kept. At random: the same share to be expected of k prompts drawn by "
            "chance. Where several prompts are equally good on dev, the mean of their test scores counts, in every "
            "row and at random alike (the tables of the study itself take the first of equals). Best possible: "
            "chosen on test instead, as an oracle would, which nobody can; with few dev examples the two differ, and "
            "fewer prompts can even keep more than all, since there is less to choose wrongly from."
        ),
        figures["search"],
    ]
    if "clusters" in figures:
        blocks += [
            "## Which tasks are alike?",
            figures["clusters"],
            (
                "Means over all pairs of runs; of a task with itself over pairs of different runs. Average linkage "
                "over 1 - similarity, neighbours as similar as the tree allows."
            ),
        ]
    return blocks


def _csv(names: Sequence[str], rows: Iterable[Any]) -> str:
    """With as many digits as mean something."""
    return csv_text(names, [[getattr(row, name) for name in names] for row in rows], ".6g")
