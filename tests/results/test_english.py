"""The numbers of docs/english.md and docs/starts.md on real English, against the files they come from."""

from __future__ import annotations

import json
import os
import re
import statistics
import tarfile
from typing import Any

import pytest
from support.committed import committed, rows_below
from support.paths import ROOT

from mpt.data.modules.few_shot import FewShotData


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


def archived(folder: str) -> dict[str, dict[str, Any]]:
    """The results of the runs that an archive has, by key."""
    with tarfile.open(ROOT / "experiments/results/english" / folder / "runs.tar.xz") as archive:
        files = [name for name in archive.getnames() if name.endswith("/result.json")]
        return {name.removesuffix("/result.json"): json.loads(archive.extractfile(name).read()) for name in files}


def last_value(folder: str, key: str, name: str) -> float:
    """The last value of this name in the metrics of an archived run."""
    with tarfile.open(ROOT / "experiments/results/english" / folder / "runs.tar.xz") as archive:
        rows = map(json.loads, archive.extractfile(f"{key}/metrics.jsonl").read().splitlines())
    return [row[name] for row in rows if name in row][-1]


def test_the_whole_study_of_english_is_archived_and_its_neighbours_are_those_of_the_page():
    page = " ".join((ROOT / "docs/english.md").read_text(encoding="utf-8").split())
    runs = archived("classification")
    assert len(runs) == 282 and "All 282 runs are done" in page
    gains = {row["method"]: f"{float(row['arg']):.1f} %" for row in english("classification", "arg.csv")}
    readme = " ".join((ROOT / "README.md").read_text(encoding="utf-8").split())
    assert f"one like task gains {gains['Centred']} and 25 tasks {gains['MTL']}, which no test" in readme
    found = [run["source"] for key, run in runs.items() if key.startswith("Retrieved/")]
    often = found.count("financial_phrasebank-13")
    assert f"financial_phrasebank's in {often} cases of {len(found)}" in page


def test_the_outer_rates_of_english_are_those_of_the_committed_search():
    page = (ROOT / "docs/english.md").read_text(encoding="utf-8")
    likeliest, written = (committed("english", "search_meta", name) for name in ("scores.csv", "scores_written.csv"))
    for start, *cells in rows_below(page, "| start, outer rate |"):
        method = start.replace("MAML, ", "MAML-").replace("*", "")
        wanted = [
            f"{100 * statistics.fmean(float(row[column]) for row in rows if row['method'] == method):.1f}"
            for rows, column in ((likeliest, "dev_score"), (likeliest, "score"), (written, "score"))
            if any(row["method"] == method for row in rows)
        ]
        if method != "PT":
            assert cells[0] == f"{last_value('search_meta', f'{method}/upstream-13', 'train/query_loss'):.2f}"
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


DRAWS = (13, 21, 42)
UNTUNED = ("Untuned", "Zero-shot", "Question", "In-context")
ENGLISH = ("glue-sst2", "tweet_eval-emotion", "trec", "sms_spam", "tweet_eval-hate", "google_wellformed_query")


def english(folder: str, name: str) -> list[dict[str, str]]:
    return committed("english", folder, name)


def first_draw(folder: str, name: str) -> dict[tuple[str, str], float]:
    """Scores of draw 13 in percent, by method and target."""
    rows = (row for row in english(folder, name) if row["seed"] == "13")
    return {(row["method"], row["target"]): 100 * float(row["score"]) for row in rows}


