"""The numbers of docs/results.md, against the files they come from."""

from __future__ import annotations

import csv
import itertools
import json
import os
import re
import statistics
import tarfile
from collections.abc import Iterable

import pytest
from support.paths import ROOT

from mpt.data.modules.few_shot import FewShotData
from mpt.data.synthetic.draw import synthetic_fewshot
from mpt.metrics.crossfit import rouge_l

RESULTS = (ROOT / "docs/results.md").read_text(encoding="utf-8")


def committed(*place: str) -> list[dict[str, str]]:
    """The rows of a CSV file below experiments/results."""
    text = ROOT.joinpath("experiments/results", *place).read_text(encoding="utf-8")
    return list(csv.DictReader(text.splitlines()))


def test_the_published_arg_is_that_of_the_committed_results():
    rows = committed("quickstart", "arg.csv")
    args = {row["method"]: f"{float(row['arg']):+.1f} ± {float(row['arg_std']):.1f}" for row in rows}
    shown = re.search(r"^\| \*\*ARG \(%\)\*\* .*$", RESULTS, flags=re.M)
    assert shown and set(args) == {"MTL", "MAML", "FoMAML", "Reptile", "FT"}
    assert all(text in shown[0] for text in args.values())
    points = re.search(r"^\| mean difference \(points\) .*$", RESULTS, flags=re.M)
    assert points and re.findall(r"[+-]\d+\.\d", points[0]) == [f"{float(row['points']):+.1f}" for row in rows]


def test_the_published_settings_are_those_of_the_committed_results():
    rows = committed("synthetic", "arg.csv")
    for method in {row["method"] for row in rows}:
        own = [row for row in rows if row["method"] == method]
        wanted = [f"{float(row['arg']):+.1f} ± {float(row['arg_std']):.1f}".replace("-", "−") for row in own]
        shown = re.search(rf"^\| \*?{method}\*? \| .*±.*$", RESULTS, flags=re.M)
        assert shown and len(wanted) == 4, method
        assert re.findall(r"[+−-]\d+\.\d ± \d+\.\d", shown[0]) == wanted, method


def test_the_published_transfer_is_that_of_the_committed_results():
    rows = committed("synthetic_transfer", "arg.csv")
    assert len(rows) == 8
    for row in rows:
        lines = re.findall(rf"^\| \*?{re.escape(row['method'])}\*?(?::[^|]*)? \|.*$", RESULTS, flags=re.M)
        cells = [[cell.strip() for cell in line.split("|")[2:6]] for line in lines]
        wanted = [f"{float(row['arg']):+.1f} ± {float(row['arg_std']):.1f}", "", "", f"{float(row['points']):+.1f}"]
        if row["p"]:
            wanted[1] = f"{float(row['low']):+.1f} to {float(row['high']):+.1f}".replace("-", "−")
            wanted[2] = f"{float(row['p']):.2f}, {float(row['p_holm']):.2f}"
        assert wanted in cells, row["method"]


def test_what_is_said_of_the_papers_table_is_in_the_committed_results():
    """The counts in the page beside the re-analysis."""
    page = (ROOT / "experiments/results/qin2023/README.md").read_text(encoding="utf-8")
    rows = committed("qin2023", "significance.csv")
    pt = [row for row in rows if row["against"] == "PT"]
    mtl = [row for row in rows if row["against"] == "MTL"]
    assert (len(pt), len(mtl)) == (45, 35)

    def below(rows: list[dict[str, str]], column: str) -> list[dict[str, str]]:
        return [row for row in rows if float(row[column]) < 0.05]

    corrected = {(row["partition"], row["method"], row["difference"][0]) for row in below(pt, "p_holm")}
    assert "no gain and two losses of 45" in page and corrected == {
        ("qa-to-qa", "FT", "-"),
        ("classification-to-nonclassification", "FT", "-"),
    }
    (edge,) = [row for row in pt if (row["partition"], row["method"]) == ("nonqa-to-qa", "FoMAML")]
    assert f"p = {float(edge['p']):.3f}, corrected {float(edge['p_holm']):.3f}" in page
    assert "14 of 45 have p < 0.05" in page and len(below(pt, "p")) == 14
    gained = [row["method"] for row in below(pt, "p") if float(row["difference"]) > 0]
    assert "Eleven are gains" in page and "MTL in all five, FoMAML in four, MAML in two" in page
    assert (len(gained), *map(gained.count, ("MTL", "FoMAML", "MAML"))) == (11, 5, 4, 2)
    meta = [row for row in mtl if row["method"] != "FT"]
    assert all(float(row["difference"]) < 0 for row in below(meta, "p")) and "eleven cells" in page
    assert len(below(meta, "p")) == 11 and [row["method"] for row in below(meta, "p_holm")] == ["MAML"]


