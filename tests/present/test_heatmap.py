"""The heatmap: its pixels and its refusals."""

from __future__ import annotations

import math
from pathlib import Path

import matplotlib.image
import numpy as np
import pytest

from mpt.present.heatmap import draw_heatmap


def draw(path: Path, values: list[list[float]]) -> np.ndarray:
    """The picture as [height, width, 3] in 0 to 1."""
    draw_heatmap(path, [0.1, 0.3], ["1e-3", "1e-2", "0.1"], values, "outer rate", "inner rate", "a title")
    return matplotlib.image.imread(path)[..., :3]


def has(picture: np.ndarray, colour: tuple[int, int, int]) -> int:
    """Number of pixels of a colour."""
    return int((np.abs(255 * picture - np.array(colour)).max(axis=-1) < 2).sum())


@pytest.mark.long
def test_above_zero_is_blue_below_is_orange_and_nothing_is_grey(tmp_path):
    blue, orange, grey = (0x00, 0x72, 0xB2), (0xD5, 0x5E, 0x00), (0xEE, 0xEE, 0xEE)
    both = draw(tmp_path / "both.png", [[-4.0, 0.0, 1.0], [4.0, math.nan, 2.0]])
    assert all(has(both, colour) > 2000 for colour in (blue, orange, grey))
    # The field at the bottom left is the first row's first.
    height, width, _ = both.shape
    assert has(both[2 * height // 3 :, : width // 2], orange) > 1000 > has(both[: height // 3, : width // 2], orange)
    above = draw(tmp_path / "above.png", [[0.5, 1.0, 1.0], [2.0, 4.0, 2.0]])
    assert has(above, blue) > 2000 and has(above, grey) < 200


def test_nothing_finished_yet_is_still_a_picture(tmp_path):
    assert draw(tmp_path / "none.png", [[math.nan] * 3] * 2).shape[0] > 200


@pytest.mark.parametrize("values", [[[1.0, 2.0, 3.0]], [[1.0, 2.0], [3.0, 4.0]], []])
def test_values_of_another_shape_are_refused(values, tmp_path):
    with pytest.raises(ValueError, match="2 rows of 3"):
        draw(tmp_path / "x.png", values)
    assert not (tmp_path / "x.png").exists()
