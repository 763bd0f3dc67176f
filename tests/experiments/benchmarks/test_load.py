"""Many at once, here a few: the counts are right, and say so where something is lost."""

from __future__ import annotations

import load as benchmark  # type: ignore[import-not-found]
import pytest


@pytest.mark.slow
@pytest.mark.parametrize(
    ("what", "words", "count"),
    [
        ("library", ["--entries", "30", "--writers", "3", "--readers", "2"], ("entries", 30)),
        ("study", ["--runs", "40", "--processes", "2"], ("runs", 40)),
        ("predict", ["--rows", "300"], ("rows", 300)),
    ],
)
def test_nothing_is_lost(what, words, count):
    found = benchmark.main([what, *words])
    assert found[count[0]] == count[1]
    assert all(found.get(name, 0) == 0 for name in ("lost", "twice", "failed", "refused"))
