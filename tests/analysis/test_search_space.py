"""Best of top-k against cases worked out by hand and against all subsets."""

from __future__ import annotations

import itertools
import math
import statistics
from dataclasses import replace

import matplotlib.image
import pytest
from support.all_tried import TRIED, write_tried

from mpt.analysis.search_space import default_ks, draw_search_space, rankings, search_space, search_table
from mpt.analysis.transfers import SourceTrial, Transfers, read_transfers


@pytest.fixture(scope="module")
def transfers(tmp_path_factory):
    return read_transfers(write_tried(tmp_path_factory.mktemp("tried")).study)[0]


def test_sources_are_ranked_by_similarity_for_each_target_and_seed(transfers):
    ranked = {place: [trial.source for trial in trials] for place, trials in rankings(transfers).items()}
    assert ranked["t", 13] == ["s-a-1", "s-a-2", "s-c-1", "s-b-1", "s-d-1"]
    assert ranked["u", 21] == ["s-b-1", "s-c-1", "s-a-1", "s-a-2", "s-d-1"]


def test_the_best_of_k_by_hand(transfers):
    one, three, everything = search_space(transfers, [1, 3])
    # Most similar: t 0.80 and 0.70 (means 0.75), u 0.40 and 0.50 (0.45). The baseline: 0.60 and 0.30.
    assert (one.k, one.removed, one.score) == pytest.approx((1, 0.8, 60.0))
    assert one.gain == pytest.approx(15.0)
    assert one.std == pytest.approx(statistics.stdev([60.0, 60.0]))
    assert one.reduction == pytest.approx((100 * 0.15 / 0.4 + 100 * 0.15 / 0.7) / 2)
    # Of three, by dev: t 13 s-a-1 0.80; t 21 s-a-2 0.70 (0.9 on dev); u 13 s-c-1 0.40; u 21 s-b-1 0.50.
    assert three.score == pytest.approx(60.0) and three.removed == pytest.approx(0.4)
    # Of all: t 21 has 0.9 twice on dev, 0.70 and 0.60 on test: 0.65; u 21 takes s-d-1, 0.7 on dev: 0.50.
    assert (everything.k, everything.removed, everything.score) == pytest.approx((5, 0.0, 58.75))
    assert everything.std == pytest.approx(statistics.stdev([60.0, 57.5]))
    assert everything.reduction == pytest.approx((100 * 0.125 / 0.4 + 100 * 0.15 / 0.7) / 2)
    assert one.kept == pytest.approx(15 / 13.75) and everything.kept == 1.0
    # By test: top 1 as above; of three t 13 0.80, t 21 0.90, u 13 0.60 and u 21 0.60; of all t 13 has 0.90 too.
    assert one.possible == pytest.approx(15.0)
    assert three.possible == pytest.approx(100 * ((0.85 + 0.60) / 2 - 0.45))
    assert everything.possible == pytest.approx(100 * ((0.90 + 0.60) / 2 - 0.45))
    assert three.possible_kept == pytest.approx(27.5 / 30)


def test_at_random_is_the_mean_over_all_subsets(transfers):
    """Of equals on dev, each is as likely."""
    cuts = search_space(transfers, [1, 2, 3, 4])
    for cut in cuts:
        means = []
        for target, tried in TRIED.items():
            for number in (0, 1):
                trials = [found[number] for found in tried.values()]
                values = []
                for subset in itertools.combinations(trials, cut.k):
                    best = max(dev for _, dev, _ in subset)
                    values.append(statistics.fmean(score for score, dev, _ in subset if dev == best))
                means.append((target, statistics.fmean(values)))
        score = statistics.fmean(statistics.fmean(v for t, v in means if t == target) for target in TRIED)
        assert cut.by_chance * cuts[-1].gain == pytest.approx(100 * (score - 0.45))


