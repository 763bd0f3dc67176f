"""The studies that come with the package: each is read, planned on data of all its tasks, and its options parsed."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest

from mpt.data.fewshot.files import SYNTHETIC
from mpt.data.tasks.known import catalogue
from mpt.data.tasks.partitions import load_partition, partition_names
from mpt.fit.configs import find_config, shipped_configs
from mpt.study.plan.fingerprints import draw_digest, weights_digest
from mpt.study.plan.grid import plan
from mpt.study.plan.planned_run import PlannedRun
from mpt.study.run.worker import check
from mpt.study.spec.study import Study, load_study
from mpt.util.stable_random import StableRandom

SEEDS = (13, 21, 42, 87, 100)
Planned = Callable[[str], list[PlannedRun]]
STUDIES = sorted(name for name in shipped_configs() if name.startswith("studies/"))


def read(name: str) -> Study:
    return load_study(find_config(name))


@pytest.fixture(scope="module")
def crossfit(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a tiny draw of each of the catalogue's tasks, as CrossFit names them."""
    root = tmp_path_factory.mktemp("crossfit")
    for name in catalogue():
        write(root, name, [16])
    return root


@pytest.fixture(scope="module")
def shots(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same in several sizes, of the classification setting."""
    root = tmp_path_factory.mktemp("shots")
    partition = load_partition("classification-to-classification")
    for name in sorted({*partition.source, *partition.target}):
        write(root, name, [16, 32, 64, 128, "all"])
    return root


@pytest.fixture(scope="module")
def english(crossfit: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Several sizes of the targets of ``studies/english/shots`` alone."""
    root, partition = tmp_path_factory.mktemp("english"), load_partition("english-classification")
    for name in partition.source:
        shutil.copytree(crossfit / name, root / name)
    for name in read("studies/english/shots").targets or ():
        write(root, name, [8, 16, 64])
    return root


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same of whole data sets."""
    root = tmp_path_factory.mktemp("full")
    questions = load_partition("xquad-questions")
    for name in (*catalogue(), *questions.source, *questions.target, "xquad-text-th"):
        write(root, name, ["all"])
    return root


def write(root: Path, name: str, sizes: Sequence[object]) -> None:
    folder = root / name
    folder.mkdir()
    for k in sizes:
        for seed in SEEDS:
            # Two examples a draw; the draws of 13 and 21 are the same.
            rows = "".join(f"{k} {max(seed, 21)} {part} {i}\ta\n" for part in "td" for i in range(2)).splitlines(True)
            for part, lines in (("train", rows[:2]), ("dev", rows[2:]), ("test", rows[:1])):
                (folder / f"{name}_{k}_{seed}_{part}.tsv").write_text("".join(lines), encoding="utf-8")


@pytest.fixture(scope="module")
def planned(crossfit: Path, shots: Path, english: Path, full: Path) -> Planned:
    """The runs of a study, as if it were to learn on those data."""

    @cache
    def cells(name: str) -> list[PlannedRun]:
        study = read(name)
        if study.root != SYNTHETIC:
            folders = {"shots": shots, "full": full, "wikilingua": full, "xquad": full}
            root = english if name == "studies/english/shots" else folders.get(Path(study.root).name, crossfit)
            study = replace(study, root=str(root))
        if study.library and "/" in str(study.library):  # made first, as the study says
            study = replace(study, library="synthetic", backbone="mpt-tiny")
        return plan(study, Path("out"))

    return cells


@pytest.mark.long
@pytest.mark.parametrize("name", STUDIES)
def test_every_study_is_read_and_planned(name, planned):
    study = read(name)
    assert study.partitions and set(study.partitions) <= set(partition_names())
    text = find_config(name).read_text(encoding="utf-8")
    assert text.startswith("# ") and study.name == name.removeprefix("studies/").replace("/", "_")
    cells = planned(name)
    assert len({cell.key for cell in cells}) == len(cells) and all(cell.fingerprint for cell in cells)


@pytest.mark.long
def test_the_options_of_every_study_fit_their_configs(planned):
    def asks(cell: PlannedRun) -> frozenset[tuple[str, str]]:
        """Every option of its config, and every class that is named."""
        recipe = cell.recipe
        words = {word if re.match(r"--model[.a-z_]*=[A-Z]", word) else word.partition("=")[0] for word in recipe}
        return frozenset((recipe[1], word) for word in words)

    first = {asks(cell): cell for name in STUDIES for cell in planned(name)}
    kinds, seen = [], set()
    for asked in sorted(first, key=len, reverse=True):  # what asks for most covers what asks for less
        if asked - seen:
            seen |= asked
            kinds.append(first[asked])
    # The checkpoints of the paper are not here; what is asked of them is asked of any.
    assert check([replace(cell, options={**cell.options, "model.backbone": "mpt-tiny"}) for cell in kinds]) is None


@pytest.mark.long
@pytest.mark.parametrize(("name", "runs"), [("table2", 11_680), ("q3", 2_210), ("q4", 2_420), ("search", 6_968)])
def test_the_papers_grids(name, runs, planned):
    cells = planned(f"studies/paper/{name}")
    assert len(cells) == runs
    pt = [cell for cell in cells if cell.method == "PT"]
    assert {cell.learning_rate for cell in pt} == {0.5, 0.4, 0.3, 0.2} and {cell.seed for cell in pt} == set(SEEDS)
    for word in (
        "model.prompt_length=100",
        "data.batch_size=8",
        "trainer.max_steps=3000",
        "trainer.val_check_interval=50",
    ):
        assert all(f"--{word}" in cell.arguments for cell in pt)


@pytest.mark.long
def test_table_2_has_the_papers_settings_and_upstream_values(planned):
    study = read("studies/paper/table2")
    stated = {load_partition(name).stated.get("source") for name in study.partitions}
    assert len(study.partitions) == 10 and stated == {114, 45, 22, 33, 60}
    cells = planned("studies/paper/table2")
    asked = {
        "MAML": ("model.algorithm.inner_lr=3e-05", "model.algorithm.inner_steps=1", "data.batch_size=2"),
        "FoMAML": ("model.algorithm.inner_lr=3e-05", "model.algorithm.inner_steps=1", "data.batch_size=4"),
        "Reptile": ("model.algorithm.inner_lr=3e-05", "model.algorithm.inner_steps=10", "data.batch_size=4"),
    }
    for method, words in asked.items():
        (cell,) = [c for c in cells if c.key == f"{method}/qa-to-qa/upstream-13"]
        for word in (*words, "model.optimizer.lr=0.5", "trainer.max_steps=5000"):
            assert f"--{word}" in cell.arguments
    # 20 epochs of 22 tasks with four draws of four different examples each, in batches of four.
    (mtl,) = [c for c in cells if c.key == "MTL/qa-to-qa/upstream-13"]
    assert f"--trainer.max_steps={20 * 22 * 4 * 4 // 4}" in mtl.arguments
    ft = [cell for cell in cells if cell.method == "FT"]
    assert {cell.learning_rate for cell in ft} == {5e-4, 3e-4, 2e-4, 1e-4}


@pytest.mark.long
def test_their_code_differs_from_their_text_in_what_its_file_says_and_in_nothing_else(planned):
    text, code = (planned(f"studies/paper/{name}") for name in ("table2", "as_in_their_code"))
    read_and_decoded = {
        "data.task_prefix": "true",
        "data.references": "drawn",
        "model.backbone_options.max_target_length": "128",
        "model.backbone_options.num_beams": "4",
        "model.backbone_options.early_stopping": "true",
        "model.backbone_options.repetition_penalty": "2.5",
    }
    names = {"model.init": "mpt.prompt.initialisers.TaskNames"}
    episodes = {"model.accumulate_grad_batches": "2", "model.backbone_options.max_target_length": "64"}
    unadapted = {"model.backbone": "google/t5-v1_1-large", "trainer.max_steps": "1000"}
    assert [cell.key for cell in code] == [cell.key for cell in text] and len(code) == 11_680
    for theirs, ours in zip(code, text, strict=True):
        given, plain = (
            dict(word.removeprefix("--").partition("=")[::2] for word in cell.recipe[1:]) for cell in (theirs, ours)
        )
        changed = {name: value for name, value in given.items() if plain.get(name) != value}
        changed.pop("trainer.logger.group")
        expected = dict(read_and_decoded)
        if theirs.stage == "upstream":
            expected |= names if theirs.method == "MTL" else names | episodes
        else:
            expected |= {"data.batch_size": "16"} | {"PT": names, "FT": unadapted}.get(theirs.method, {})
        assert changed == expected and plain.keys() <= given.keys(), theirs.key


@pytest.mark.long
def test_shots_are_those_of_the_side_that_is_asked(planned):
    def sizes(name: str, stage: str) -> list[str]:
        cells = [cell for cell in planned(f"studies/paper/{name}") if cell.stage == stage]
        words = [word for cell in cells for word in cell.arguments if word.startswith("--data.k=")]
        assert len(words) == len(cells)
        return list(dict.fromkeys(word.partition("=")[2] for word in words))

    assert sizes("q2_source", "upstream") == ["16", "32", "64", "128", "all"]
    assert sizes("q2_source", "downstream") == ["16"]
    assert sizes("q2_target", "upstream") == ["16"]
    assert sizes("q2_target", "downstream") == ["16", "32", "64", "128", "all"]


def test_the_validation_tasks_are_drawn_from_the_rest_of_the_catalogue():
    random, validation = load_partition("random-to-random"), load_partition("random-to-validation")
    rest = sorted(set(catalogue("crossfit")) - {*random.source, *random.target})
    assert len(rest) == 26 and validation.source == random.source
    assert validation.target == tuple(StableRandom("random-to-validation", 13).some(rest, 5))


@pytest.mark.parametrize("name", ["q2_source", "q2_target", "q3", "q4", "search"])
def test_every_study_of_the_paper_has_a_synthetic_twin(name):
    twin = read(f"studies/synthetic_{name}")
    assert twin.root == SYNTHETIC and twin.backbone == "mpt-tiny"
    assert {m.name.split("-")[0] for m in twin.methods} <= {
        m.name.split("-")[0] for m in read(f"studies/paper/{name}").methods
    }


def test_the_study_of_all_synthetic_partitions_has_them_all():
    synthetic = {name for name in partition_names() if name.startswith("synthetic-")}
    assert set(read("studies/synthetic").partitions) == synthetic


@pytest.mark.long
def test_a_fingerprint_is_of_the_words_but_for_what_a_run_is_called_on_wandb(planned):
    """So that another study knows the same run."""
    cells = planned("studies/quickstart")
    for cell in cells:
        if not cell.needs and cell.target is not None:
            read = [draw_digest("synthetic", cell.target, cell.seed, None, None)]
            words = [word for word in cell.recipe[2:] if not word.startswith("--trainer.logger.")]
            assert len(words) < len(cell.recipe[2:])
            content = [
                words,
                find_config(cell.options["config"]).read_text(),
                read,
                weights_digest("mpt-tiny"),
                None,
            ]
            assert cell.fingerprint == hashlib.sha256(json.dumps(content).encode()).hexdigest()[:16]
    one = next(cell for cell in cells if cell.needs)
    assert (
        one.recipe[0] == "fit"
        and one.recipe[1].startswith("--config=")
        and all(w.startswith("--") for w in one.recipe[1:])
    )
