"""The first second: what listings, helps and checks of files import, and what they say."""

from __future__ import annotations

import inspect
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from pytorch_lightning import Trainer
from support.toy import Mpt

from mpt.cli.completion import words_after
from mpt.cli.fit_help import OPTIONS
from mpt.cli.main import COMMANDS, main

HEAVY = ("torch", "pytorch_lightning", "torchmetrics", "transformers", "wandb", "matplotlib")

LIGHT = [
    ["--help"],
    ["--version"],
    ["adpat"],
    ["fit", "--help"],
    ["fit"],
    ["study", "--help"],
    ["study", "plan", "nothing"],
    ["study", "run", "nothing"],
    ["study", "report", "nothing"],
    ["sweep", "trial", "--help"],
    ["sweep", "run", "nothing"],
    ["adapt", "--help"],
    ["adapt", "missing.csv", "--library", "synthetic", "--out", "out"],
    ["adapt", "some.csv", "--library", "synthetc", "--out", "out"],
    ["transfer", "matrix", "nothing"],
    ["transfer", "clusters", "nothing"],
    ["library", "list", "synthetic"],
    ["library", "list", "synthetc"],
    ["library", "show", "synthetic"],
    ["library", "learn", "--help"],
    ["data", "build", "foo", "--root", "out"],
    ["configs", "list"],
    ["tasks"],
    ["tasks", "show", "fob"],
    ["partitions"],
    ["mixtures"],
    ["completion", "bash"],
]


@pytest.mark.long
def test_listings_helps_and_checks_of_files_do_not_import_what_takes_seconds(tmp_path):
    (tmp_path / "some.csv").write_text("input,output\n" + "".join(f"text {i},{'ab'[i % 2]}\n" for i in range(40)))
    script = f"""
import sys
from mpt.cli.main import main
for words in {LIGHT!r}:
    try:
        main(words)
    except SystemExit:
        pass
    heavy = [name for name in {HEAVY!r} if name in sys.modules]
    assert not heavy, (words, heavy)
import mpt
assert not heavy and "FrozenBackbone" in dir(mpt)
"""
    ended = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr


@pytest.fixture
def mpt(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Mpt:
    monkeypatch.chdir(tmp_path)
    return Mpt(capsys)


def test_the_help_of_a_fit_says_what_the_parser_knows(mpt):
    printed = mpt("fit", "--model", "PromptTuning", "--data", "FewShotData", "--data.task", "some", "--print_config")
    known = yaml.safe_load(printed.out)
    for name, default, _ in [option for options in OPTIONS.values() for option in options]:
        value = known
        for part in name.removeprefix("--").split("."):
            if name == "--config":
                break
            value = value.get("init_args", value) if "class_path" in value else value
            assert part in value, name
            value = value[part]
        if default is not None:
            value = value["class_path"].rpartition(".")[2] if isinstance(value, dict) else value
            assert default == ("null" if value is None else str(value)), name
    assert "--data.task" in mpt("fit", "--help").out
    assert inspect.signature(Trainer.__init__).parameters["precision"].default is None


@pytest.mark.long
def test_the_help_of_a_part_says_where_its_options_stand(mpt):
    told = mpt("fit", "--help", "MAML")
    assert told.code == 0 and told.out.startswith("MAML is --model.algorithm of MetaPromptTuning and others;")
    assert "--algorithm.inner_lr" in told.out and "typed as --model.algorithm.NAME" in told.out
    wrong = mpt("fit", "--help", "FewShotDate")
    assert (
        wrong.code == 2 and "no learner, part of one or data module of that name; did you mean FewShotData" in wrong.err
    )


@pytest.mark.parametrize(
    ("asked", "says"),
    [("all", "--trainer.max_steps"), ("MetaPromptTuning", "--model.algorithm"), ("FewShotData", "--data.k")],
)
def test_all_options_and_those_of_a_class(asked, says, mpt):
    helped = mpt("fit", "--help", asked)
    assert helped.code == 0 and says in helped.out


def test_a_class_that_there_is_none_of(mpt):
    helped = mpt("fit", "--help", "PromptTunin")
    assert helped.code == 2 and "did you mean PromptTuning" in helped.err


def test_a_misspelt_command_action_and_option_are_answered(mpt):
    for words, says in (
        (["adpat"], "did you mean adapt"),
        (["library", "lsit"], "did you mean list?"),
        (["study", "run", "x", "--worker", "2"], "did you mean --workers"),
        (["study", "run", "x", "--workers", "0"], "--workers must be at least 1, not 0"),
        (["study", "run", "x", "--workers", "two"], "--workers must be a whole number, not two"),
    ):
        ended = mpt(*words)
        assert ended.code == 2 and says in ended.err and ended.err.count("\n") == 1


def test_version(mpt):
    import mpt as package

    pyproject = Path(__file__).parents[2] / "pyproject.toml"
    assert package.__version__ == re.search(r'^version = "(.*)"', pyproject.read_text(), re.MULTILINE)[1]
    assert mpt("--version").out == f"mpt {package.__version__}\n"


@pytest.mark.parametrize(
    ("words", "among"),
    [
        ([], ["fit", "study", "adapt"]),
        (["study"], ["run", "plan", "report", "--help"]),
        (["study", "run"], ["studies/quickstart", "--workers", "--out"]),
        (["library"], ["list", "search", "rebuild"]),
        (["fit"], ["--config", "--data.task"]),
        (["fit", "--config"], ["prompt_tuning", "maml"]),
    ],
)
def test_what_completion_offers(words, among):
    offered = words_after(words)
    assert set(among) <= set(offered) and len(offered) == len(set(offered))
    assert not set(offered) & set(words)


@pytest.mark.parametrize(
    ("typed", "offered"), [("mpt stu", "study"), ("mpt study r", "run"), ("mpt fit --conf", "--config")]
)
def test_bash_completes(typed, offered, tmp_path):
    script = f"""eval "$(mpt completion bash)"
COMP_WORDS=({typed}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); _mpt_words; printf '%s\\n' "${{COMPREPLY[@]}}" """
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    ended = subprocess.run(["bash", "-c", script], capture_output=True, text=True, env={**os.environ, "PATH": path})
    assert offered in ended.stdout.splitlines(), ended.stderr


def test_every_command_of_the_help_is_there(capsys):
    main([])
    told = capsys.readouterr().out
    assert all(re.search(rf"^  (fit \| .*)?{word}\b", told, re.MULTILINE) for word in COMMANDS)
