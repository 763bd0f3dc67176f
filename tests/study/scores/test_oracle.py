"""The best on test of all that was tried: against the numbers that it was made from."""

from __future__ import annotations

import pytest
from support.all_tried import BASE, TRIED, tried_records, write_tried
from support.by_hand import record

from mpt.analysis.search_space import search_space
from mpt.analysis.transfers import read_transfers
from mpt.study.run.results import StudyFacts
from mpt.study.scores.gains import gains
from mpt.study.scores.oracle import oracle_name, oracle_scores
from mpt.study.spec.settings import Setting

PLACE = Setting("p", "p", ("t", "u"), ("s",))
FACTS = StudyFacts(
    "hand", "h.yaml", "mpt-tiny", "synthetic", [PLACE], "PT", ["PT", "All-on-dev"], [13, 21], None, ["All-on-dev"]
)
NAME = "Oracle (chosen on test)"


def test_it_is_the_highest_test_score_of_all_sources_at_the_rate_that_dev_chose(tmp_path):
    """The other rate scores 0.99 on test everywhere, and is worse on dev."""
    found = {(row.target, row.seed): row for row in oracle_scores(FACTS, tried_records(tmp_path))}
    for target, tried in TRIED.items():
        for number, seed in enumerate((13, 21)):
            row = found[target, seed]
            assert row.score == max(own[number][0] for own in tried.values())
            assert (row.method, row.metric, row.learning_rate) == (NAME, "ACC", 0.3)
    ranks = {place: row.folder for place, row in found.items()}
    assert ranks["t", 13].endswith("rank2") and ranks["u", 21].endswith("rank3")  # s-b-1 and s-c-1


def test_it_is_what_the_analysis_says_can_be_had_at_most(tmp_path):
    scores = oracle_scores(FACTS, tried_records(tmp_path))
    (transfers,) = read_transfers(write_tried(tmp_path).study)
    means = {target: sum(row.score for row in scores if row.target == target) / 2 for target in TRIED}
    base = {target: sum(score for (own, _), score in BASE.items() if own == target) / 2 for target in TRIED}
    gained = 100 * sum(means[target] - base[target] for target in TRIED) / 2
    assert gained == pytest.approx(search_space(transfers)[-1].possible)


def test_its_scores_are_a_methods_like_any_others(tmp_path):
    scores = [record("PT", target, seed, score) for (target, seed), score in BASE.items()]
    from mpt.study.scores.scores import choose

    (row,) = gains([*choose(scores), *oracle_scores(FACTS, tried_records(tmp_path))], "PT")
    assert (row.method, row.targets) == (NAME, 2) and row.mean > 0


def test_without_such_a_method_there_is_none_and_of_several_each_has_its_name(tmp_path):
    rows = tried_records(tmp_path)
    none = StudyFacts(
        *[
            getattr(FACTS, name)
            for name in ("name", "file", "backbone", "root", "settings", "baseline", "methods", "seeds")
        ]
    )
    assert none.oracles == [] and oracle_scores(none, rows) == []
    several = StudyFacts(**{**vars(FACTS), "oracles": ["All-on-dev", "Other"]})
    assert {row.method for row in oracle_scores(several, rows)} == {"Oracle of All-on-dev (chosen on test)"}
    assert oracle_name(several, "Other") != oracle_name(several, "All-on-dev")
