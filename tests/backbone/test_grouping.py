"""Groups of rows of similar length."""

from __future__ import annotations

import pytest
import torch

from mpt.backbone.encoding import Batch
from mpt.backbone.grouping import groups, select


def batch_of(lengths: list[int], left: bool = False) -> Batch:
    width = max(lengths)
    mask = torch.tensor([[0] * (width - n) * left + [1] * n + [0] * (width - n) * (not left) for n in lengths])
    ids = mask * torch.arange(1, len(lengths) + 1)[:, None]
    labels = torch.tensor([[7] * (1 + n % 3) + [-100] * (2 - n % 3) for n in lengths])
    return Batch(ids, mask, labels)


@pytest.mark.parametrize("tokens", [1, 30, 64, 100, 10_000, None])
def test_every_row_is_in_one_group_and_no_group_is_too_large(tokens):
    lengths = [3, 9, 4, 9, 1, 7, 7, 2, 20, 3, 3, 5]
    found = groups(batch_of(lengths), 5, tokens)
    assert sorted(torch.cat(found).tolist()) == list(range(len(lengths)))
    for rows in found:
        widths = [5 + lengths[row] for row in rows.tolist()]
        assert widths == sorted(widths)
        assert tokens is None or len(rows) == 1 or len(rows) * max(widths) <= tokens


def test_groups_are_of_about_one_size():
    sizes = [len(rows) for rows in groups(batch_of([10] * 34), 10, 320)]
    assert sizes in ([12, 11, 11], [11, 12, 11], [11, 11, 12])


@pytest.mark.parametrize("left", [False, True])
def test_a_selection_has_no_needless_padding(left):
    part = select(batch_of([2, 6, 3, 5], left), torch.tensor([2, 0]), left)
    assert part.input_mask.tolist() == ([[1, 1, 1], [0, 1, 1]] if left else [[1, 1, 1], [1, 1, 0]])
    assert part.input_ids.tolist() == ([[3, 3, 3], [0, 1, 1]] if left else [[3, 3, 3], [1, 1, 0]])
    assert part.labels is not None and part.labels.tolist() == [[7, -100, -100], [7, 7, 7]]