def test_what_is_said_of_the_null_study_is_in_the_committed_results():
    rows = committed("null", "scores.csv")
    table = {(row["method"], row["target"], row["seed"]): float(row["score"]) for row in rows}
    methods, targets, draws = (sorted({place[axis] for place in table}) for axis in range(3))
    means, ratios = [], []
    for one, other in itertools.permutations(methods, 2):
        pairs = [[(table[one, t, d], table[other, t, d]) for d in draws] for t in targets]
        means.append(statistics.fmean(sum(a for a, _ in row) / sum(b for _, b in row) - 1 for row in pairs))
        ratios.append(statistics.fmean(a / b - 1 for row in pairs for a, b in row))
    told = re.search(
        r"\+(\d+) % on average and\s+above zero in (\d+) of (\d+) ordered pairs, where ARG averages \+(\d+) % "
        r"and is above zero\s+in (\d+)",
        RESULTS,
    )
    found = [statistics.fmean(ratios), sum(x > 0 for x in ratios), len(ratios), statistics.fmean(means)]
    assert told and [int(word) for word in told.groups()] == [
        round(100 * found[0]),
        found[1],
        found[2],
        round(100 * found[3]),
        sum(x > 0 for x in means),
    ]


def test_the_published_ablations_are_those_of_the_committed_results():
    rows = committed("ablations_synthetic", "scores.csv")
    page = (ROOT / "experiments/results/ablations_synthetic/README.md").read_text(encoding="utf-8")
    for family, name in (("Uniform", "uniform"), ("Vocabulary", "sampled vocabulary"), ("Labels", "class labels")):
        cells = []
        for length in (1, 5, 20, 100, 150):
            own = [row for row in rows if row["method"] == f"{family}-{length}"]
            means = [
                statistics.mean(100 * float(r["score"]) for r in own if r["seed"] == s) for s in ("13", "21", "42")
            ]
            assert len(own) == 12
            cells.append(f"{statistics.mean(means):.1f} ± {statistics.stdev(means):.1f}")
        for text in (page, RESULTS):
            assert re.search(rf"^\| {name}[a-z ]* \| {re.escape(' | '.join(cells))} \|$", text, flags=re.M), cells


def test_the_published_steps_of_pretraining_are_those_of_the_committed_results():
    rows = committed("ablations_synthetic", "pretraining_scores.csv")
    page = (ROOT / "experiments/results/ablations_synthetic/README.md").read_text(encoding="utf-8")
    for setting in ("steps-1000", "mpt-tiny"):
        own = [row for row in rows if row["partition"] == setting]
        means = [
            statistics.mean(100 * float(row["score"]) for row in own if row["seed"] == s) for s in ("13", "21", "42")
        ]
        told = f"{statistics.mean(means):.1f} ± {statistics.stdev(means):.1f}"
        assert len(own) == 12 and told in page and told in RESULTS, told


def test_the_published_domain_shift_is_that_of_the_committed_results():
    found: dict[tuple[str, str, str], list[float]] = {}
    for row in committed("domain_shift_synthetic", "other_tasks.csv"):  # a method's in the order of the draws
        found.setdefault((row["method"], row["trained_on"], row["tested_on"]), []).append(100 * float(row["score"]))
    page = RESULTS[RESULTS.index("## Domain shift") :]
    pairs = {(learned, tested) for _, learned, tested in found if learned != tested}
    changes: dict[str, list[list[float]]] = {}
    for learned, tested in pairs:
        own = [found[method, learned, on] for method in ("PT", "FT") for on in (learned, tested)]
        own.append([pt - ft for pt, ft in zip(own[1], own[3], strict=True)])
        shown = re.search(rf"^\| {learned} \| {tested} \| (.*) \|$", page, flags=re.M)
        wanted = [f"{statistics.mean(one):.1f} ± {statistics.stdev(one):.1f}" for one in own]
        assert shown and [cell.lstrip("+−") for cell in shown[1].split(" | ")] == [cell.lstrip("-") for cell in wanted]
        assert shown[1].split(" | ")[4][0] == ("+" if statistics.mean(own[4]) > 0 else "−")
        styles = learned not in ("syn-read-who", "syn-find-hour")
        for method, here, there in (("PT", *own[:2]), ("FT", *own[2:4])) if styles else ():
            changes.setdefault(method, []).append([b - a for a, b in zip(here, there, strict=True)])
    lost = {m: [-statistics.mean(draw) for draw in zip(*of_pairs, strict=True)] for m, of_pairs in changes.items()}
    told = {m: f"{statistics.mean(draws):.1f} ± {statistics.stdev(draws):.1f}" for m, draws in lost.items()}
    assert len(pairs) == 14 and len(changes["PT"]) == 7
    assert f"PT loses {told['PT']} points" in page and f"FT {told['FT']}." in page
    who = [found[method, "syn-read-who", "syn-read-where"] for method in ("PT", "FT")]
    assert [f"{statistics.mean(one):.1f} ± {statistics.stdev(one):.1f}" for one in who] == ["6.8 ± 9.0", "99.2 ± 1.0"]


