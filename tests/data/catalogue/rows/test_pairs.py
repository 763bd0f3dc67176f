"""Pairs of sentences in a drawn order."""

import os
from pathlib import Path

import numpy as np
import pytest

from mpt.data.catalogue.rows.pairs import drawn_order
from mpt.data.tasks.known import catalogue

DRAWN = sorted(name for name in catalogue() if name.startswith("blimp-") or name == "crows_pairs")


def test_the_good_sentence_is_first_where_the_draw_is_above_one_half():
    # The first six numbers of numpy.random.seed(42): 0.37 0.95 0.73 0.60 0.16 0.16.
    rows = [{"yes": f"She sees {n}.", "no": f"She see {n}.", "field": "morphology"} for n in range(6)]
    made = list(drawn_order(rows, good="yes", bad="no", seed=42))
    assert [row["place"] for row in made] == [1, 0, 0, 0, 1, 1]
    for n, row in enumerate(made):
        pair = (row["first"], row["second"])
        assert pair[row["place"]] == f"She sees {n}." and pair[1 - row["place"]] == f"She see {n}."
        assert row["field"] == "morphology"
    assert all(row.keys() == {"yes", "no", "field"} for row in rows)


def test_every_split_is_drawn_anew_and_another_seed_is_another_draw():
    rows = [{"yes": "a", "no": "b"}] * 50
    places = [[row["place"] for row in drawn_order(rows, good="yes", bad="no", seed=seed)] for seed in (42, 42, 7)]
    assert places[0] == places[1] != places[2]


def test_a_row_without_the_sentence_is_an_error():
    with pytest.raises(KeyError, match="bad"):
        list(drawn_order([{"good": "a"}], good="good", bad="bad", seed=1))


@pytest.mark.skipif("MPT_CROSSFIT" not in os.environ, reason="MPT_CROSSFIT does not name CrossFit's data")
@pytest.mark.parametrize("name", DRAWN)
def test_the_places_are_those_of_crossfits_lines(name):
    folder = Path(os.environ["MPT_CROSSFIT"], "full")
    lines = "".join((folder / f"{name}.{part}.tsv").read_bytes().decode() for part in ("train", "test"))
    # A record of crows_pairs has a line feed in it: what counts is what stands behind the tabs.
    places = [{"sentence 1": 0, "sentence 2": 1}[piece.partition("\n")[0]] for piece in lines.split("\t")[1:]]
    order = list(range(len(places)))  # of the rows in the source, before the last fifth was cut off
    np.random.RandomState(42).shuffle(order)
    [step] = catalogue()[name].recipe.steps
    rows = [{"good": "", "bad": ""}] * len(places)
    drawn = [row["place"] for row in drawn_order(rows, good="good", bad="bad", seed=step.options["seed"])]
    assert [drawn[index] for index in order] == places
