"""Clusters of tasks: scipy's linkage of similarities averaged by hand, and what the picture shows."""

from __future__ import annotations

import csv
import itertools
import math

import matplotlib.image
import numpy as np
import pytest
import torch
from scipy.cluster.hierarchy import cophenet, is_valid_linkage, linkage

from mpt.analysis.clusters import cluster, clusters_csv, draw_clusters, nearest_tasks
from mpt.library.similarity import SIMILARITIES


def families(seed: int = 0) -> tuple[torch.Tensor, list[str]]:
    """Two runs of each of six tasks of two kinds, in an order that mixes them, and one run of a task of neither."""
    rng = torch.Generator().manual_seed(seed)
    kinds = torch.randn(2, 5, 24, generator=rng) + 2 * torch.randn(2, 1, 24, generator=rng)
    keys, tasks = [], []
    for run in range(2):
        for i in range(6):
            own = torch.randn(5, 24, generator=torch.Generator().manual_seed(100 + i))
            keys.append(kinds[i % 2] + 0.5 * own + 0.2 * torch.randn(5, 24, generator=rng))
            tasks.append(f"kind{i % 2}-task{i}")
        if not run:
            keys.append(torch.randn(5, 24, generator=rng))
            tasks.append("stranger")
    return torch.stack(keys), tasks


@pytest.mark.parametrize("by", SIMILARITIES)
def test_similarities_of_tasks_are_means_over_their_runs(by):
    keys, tasks = families()
    found = cluster(keys, tasks, by)
    runs = SIMILARITIES[by](keys.double(), keys.double())
    assert sorted(found.tasks) == sorted(set(tasks))
    for i, one in enumerate(found.tasks):
        for j, two in enumerate(found.tasks):
            pairs = [
                (m, n) for m, t in enumerate(tasks) for n, u in enumerate(tasks) if (t, u) == (one, two) and m != n
            ]
            if not pairs:
                assert one == two == "stranger" and math.isnan(found.similarities[i, j])
                continue
            expected = sum(runs[m, n].item() for m, n in pairs) / len(pairs)
            assert found.similarities[i, j] == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("by", SIMILARITIES)
def test_the_tree_is_scipys_average_linkage_and_neighbours_are_of_one_kind(by):
    keys, tasks = families()
    found = cluster(keys, tasks, by)
    names = list(dict.fromkeys(tasks))
    assert [names[i] for i in found.order] == found.tasks and is_valid_linkage(found.links)
    place = {task: i for i, task in enumerate(found.tasks)}
    condensed = [
        1 - found.similarities[place[one], place[two]] for i, one in enumerate(names) for two in names[i + 1 :]
    ]
    assert np.allclose(cophenet(found.links), cophenet(linkage(np.array(condensed), "average")))
    kinds = [task.split("-")[0] for task in found.tasks]
    assert sum(a != b for a, b in itertools.pairwise(kinds)) == 2, "each kind stays together"


def test_the_nearest_of_a_task_is_of_its_kind():
    found = cluster(*families(), "average_token")
    for task, near in nearest_tasks(found, 2):
        assert len(near) == 2 and near[0][1] >= near[1][1] and task not in dict(near)
        if task != "stranger":
            assert all(other.startswith(task.split("-")[0]) for other, _ in near)


def test_a_single_task_and_equal_tasks_are_drawn_too(tmp_path):
    keys = torch.ones(1, 3, 8)
    alone = cluster(keys, ["only"], "per_token")
    assert alone.tasks == ["only"] and alone.links is None
    draw_clusters(tmp_path / "one.png", alone, "one task")
    same = cluster(keys.expand(4, 3, 8), list("abcd"), "per_token")
    assert np.allclose(same.similarities[0, 1:], 1) and np.allclose(same.links[:, 2], 0, atol=1e-6)
    draw_clusters(tmp_path / "same.png", same, "four that are one")
    assert matplotlib.image.imread(tmp_path / "same.png").shape[0] > 300


def test_a_cosine_that_rounding_took_beyond_1_is_no_negative_distance(tmp_path, monkeypatch):
    beyond = torch.tensor([[1.0, 1 + 2**-22, 0.5], [1 + 2**-22, 1.0, 0.4], [0.5, 0.4, 1.0]])
    monkeypatch.setitem(SIMILARITIES, "average_token", lambda one, other: beyond)
    found = cluster(torch.ones(3, 2, 4), list("abc"), "average_token")
    assert found.links[0, 2] == 0 and found.links[1, 2] == pytest.approx(0.55)
    assert np.array_equal(found.similarities, found.similarities.T, equal_nan=True)
    draw_clusters(tmp_path / "c.png", found, "two that are one, and a third")
    assert (tmp_path / "c.png").is_file()


@pytest.mark.long
def test_the_picture_has_a_dark_square_for_each_kind(tmp_path):
    found = cluster(*families(), "average_token")
    draw_clusters(tmp_path / "c.png", found, "two kinds", marked=["stranger"])
    picture = matplotlib.image.imread(tmp_path / "c.png")[..., :3]
    dark = (np.abs(255 * picture - np.array([0x08, 0x30, 0x6B])).max(axis=-1) < 40).sum()
    white = (picture.min(axis=-1) > 0.99).sum()
    assert dark > 5000 and white > 5000


def test_the_sheet_is_a_square_in_the_order_of_the_tree():
    found = cluster(*families(), "subspace")
    head, *rows = csv.reader(clusters_csv(found).splitlines())
    assert head[1:] == [row[0] for row in rows] == found.tasks
    assert float(rows[0][2]) == pytest.approx(found.similarities[0, 1], abs=1e-6)
    assert rows[found.tasks.index("stranger")][1 + found.tasks.index("stranger")] == ""