def test_what_is_said_of_prompts_in_words_is_in_the_committed_results():
    rows = committed("prompt_words", "summary.csv")

    def share(of: str, number: str, init: str = "") -> str:
        own = [100 * float(row[number]) for row in rows if row["of"] == of and row["init"] in (init or row["init"])]
        assert len(own) == (12 if init else 36)
        return f"{statistics.mean(own):.0f} ± {statistics.stdev(own):.0f}"

    learned, start, chance = share("learned", "labels_found", "Uniform"), share("start", "labels_found", "Uniform"), ""
    chance = share("random directions", "labels_found").split()[0]
    page = RESULTS[RESULTS.index("## What prompts say") :]
    assert (
        f"of uniform numbers {learned} % of them" in page and f"of {start} %\nbefore and {chance} % by chance" in page
    )
    text = (ROOT / "experiments/results/prompt_words/README.md").read_text(encoding="utf-8")
    assert f"{learned} % are among the tokens" in text and share("learned", "labels_found", "SampledVocabulary") in text
    forms = {init: float(share("learned", "forms", init).split()[0]) for init in {row["init"] for row in rows}}
    assert "two fifths of the rows that started as tokens" in text and f"of {forms['Uniform']:.0f} % of those" in text
    assert all(38 < forms[init] < 44 for init in ("SampledVocabulary", "ClassLabels"))


def test_the_published_ensembles_are_those_of_the_committed_results():
    rows = committed("ensembles_synthetic", "ensembles.csv")
    targets = list(dict.fromkeys(row["target"] for row in rows))
    assert len(targets) == 8

    def told(values: list[float]) -> str:
        return f"{100 * statistics.fmean(values):.1f} ± {100 * statistics.stdev(values):.1f}"

    for target in targets:
        own = [row for row in rows if row["target"] == target]
        cells = " | ".join(told([float(row[kind]) for row in own]) for kind in ("average", "best", "ensemble"))
        assert f"| {target} | {cells} |" in RESULTS
    means = {
        kind: [statistics.fmean(float(row[kind]) for row in rows if row["seed"] == seed) for seed in ("13", "21", "42")]
        for kind in ("average", "best", "ensemble")
    }
    assert f"| mean of the targets | {' | '.join(map(told, means.values()))} |" in RESULTS


def test_the_rates_of_english_are_those_of_the_committed_search():
    page = (ROOT / "docs/english.md").read_text(encoding="utf-8")
    found: dict[str, list[tuple[float, float]]] = {}
    for row in committed("english", "search", "scores.csv"):
        found.setdefault(row["method"], []).append((float(row["dev_score"]), float(row["score"])))
    table = [
        [cell.strip(" *") for cell in line.split("|")[1:-1]] for line in page.splitlines() if line.startswith("| ")
    ]
    shown = {row[0]: row[1:] for row in table if re.fullmatch(r"0\.\d+", row[0])}
    assert len(shown) == 5
    for rate, cells in shown.items():
        for kind, cell in zip(("Vocabulary", "Constant", "Text", "LoRA"), cells, strict=True):
            scores = found.pop(f"{kind}-{rate}", None)
            dev, test = (100 * statistics.fmean(one) for one in zip(*scores, strict=True)) if scores else (0, 0)
            assert cell == (f"{dev:.1f} ({test:.1f})" if scores else "")
    assert not found