def test_the_starts_of_english_are_those_of_the_committed_study():
    page = (ROOT / "docs/english.md").read_text("utf-8")
    likeliest, written = (
        {(row["method"], row["target"], int(row["seed"])): 100 * float(row["score"]) for row in english(*name)}
        for name in (("classification", "scores.csv"), ("classification", "scores_written.csv"))
    )
    gains, gains_written = (
        {row["method"]: row for row in english("classification", name)} for name in ("arg.csv", "arg_written.csv")
    )
    methods = list(dict.fromkeys(method for method, *_ in likeliest))
    assert all((method, target, seed) in likeliest for method in methods for target in ENGLISH for seed in DRAWS)
    tables = {"| start, three draws |": [method for method in methods if method not in UNTUNED]}
    tables["| untuned, three draws |"] = list(UNTUNED)
    for head, wanted in tables.items():
        shown = rows_below(page, head)
        assert [row[0] for row in shown] == wanted
        for method, *cells in shown:
            own = [[likeliest[method, target, seed] for seed in DRAWS] for target in ENGLISH]
            assert cells[:6] == [f"{statistics.fmean(values):.1f} ± {statistics.stdev(values):.1f}" for values in own]
            assert cells[6:] == ([f"{float(gains[method]['arg']):.1f}"] if method in UNTUNED else [])
    sure = rows_below(page, "| against PT, three draws |")
    assert [row[0] for row in sure] == [method for method in methods if method not in ("PT", *UNTUNED)]
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
        ("FoMAML", helped[:1], "in each draw, by {:.1f} points"),
        ("Reptile", (), ""),
        ("LoRA", helped[:1], ""),
    ):
        assert form.format(*(ahead(likeliest, method, target) for target in own)) in told, method
        assert all(
            likeliest[method, target, seed] > likeliest["PT", target, seed] for target in own for seed in (13, 21, 42)
        )
    for method in ("Reptile", "LoRA"):
        assert "({:.1f}, {:.1f} and {:.1f} points)".format(*(ahead(likeliest, method, t) for t in helped)) in told
    assert f"and {-ahead(likeliest, 'MAML', harmed):.1f} points behind on sms_spam" in told
    assert f"and {-ahead(likeliest, 'LoRA', harmed):.1f} lost on sms_spam" in told
    assert f"as those do ({-ahead(likeliest, 'Reptile', harmed):.1f})" in told
    assert "(as written by {:.1f}, {:.1f} and {:.1f})".format(*(ahead(written, "Centred", t) for t in helped)) in told
    assert (
        f"where MTL loses {-ahead(likeliest, 'MTL', harmed):.1f}, it gains {ahead(likeliest, 'Centred', harmed):.1f}"
        in told
    )


