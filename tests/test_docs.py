"""README and the pages under docs/: what they tell a reader to type is typed, what they name is there."""

from __future__ import annotations

import argparse
import importlib
import re
import shlex
import subprocess

import jsonargparse
import pytest
import yaml
from support.pages import PAGES, blocks, commands, run_page
from support.paths import ROOT
from support.toy import Mpt

from mpt.cli.options import Parser
from mpt.fit.configs import find_config, shipped_configs
from mpt.sweep.file import load_sweep

DOCS = [page for page in PAGES if page.startswith("docs/")]
PAPER = "docs/paper_and_code.md"  # its commands are run by a test of its own
SLOW = [page for page in PAGES if any(block.mark == "slow" for block in blocks(page))]


@pytest.fixture
def mpt(capsys, tmp_path, monkeypatch) -> Mpt:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("WANDB_MODE", "disabled")
    return Mpt(capsys)


class Accepted(BaseException):
    """Raised in place of what a command would do."""


@pytest.fixture
def parsed(mpt, monkeypatch):
    """A command up to the end of its parsing: the whole process is the real one, but nothing is done."""
    for kind in (argparse.ArgumentParser, Parser, jsonargparse.ArgumentParser):
        monkeypatch.setattr(kind, "parse_args", _then_stop(kind.parse_args))

    def parse(*words: str):
        try:
            return mpt(*words)
        except Accepted:
            return None

    return parse


def _then_stop(parse_args):
    def parse_then_stop(self, *args, **kwargs):
        parse_args(self, *args, **kwargs)
        raise Accepted

    return parse_then_stop


def test_pages_are_found():
    assert len(DOCS) > 25 and {"README.md", "docs/start.md", "docs/tutorials/adapt.md"} <= set(PAGES)


