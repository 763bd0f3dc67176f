"""The label that most annotators gave."""

import pytest

from mpt.data.catalogue.rows.votes import majority


@pytest.mark.parametrize(
    ("votes", "winner"),
    [([0, 2, 2], 2), ([1, 1, 1], 1), ([1], 1), ([0, 1, 0, 2], 0)],
)
def test_the_most_frequent_label_wins(votes, winner):
    row = {"id": "7", "annotators": {"label": votes}}
    assert list(majority([row], votes="annotators[label]")) == [{**row, "vote": winner}]
    assert "vote" not in row


@pytest.mark.parametrize("votes", [[0, 1, 2], [0, 1], [2, 2, 1, 1, 0]])
def test_a_row_without_one_winner_is_left_out(votes):
    assert list(majority([{"votes": votes}, {"votes": [1]}], votes="votes")) == [{"votes": [1], "vote": 1}]


def test_no_votes_at_all_are_an_error():
    with pytest.raises(ValueError, match="votes is empty"):
        list(majority([{"votes": []}], votes="votes"))
