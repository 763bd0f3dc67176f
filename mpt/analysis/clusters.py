"""Which tasks are alike: a clustered heatmap of the similarities of their embeddings (SPoT, section 3.2, figure 4)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from mpt.library.similarity import SIMILARITIES, over_runs
from mpt.present.csv_text import csv_text
from mpt.present.figure_style import new_figure, save

_NUMBERED = 26
"""Fields of so many tasks have their numbers in them."""


@dataclass(frozen=True)
class Clusters:
    """Tasks in the order of a dendrogram's leaves.

    Attributes:
        tasks: their names.
        by: the measure of similarity.
        similarities: ``[n, n]``, means over all pairs of two tasks' runs; of a task with itself over the pairs of
            different runs, NaN where it has one run.
        links: scipy's linkage ``[n - 1, 4]`` over the tasks in the order in which they were given; none for a single
            task.
        order: where each of :attr:`tasks` was in that order.
    """

    tasks: list[str]
    by: str
    similarities: NDArray[np.float64]
    links: NDArray[np.float64] | None
    order: list[int]


def cluster(keys: Tensor, tasks: Sequence[str], by: str) -> Clusters:
    """Cluster tasks by average linkage over the distance 1 - similarity, neighbours as similar as the tree allows.

    Args:
        keys: ``[N, P, H]``, of N runs.
        tasks: each run's task.
        by: a name of :data:`mpt.library.similarity.SIMILARITIES`.
    """
    from scipy.cluster.hierarchy import leaves_list, linkage
    from scipy.spatial.distance import squareform

    runs = SIMILARITIES[by](keys, keys).double()
    runs = (runs + runs.T) / 2
    names, _, found = over_runs(runs, tasks, tasks)
    similarities = found.numpy().copy()
    for i, name in enumerate(names):
        similarities[i, i] = _with_itself(runs, [j for j, task in enumerate(tasks) if task == name])
    if len(names) < 2:
        return Clusters(names, by, similarities, None, [0] * len(names))
    distances = np.maximum(1 - similarities, 0)  # by rounding a cosine of equal keys may exceed 1
    np.fill_diagonal(distances, 0)
    links = linkage(squareform(distances, checks=False), method="average", optimal_ordering=True)
    order = [int(i) for i in leaves_list(links)]
    return Clusters([names[i] for i in order], by, similarities[np.ix_(order, order)], links, order)


def nearest_tasks(clusters: Clusters, count: int = 3) -> list[tuple[str, list[tuple[str, float]]]]:
    """Each task and those most similar to it, with their similarities."""
    found = []
    for i, task in enumerate(clusters.tasks):
        others = [(other, float(clusters.similarities[i, j])) for j, other in enumerate(clusters.tasks) if j != i]
        found.append((task, sorted(others, key=lambda pair: (-pair[1], pair[0]))[:count]))
    return found


def clusters_csv(clusters: Clusters) -> str:
    """The similarities as a square with the tasks' names along both sides, in the dendrogram's order."""
    rows = [[task, *line] for task, line in zip(clusters.tasks, clusters.similarities.tolist(), strict=True)]
    return csv_text(["task", *clusters.tasks], rows, ".6f")


def draw_clusters(path: Path, clusters: Clusters, title: str, marked: Sequence[str] = ()) -> None:
    """SPoT's figure 4: the similarity of each pair of tasks, with the dendrogram that orders them.

    Args:
        marked: tasks whose names are set in bold, such as the targets among the sources.
    """
    from scipy.cluster.hierarchy import dendrogram

    count, longest = len(clusters.tasks), max(map(len, clusters.tasks))
    field = 0.42 if count <= _NUMBERED else 0.24
    square, names = max(2.2, field * count), 0.075 * longest + 0.2
    figure = new_figure(1.2 + square + names + 1.3, square + names + 0.6)
    # The colour bar takes from the heatmap's own column, so that the dendrogram's leaves stay beside their rows.
    tree, axes = figure.subplots(1, 2, width_ratios=[1.2, square + names + 1.3], sharey=False)
    others = clusters.similarities[~np.eye(count, dtype=bool)]
    low, high = (float(others.min()), float(others.max())) if count > 1 else (0.0, 1.0)
    if high - low < 1e-4:  # all alike: no colours for differences that are none
        low, high = low - 0.05, high + 0.05
    picture = axes.imshow(clusters.similarities, cmap=_colours(), vmin=low, vmax=high, aspect="auto")
    axes.set_xticks(range(count), clusters.tasks, rotation=90, fontsize=8)
    axes.set_yticks(range(count), clusters.tasks, fontsize=8)
    axes.yaxis.tick_right()
    axes.tick_params(length=0)
    for ticks in (axes.get_xticklabels(), axes.get_yticklabels()):
        for label in ticks:
            label.set_fontweight("bold" if label.get_text() in marked else "normal")
    if count <= _NUMBERED:
        _numbers(axes, clusters.similarities, low, high)
    for frame in (*axes.spines.values(), *tree.spines.values()):
        frame.set_visible(False)
    tree.set_axis_off()
    if clusters.links is not None:
        dendrogram(
            clusters.links,
            orientation="left",
            ax=tree,
            no_labels=True,
            color_threshold=0,
            above_threshold_color="#444444",
        )
        # Leaves are ten apart, from five on; the heatmap's first row is at the top.
        tree.set_ylim(10 * count, 0)
        # Where no two tasks are close, what tells them apart would be squeezed into a corner.
        lowest, highest = clusters.links[0, 2], clusters.links[-1, 2]
        tree.set_xlim(highest + 0.03 * (highest - lowest), lowest - 0.15 * (highest - lowest or 1))
    figure.colorbar(picture, ax=axes, label=f"similarity ({clusters.by})", shrink=0.8, pad=0.02)
    figure.suptitle(title, fontsize=11)
    save(figure, path)


def _with_itself(runs: Tensor, places: Sequence[int]) -> float:
    """The mean over the pairs of different runs of a task."""
    own = runs[places][:, places]
    count = len(places)
    return float((own.sum() - own.diagonal().sum()) / (count * (count - 1))) if count > 1 else math.nan


def _colours() -> object:
    from matplotlib.colors import LinearSegmentedColormap

    blues = LinearSegmentedColormap.from_list("white-blue", ["#ffffff", "#56B4E9", "#0072B2", "#08306b"])
    return blues.with_extremes(bad="#eeeeee")


def _numbers(axes: object, values: NDArray[np.float64], low: float, high: float) -> None:
    """In each field, with as many digits as tell most of them apart."""
    digits = 2 if high - low > 0.3 else 3
    for i, line in enumerate(values.tolist()):
        for j, value in enumerate(line):
            if not math.isnan(value):
                dark = value - low > 0.5 * (high - low)
                told = f"{value:.{digits}f}".removeprefix("0").replace("-0.", "-.")
                axes.text(j, i, told, ha="center", va="center", fontsize=6, color="white" if dark else "black")  # type: ignore[attr-defined]