def test_the_outer_rates_of_english_are_those_of_the_committed_search():
    page = (ROOT / "docs/english.md").read_text(encoding="utf-8")
    likeliest, written = (committed("english", "search_meta", name) for name in ("scores.csv", "scores_written.csv"))
    with tarfile.open(ROOT / "experiments/results/english/search_meta/runs.tar.xz") as archive:
        for start, *cells in rows_below(page, "| start, outer rate |"):
            method = start.replace("MAML, ", "MAML-").replace("*", "")
            wanted = [
                f"{100 * statistics.fmean(float(row[column]) for row in rows if row['method'] == method):.1f}"
                for rows, column in ((likeliest, "dev_score"), (likeliest, "score"), (written, "score"))
                if any(row["method"] == method for row in rows)
            ]
            if method != "PT":
                lines = archive.extractfile(f"{method}/upstream-13/metrics.jsonl")
                assert cells[0] == f"{json.loads(lines.read().splitlines()[-1])['train/query_loss']:.2f}"
            assert cells[1:] == (wanted or ["not tuned from", "", ""])


def test_the_quickstart_of_english_is_that_of_the_committed_scores():
    """In both pages: by the likeliest label, and in brackets by what is written."""
    likeliest, written = (
        {
            (row["method"], row["target"]): f"{100 * float(row['score']):.1f}"
            for row in committed("english", "quickstart", name)
        }
        for name in ("scores.csv", "scores_written.csv")
    )
    for page in ("README.md", "docs/english.md"):
        lines = (ROOT / page).read_text(encoding="utf-8").splitlines()
        head = next(line for line in lines if line.startswith("| target | Zero-shot"))
        methods = [cell.strip() for cell in head.split("|")[2:-1]]
        for target in ("glue-sst2", "sms_spam"):
            line = next(line for line in lines if line.startswith(f"| {target} ("))
            wanted = [f"{likeliest[method, target]} ({written[method, target]})" for method in methods]
            assert [cell.strip() for cell in line.split("|")[2:-1]] == wanted
    assert {method for method, _ in likeliest} == set(methods)


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


TWINS = ("syn-action", "syn-age", "syn-heat", "syn-sentiment")
"""Skills of the synthetic targets that the library has in another style."""


def test_the_starts_are_those_of_the_committed_study():
    page = (ROOT / "docs/starts.md").read_text("utf-8")
    rows = committed("methods_synthetic", "arg.csv")
    shown = [line for line in page.splitlines() if re.match(r"\| [\w-]+ \| [+-]\d", line)]
    assert len(rows) == len(shown) == 18
    for row, line in zip(sorted(rows, key=lambda row: -float(row["arg"])), shown, strict=True):
        p = float(row["p"])
        cells = [
            row["method"],
            f"{float(row['arg']):+.1f} ± {float(row['arg_std']):.1f}",
            f"{float(row['low']):+.1f} to {float(row['high']):+.1f}",
            "< 0.001" if p < 0.001 else f"{p:.2f}" if p >= 0.1 else f"{p:.3f}",
            f"{float(row['points']):+.1f}",
        ]
        assert [cell.strip() for cell in line.split("|")[1:-1]] == cells
        assert float(row["arg"]) < 0 or float(row["p_holm"]) > 0.05, "none of the gains is told from zero"
    gain = {row["method"]: f"{float(row['arg']):+.1f}" for row in rows}
    told = " ".join(page.split())
    for words in (
        f"{gain['Retrieved']} % by the measure `per_token`, {gain['Centred']} by `centred`",
        f"They gain {gain['Average']} and {gain['Mixed']} %",
        f"{gain['MTL']} % with a deviation nearly as large",
        f"FoMAML {gain['FoMAML']}, MAML {gain['MAML']} and Reptile {gain['Reptile']} % follow",
        f"({gain['LoRA']} and {gain['IA3']} %)",
    ):
        assert words in told
    scores: dict[tuple[str, str], list[float]] = {}
    for row in committed("methods_synthetic", "scores.csv"):
        scores.setdefault((row["method"], row["target"]), []).append(float(row["score"]))
    means = {place: statistics.fmean(own) for place, own in scores.items()}

    def gained(method: str, targets: set[str]) -> float:
        return statistics.fmean(100 * (means[method, one] / means["PT", one] - 1) for one in targets)

    every = {target for _, target in means}
    twins = {one for one in every if one.rsplit("-", 1)[0] in TWINS}
    assert len(twins) == len(every - twins) == 4
    assert {f"{gained(name, twins):+.0f}" for name in ("Retrieved", "Centred")} == {"+57"}
    assert "a twin in the library both +57," in told
    apart = [f"{gained(name, every - twins):+.1f}" for name in ("Retrieved", "Centred", "Average", "Mixed", "MTL")]
    assert f"on the other four {apart[0]} and {apart[1]}, a difference" in told
    assert f"twin of the target {apart[2]} and {apart[3]}; MTL has {apart[4]} there" in told
    assert (
        abs(
            gained("Retrieved", every - twins - {"syn-find-hour"})
            - gained("Centred", every - twins - {"syn-find-hour"})
        )
        < 3
    )
    spent = {(row["method"], row["part"]): row for row in committed("methods_synthetic", "costs.csv")}
    assert int(spent["Average", "keys"]["examples"]) == 400 * int(spent["Average", "keys"]["runs"])
    for place in (("MTL", "own"), ("MAML", "own"), ("Reptile", "own"), ("Average", "library")):
        assert f"{int(spent[place]['examples']):,}" in page
    assert len({spent[name, "own"]["examples"] for name in ("MTL", "Multitask", "FoMAML")}) == 1
    assert int(spent["Distilled", "own"]["examples"]) == 3 * int(spent["MTL", "own"]["examples"])
    assert spent["Distilled", "library"]["examples"] == spent["Average", "library"]["examples"]