def test_what_came_after_on_english_is_as_in_the_committed_study():
    page = (ROOT / "docs/starts.md").read_text("utf-8")
    likeliest, written = (first_draw("methods", name) for name in ("scores.csv", "scores_written.csv"))
    shown, targets = rows_below(page, "| method, draw 13 |"), ("glue-sst2", "trec")
    gained = {}
    bfloat16 = {"Labels", "MTL", "FoMAML", "Centred", "Average", "Sum", "Mixed", "Superposition"}
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
    told = " ".join(page.split())
    assert f"ahead by {float(mtl['arg']):.1f} % over three draws" in told
    over_draws = {
        row["method"]: f"{float(row['arg']):+.1f} ± {float(row['arg_std']):.1f}"
        for row in english("methods", "arg.csv")
        if row["arg_std"]
    }
    average, mixed, nearest, multitask, summed = (
        over_draws[method] for method in ("Average", "Mixed", "Centred", "MTL", "Sum")
    )
    assert f"is at {average} %, a mixture at {mixed}, the nearest of" in told
    assert f"them alone at {nearest} and MTL at {multitask}." in told
    assert f"MTL is at {multitask} %, the nearest prompt alone at {nearest}, the average at {average}," in told
    assert f"the sum at {summed}, and the mixture, which" in told and f"as many steps, at {mixed}." in told
    better = [f"{likeliest['Sum', target] - before:.0f}" for target, before in (("glue-sst2", 68.5), ("trec", 37.3))]
    assert f"by `centred` the sum is {' and '.join(better)} points better" in told


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
    ways = [
        {(row["method"], row["target"], row["seed"]): f"{100 * float(row['score']):.1f}" for row in english(*name)}
        for name in (("classification", "scores.csv"), ("quickstart", "scores.csv"), ("rounding", "float32.csv"))
    ]
    rows = rows_below(page, "| run, draw 13 |")
    assert len(rows) == 6
    for run, *scores in rows:
        method, target = run.split(", ")
        assert scores == [way[method, target, "13"] for way in ways]
    tuned = [list(map(float, row[1:])) for row in rows if row[0].split(", ")[0] in ("PT", "Text")]
    assert f"off by up to {max(max(row) - min(row) for row in tuned):.0f} points" in page


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
    assert {row[0] for row in rows} == {method for method, target in likeliest if target == "paws"}
    prompts = ("PT", "MTL", "MAML")
    dev = [100 * float(row["dev_score"]) for row in english("paraphrase", "scores.csv") if row["method"] in prompts]
    assert f"dev is at {min(dev):.0f} to {max(dev):.0f} after prompts" in told
    commoner = {"glue-mrpc": 67, "glue-qqp": 57.5}
    for method in prompts:
        assert all(float(likeliest[method, target]) < most for target, most in commoner.items())
    assert [target for target, most in commoner.items() if float(likeliest["LoRA", target]) > most] == ["glue-qqp"]
    fitted = [last_value("paraphrase", f"LoRA/{target}-13", "train/loss") for target in pairs]
    assert f"to {min(fitted):.3f} to {max(fitted):.3f} per token" in told

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
    page = (ROOT / "docs/english.md").read_text("utf-8").replace("−", "-")
    found = {
        (row["method"], row["target"], int(row["seed"])): 100 * float(row["score"])
        for row in english("longer", "scores.csv")
    }
    places = {"MAML": "classification", "MAML-0.03": "longer"}
    prompts: list[tuple[float, str]] = []
    for draw, *cells in rows_below(page, "| MAML by draw |"):
        for (method, place), *told in zip(places.items(), cells[::2], cells[1::2], strict=True):
            loss = last_value(place, f"{method}/upstream-{draw}", "train/query_loss")
            ahead = [found[method, target, int(draw)] - found["PT", target, int(draw)] for target in ENGLISH]
            prompts.append((loss, f"{statistics.fmean(ahead):+.1f}"))
            assert told == [f"{loss:.2f}", prompts[-1][1]]
    told = " ".join(page.split())
    points = [one for _, one in sorted(prompts)]
    assert len(points) == 6 and f"the six gain {', '.join(points[:-1])} and {points[-1]} points" in told
    gains = {row["method"]: f"{float(row['arg']):+.1f} %" for row in english("longer", "arg.csv")}
    assert f"over three**: {gains['MAML-0.03']} against {gains['MAML']}," in told


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


def test_fewer_source_tasks_on_english_are_as_in_the_committed_study():
    page = (ROOT / "docs/english.md").read_text("utf-8")
    found = {
        (row["partition"], row["method"], row["target"]): 100 * float(row["score"])
        for row in english("sources", "scores.csv")
        if row["seed"] == "13"
    }
    targets = ("glue-sst2", "trec", "sms_spam", "google_wellformed_query")
    shown = rows_below(page, "| sources, draw 13 |")
    for name, *cells in shown:
        method, _, count = name.partition(", ")
        own = [found[f"{count or 25}-sources", method, target] for target in targets]
        base = [found["25-sources", "PT", target] for target in targets]
        gain = statistics.fmean(100 * (mine / pt - 1) for mine, pt in zip(own, base, strict=True))
        assert cells == [*(f"{score:.1f}" for score in own), "" if method == "PT" else f"{gain:+.1f}"]
    assert [row[0] for row in shown] == ["PT", "MTL, 4", "MTL, 12", "MTL, 25", "MAML, 4", "MAML, 25"]
    behind = found["25-sources", "PT", "trec"] - found["4-sources", "MTL", "trec"]
    assert f"which falls {behind:.1f} points behind drawn words" in " ".join(page.split())


def test_the_vote_of_five_on_english_is_as_in_the_committed_study():
    page = (ROOT / "docs/english.md").read_text("utf-8")
    found = {row["target"]: row for row in english("ensembles", "ensembles.csv")}
    members: dict[str, list[float]] = {}
    for result in archived("ensembles").values():
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
