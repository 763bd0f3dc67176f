"""The wheel, away from the repository: everything travels in it, and its experiments run."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import yaml
from support.paths import ROOT

from mpt.study.run.environment import versions
from mpt.util.distribution import DISTRIBUTION, install


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy: setuptools leaves its traces beside what it builds."""
    work = tmp_path_factory.mktemp("wheel")
    for name in ("mpt", "callbacks", "experiments"):
        shutil.copytree(ROOT / name, work / "source" / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, work / "source")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", work / "dist", work / "source"]
    built = subprocess.run(command, capture_output=True, text=True)
    assert built.returncode == 0, built.stderr
    return next((work / "dist").glob("*.whl"))


@pytest.mark.long
def test_the_wheel_has_a_name_of_its_own_and_the_package_and_the_command_are_called_mpt(wheel):
    assert wheel.name.startswith("meta_prompt_tuning-")
    inside = {Path(name).name: name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" in name}
    facts, commands = (zipfile.ZipFile(wheel).read(inside[name]).decode() for name in ("METADATA", "entry_points.txt"))
    assert f"\nName: {DISTRIBUTION}\n" in facts and "mpt = mpt.cli.main:main" in commands
    assert versions()["mpt"] == re.search(r"\nVersion: (\S+)\n", facts).group(1)
    extras = set(re.findall(r"\nProvides-Extra: (\S+)", facts))
    assert extras == {
        "bayes",
        "dev",
        "docs",
        "gguf",
        "higher",
        "learn2learn",
        "peft",
        "quantization",
        "ray",
        "serve",
        "xgen",
    }
    assert f'\nRequires-Dist: {DISTRIBUTION}[docs,gguf,higher,peft,ray,serve,xgen]; extra == "dev"\n' in facts


def test_no_file_names_an_extra_or_the_distribution_by_a_strangers_name():
    tops = ("mpt", "callbacks", "experiments", "notebooks", "tests", ".ci")
    files = [path for top in tops for path in (ROOT / top).rglob("*")] + list(ROOT.glob("*"))
    kinds = (".py", ".md", ".ipynb", ".toml", ".yaml", ".txt", ".sh", "")
    texts = {path: path.read_text() for path in files if path.is_file() and path.suffix in kinds}
    assert {ROOT / "README.md", ROOT / "Makefile", ROOT / "mpt/util/distribution.py", ROOT / ".ci/run"} < set(texts)
    strangers = re.compile(r"(?<![\w-])mpt\[|pip3? install (-\S+ )*['\"]?mpt\b(?!/)")
    assert not [str(path) for path, text in texts.items() if strangers.search(text)]


@pytest.mark.long
def test_what_messages_say_installs_an_extra_beside_the_package_without_an_index(wheel, tmp_path):
    site = tmp_path / "site"
    quiet = [sys.executable, "-m", "pip", "install", "--quiet", "--no-index"]
    subprocess.run([*quiet, "--no-deps", "--target", site, wheel], check=True, capture_output=True)
    wanted = re.search(r"'(.+?)'", install("bayes")).group(1)
    environment = {**os.environ, "PYTHONPATH": str(site)}
    command = [*quiet, "--dry-run", wanted]  # what the extra brings is here already: the tests need it
    ended = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert ended.returncode == 0 and "does not provide the extra" not in ended.stderr, ended.stderr


def test_every_file_of_the_package_is_in_the_wheel(wheel):
    inside = set(zipfile.ZipFile(wheel).namelist())
    for folder, name in (("mpt", "mpt"), ("callbacks", "mpt/callbacks"), ("experiments", "mpt/experiments")):
        for path in (ROOT / folder).rglob("*"):
            wanted = path.suffix in (".py", ".yaml", ".json", ".safetensors") and "__pycache__" not in path.parts
            if wanted and not {"results", "benchmarks"} & set(path.parts):  # figures and tools of the repository
                assert f"{name}/{path.relative_to(ROOT / folder).as_posix()}" in inside
    assert not [name for name in inside if name.startswith(("tests", "notebooks", "experiments", "callbacks"))]


@pytest.mark.slow
def test_a_shipped_experiment_runs_from_an_empty_folder(wheel, tmp_path):
    site, empty = tmp_path / "site", tmp_path / "empty"
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", site, wheel]
    subprocess.run(install, check=True, capture_output=True)
    empty.mkdir()
    found = {name: value for name, value in os.environ.items() if not name.startswith("WANDB_")}
    environment = {**found, "PYTHONPATH": str(site), "WANDB_MODE": "offline", "OMP_NUM_THREADS": "1"}

    def mpt(*arguments: str) -> str:
        command = [site / "bin" / "mpt", *arguments]
        ended = subprocess.run(command, cwd=empty, env=environment, capture_output=True, text=True)
        assert ended.returncode == 0, ended.stderr
        return ended.stdout

    where = subprocess.run(
        [sys.executable, "-c", "import mpt; print(mpt.__file__)"],
        cwd=empty,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert where.stdout.startswith(str(site))
    names = [line.split()[0] for line in mpt("configs", "list").splitlines()]
    assert {"prompt_tuning", "spot", "fine_tuning", "studies/quickstart"} <= set(names)
    assert mpt("configs", "copy", "prompt_tuning").strip() == "prompt_tuning.yaml"
    assert (empty / "prompt_tuning.yaml").read_text() == mpt("configs", "show", "prompt_tuning")
    mpt(
        "fit",
        "--config",
        "prompt_tuning.yaml",
        "--data.task",
        "syn-sentiment-review",
        "--trainer.max_steps",
        "2",
        "--trainer.val_check_interval",
        "2",
    )
    folder = next((empty / "runs" / "prompt_tuning").iterdir())
    assert (folder / "prompt" / "adapter_model.safetensors").is_file()
    assert list((folder / "wandb").glob("offline-run-*/*.wandb")), "W&B is on, offline, without an account"


def test_what_cites_the_package_names_its_version():
    (version,) = re.findall(r'^version = "(.*)"$', (ROOT / "pyproject.toml").read_text(), flags=re.M)
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["version"] == version and citation["cff-version"] == "1.2.0"
    assert {"message", "title", "authors"} <= set(citation)
    released = re.findall(r"^## \[(.*)\]", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), flags=re.M)
    assert released[:2] == ["Unreleased", version]


def test_the_oldest_versions_are_those_of_every_dependency():
    """Which the workflow installs, to see whether pyproject.toml keeps its word."""
    ended = subprocess.run([sys.executable, ROOT / ".ci/oldest.py"], capture_output=True, text=True)
    oldest = dict(line.split("==") for line in ended.stdout.splitlines())
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    declared = re.search(r"^dependencies = \[\n(.*?)^\]", text, flags=re.M | re.S)[1]
    assert {line.strip(' ",').split(">=")[0].split("[")[0] for line in declared.splitlines()} <= set(oldest)
    assert f'"torch>={oldest["torch"]}"' in declared and {"optuna", "ray", "higher"} <= set(oldest)


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="this is no checkout")
def test_git_ignores_no_file_that_a_checkout_would_lack():
    """A folder of a common name (build, dist) below a room would never be committed, nor looked at by a linter."""
    words = [
        "git",
        "ls-files",
        "--others",
        "--ignored",
        "--exclude-standard",
        "mpt",
        "callbacks",
        "experiments",
        "tests",
    ]
    ignored = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    assert not [path for path in ignored if path.endswith((".py", ".yaml", ".md", ".json", ".toml"))]