ENGLISH = ("glue-sst2", "tweet_eval-emotion", "trec", "sms_spam", "tweet_eval-hate", "google_wellformed_query")


def english(folder: str, name: str) -> list[dict[str, str]]:
    return committed("english", folder, name)


def first_draw(folder: str, name: str) -> dict[tuple[str, str], float]:
    """Scores of draw 13 in percent, by method and target."""
    rows = (row for row in english(folder, name) if row["seed"] == "13")
    return {(row["method"], row["target"]): 100 * float(row["score"]) for row in rows}


def rows_below(page: str, head: str) -> list[list[str]]:
    """The cells of the rows of the table that begins so."""
    lines = page.splitlines()
    first = next(place for place, line in enumerate(lines) if line.startswith(head))
    shown = itertools.takewhile(lambda line: line.startswith("|"), lines[first + 2 :])
    return [[cell.strip() for cell in line.split("|")[1:-1]] for line in shown]


def test_the_starts_of_english_are_those_of_the_committed_study():
    page = (ROOT / "docs/english.md").read_text("utf-8")
    likeliest, written = (
        {(row["method"], row["target"], int(row["seed"])): 100 * float(row["score"]) for row in english(*name)}
        for name in (("classification", "scores.csv"), ("classification", "scores_written.csv"))
    )
    gains, gains_written = (
        {row["method"]: row for row in english("classification", name)} for name in ("arg.csv", "arg_written.csv")
    )
    draws = {method: {seed for name, _, seed in likeliest if name == method} for method, *_ in likeliest}
    shown = rows_below(page, "| start, three draws |")
    for method, *cells in shown:
        own = [[likeliest[method, target, seed] for seed in (13, 21, 42)] for target in ENGLISH]
        assert cells[:6] == [f"{statistics.fmean(values):.1f} ± {statistics.stdev(values):.1f}" for values in own]
    assert [row[0] for row in shown] == [name for name, seeds in draws.items() if len(seeds) == 3]
    sure = rows_below(page, "| against PT, three draws |")
    assert [row[0] for row in sure] == [row[0] for row in shown if row[0] != "PT"]
    for method, *cells in sure:
        told = [
            [
                f"{float(row['arg']):+.1f}",
                f"{float(row['low']):+.1f} to {float(row['high']):+.1f}",
                f"{float(row['p']):.2f}",
            ]
            for row in (gains[method], gains_written[method])
        ]
        assert cells == [*told[0], *told[1]]
        assert float(gains[method]["p_holm"]) > 0.05  # so that no gain is called a finding

    def ahead(scores, method, target):
        return statistics.fmean(scores[method, target, seed] - scores["PT", target, seed] for seed in (13, 21, 42))

    told = " ".join(page.split())
    helped, harmed = ENGLISH[:3], ENGLISH[3]
    for method, own, form in (
        ("MTL", helped, "by {:.1f}, {:.1f} and {:.1f} points"),
        ("Centred", helped, "by {:.1f}, {:.1f} and {:.1f} points"),
        ("MAML", helped[:2], "by {:.1f} and {:.1f} points"),
    ):
        assert form.format(*(ahead(likeliest, method, target) for target in own)) in told, method
        assert all(
            likeliest[method, target, seed] > likeliest["PT", target, seed] for target in own for seed in (13, 21, 42)
        )
    assert f"and {-ahead(likeliest, 'MAML', harmed):.1f} points behind on sms_spam" in told
    assert "(as written by {:.1f}, {:.1f} and {:.1f})".format(*(ahead(written, "Centred", t) for t in helped)) in told
    assert (
        f"where MTL loses {-ahead(likeliest, 'MTL', harmed):.1f}, it gains {ahead(likeliest, 'Centred', harmed):.1f}"
        in told
    )

    first = rows_below(page, "| start, first draw |")
    for method, *cells in first:
        wanted = [f"{likeliest[method, target, 13]:.1f} ({written[method, target, 13]:.1f})" for target in ENGLISH]
        assert cells[:-1] == wanted
        gained = [
            statistics.fmean(
                100 * (scores[method, target, 13] - scores["PT", target, 13]) / scores["PT", target, 13]
                for target in ENGLISH
            )
            for scores in (likeliest, written)
        ]
        assert cells[-1] == ("" if method == "PT" else f"{gained[0]:+.1f} ({gained[1]:+.1f})")
    whole = {method for method in draws if all((method, target, 13) in likeliest for target in ENGLISH)}
    assert {row[0] for row in first} == whole


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


