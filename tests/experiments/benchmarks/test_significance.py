"""The table of the calibration: that it is written, and that it tells a test that errs from one that does not."""

from __future__ import annotations

import csv

import numpy as np
import significance as benchmark  # type: ignore[import-not-found]


def test_the_table_is_written(tmp_path, monkeypatch):
    monkeypatch.setattr(benchmark, "SIZES", ((4, 3),))
    monkeypatch.setattr(benchmark, "WITH_UPSTREAM", ())
    benchmark.main(["--replicates", "400", "--out", str(tmp_path)])
    rows = list(csv.DictReader((tmp_path / "calibration.csv").read_text().splitlines()))
    assert [row["scenario"] for row in rows] == list(benchmark.SCENARIOS) and {row["size"] for row in rows} == {"4 x 3"}
    assert all(0 <= float(row["error"]) <= 15 and float(row["power"]) > 20 for row in rows)
    assert "400 simulated studies" in (tmp_path / "calibration.md").read_text()


def test_a_t_test_over_targets_takes_an_effect_of_draws_for_the_methods():
    rng = np.random.default_rng(0)
    effects = benchmark.normal(0, 3)(rng, 2000, (8, 5))
    assert (benchmark.over_targets(effects) < 0.05).mean() > 0.3
    assert (benchmark.calibrated(effects) < 0.05).mean() < 0.07


def test_the_bootstrap_of_before_errs_too_often_on_few_targets_and_draws():
    effects = benchmark.normal(3, 3)(np.random.default_rng(0), 300, (4, 3))
    assert (benchmark.bootstrap(effects, np.random.default_rng(1), 400) < 0.05).mean() > 0.1