def test_of_equals_on_dev_the_mean_counts_everywhere(transfers):
    """All of 0.9 on dev: by hand, and no other order of the equals changes it."""
    even = replace(transfers, trials=[replace(t, dev_score=0.9) for t in transfers.trials if t.target == "t"])
    one, two, everything = search_space(even, [1, 2])
    # Baseline 0.6. Most similar: 0.80 and 0.70; two: (0.80 + 0.60) / 2 and (0.70 + 0.90) / 2.
    assert (one.score, two.score) == pytest.approx((75.0, 75.0))
    # All: 3.20 / 5 = 0.64 and 3.60 / 5 = 0.72, so 0.68; at random of whatever k the same.
    assert (everything.score, everything.gain) == pytest.approx((68.0, 8.0))
    assert [cut.by_chance for cut in (one, two, everything)] == pytest.approx([1.0] * 3)
    assert one.kept == pytest.approx(15 / 8)
    # Chosen on test there are no equals but equal ones: 0.80 and 0.70, 0.80 and 0.90, 0.90 and 0.90.
    assert [cut.possible for cut in (one, two, everything)] == pytest.approx([15.0, 25.0, 30.0])


def test_all_at_random_are_all_to_the_last_bit(transfers):
    *_, everything = search_space(transfers)
    assert everything.kept == everything.by_chance == 1.0


def test_more_sources_than_binomials_of_floats():
    """1,100 of which one is good: k drawn at random have it with probability k / 1,100."""
    trials = [SourceTrial("t", 13, f"s-{i}", "s", -i, float(not i), float(not i)) for i in range(1100)]
    many = Transfers("many", "p", "All-on-dev", "PT", "per_token", ["t"], {("t", 13): 0.0}, trials, 0, "", {})
    for cut in search_space(many, [1, 550, 1099]):
        assert cut.kept == 1.0 and cut.by_chance == pytest.approx(cut.k / 1100)


def test_targets_and_seeds_that_lack_a_source_are_left_out(transfers):
    cut = replace(transfers, trials=[t for t in transfers.trials if (t.target, t.seed, t.source) != ("t", 21, "s-d-1")])
    assert set(rankings(cut)) == {("t", 13), ("u", 13), ("u", 21)}
    (one, _) = search_space(cut, [1])
    assert one.score == pytest.approx(100 * (0.80 + 0.45) / 2) and math.isnan(one.std)  # seed 13 alone has both
    assert one.gain == pytest.approx(one.score - 100 * (0.50 + 0.30) / 2)


def test_where_all_gain_nothing_no_share_is_kept(transfers, tmp_path):
    harmful = replace(transfers, trials=[replace(t, score=0.0) for t in transfers.trials])
    cuts = search_space(harmful)
    assert all(math.isnan(cut.kept) and math.isnan(cut.by_chance) for cut in cuts)
    assert search_table(harmful, cuts).rows[1][5] == "undefined"
    draw_search_space(tmp_path / "none.png", harmful, cuts)
    assert (tmp_path / "none.png").stat().st_size > 5000


@pytest.mark.parametrize(
    ("count", "ks"),
    [(48, [1, 3, 6, 9, 12, 15, 24, 48]), (5, [1, 3, 5]), (1, [1]), (200, [1, 3, 6, 9, 12, 15, 24, 48, 96, 192, 200])],
)
def test_ks_are_those_of_the_paper_and_all(count, ks):
    assert default_ks(count) == ks


def test_the_table_has_the_baseline_first_and_all_last(transfers, tmp_path):
    cuts = search_space(transfers, [1, 3, 99])
    table = search_table(transfers, cuts)
    assert [str(cell) for cell in table.rows[0][:3]] == ["PT", "", "45.0 ± 14.1"]
    assert [str(cell) for cell in table.rows[1][:6]] == ["top 1", "80%", "60.0 ± 0.0", "+15.0", "+29.5", "109%"]
    assert [str(cell) for cell in table.rows[-1][5:7]] == ["100%", "100%"]
    assert table.rows[-1][0] == "all 5" and len(table.rows) == 4
    with pytest.raises(ValueError, match="at least 1"):
        search_space(transfers, [0])
    draw_search_space(tmp_path / "kept.png", transfers, cuts)
    assert matplotlib.image.imread(tmp_path / "kept.png").shape[0] > 400
