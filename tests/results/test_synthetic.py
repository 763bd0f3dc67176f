"""The numbers of docs/results.md and docs/starts.md on the made-up world, against the files they come from."""

from __future__ import annotations

import itertools
import re
import statistics
from collections.abc import Iterable

from support.committed import committed
from support.paths import ROOT

from mpt.fit.configs import find_config
from mpt.study.spec.study import load_study

RESULTS = (ROOT / "docs/results.md").read_text(encoding="utf-8")


def over_draws(rows: Iterable[dict[str, str]]) -> str:
    """Mean ± deviation over the draws of a draw's mean score, in percent."""
    scores: dict[str, list[float]] = {seed: [] for seed in ("13", "21", "42")}
    for row in rows:
        scores[row["seed"]].append(100 * float(row["score"]))
    means = [statistics.mean(own) for own in scores.values()]
    return f"{statistics.mean(means):.1f} ± {statistics.stdev(means):.1f}"


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
            assert len(own) == 12
            cells.append(over_draws(own))
        for text in (page, RESULTS):
            assert re.search(rf"^\| {name}[a-z ]* \| {re.escape(' | '.join(cells))} \|$", text, flags=re.M), cells


def test_the_published_steps_of_pretraining_are_those_of_the_committed_results():
    rows = committed("ablations_synthetic", "pretraining_scores.csv")
    page = (ROOT / "experiments/results/ablations_synthetic/README.md").read_text(encoding="utf-8")
    for setting in ("steps-1000", "mpt-tiny"):
        own = [row for row in rows if row["partition"] == setting]
        told = over_draws(own)
        assert len(own) == 12 and told in page and told in RESULTS, told


def test_the_published_sizes_are_those_of_the_committed_results():
    rows = committed("sizes_synthetic", "scores.csv")
    page = " ".join(RESULTS[RESULTS.index("## Prompts, weights and the size") :].split())
    widths = [f"width-{width}" for width in (24, 48, 96, 144)]
    for method, name in (("Labels", "class labels"), ("Uniform", "uniform numbers"), ("FT", "FT")):
        cells = []
        for width in widths:
            own = [row for row in rows if (row["method"], row["partition"]) == (method, width)]
            assert len(own) == 12
            cells.append(over_draws(own))
        assert f"| {name} | {' | '.join(cells)} |" in page
    gains = {row["partition"]: row for row in committed("sizes_synthetic", "significance.csv") if row["method"] == "FT"}
    told = " | ".join(f"+{float(gains[width]['difference']):.0f} %" for width in widths)
    assert f"| FT against class labels, ARG | {told} |" in page
    points = [float(gains[width]["points"]) for width in widths[2:]]
    assert "ahead by {:.0f} and {:.0f} points".format(*points) in page
    least = min(committed("sizes_synthetic", "significance.csv"), key=lambda row: float(row["p"]))
    assert (least["partition"], least["method"]) == ("width-24", "FT")
    assert f"p {float(least['p']):.2f}, corrected {float(least['p_holm']):.2f}" in page
    edge = sum(
        row["learning_rate"] == "0.003" for row in rows if (row["method"], row["partition"]) == ("FT", "width-24")
    )
    assert f"in {edge} of 12 runs" in page


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


def test_the_searched_rates_of_shapes_are_the_best_on_dev_and_what_they_are_worth():
    dev: dict[tuple[str, float], list[float]] = {}
    for row in committed("search_methods_synthetic", "scores.csv"):
        method, _, rate = row["method"].partition("-")
        dev.setdefault((method, float(rate or 0.1)), []).append(100 * float(row["dev_score"]))
    assert {len(scores) for scores in dev.values()} == {5 * 2}
    means = {place: statistics.fmean(scores) for place, scores in dev.items()}
    page = " ".join((ROOT / "docs/starts.md").read_text("utf-8").split())
    shapes = {method.name: method for method in load_study(find_config("studies/synthetic_shapes")).methods}
    found = {}
    for method in ("LoRA", "IA3", "Residual", "Superposition"):
        tried = sorted(rate for name, rate in means if name == method)
        found[method] = max(tried, key=lambda rate: means[method, rate])
        assert tried[0] < found[method] < tried[-1]
        if method in shapes:
            assert shapes[method].downstream.overrides["model.optimizer.lr"] == found[method]
    best = {method: f"{rate:g} ({means[method, rate]:.1f}" for method, rate in found.items()}
    assert f"LoRA {best['LoRA']} %) and IA³ {best['IA3']}) again, residual prompts {best['Residual']})" in page
    assert f"superposed ones {best['Superposition']}), where PT has {means['PT', 0.1]:.1f}." in page
    worth = {
        row["method"]: f"{float(row['arg']):+.1f} ± {float(row['arg_std']):.1f} %"
        for row in committed("shapes_synthetic", "arg.csv")
    }
    assert f"residual prompts are at {worth['Residual']} and superposed ones at {worth['Superposition']}" in page


def test_recycled_prompts_are_as_in_the_committed_study():
    rows = {row["method"]: row for row in committed("recycled_synthetic", "arg.csv")}
    page = " ".join((ROOT / "docs/starts.md").read_text("utf-8").split())
    recycled, mtl = rows["Recycled"], rows["MTL"]
    worth = f"{float(recycled['arg']):+.1f} ± {float(recycled['arg_std']):.1f} %"
    assert f"scores {worth} against drawn words (p {float(recycled['p']):.2f})" in page
    assert {f"{float(rows[name]['arg']):.0f}" for name in ("Untuned", "Recycled-untuned")} == {"-96"}
    sure = f"p {float(mtl['p']):.3f}, {float(mtl['p_holm']):.3f} corrected"
    assert f"is at {float(mtl['arg']):.1f} % ({sure})" in page
    gains = {
        row["target"]: float(row["gain_mean"])
        for row in committed("recycled_synthetic", "relative_gain.csv")
        if row["method"] == "Recycled"
    }
    assert sum(gains.values()) - gains["syn-heat-report"] < 0.2 * sum(gains.values())