@pytest.mark.long
@pytest.mark.parametrize("page", [page for page in PAGES if page != PAPER])
def test_the_blocks_run(page, mpt, tmp_path):
    run_page(page, mpt, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("page", SLOW)
def test_the_slow_blocks_run(page, mpt, tmp_path):
    run_page(page, mpt, tmp_path, "slow")


@pytest.mark.parametrize(
    "words", ["fit --config maml --model.prompt_lenght 3", "study run quickstart --wrokers 2", "adapt x.csv"]
)
def test_a_wrong_command_would_be_found(words, parsed):
    assert parsed(*shlex.split(words)).code == 2


@pytest.mark.long
@pytest.mark.parametrize("page", [page for page in PAGES if list(commands(page, "no-run", "slow"))])
def test_the_commands_that_are_not_run_are_accepted(page, parsed, tmp_path):
    saved = {block.title for block in blocks(page)}
    for words in commands(page, "no-run", "slow"):
        if words[0] == "mpt":
            refused = parsed(*words[1:])
            assert refused is None, f"{shlex.join(words)}\n{refused.err}"
            for word in words[1:]:
                if word.endswith(".yaml") and word not in saved and word != "my_task.yaml":
                    assert find_config(word).is_file()
            if words[1] == "sweep":
                assert load_sweep(find_config(words[3])).parameters
            if words[1:3] == ["study", "run"] and words[3] not in saved:
                assert find_config(_study(words[3])).is_file()
        elif words[0] == "make":
            dry = subprocess.run(["make", "--dry-run", *words[1:]], cwd=ROOT, capture_output=True, text=True)
            assert dry.returncode == 0, dry.stderr
        elif words[0] in ("python", "bash"):
            script = (ROOT / words[1]).read_text(encoding="utf-8")
            for word in words[2:]:
                assert not word.startswith("--") or f'"{word}"' in script, f"{words[1]} has no {word}"
        else:
            assert "pip" in words, f"who tries {shlex.join(words)}?"
            extras = re.findall(r"^(\w+) = \[", (ROOT / "pyproject.toml").read_text(encoding="utf-8"), flags=re.M)
            assert set(re.findall(r"\.\[(\w+)\]", " ".join(words))) <= set(extras)


def _study(name: str) -> str:
    return name if "/" in name else f"studies/{name}"


def test_a_study_that_is_not_there_is_named(mpt):
    (matrix,) = [
        words for words in commands("docs/guides/library.md", "no-run") if words[1:3] == ["transfer", "matrix"]
    ]
    ended = mpt(*matrix[1:])
    assert ended.code == 2 and matrix[3] in ended.err and "usage" not in ended.err


@pytest.mark.long
def test_the_fits_that_are_not_run_have_a_configuration(mpt):
    fits = [
        words for page in PAGES for words in commands(page, "no-run") if words[:2] in (["mpt", "fit"], ["mpt", "test"])
    ]
    assert len(fits) >= 5
    for words in fits:
        assert mpt(*words[1:], "--print_config").code == 0, shlex.join(words)


@pytest.mark.parametrize("page", PAGES)
def test_the_python_and_the_yaml_can_be_read(page):
    for block in blocks(page):
        if block.kind == "python":
            compile(block.text, page, "exec")
        elif block.kind == "yaml":
            assert isinstance(yaml.safe_load(block.text), dict)


@pytest.mark.parametrize("page", PAGES)
def test_links_and_pictures_are_there(page):
    text = PAGES[page].read_text(encoding="utf-8")
    for target in re.findall(r"\]\((?!http)([^)#\s]+)[^)]*\)", text):
        assert (PAGES[page].parent / target).exists(), target


@pytest.mark.parametrize("page", PAGES)
def test_what_is_named_is_there(page):
    """Files of the repository, shipped experiments and modules, each in backquotes."""
    tops = ("mpt", "callbacks", "experiments", "notebooks", "docs", "tests")
    for name in re.findall(r"`([^`\s]+)`", PAGES[page].read_text(encoding="utf-8")):
        if re.fullmatch(rf"({'|'.join(tops)})/[\w./-]*", name):
            assert (ROOT / name).exists(), name
        elif re.fullmatch(r"(studies|sweeps)/[\w/]+", name):
            assert name in shipped_configs() or any(one.startswith(name) for one in shipped_configs()), name
        elif re.fullmatch(r"mpt(\.\w+)+", name) and name != "mpt.json":
            assert _resolves(name), name


def _resolves(name: str) -> bool:
    parts = name.split(".")
    for size in range(len(parts), 0, -1):
        try:
            found = importlib.import_module(".".join(parts[:size]))
        except ModuleNotFoundError:
            continue
        for attribute in parts[size:]:
            found = getattr(found, attribute, None)
        return found is not None
    return False


def test_every_page_is_in_the_sites_navigation():
    text = re.sub(r"!!python\S+", "", (ROOT / "mkdocs.yml").read_text(encoding="utf-8"))
    named = set(re.findall(r"[\w/]+\.md", str(yaml.safe_load(text)["nav"])))
    assert named == {page.removeprefix("docs/") for page in DOCS}


@pytest.mark.slow
def test_the_two_studies_of_the_paper_have_as_many_upstream_runs(mpt):
    for words in commands(PAPER, ""):
        ended = mpt(*words[1:])
        assert ended.code == 0 and "40 upstream runs first" in ended.out, ended.err


def test_every_option_of_the_papers_table_is_one(mpt):
    rows = [line.split("|")[1:-1] for line in PAGES[PAPER].read_text("utf-8").splitlines() if line.startswith("| ")]
    assert {len(row) for row in rows} == {5} and len(rows) == 13
    options = " ".join(row[-1] for row in rows[1:])
    asked = dict(re.findall(r"`((?:model|data|trainer)\.[\w.]+): ([^`]+)`", options))
    assert len(asked) == 11
    words = [f"--{name}={value}" for name, value in asked.items()]
    printed = mpt("fit", "--config", "maml", *words, "--print_config")
    assert printed.code == 0, printed.err
    for name, value in asked.items():
        assert f"{name.rpartition('.')[2]}:" in printed.out and value in printed.out, name
