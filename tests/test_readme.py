"""README: short, its make targets, its numbers. That its commands run is in test_docs.py, with the other pages."""

from __future__ import annotations

import csv
import re
import subprocess

from support.pages import commands
from support.paths import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_it_is_short():
    lines = README.splitlines()
    assert len(lines) <= 150 and max(map(len, lines)) <= 120


def test_make_knows_every_target_that_is_named():
    named = set(re.findall(r"make (\w+)", README.replace("and make", "")))
    assert {"quickstart", "test", "install", "lint", "docs"} <= named
    for target in named:
        dry = subprocess.run(["make", "--dry-run", target], cwd=ROOT, capture_output=True, text=True)
        assert dry.returncode == 0, dry.stderr


def test_install_comes_first_and_some_of_it_is_run():
    sections = re.findall(r"^## (.*)$", README, flags=re.M)
    assert sections[0] == "Install"
    assert [words[:2] for words in commands("README.md", "")] == [["mpt", "fit"], ["mpt", "test"]]


def test_the_gains_are_those_of_the_committed_results():
    rows = csv.DictReader((ROOT / "experiments/results/quickstart/arg.csv").read_text(encoding="utf-8").splitlines())
    wanted = [f"{float(row['arg']):+.1f} ± {float(row['arg_std']):.1f}" for row in rows]
    sentence = re.search(r"^Average relative gain .*?\n\n", README, flags=re.M | re.S)
    assert sentence and re.findall(r"[+-]\d+\.\d ± \d+\.\d", sentence[0].replace("\n", " ")) == wanted