def test_what_came_after_on_english_is_as_in_the_committed_study():
    page = (ROOT / "docs/starts.md").read_text("utf-8")
    likeliest, written = (first_draw("methods", name) for name in ("scores.csv", "scores_written.csv"))
    shown, targets = rows_below(page, "| method, draw 13 |"), ("glue-sst2", "trec")
    gained = {}
    bfloat16 = {"Labels", "MTL", "FoMAML", "Mixed", "Superposition"}
    assert {method.removesuffix("*") for method, *_ in shown if method.endswith("*")} == bfloat16
    for starred, *cells in shown:
        method = starred.removesuffix("*")
        assert cells[:2] == [f"{likeliest[method, target]:.1f} ({written[method, target]:.1f})" for target in targets]
        pairs = [(likeliest[method, target], likeliest["PT", target]) for target in targets]
        gained[method] = statistics.fmean(100 * (score - base) / base for score, base in pairs)
        assert cells[2] == ("" if method == "PT" else f"{gained[method]:+.1f}")
    assert list(gained) == sorted(gained, key=lambda method: -gained[method])
    untuned = {"Zero-shot", "Untuned", "In-context"}
    assert set(gained) | untuned == {method for method, _ in likeliest}
    (mtl,) = [row for row in english("classification", "arg.csv") if row["method"] == "MTL"]
    assert f"ahead by {float(mtl['arg']):.1f} % over three draws" in " ".join(page.split())


def test_how_often_alike_keys_are_of_like_tasks():
    import torch

    from mpt.library.library import Library
    from mpt.library.similarity import SIMILARITIES

    names = r"syn-([a-z]+)-|(ethos)-|(tweet_eval-stance)_|(blimp)-"
    shown: dict[str, list[str]] = {}
    for library in (Library.open("synthetic"), Library.open("english")):
        entries = library.entries()
        keys = library.keys(entries)
        groups = [found[0] if (found := re.match(names, entry.task)) else entry.task for entry in entries]
        for name, measure in SIMILARITIES.items():
            similar = measure(keys, keys).fill_diagonal_(-torch.inf)
            nearest = similar.topk(3).indices.tolist()
            near = [[groups[j] == group for j in line] for group, line in zip(groups, nearest, strict=True)]
            first = [line[0] for group, line in zip(groups, near, strict=True) if groups.count(group) > 1]
            three = [same for group, line in zip(groups, near, strict=True) if groups.count(group) > 3 for same in line]
            shown.setdefault(name, []).append(f"{sum(first)} of {len(first)}")
            shown[name].append(f"{100 * statistics.fmean(three):.0f} %")
    page = (ROOT / "docs/guides/library.md").read_text("utf-8")
    assert {name: cells for name, *cells in rows_below(page, "| similarity | synthetic, nearest |")} == shown


def test_how_far_rounding_reaches_in_english():
    page = (ROOT / "docs/english.md").read_text("utf-8")
    one, other = (
        {(row["method"], row["target"], row["seed"]): f"{100 * float(row['score']):.1f}" for row in english(*name)}
        for name in (("classification", "scores.csv"), ("quickstart", "scores.csv"))
    )
    rows = rows_below(page, "| run, draw 13 |")
    assert len(rows) == 6
    for run, *scores in rows:
        method, target = run.split(", ")
        assert scores == [one[method, target, "13"], other[method, target, "13"]]


