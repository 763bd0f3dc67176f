"""What the README tells a newcomer to type, typed."""

from __future__ import annotations

import csv
import itertools
import re
import shlex
import statistics
import subprocess

import pytest
from support.paths import ROOT
from support.toy import Mpt

from mpt.cli.data import parser as data_options
from mpt.fit.configs import find_config
from mpt.sweep.file import load_sweep

README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)( no-run)?\n(.*?)^```", README, flags=re.M | re.S)


def commands(run: bool) -> list[list[str]]:
    shell = [text for kind, no_run, text in BLOCKS if kind == "bash" and bool(no_run) != run]
    lines = [shlex.split(line, comments=True) for text in shell for line in text.splitlines()]
    return [words for words in lines if words]


@pytest.fixture
def mpt(capsys, tmp_path, monkeypatch) -> Mpt:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WANDB_MODE", "disabled")
    return Mpt(capsys)


def test_make_knows_every_target_that_is_named():
    named = set(re.findall(r"make (\w+)", README))
    assert {"quickstart", "test", "install", "lint"} <= named
    for target in named:
        dry = subprocess.run(["make", "--dry-run", target], cwd=ROOT, capture_output=True, text=True)
        assert dry.returncode == 0, dry.stderr


def test_the_commands_run_in_their_order(mpt):
    typed = [words for words in commands(run=True) if words[0] == "mpt"]
    assert len(typed) >= 5
    for words in typed:
        ended = mpt(*words[1:])
        assert ended.code == 0, f"{shlex.join(words)}\n{ended.err}"


def test_the_commands_that_need_a_download_or_long_are_accepted(mpt, monkeypatch):
    adapted = []
    monkeypatch.setattr("mpt.cli.adapt._adapt", adapted.append)
    for words in commands(run=False):
        if words[:2] == ["mpt", "study"]:
            assert words[2] == "report" or find_config(words[3]).is_file()
        elif words[:2] == ["mpt", "sweep"]:
            assert load_sweep(find_config(words[3])).parameters
        elif words[:2] == ["mpt", "data"]:
            data_options().parse_args(words[2:])  # SystemExit if it does not know them
        elif words[:2] == ["mpt", "transfer"]:
            ended = mpt(*words[1:])
            assert ended.code == 2 and words[3] in ended.err and "usage" not in ended.err
        elif words[:2] == ["mpt", "adapt"]:
            assert mpt(*words[1:]).code == 0 and adapted.pop().library == "synthetic"
        elif words[0] == "mpt":
            assert mpt(*words[1:], "--print_config").code == 0, shlex.join(words)


def test_the_python_runs(mpt):
    blocks = [(no_run, text) for kind, no_run, text in BLOCKS if kind == "python"]
    assert blocks
    for no_run, text in blocks:
        code = compile(text, "README.md", "exec")
        if not no_run:
            exec(code, {"__name__": "readme"})


def test_pictures_and_links_are_there():
    for target in re.findall(r"\]\((?!http)([^)#]+)\)", README):
        assert (ROOT / target).exists(), target


def test_the_published_arg_is_that_of_the_committed_results():
    rows = csv.DictReader((ROOT / "experiments/results/quickstart/arg.csv").open(encoding="utf-8"))
    args = {row["method"]: f"{float(row['arg']):+.1f} ± {float(row['arg_std']):.1f}" for row in rows}
    shown = re.search(r"^\| \*\*ARG \(%\)\*\* .*$", README, flags=re.M)
    assert shown and set(args) == {"MTL", "MAML", "FoMAML", "Reptile", "FT"}
    assert all(text in shown[0] for text in args.values())
    rows = csv.DictReader((ROOT / "experiments/results/quickstart/arg.csv").open(encoding="utf-8"))
    points = re.search(r"^\| mean difference \(points\) .*$", README, flags=re.M)
    assert points and re.findall(r"[+-]\d+\.\d", points[0]) == [f"{float(row['points']):+.1f}" for row in rows]


def test_the_published_settings_are_those_of_the_committed_results():
    rows = list(csv.DictReader((ROOT / "experiments/results/synthetic/arg.csv").open(encoding="utf-8")))
    for method in {row["method"] for row in rows}:
        own = [row for row in rows if row["method"] == method]
        wanted = [f"{float(row['arg']):+.1f} ± {float(row['arg_std']):.1f}".replace("-", "−") for row in own]
        shown = re.search(rf"^\| \*?{method}\*? \| .*±.*$", README, flags=re.M)
        assert shown and len(wanted) == 4, method
        assert re.findall(r"[+−-]\d+\.\d ± \d+\.\d", shown[0]) == wanted, method


def test_the_published_transfer_is_that_of_the_committed_results():
    results = ROOT / "experiments/results/synthetic_transfer"
    rows = list(csv.DictReader((results / "arg.csv").open(encoding="utf-8")))
    assert len(rows) == 8
    for row in rows:
        lines = re.findall(rf"^\| \*?{re.escape(row['method'])}\*?(?::[^|]*)? \|.*$", README, flags=re.M)
        cells = [[cell.strip() for cell in line.split("|")[2:6]] for line in lines]
        wanted = [f"{float(row['arg']):+.1f} ± {float(row['arg_std']):.1f}", "", "", f"{float(row['points']):+.1f}"]
        if row["p"]:
            wanted[1] = f"{float(row['low']):+.1f} to {float(row['high']):+.1f}".replace("-", "−")
            wanted[2] = f"{float(row['p']):.2f}, {float(row['p_holm']):.2f}"
        assert wanted in cells, row["method"]


def test_what_is_said_of_the_papers_table_is_in_the_committed_results():
    """The counts in the page beside the re-analysis."""
    results = ROOT / "experiments/results/qin2023"
    page = (results / "README.md").read_text(encoding="utf-8")
    rows = list(csv.DictReader((results / "significance.csv").open(encoding="utf-8")))
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
    rows = csv.DictReader((ROOT / "experiments/results/null/scores.csv").open(encoding="utf-8"))
    table = {(row["method"], row["target"], row["seed"]): float(row["score"]) for row in rows}
    methods, targets, draws = (sorted({place[axis] for place in table}) for axis in range(3))
    means, ratios = [], []
    for one, other in itertools.permutations(methods, 2):
        pairs = [[(table[one, t, d], table[other, t, d]) for d in draws] for t in targets]
        means.append(statistics.fmean(sum(a for a, _ in row) / sum(b for _, b in row) - 1 for row in pairs))
        ratios.append(statistics.fmean(a / b - 1 for row in pairs for a, b in row))
    told = re.search(
        r"\+(\d+) % on average and\s+above zero in (\d+) of (\d+) ordered pairs, where ARG averages \+(\d+) % "
        r"and is above zero in (\d+)",
        README,
    )
    found = [statistics.fmean(ratios), sum(x > 0 for x in ratios), len(ratios), statistics.fmean(means)]
    assert told and [int(word) for word in told.groups()] == [
        round(100 * found[0]),
        found[1],
        found[2],
        round(100 * found[3]),
        sum(x > 0 for x in means),
    ]
