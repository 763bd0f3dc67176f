"""The benchmark of searches runs on a small library and measures what it says."""

from __future__ import annotations

import csv
import importlib.util
import json

import pytest
from support.paths import ROOT

SCRIPT = ROOT / "experiments" / "benchmarks" / "library_search.py"


@pytest.fixture(scope="module")
def benchmark():
    spec = importlib.util.spec_from_file_location("library_search", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.slow
def test_it_measures_what_it_prints(benchmark, tmp_path, capfd):
    library, out = tmp_path / "library", tmp_path / "figures.csv"
    arguments = ["--entries", "40", "--length", "4", "--searches", "3", "--folder", str(library), "--out", str(out)]
    benchmark.main(arguments)
    printed = capfd.readouterr().out
    assert printed.startswith("40 prompts [4, 96], by per_token") and len(printed.splitlines()) == 13
    with out.open() as file:
        (row,) = csv.DictReader(file)
    assert all(float(row[key]) > 0 for key in ("added_ms", "index_s", "load_s", "search_ms", "after_add_ms", "list_s"))
    assert float(row["search_ms"]) <= float(row["slowest_ms"])
    (index,) = (library / ".index").iterdir()
    assert float(row["index_mb"]) == pytest.approx(index.stat().st_size / 1e6, rel=0.1)
    assert float(row["index_mb"]) > 2 * 4 * 96 * 40 / 1e6, "the vectors, and facts"
    assert len(list((library / "prompts").iterdir())) == 40


def test_a_way_is_measured_where_it_is(benchmark, tmp_path):
    job = {"folder": str(tmp_path / "library"), "entries": 6, "length": 4, "searches": 2, "by": "per_token"}
    for way in ("fill", "index", "load"):
        result = tmp_path / "result.json"
        benchmark.measure({**job, "way": way, "threads": 1, "result": str(result)})
        assert json.loads(result.read_text())
