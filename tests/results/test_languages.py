"""The numbers of docs/guides/languages.md, against the files they come from."""

from __future__ import annotations

import json
import statistics
import tarfile
from collections.abc import Iterable

import pytest
from support.committed import committed, rows_below
from support.paths import ROOT

from mpt.data.synthetic.draw import synthetic_fewshot
from mpt.metrics.crossfit import rouge_l


def test_the_languages_are_those_of_the_committed_study():
    page = (ROOT / "docs/guides/languages.md").read_text("utf-8")
    measured, scores = (committed("xgen_synthetic", name) for name in ("languages.csv", "scores.csv"))

    def told(rows: list[dict[str, str]], column: str, **wanted: str) -> str:
        values = [100 * float(row[column]) for row in rows if all(row[name] == value for name, value in wanted.items())]
        assert len(values) == 3
        return f"{statistics.fmean(values):.1f} ± {statistics.stdev(values):.1f}"

    methods = list(dict.fromkeys(row["method"] for row in scores))
    assert len(methods) == 11
    other, kept = {"task": "second-digest"}, {"task": "second-digest/kept"}
    for method in methods:
        own = {"method": method, "target": "syn-digest"}
        for asked in (other, kept) if method.startswith("Factorised") else (other,):
            cells = [told(scores, "score", **own)]
            cells += [told(measured, "value", measure=name, **own, **asked) for name in ("Rouge-L", "ASCII")]
            assert f"| {' | '.join(cells)} |" in page
    assert f"PT has {told(scores, 'score', method='PT', target='second-digest')} there" in page
    words = " ".join(page.split())
    found = {
        (row["method"], row["target"], row["task"], row["measure"], row["seed"]): 100 * float(row["value"])
        for row in measured
    }

    def draws(method: str, measure: str, asked: str = "second-digest", target: str = "syn-digest") -> list[float]:
        return [found[method, target, asked, measure, seed] for seed in ("13", "21", "42")]

    def listed(values: Iterable[float], form: str = ".1f") -> str:
        first, second, third = (format(value, form) for value in values)
        return f"{first}, {second} and {third}"

    def gains(one: list[float], two: list[float]) -> list[float]:
        return [a - b for a, b in zip(one, two, strict=True)]

    behind = "second-digest/kept"
    pt = draws("PT", "ASCII")
    assert f"changes by {listed(gains(draws('Mix10', 'ASCII'), pt), '+.1f')} points in the three draws" in words
    assert f"(ASCII {listed(draws('Factorised', 'ASCII'))} in the three draws, where PT has {listed(pt)}, and" in words
    assert f"kept it is {listed(draws('Factorised', 'ASCII', behind))})" in words
    harmed, whole = (draws("Factorised", "Rouge-L", asked, "second-digest") for asked in ("second-digest", behind))
    falls = [f"{statistics.fmean(three):.1f} ± {statistics.stdev(three):.1f}" for three in (whole, harmed)]
    assert f"it falls from {' to '.join(falls)}." in words
    unharmed = [draws("Factorised-any", "Rouge-L", asked, "second-digest") for asked in (behind, "second-digest")]
    shown = " and ".join(f"{statistics.fmean(three):.1f}" for three in unharmed)
    assert f"the exchange does no harm there ({shown})" in words
    worth, less = (
        gains(draws("Factorised-any", name, first), draws("Factorised-any", name, second))
        for name, first, second in (("Rouge-L", "second-digest", behind), ("ASCII", behind, "second-digest"))
    )
    assert f"worth {listed(worth)} points in the three draws, and {listed(less)} points of ASCII" in words
    assert all(max(draws(method, "Rouge-L")) < min(draws("PT", "Rouge-L")) for method in ("FT", "LoRA")), "in each draw"


@pytest.mark.parametrize("task", ["syn-digest", "second-digest"])
def test_a_digest_may_be_read_by_order_or_by_role_as_the_page_says(task):
    examples = [one for seed in (13, 21, 42) for one in synthetic_fewshot(task, seed, 64).test]
    digests = [one.targets[0].split() for one in examples]
    for one, digest in zip(examples, digests, strict=True):
        places = [one.input.split().index(word) for word in digest]
        assert places == sorted(places, reverse=True)
    by_role = rouge_l([" ".join(reversed(digest)) for digest in digests], [one.targets for one in examples])
    page = " ".join((ROOT / "docs/guides/languages.md").read_text("utf-8").split())
    assert f"scores {100 * by_role:.1f} there with nothing forgotten" in page


FORGETTING = {
    "10 rows at 0.1": "PT-slow/xquad-questions-en-13",
    "LoRA at 0.0003": "LoRA/xquad-questions-en-13-lr0.0003",
    "LoRA at 0.001": "LoRA/xquad-questions-en-13-lr0.001",
    "FT at 0.00003": "FT/xquad-questions-en-13-lr3e-05",
    "FT at 0.0001": "FT/xquad-questions-en-13-lr0.0001",
}
"""Runs of which each rate is shown, and not the best on dev alone."""


def test_forgetting_on_real_text_is_as_in_the_committed_studies():
    answered, scores = (committed("xgen_xquad", name) for name in ("languages.csv", "scores.csv"))
    found = {(row["method"], row["target"], row["task"], row["measure"]): 100 * float(row["value"]) for row in answered}
    own = {(row["method"], row["target"]): 100 * float(row["score"]) for row in scores}
    with tarfile.open(ROOT / "experiments/results/xgen_xquad_weights/runs.tar.xz") as archive:
        for name, run in FORGETTING.items():
            result = json.load(archive.extractfile(f"{run}/result.json"))
            own[name, result["target"]] = 100 * result["score"]
            for measure, value in result["measures"].items():
                task, kind = measure.split("/")
                found[name, result["target"], task, kind] = 100 * value
    languages = ("es", "vi", "ru", "th", "zh")
    page = (ROOT / "docs/guides/languages.md").read_text("utf-8")
    methods = {"1 row": "P1", "10 rows": "PT", "100 rows": "P100", **{name: name for name in FORGETTING}}
    shown = rows_below(page, "| learned | by | own |")
    assert len(shown) == len(own)
    for learned, by, *cells in shown:
        method = methods[by]
        target = f"xquad-questions-{ {'English': 'en', 'Spanish': 'es'}[learned] }"

        def mean(measure, run=(method, target)):
            # A language that no answer was in at all has no confidence.
            values = [found.get((*run, f"xquad-questions-{code}", measure.format(code)), 0.0) for code in languages]
            return f"{statistics.fmean(values):.0f}"

        scored = [
            own[method, target],
            *(found[method, target, f"xquad-questions-{code}", "SP-ROUGE"] for code in languages),
        ]
        assert cells == [*(f"{score:.1f}" for score in scored), mean("LID_{}"), mean("LID_en"), mean("empty")]
    english = rows_below(page, "| by | es | vi | ru | th | zh | all |")
    assert len(english) == len(methods)
    for by, *cells in english:
        run = methods[by], "xquad-questions-en"
        sure, empty = (
            [found.get((*run, f"xquad-questions-{code}", measure), 0.0) for code in languages]
            for measure in ("LID_en", "empty")
        )
        of_all = statistics.fmean(own * (100 - none) / 100 for own, none in zip(sure, empty, strict=True))
        assert cells == [f"{value:.0f}" for value in (*sure, of_all)]
