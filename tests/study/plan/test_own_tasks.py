"""A user's own tasks as a study's targets and sources: named by their files, read from them, part of what a run is."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from support.study_library import write_library

from mpt.data.modules.mixture import MixtureData
from mpt.library.retrieval import Retrieval
from mpt.study.plan import fingerprints
from mpt.study.plan.grid import plan
from mpt.study.plan.planned_run import PlannedRun
from mpt.study.plan.reach import tell_reach
from mpt.study.run.results import StudyFacts
from mpt.study.spec.settings import settings
from mpt.study.spec.study import load_study
from mpt.util.errors import UserError

STUDY = """
backbone: mpt-tiny
root: synthetic
partition: synthetic-random-to-random
targets: [tasks/mine.yaml, syn-heat-report]
sources: [tasks/yours.yaml, syn-sentiment-review]
target_k: 4
source_k: 4
seeds: [13]
methods:
  PT: {downstream: {config: prompt_tuning}}
  MTL: {upstream: {config: spot}, downstream: {config: prompt_tuning}}
"""


def task(folder: Path, name: str, labels: tuple[str, str] = ("minus", "plus"), size: int = 40) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    rows = "".join(f"{name} {n},{labels[n % 2]}\n" for n in range(size))
    (folder / f"{name}.csv").write_text(f"text,label\n{rows}", encoding="utf-8")
    (folder / f"{name}.yaml").write_text(f"file: {name}.csv\ninput: text\noutput: label\n", encoding="utf-8")


def write(folder: Path, text: str = STUDY) -> Path:
    task(folder / "tasks", "mine")
    task(folder / "tasks", "yours")
    (folder / "study.yaml").write_text(text, encoding="utf-8")
    return folder / "study.yaml"


def planned(path: Path) -> dict[str, PlannedRun]:
    fingerprints.read_draw.cache_clear()
    fingerprints.sources_digest.cache_clear()
    return {run.key: run for run in plan(load_study(path), path.parent / "out")}


def prints(path: Path) -> dict[str, str]:
    return {key: run.fingerprint for key, run in planned(path).items()}


def test_they_go_by_name_and_are_read_from_their_files(tmp_path):
    path = write(tmp_path)
    runs = planned(path)
    assert list(runs) == [
        "MTL/upstream-13",
        *(f"{m}/{t}-13" for m in ("PT", "MTL") for t in ("mine", "syn-heat-report")),
    ]
    assert runs["PT/mine-13"].target == "mine" and all(run.fingerprint for run in runs.values())
    assert runs["PT/mine-13"].options["data.task"] == str(tmp_path / "tasks/mine.yaml")
    assert runs["PT/syn-heat-report-13"].options["data.task"] == "syn-heat-report"
    learned = runs["MTL/upstream-13"].options["data.tasks"]
    assert learned == [str(tmp_path / "tasks/yours.yaml"), "syn-sentiment-review"]


def test_what_is_learned_is_tested_on_them(tmp_path):
    before = prints(write(tmp_path))
    path = write(tmp_path, STUDY + "test_on: {tasks/mine.yaml: [tasks/other.yaml], syn-heat-report: []}\n")
    task(tmp_path / "tasks", "other")
    runs = planned(path)
    tests = {key: run for key, run in runs.items() if run.stage == "test"}
    assert list(tests) == ["PT/mine-13-on-other", "MTL/mine-13-on-other"] and before.items() <= prints(path).items()
    test = tests["PT/mine-13-on-other"]
    assert (test.target, test.trained_on, test.needs) == ("other", "mine", ("PT/mine-13",))
    assert test.options["data.task"] == str(tmp_path / "tasks/other.yaml") and "data.labels_as" not in test.options
    first = prints(path)
    task(tmp_path / "tasks", "other", size=42)
    assert {key for key, fingerprint in prints(path).items() if fingerprint != first[key]} == set(tests)
    task(tmp_path / "tasks", "other", ("less", "plus"))
    with_words = write(tmp_path, path.read_text() + "same_labels: [[less, minus]]\n")
    assert planned(with_words)[test.key].options["data.labels_as"] == {"less": "minus", "plus": "plus"}


def test_a_run_is_another_when_its_examples_change_and_the_same_elsewhere(tmp_path):
    path = write(tmp_path)
    before = prints(path)
    assert prints(write(tmp_path / "moved")) == before
    task(tmp_path / "tasks", "mine", size=42)
    changed = {key for key, fingerprint in prints(path).items() if fingerprint != before[key]}
    assert changed == {"PT/mine-13", "MTL/mine-13"}
    write(tmp_path)
    task(tmp_path / "tasks", "yours", size=42)
    changed = {key for key, fingerprint in prints(path).items() if fingerprint != before[key]}
    assert changed == {"MTL/upstream-13", "MTL/mine-13", "MTL/syn-heat-report-13"}


def test_labels_that_are_too_long_are_told_before_any_run(tmp_path):
    path = write(tmp_path)
    task(tmp_path / "tasks", "mine", ("a", " ".join(f"word{n}" for n in range(60))))
    assert any("mine" in sentence for sentence in tell_reach(list(planned(path).values()), "synthetic"))


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("tasks/mine.yaml", "mine.yaml", r"Cannot read the task file .*mine.yaml"),
        ("tasks/mine.yaml", "tasks/none.yaml", r"Cannot read the task file .*none.yaml"),
        ("tasks/yours.yaml", "other/mine.yaml", r"are both called mine; rename one"),
        ("tasks/mine.yaml", "other/syn-heat-report.yaml", r"is called as a task of the partition"),
        ("target_k: 4", "target_k: 30", r"mine.yaml: k = 30 takes all 32 examples"),
        ("target_k: 4", "target_k: 4\ntest_on: [other/mine.yaml]", r"are both called mine; rename one"),
        ("target_k: 4", "target_k: 4\ntest_on: [mine]", r"test_on names mine, and .*mine.yaml is called so too"),
        ("target_k: 4", "target_k: 4\ntest_on: [tasks/none.yaml]", r"Cannot read the task file .*none.yaml"),
        ("target_k: 4", "target_k: 4\ntest_on: {mine: [tasks/third.yaml]}", r"third is none of the labels of mine \("),
    ],
)
def test_mistakes(tmp_path, old, new, said):
    task(tmp_path / "other", "mine")
    task(tmp_path / "tasks", "third", ("first", "third"))
    task(tmp_path / "other", "syn-heat-report")
    with pytest.raises(UserError, match=said):
        planned(write(tmp_path, STUDY.replace(old, new)))


def test_a_report_does_not_call_an_own_task_synthetic(tmp_path):
    study = load_study(write(tmp_path))
    (place,) = settings(study)
    facts = StudyFacts("a", study.file, study.backbone, study.root, [place], "PT", ["PT", "MTL"], [13])
    assert not facts.is_synthetic
    assert replace(facts, settings=[replace(place, targets=("syn-heat-report",))]).is_synthetic


def test_they_may_be_retrieved(tmp_path):
    retrieving = "  Mix: {retrieve: {top_k: 2}, upstream: {config: spot}, downstream: {config: prompt_tuning}}\n"
    path = write(tmp_path, STUDY + f"{retrieving}library: {tmp_path / 'library'}\n")
    library = write_library(tmp_path / "library", "abc", "mpt-tiny", ("yours", "syn-sentiment-review", "mine"))
    learned = planned(path)["Mix/upstream-mine-13"]
    first, options = prints(path), {name.rpartition(".")[2]: value for name, value in learned.options.items()}
    file = str(tmp_path / "tasks/yours.yaml")
    assert learned.options["data.retrieved.own"] == [file] and "mine" in options["exclude"]
    key = library.entries()[0].folder
    said = {name: options[name] for name in ("library", "top_k", "exclude", "digest", "own")}
    data = MixtureData(retrieved=Retrieval(key=str(key), **said), seeds=[13], k=4)
    data.setup("fit")
    assert set(data.pools) == {file, "syn-sentiment-review"} and "yours" in data.task_names
    assert all(example.input.startswith("yours ") for example in data.pools[file])
    task(tmp_path / "tasks", "yours", size=42)
    changed = {key for key, fingerprint in prints(path).items() if fingerprint != first[key]}
    assert changed >= {"Mix/upstream-mine-13", "Mix/mine-13"} and "PT/mine-13" not in changed


@pytest.mark.parametrize("option", ["data.validation: [tasks/yours.yaml]", "data.mixed: {tasks/yours.yaml: 0.1}"])
def test_a_users_own_task_beside_the_sources_counts_under_the_embedded_suite_too(option, tmp_path, monkeypatch):
    text = STUDY.replace("targets: [tasks/mine.yaml, ", "targets: [").replace(
        "sources: [tasks/yours.yaml, ", "sources: ["
    )
    text = text.replace("config: spot", f"config: spot, overrides: {{{option}}}")
    monkeypatch.chdir(tmp_path)
    path = write(tmp_path, text)
    before = prints(path)
    task(tmp_path / "tasks", "yours", labels=("cold", "warm"))
    changed = {key for key, fingerprint in prints(path).items() if fingerprint != before[key]}
    assert changed == {key for key in before if key.startswith("MTL/")}
