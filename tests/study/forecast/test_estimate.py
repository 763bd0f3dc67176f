"""How long a study would take, from what a few steps took."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.toy_study import write_study

from mpt.study.forecast.calibrate import Speed
from mpt.study.forecast.estimate import Sizes, elapsed, evaluates, kinds_of, run_seconds
from mpt.study.forecast.stopwatch import Stopwatch
from mpt.study.plan.grid import plan
from mpt.study.plan.planned_run import PlannedRun, option
from mpt.study.spec.study import load_study


@pytest.fixture
def cells(tmp_path: Path) -> list[PlannedRun]:
    return plan(load_study(write_study(tmp_path, "mpt-tiny")), tmp_path / "out")


def test_runs_that_differ_in_task_seed_rate_and_start_are_of_one_kind(cells):
    kinds = {(kind.stage, *kind.methods): len(kind.cells) for kind in kinds_of(cells)}
    assert kinds == {("upstream", "MTL"): 2, ("downstream", "PT", "MTL"): 8 + 4, ("downstream", "FT"): 4}


def test_an_option_is_the_last_word_of_the_command_line_or_the_configs(cells):
    pt = next(cell for cell in cells if cell.method == "PT")
    assert option(pt, "trainer.max_steps") == 6 and option(pt, "model.optimizer.lr") == 0.5
    assert option(pt, "data.eval_batch_size") == 32 and option(pt, "data.metric") is None
    upstream = next(cell for cell in cells if cell.target is None)
    assert evaluates(pt) and not evaluates(upstream)


def test_a_run_is_its_parts_times_what_they_take(cells, tmp_path):
    # 6 steps, evaluated after 2, 4 and 6; 6 dev and 10 test examples: a batch of either.
    speed = Speed(overhead=100, step=10, evaluation=3, test=0.5)
    pt = next(cell for cell in cells if cell.method == "PT")
    sizes = Sizes(str(tmp_path / "data"))
    assert run_seconds(pt, speed, pt, sizes) == 100 + 6 * 10 + 3 * 3 + 0.5
    upstream = next(cell for cell in cells if cell.target is None)
    assert run_seconds(upstream, speed, upstream, sizes) == 100 + 6 * 10
    # A larger target: dev of 70 is three batches where the measured one had one, a test list of 40 two.
    task = tmp_path / "data" / "ag_news"
    for split, size in (("dev", 70), ("test", 40)):
        for file in task.glob(f"*_{split}.tsv"):
            file.write_text("".join(f"a {i}\tg\n" for i in range(size)), encoding="utf-8")
    large = next(cell for cell in cells if cell.method == "PT" and cell.target == "ag_news")
    assert run_seconds(large, speed, pt, Sizes(str(tmp_path / "data"))) == 100 + 6 * 10 + 3 * 9 + 2 * 0.5


def test_the_time_from_start_to_end_waits_for_upstream_runs_and_shares_out_the_rest(cells):
    seconds = {cell.key: 10.0 if cell.target is None else 1.0 for cell in cells}
    assert elapsed(cells, seconds, 1) == 2 * 10 + 16
    # Both upstream runs side by side, then 8 runs each.
    assert elapsed(cells, seconds, 2) == 10 + 8
    # 12 runs fit beside the upstream ones, the 4 that need them come after.
    assert elapsed(cells, seconds, 100) == 11
    assert elapsed([], {}, 3) == 0


def test_a_stopwatch_tells_steps_from_evaluations_and_leaves_out_the_first_of_each(monkeypatch):
    clock = [0.0]
    monkeypatch.setattr("mpt.study.forecast.stopwatch._now", lambda: clock[0])
    watch = Stopwatch()
    clock[0] = 5.0  # loading
    for number in range(9):
        watch.on_train_batch_start()
        clock[0] += 7.0 if number == 0 else 2.0
        watch.on_train_batch_end()
        if number % 3 == 2:
            clock[0] += 9.0 if number == 2 else 4.0
            watch.on_validation_end(None, None)
    watch.on_test_batch_start()
    clock[0] += 0.5
    watch.on_test_batch_end()
    clock[0] += 1.0
    speed = watch.speed(clock[0], batches_per_step=3)
    assert (speed.step, speed.evaluation, speed.test) == (3 * 2.0, 4.0, 0.5)
    # What was slow the first time counts as overhead, beside loading (5) and the end (1).
    assert speed.overhead == 5 + (7 - 2) + (9 - 4) + 1