def test_paraphrases_and_shots_of_english_are_those_of_the_committed_studies():
    page = (ROOT / "docs/english.md").read_text("utf-8")
    told = " ".join(page.split())
    likeliest, written = (
        {(row["method"], row["target"]): f"{100 * float(row['score']):.1f}" for row in english("paraphrase", name)}
        for name in ("scores.csv", "scores_written.csv")
    )
    rows = rows_below(page, "| paraphrases, first draw |")
    pairs = ("glue-mrpc", "glue-qqp", "paws")
    for method, *cells in rows:
        own = [(method, target) for target in pairs]
        assert cells == [f"{likeliest[place]} ({written[place]})" for place in own]
    assert {row[0] for row in rows} == {method for method, target in likeliest if target == "paws"} - {"Zero-shot"}
    dev = [
        100 * float(row["dev_score"])
        for row in english("paraphrase", "scores.csv")
        if row["method"] in {row[0] for row in rows}
    ]
    assert f"dev is at {min(dev):.0f} to {max(dev):.0f}" in told
    assert all(
        float(likeliest[method, target]) < most
        for method, *_ in rows
        for target, most in (("glue-mrpc", 67), ("glue-qqp", 57.5))
    )

    found = {
        (row["partition"], row["method"], row["target"]): 100 * float(row["score"])
        for row in english("shots", "scores.csv")
    }
    places = [(f"{k}-shot", target) for target in ("sms_spam", "google_wellformed_query") for k in (8, 16, 64)]
    for method, *cells in rows_below(page, "| shots, first draw |"):
        own = [found.get((shots, method, target)) for shots, target in places]
        assert cells == ["not done" if score is None else f"{score:.1f}" for score in own]
    more = [found["64-shot", "PT", target] - found["8-shot", "PT", target] for _, target in places[::3]]
    assert "are worth {:.1f} and {:.1f} points to drawn words".format(*more) in told
    ahead = [found[shots, "MTL", "sms_spam"] - found[shots, "PT", "sms_spam"] for shots, _ in places[:3]]
    assert "with 8 and 16 ({:.1f} and {:.1f}) is gone with 64 ({:.1f})".format(*ahead) in told
    again = [found["16-shot", method, "sms_spam"] for method in ("PT", "MTL")]
    before = {
        row["method"]: 100 * float(row["score"])
        for row in english("classification", "scores.csv")
        if (row["target"], row["seed"]) == ("sms_spam", "13")
    }
    table = " and ".join(f"{before[method]:.1f}" for method in ("PT", "MTL"))
    assert f"drawn words {again[0]:.1f} and MTL {again[1]:.1f}, where the table counts {table}" in told


def test_a_larger_outer_rate_on_english_is_as_in_the_committed_study():
    page = (ROOT / "docs/english.md").read_text("utf-8")
    likeliest, written = (first_draw("longer", name) for name in ("scores.csv", "scores_written.csv"))
    shown = rows_below(page, "| start, draw 13 | glue-sst2 | tweet_eval-emotion | trec | sms_spam | tweet_eval-hate")
    assert [row[0] for row in shown] == ["PT", "MAML", "MAML-0.03", "MTL"]
    for method, *cells in shown:
        args = [
            statistics.fmean(100 * (scores[method, target] / scores["PT", target] - 1) for target in ENGLISH)
            for scores in (likeliest, written)
        ]
        wanted = [f"{likeliest[method, target]:.1f} ({written[method, target]:.1f})" for target in ENGLISH]
        assert cells == [*wanted, "" if method == "PT" else f"{args[0]:+.1f} ({args[1]:+.1f})"]
    told = " ".join(page.split()).replace("−", "-")
    for method, words in (("MAML-0.03", "likeliest label {}"), ("MTL", "MTL gains {}"), ("MAML", "of the table {}")):
        ahead = [f"{likeliest[method, target] - likeliest['PT', target]:.1f}" for target in ENGLISH[:3]]
        assert words.format(f"{ahead[0]}, {ahead[1]} and {ahead[2]}") in told
    harm = [likeliest["PT", target] - likeliest["MAML-0.03", target] for target in ENGLISH[3:5]]
    assert "harms sms_spam and hate by {:.1f} and {:.1f}".format(*harm) in told


