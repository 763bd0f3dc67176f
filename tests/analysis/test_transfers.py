"""What is read of a study that tried every source, and relative error reduction by hand."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from support.all_tried import BASE, SOURCES, TASKS, TRIED, tried_records, write_tried
from support.by_hand import one_partition, record, setting, with_result, write_folder

from mpt.analysis.transfers import error_reduction, read_transfers
from mpt.util.errors import UserError


def test_of_each_target_seed_and_source_the_rate_that_was_best_on_dev_is_read(tmp_path):
    made = write_tried(tmp_path)
    (found,) = read_transfers(made.study)
    assert (found.method, found.baseline, found.by, found.setting) == ("All-on-dev", "PT", "per_token", "p")
    assert found.targets == ["t", "u"] and found.sources == SOURCES and found.seeds == [13, 21]
    assert found.base == BASE and found.library == str(made.library) and not found.missing
    assert found.keys["u", 21] == made.study / "embedding/u-21/prompt"
    assert len(found.trials) == 2 * 2 * 5
    for trial in found.trials:
        score, dev, similarity = TRIED[trial.target][trial.source][[13, 21].index(trial.seed)]
        assert (trial.score, trial.dev_score, trial.similarity) == (score, dev, similarity)
        assert trial.task == TASKS[trial.source]


def test_settings_are_read_apart_and_a_run_of_all_counts_in_each(tmp_path):
    rows = [record("PT", "t", 13, 0.5)]
    for name, source in (("one", "x-1"), ("two", "y-1")):
        row = record("All-on-dev", "t", 13, 0.6, partition=name)
        rows.append(with_result(row, source=source, similarity=0.5))
    settings = [setting("one", "t"), setting("two", "t"), setting("three", "t")]
    write_folder(tmp_path, rows, settings=settings, methods=["PT", "All-on-dev"], seeds=[13])
    found = read_transfers(tmp_path)
    assert [(transfers.setting, transfers.tasks) for transfers in found] == [("one", ["x"]), ("two", ["y"])]


def test_the_method_that_tried_most_is_read_unless_one_is_named(tmp_path):
    rows = tried_records(tmp_path)
    few = [replace(row, method="Top1", key=f"Top1-{row.key}") for row in rows if row.key.endswith("rank0")]
    average = [
        replace(with_result(row, source=SOURCES, similarity=[0.5] * len(SOURCES)), method="Mean", key=f"Mean-{row.key}")
        for row in few
    ]
    # An upstream run on one retrieved task names that task.
    tasks = [
        replace(row, method="MTL", stage="upstream", key=f"MTL-{row.key}") for row in rows if row.method == "All-on-dev"
    ]
    tasks = [with_result(row, source=row.key) for row in tasks]
    methods = ["PT", "MTL", "Top1", "Mean", "All-on-dev"]
    facts = {"settings": [setting("p", "t", "u")], "methods": methods, "seeds": [13, 21]}
    write_folder(tmp_path, [*rows, *few, *average, *tasks], **facts)
    assert read_transfers(tmp_path)[0].method == "All-on-dev"
    assert read_transfers(tmp_path, "Top1")[0].sources == SOURCES[:1]
    for wrong in ({"method": "All-on-def"}, {"baseline": "All-on-def"}):
        with pytest.raises(UserError, match="did you mean All-on-dev"):
            read_transfers(tmp_path, **wrong)
    with pytest.raises(UserError, match="no run of Mean"):
        read_transfers(tmp_path, "Mean")


def test_two_that_tried_as_many_are_to_be_chosen_from(tmp_path):
    rows = tried_records(tmp_path)
    twins = [replace(row, method="Random", key=f"Random-{row.key}") for row in rows if row.method == "All-on-dev"]
    facts = {"settings": [setting("p", "t", "u")], "methods": ["PT", "All-on-dev", "Random"], "seeds": [13, 21]}
    write_folder(tmp_path, [*rows, *twins], **facts)
    with pytest.raises(UserError, match=r"All-on-dev and Random have tried 5 .* --method"):
        read_transfers(tmp_path)


def test_a_study_without_sources_is_refused(tmp_path):
    write_folder(tmp_path, one_partition())
    with pytest.raises(UserError, match="top_k: all"):
        read_transfers(tmp_path)
    with pytest.raises(UserError, match="no study"):
        read_transfers(tmp_path / "elsewhere")


def test_runs_that_are_missing_are_counted_and_a_seed_without_a_baseline_is_left_out(tmp_path):
    rows = [
        replace(row, result=None)
        if (row.method, row.target, row.seed) == ("PT", "t", 13) or row.key.endswith("u-21-0.3-rank2")
        else row
        for row in tried_records(tmp_path)
    ]
    facts = {"settings": [setting("p", "t", "u")], "methods": ["PT", "All-on-dev"], "seeds": [13, 21]}
    write_folder(tmp_path, rows, **facts)
    (found,) = read_transfers(tmp_path)
    assert found.missing == 2 and len(found.trials) == 3 * 5
    (other_rate,) = [row for row in found.trials if (row.target, row.seed, row.source) == ("u", 21, "s-b-1")]
    assert other_rate.score == 0.99


@pytest.mark.parametrize(
    ("base", "score", "reduction"),
    [(0.5, 0.75, 50), (0.8, 0.7, -50), (0, 0.1, 10), (0.927, 0.970, 58.904110), (-0.5, 0.25, 50)],
)
def test_error_reduction_by_hand(base, score, reduction):
    assert error_reduction(score, base) == pytest.approx(reduction)


def test_a_baseline_without_errors_has_none_to_reduce():
    assert math.isnan(error_reduction(0.9, 1.0))
