"""SPoT's mixtures: which data sets are in which, against its appendix B; and names of mixtures among source tasks."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from support.paths import ROOT
from support.toy import Mpt, write_toy

from mpt.data.fewshot.sources import Sources
from mpt.data.modules.mixture import MixtureData
from mpt.data.tasks.known import catalogue
from mpt.data.tasks.mixing import SIZE_LIMIT, mixing_rates
from mpt.data.tasks.mixtures import expanded, load_mixture, mixture_names
from mpt.util.errors import UserError

# How many data sets appendix B names in each family.
COUNTS = {
    "glue": 8, "superglue": 8, "nli": 7, "paraphrase": 4, "sentiment": 5, "mrqa": 6, "rainbow": 6, "translation": 3,
    "summarisation": 9, "gem": 8,
}  # fmt: skip


@pytest.fixture
def mpt(capsys: pytest.CaptureFixture[str]) -> Mpt:
    return Mpt(capsys)


@pytest.mark.parametrize("name", mixture_names())
def test_every_task_of_a_mixture_is_in_the_catalogue_and_named_once(name):
    mixture = load_mixture(name)
    assert mixture.name == name and mixture.about
    assert set(mixture.tasks) <= set(catalogue()) and len(set(mixture.tasks)) == len(mixture.tasks)


def test_the_families_have_the_counts_of_appendix_b():
    assert {name: len(load_mixture(name).tasks) for name in COUNTS} == COUNTS
    assert set(mixture_names()) == {*COUNTS, "all", "c4", "mnli", "squad"}


def test_all_is_c4_and_the_55_labelled_data_sets_of_the_families():
    # RTE is one data set, which CrossFit has by two names.
    union = {task for name in COUNTS for task in load_mixture(name).tasks} - {"superglue-rte"}
    assert set(load_mixture("all").tasks) == union | {"c4"} and len(union) == 55


def test_spots_tasks_are_what_crossfit_lacks():
    used = {task for name in mixture_names() for task in load_mixture(name).tasks}
    assert set(catalogue("spot")) - used == {"drop"}


def test_names_are_replaced_by_the_tasks_of_the_mixture():
    nli, mnli = load_mixture("nli").tasks, load_mixture("mnli").tasks
    assert expanded(["mnli", "trec"]) == [*mnli, "trec"]
    assert expanded(["trec", "nli", "glue-mnli", "mnli"]) == ["trec", *nli]
    assert expanded(["nli", "mnli"], tasks=["nli"]) == ["nli", *mnli], "a task of that name goes first"
    assert expanded(["nothing-known"]) == ["nothing-known"]


def test_a_mixture_of_ones_own(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("# Mine\ntasks: [trec, own]\n")
    assert load_mixture(path).about == "Mine" and expanded([str(path), "anli"]) == ["trec", "own", "anli"]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("tasks: []", "tasks is empty; give at least one"),
        ("tasks: [1]", "each of tasks must be a text, not 1: put it in quotes"),
        ("task: [a]", "it has the unknown key task; did you mean tasks?"),
        ("[a]", "it must be a mapping with the keys tasks, not a list"),
        ("tasks: [a, a]", "tasks names 'a' twice"),
        ("tasks: [../a]", "'../a'; a task is named by its folder"),
    ],
)
def test_a_file_that_is_no_mixture(tmp_path, text, complaint):
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    with pytest.raises(UserError, match=r"The mixture file .*mine\.yaml") as raised:
        load_mixture(path)
    assert complaint in str(raised.value)


def test_an_unknown_name_is_answered_with_the_nearest():
    with pytest.raises(UserError, match="did you mean summarisation"):
        load_mixture("summarization")


def test_mixture_data_takes_the_name_and_says_what_is_missing(tmp_path):
    for task in ("glue-sst2", "cr"):
        write_toy(tmp_path, task)
    with pytest.raises(UserError, match="go_emotions, sentiment140, yelp_polarity") as raised:
        Sources(["sentiment"], root=str(tmp_path)).names()
    assert "--data.missing skip" in str(raised.value)
    with pytest.raises(UserError, match="not in the catalogue either; did you mean sentiment"):
        Sources(["sentimant"], root=str(tmp_path)).names()
    data = MixtureData(["sentiment"], root=str(tmp_path), seeds=[13], missing="skip")
    data.setup()
    assert list(data.pools) == data.sources == ["cr", "glue-sst2"]


def test_the_artificial_size_limit_is_spots_and_the_default():
    assert SIZE_LIMIT == 2**19 == 524_288
    assert MixtureData(["trec"]).limit == SIZE_LIMIT
    assert mixing_rates([2**19, 2**21, 2**18], SIZE_LIMIT).tolist() == [0.4, 0.4, 0.2]


# mpt mixtures, and the other commands that take a mixture


def test_mixtures_are_listed(mpt):
    lines = mpt("mixtures").out.splitlines()
    assert [line.split()[0] for line in lines[1:]] == list(mixture_names())
    assert next(line for line in lines if line.startswith("all")).split()[1] == "56"
    assert mpt("mixtures", "--names").out.split() == list(mixture_names())


def test_one_mixture_is_shown_with_what_a_folder_has(mpt, tmp_path):
    write_toy(tmp_path, "cr", seeds=(13, 21))
    shown = mpt("mixtures", "show", "sentiment", "--root", tmp_path).out
    line = next(line for line in shown.splitlines() if line.startswith("cr "))
    assert "spot" in line and line.endswith("k=16 seeds 13 21")
    assert f"not in {tmp_path}: 4 of 5 tasks: go_emotions, sentiment140, glue-sst2, yelp_polarity" in shown
    assert mpt("mixtures", "show", "mnli", "--names").out == "glue-mnli\n"
    refused = mpt("mixtures", "show", "sentimant")
    assert refused.code == 2 and "did you mean sentiment?" in refused.err


def test_tasks_by_suite(mpt):
    names = mpt("tasks", "--suite", "spot", "--names").out.split()
    assert names == list(catalogue("spot"))
    assert len(mpt("tasks", "--suite", "crossfit", "--names").out.split()) == 160
    assert "mixtures    all, nli\n" in mpt("tasks", "show", "snli").out


def test_a_mixture_is_built(mpt, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("raw").mkdir()
    ended = mpt("data", "build", "--mixture", "sentiment", "--raw", "raw", "--root", "root", "--workers", 1)
    assert ended.code == 1 and "5 tasks" in ended.out
    assert mpt("data", "build", "trec", "--mixture", "nli", "--raw", "raw", "--root", "root").code == 2


@pytest.mark.long
def test_the_command_does_not_wait_for_torch():
    code = (
        "import sys; from mpt.cli.main import main; main(['mixtures', 'show', 'nli']); sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, cwd=ROOT, check=False).returncode == 0