def test_more_steps_on_english_are_as_in_the_committed_study():
    page = (ROOT / "docs/english.md").read_text("utf-8")
    found = first_draw("longer", "scores.csv")
    head = next(line for line in page.splitlines() if line.startswith("| steps, draw 13 |"))
    targets = [cell.strip() for cell in head.split("|")[2:-1]]
    assert targets == [target for target in ENGLISH if ("PT-300", target) in found]
    for method, *cells in rows_below(page, "| steps, draw 13 |"):
        assert cells == [f"{found[method, target]:.1f}" for target in targets]
    told = " ".join(page.split())
    gained = {target: found["PT-300", target] - found["PT", target] for target in targets}
    started = {target: found["MTL", target] - found["PT", target] for target in targets}
    worth = [
        statistics.fmean(100 * gain[target] / found["PT", target] for target in targets) for gain in (gained, started)
    ]
    assert f"is**: {worth[0]:+.1f} % and {worth[1]:+.1f} % over drawn words" in told
    assert f"trec drawn words gain {gained['trec']:.1f} points there" in told
    assert f"are {found['PT-300', 'trec'] - found['MTL', 'trec']:.1f} points ahead of MTL's prompt with 100" in told
    feeling = "tweet_eval-emotion"
    assert f"{feeling} they gain {gained[feeling]:.1f}, MTL's prompt {started[feeling]:.1f}." in told
    assert f"they lose {-gained['glue-sst2']:.1f} where it gains {started['glue-sst2']:.1f}" in told
    assert f"they gain {gained['sms_spam']:.1f} where it loses {-started['sms_spam']:.1f}" in told


def test_the_vote_of_five_on_english_is_as_in_the_committed_study():
    page = (ROOT / "docs/english.md").read_text("utf-8")
    found = {row["target"]: row for row in english("ensembles", "ensembles.csv")}
    members: dict[str, list[float]] = {}
    with tarfile.open(ROOT / "experiments/results/english/ensembles/runs.tar.xz") as archive:
        for name in archive.getnames():
            if name.endswith("result.json"):
                result = json.load(archive.extractfile(name))  # type: ignore[arg-type]
                members.setdefault(result["target"], []).append(result["score"])
    rows = rows_below(page, "| vote of five, draw 13 |")
    assert [row[0] for row in rows] == list(found) == sorted(members, key=list(found).index)
    for target, *cells in rows:
        own, scores = found[target], members[target]
        assert len(scores) == int(own["prompts"]) == 5 and own["seed"] == "13"
        assert [
            f"{100 * value:.1f}" for value in (statistics.fmean(scores), max(scores), float(own["ensemble"]))
        ] == cells
    ahead = [100 * (float(row["ensemble"]) - float(row["average"])) for row in found.values()]
    behind = [100 * (float(row["best"]) - float(row["ensemble"])) for row in found.values()]
    spread = [100 * (float(row["best"]) - float(row["average"])) for row in found.values()]
    told = " ".join(page.split())
    assert f"average member, by {min(ahead):.1f} to {max(ahead):.1f} points" in told
    assert f"the best one, by {min(behind):.1f} to {max(behind):.1f};" in told
    assert f"their average by {min(spread):.0f} to {max(spread):.0f} points" in told


def test_how_often_the_commoner_answer_of_paraphrases_is_right():
    if not (crossfit := os.environ.get("MPT_CROSSFIT")):
        pytest.skip("MPT_CROSSFIT names no folder with CrossFit's data")
    shares = []
    for task in ("glue-mrpc", "glue-qqp", "paws"):
        data = FewShotData(task, f"{crossfit}/fewshot", test_examples=200, test_choice="spread")
        outputs = [target for batch in data.test_dataloader() for target in batch.targets]
        assert len(outputs) == 200
        shares.append(max(map(outputs.count, set(outputs))) / 2)
    told = " ".join((ROOT / "docs/english.md").read_text("utf-8").split())
    assert "right in {:.1f} % of glue-mrpc, in {:.1f} % of glue-qqp and in {:.1f} % of paws".format(*shares) in told


def test_adapting_to_english_files_is_as_in_the_committed_table():
    page = (ROOT / "docs/english.md").read_text("utf-8")
    found = {(row["task"], row["way"]): row for row in english("adapt", "adapt.csv")}
    rows = rows_below(page, "| task | TF-IDF |")
    ways = ["TF-IDF", "zero-shot", "own starts", "library", "LoRA"]
    for task, *cells in rows:
        for way, cell in zip(ways, cells, strict=True):
            row = found.pop((task, way), None)
            spent = f", {float(row['cpu_seconds']) / 60:.1f} min" if row and way != "TF-IDF" else ""
            assert cell == (f"{row['test']}{spent}" if row else "not done")
    assert not found
