"""What a terminal is told."""

from __future__ import annotations

import pytest

from mpt.present.terminal import duration


@pytest.mark.parametrize(
    ("seconds", "told"),
    [
        (0.0034, "3 ms"),
        (4.25, "4.2 s"),
        (42.0, "42 s"),
        (130.0, "2 min"),
        (3 * 3600 + 1200, "3 h 20 min"),
        (864_000.0, "10 days"),
    ],
)
def test_durations(seconds, told):
    assert duration(seconds) == told
