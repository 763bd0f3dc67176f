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


def listed(values: Iterable[float], form: str = ".1f") -> str:
    first, second, third = (format(value, form) for value in values)
    return f"{first}, {second} and {third}"


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


METHODS = {
    "1 row": "P1",
    "10 rows": "PT",
    "100 rows": "P100",
    "10 rows, text of all five": "Mix-all",
    "Factorised, recombined": "Factorised",
    "Factorised, English rows kept": "Factorised",
    "LoRA": "LoRA",
    "FT": "FT",
}
LEARNED = {"English": "en", "Spanish": "es", "Thai": "th"}
ASKED = ("es", "vi", "ru", "th", "zh")


class RealText:
    """The committed study, in percent; a run is a method, what it learned, and a draw."""

    def __init__(self) -> None:
        answered, scores = (committed("xgen_xquad", name) for name in ("languages.csv", "scores.csv"))
        place = ("method", "target", "seed")
        self.own = {tuple(row[key] for key in place): 100 * float(row["score"]) for row in scores if row["score"]}
        self.found = {
            (tuple(row[key] for key in place), row["task"], row["measure"]): 100 * float(row["value"])
            for row in answered
        }

    def of(self, run: tuple[str, ...], measure: str, code: str, kept: str = "") -> float:
        # A language that no answer was in at all has no confidence.
        return self.found.get((run, f"xquad-questions-{code}{kept}", measure.format(code)), 0.0)

    def over_languages(self, run: tuple[str, ...], measure: str, kept: str = "") -> float:
        """The mean; of how sure CLD3 is, of all answers: those without a letter are in no language."""
        values = [self.of(run, measure, code, kept) for code in ASKED]
        if measure.startswith("LID"):
            values = [
                value * (100 - self.of(run, "empty", code, kept)) / 100
                for code, value in zip(ASKED, values, strict=True)
            ]
        return statistics.fmean(values)


def test_forgetting_on_real_text_is_as_in_the_committed_study():
    text = RealText()

    def cells_of(method: str, target: str, kept: str) -> list[str]:
        runs = sorted(run for run in text.own if run[:2] == (method, target))

        def spread(values: list[float]) -> str:
            return f"{statistics.fmean(values):.1f}" + (f" ± {statistics.stdev(values):.1f}" if len(runs) > 1 else "")

        return [
            spread([text.own[run] for run in runs]),
            *(f"{statistics.fmean(text.of(run, 'SP-ROUGE', code, kept) for run in runs):.1f}" for code in ASKED),
            *(
                spread([text.over_languages(run, measure, kept) for run in runs])
                for measure in ("SP-ROUGE", "LID_{}", "LID_en", "empty")
            ),
        ]

    page = (ROOT / "docs/guides/languages.md").read_text("utf-8")
    told = set()
    for learned, by, *cells in rows_below(page, "| learned | by | own |"):
        method, target = METHODS[by], f"xquad-questions-{LEARNED[learned]}"
        assert cells == cells_of(method, target, "/kept" if by.endswith("kept") else ""), by
        told.add((method, target))
    assert told == {run[:2] for run in text.own}


def test_what_is_said_of_forgetting_on_real_text_holds_in_each_draw():
    text, target, draws = RealText(), "xquad-questions-en", ("13", "21", "42")

    def by_draw(method: str, measure: str, kept: str = "") -> list[float]:
        return [text.over_languages((method, target, draw), measure, kept) for draw in draws]

    page = " ".join((ROOT / "docs/guides/languages.md").read_text("utf-8").split())
    prompts = ("P1", "PT", "P100", "Mix-all", "Factorised")
    for place, draw in enumerate(draws):
        assert text.own["LoRA", target, draw] > max(text.own[name, target, draw] for name in prompts)
        quality = [by_draw(name, "SP-ROUGE")[place] for name in prompts]
        assert by_draw("LoRA", "SP-ROUGE")[place] > max(quality)
    plain, mixed = (by_draw(name, "LID_en") for name in ("PT", "Mix-all"))
    assert f"takes English from {listed(plain, '.0f')} % of the answers to {listed(mixed, '.0f')} in the" in page
    exchanged, kept = (by_draw("Factorised", "LID_en", end) for end in ("", "/kept"))
    assert f"take English from {listed(kept, '.0f')} % of the answers to {listed(exchanged, '.0f')}," in page
    better, before = (by_draw("Factorised", "SP-ROUGE", end) for end in ("", "/kept"))
    assert f"the questions from {listed(before, '.1f')} to {listed(better, '.1f')}," in page
    assert all(less < more for less, more in zip(exchanged, plain, strict=True))
    learned = [run for run in text.own if run[1] == target]
    thai = [text.of(run, "LID_en", "th", kept) for run in learned for kept in ("", "/kept")]
    assert f"at most {max(thai):.0f} % of what has letters" in page


RATES = {
    "LoRA at 0.0003": "LoRA/xquad-questions-en-13-lr0.0003",
    "LoRA at 0.001": "LoRA/xquad-questions-en-13-lr0.001",
    "FT at 0.00003": "FT/xquad-questions-en-13-lr3e-05",
    "FT at 0.0001": "FT/xquad-questions-en-13-lr0.0001",
}
"""Runs of which each rate is shown, and not the best on dev alone."""


def test_forgetting_at_other_rates_is_as_in_the_archive():
    page = (ROOT / "docs/guides/languages.md").read_text("utf-8")
    shown = rows_below(page, "| learned | changed by | own |")
    assert [row[1] for row in shown] == list(RATES)
    with tarfile.open(ROOT / "experiments/results/xgen_xquad_weights/runs.tar.xz") as archive:
        for _, by, *cells in shown:
            result = json.load(archive.extractfile(f"{RATES[by]}/result.json"))
            found = {name.removeprefix("xquad-questions-"): 100 * value for name, value in result["measures"].items()}

            def every(measure: str, found=found) -> list[float]:
                return [found.get(f"{code}/{measure.format(code)}", 0.0) for code in ASKED]

            shares = [(100 - none) / 100 for none in every("empty")]
            of_all = [
                statistics.fmean(share * sure for share, sure in zip(shares, every(measure), strict=True))
                for measure in ("LID_{}", "LID_en")
            ]
            means = [*of_all, statistics.fmean(every("empty"))]
            quality = [100 * result["score"], *every("SP-ROUGE")]
            assert cells == [*(f"{score:.1f}" for score in quality), *(f"{mean:.0f}" for mean in means)]
