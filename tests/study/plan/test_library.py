"""The runs of methods that retrieve: which, with which words, and what the study file may say of them."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from support.changes import REMOVED, changed, changed_file
from support.small_models import t5
from support.study_library import RETRIEVING, H, P, write_library, write_retrieving
from support.toy_study import SEEDS, TARGETS, TWO, write_partition

from mpt.backbone.loading import BackboneOptions
from mpt.backbone.model import Backbone
from mpt.cli.study import run_study_command
from mpt.library import retrieval
from mpt.library.library import Library
from mpt.library.similarity import SIMILARITIES
from mpt.study.plan.grid import chosen, plan
from mpt.study.plan.grouping import units
from mpt.study.plan.library import StudyLibrary
from mpt.study.plan.planned_run import PlannedRun
from mpt.study.run.grid import run_all
from mpt.study.spec.retrieve import MEASURES, ORDERS
from mpt.study.spec.settings import settings as study_settings
from mpt.study.spec.study import Study, load_study
from mpt.util.errors import UserError
from mpt.util.files import write_json

TOP2, AVERAGE2, RANDOM1, MIXTURE, LOWEST = (
    ("methods", name) for name in ("Top2", "Average2", "Random1", "Mixture", "MAML-lowest")
)
FOUND, EMBEDDING = (*TOP2, "retrieve"), ("methods", "embedding")
ENTRIES = ("emo", "trec", "emo", "ag_news", "other")


@pytest.fixture
def study(tmp_path: Path) -> Study:
    write_library(tmp_path / "library", "abc", "mpt-tiny", ENTRIES)
    return load_study(write_retrieving(tmp_path, "mpt-tiny"))


def one(cells: list[PlannedRun], key: str) -> PlannedRun:
    return next(cell for cell in cells if cell.key == key)


def test_the_names_that_a_study_knows_are_those_that_the_runs_know():
    assert set(MEASURES) == set(SIMILARITIES) and ORDERS == retrieval.ORDERS


def test_the_runs_of_each_method(study, tmp_path):
    cells = plan(study, tmp_path / "out")
    grid = len(TARGETS) * len(SEEDS)
    assert Counter((cell.method, cell.stage) for cell in cells) == {
        ("embedding", "upstream"): grid,
        ("Mixture", "upstream"): grid,
        ("MAML-lowest", "upstream"): len(TARGETS),  # of one seed
        ("PT", "downstream"): grid,
        ("Top2", "downstream"): 2 * grid,
        **{(name, "downstream"): grid for name in ("Average2", "Random1", "Mixture", "MAML-lowest")},
    }
    place = {cell.key: number for number, cell in enumerate(cells)}
    assert all(place[key] < place[cell.key] for cell in cells for key in cell.needs)
    for cell in cells:
        if cell.method in ("Top2", "Average2", "Random1"):
            assert cell.needs == (f"embedding/{cell.target}-{cell.seed}",)
    assert one(cells, "Mixture/ag_news-21").needs == ("Mixture/upstream-ag_news-21",)
    assert one(cells, "Mixture/upstream-ag_news-21").needs == ("embedding/ag_news-21",)
    assert one(cells, "MAML-lowest/ag_news-21").needs == ("MAML-lowest/upstream-ag_news-13",)


def test_a_key_is_made_by_the_librarys_recipe_and_not_by_the_study(study, tmp_path):
    cells = plan(replace(study, overrides={**study.overrides, "model.optimizer.lr": 9}), tmp_path / "out")
    assert one(cells, "embedding/ag_news-21").arguments == [
        "fit",
        "--config=embedding",
        f"--trainer.default_root_dir={tmp_path}/out/embedding/ag_news-21",
        "--trainer.enable_progress_bar=false",
        "--model.backbone=mpt-tiny",
        f"--data.root={tmp_path}/data",
        "--data.task=ag_news",
        "--data.seed=21",
        "--trainer.logger.group=toy",
        "--trainer.logger.job_type=embedding",
        "--trainer.log_every_n_steps=3",
        "--trainer.accelerator=cpu",
        "--model.backbone_options.max_input_length=16",
        "--model.backbone_options.max_target_length=2",
        "--seed_everything=5",
        "--model.prompt_length=3",
        "--model.optimizer.lr=0.3",
        "--data.batch_size=4",
        "--trainer.max_steps=4",
    ]


def test_a_key_is_made_as_plain_text_if_the_librarys_were_whatever_the_study_reads(study, tmp_path):
    chat = {**study.overrides, "model.backbone_options.chat_template": True}
    key = one(plan(replace(study, overrides=chat), tmp_path), "embedding/ag_news-21")
    assert not key.resolved.said("model.backbone_options.chat_template")


def test_what_a_study_says_of_learning_is_not_said_of_the_runs_that_make_keys(study, tmp_path):
    learning = {
        "trainer.accumulate_grad_batches": 4,
        "trainer.gradient_clip_val": 1.0,
        "trainer.precision": "bf16-mixed",
        "trainer.callbacks": ["mpt.callbacks.KeepBest"],
        "trainer.callbacks+": "mpt.callbacks.ResumePoint",
        "trainer.max_epochs": 1,
        "trainer.limit_train_batches": 1,
        "trainer.val_check_interval": 1,
        "data.batch_size": 2,
        "data.init_args.batch_size": 2,
        "data.task_prefix": True,
        "data.references": "drawn",
        "model.init": "mpt.prompt.initialisers.Uniform",
        "model.init_args.optimizer.lr": 9,
    }
    done = {"trainer.devices": 1, "data.num_workers": 2, "data.init_args.num_workers": 2, "trainer.logger.project": "x"}
    plain = {key.key: key.arguments for key in plan(study, tmp_path) if key.method == "embedding"}
    settings = [replace(one, overrides={**learning, **done}) for one in study_settings(study)]
    more = replace(study, overrides={**study.overrides, **learning})
    for key in plan(more, tmp_path, settings):
        if key.method == "embedding":
            # Of two spellings of one option the last counts.
            added = [f"--{name}={value}" for name, value in done.items() if name != "data.num_workers"]
            assert sorted(key.arguments) == sorted([*plain[key.key], *added])


def test_a_run_says_what_it_starts_from_in_words_that_a_user_could_type(study, tmp_path):
    cells = plan(study, tmp_path / "out")
    words = one(cells, "Top2/ag_news-21-rank2").arguments
    said = words[words.index("--model.init=mpt.library.retrieved.Retrieved") :]
    assert said[:-2] == [
        "--model.init=mpt.library.retrieved.Retrieved",
        f"--model.init.library={tmp_path}/library",
        f"--model.init.key={tmp_path}/out/embedding/ag_news-21/prompt",
        "--model.init.by=per_token",
        "--model.init.order=highest",
        # the targets, and what is no source task
        '--model.init.exclude=["ag_news", "other", "superglue-cb"]',
    ]
    assert said[-2].startswith("--model.init.digest=") and said[-1] == "--model.init.rank=2"
    words = one(cells, "Random1/ag_news-21-rank1").arguments
    assert '--model.init.exclude=["ag_news", "superglue-cb"]' in words and "--model.init.seed=21" in words
    words = one(cells, "Average2/ag_news-21").arguments
    assert "--model.init.top_k=2" in words and "--model.init.by=average_token" in words
    for use, said in (
        ("sum", ["--model.init.use=sum"]),
        ("mixed", ["--model.init.use=each", "--model.reparameterisation=mpt.prompt.mixture.Mixture"]),
    ):
        methods = [
            replace(method, retrieve=replace(method.retrieve, use=use)) if method.name == "Average2" else method
            for method in study.methods
        ]
        words = one(plan(replace(study, methods=methods), tmp_path / "out"), "Average2/ag_news-21").arguments
        assert (
            "--model.init.top_k=2" in words
            and [word for word in words if word.startswith("--model.init.use") or "reparam" in word] == said
        )


def test_an_upstream_run_on_retrieved_tasks_reads_the_targets_own_draw_only_in_a_mixture(study, tmp_path):
    cells = plan(study, tmp_path / "out")
    words = one(cells, "Mixture/upstream-ag_news-21").arguments
    for word in (
        "--data.target=ag_news",
        "--data.seed=21",
        "--data.partition=null",
        f"--data.retrieved.key={tmp_path}/out/embedding/ag_news-21/prompt",
        "--data.retrieved.top_k=2",
    ):
        assert word in words
    words = one(cells, "MAML-lowest/upstream-ag_news-13").arguments
    assert not [word for word in words if word.startswith("--data.target")]
    assert "--data.retrieved.order=lowest" in words and "--data.retrieved.by=subspace" in words


def test_top_k_all_takes_every_prompt_that_may_be_retrieved(study, tmp_path):
    (top2,) = [method for method in study.methods if method.name == "Top2"]
    every = replace(study, methods=(study.methods[0], replace(top2, retrieve=replace(top2.retrieve, top_k=None))))
    ranks = [cell.rank for cell in plan(every, tmp_path) if cell.target == "ag_news" and cell.seed == 13]
    assert ranks == [None, None, 1, 2, 3]  # the key, PT, and emo twice and trec


def test_in_each_setting_its_own_targets_are_kept_out_and_the_keys_serve_all(tmp_path):
    write_library(tmp_path / "library", "abc", "mpt-tiny", ENTRIES)
    places = [str(write_partition(tmp_path / f"{name}.yaml", *parts)) for name, parts in TWO.items()]
    one_each = {(*method, "retrieve", "top_k"): 1 for method in (TOP2, AVERAGE2, MIXTURE)}
    of_two = changed(RETRIEVING, {"partitions": places, **one_each})
    cells = plan(load_study(write_retrieving(tmp_path, "mpt-tiny", of_two)), tmp_path / "out")
    keys = {cell.key for cell in cells if cell.method == "embedding"}
    assert keys == {f"embedding/{target}-{seed}" for target in (*TARGETS, "emo") for seed in SEEDS}
    first, second = (one(cells, f"Top2/{name}/ag_news-21-rank1") for name in TWO)
    assert first.needs == second.needs == ("embedding/ag_news-21",) and first.fingerprint != second.fingerprint
    assert '--model.init.exclude=["ag_news", "other", "superglue-cb"]' in first.arguments
    assert '--model.init.exclude=["ag_news", "emo", "other"]' in second.arguments
    assert one(cells, "Mixture/second/emo-13").needs == ("Mixture/second/upstream-emo-13",)


def test_a_plan_is_counted_where_the_data_are_not_there(study, tmp_path, capsys):
    nowhere = tmp_path / "nowhere"
    words = ["plan", str(tmp_path / "toy.yaml"), "--out", str(tmp_path / "out"), "--root", str(nowhere)]
    run_study_command(words)
    out = capsys.readouterr().out
    assert "38 runs" in out and f"There is no folder {nowhere}" in out


def test_runs_share_a_pack_though_each_starts_from_its_own_targets_key(study, tmp_path):
    packed = {unit[0].method: len(unit) for unit in units(plan(study, tmp_path), 8) if len(unit) > 1}
    assert packed == {"PT": 4, "Top2": 8, "Average2": 4, "Random1": 4, "Mixture": 4, "MAML-lowest": 4}


def test_what_a_run_needs_comes_with_it_however_far_back(study, tmp_path):
    keys = [cell.key for cell in chosen(plan(study, tmp_path), ["Mixture/ag_news-21"])]
    assert keys == ["embedding/ag_news-21", "Mixture/upstream-ag_news-21", "Mixture/ag_news-21"]


class Pretend:
    """Workers that only say that they are done; but what makes a key for seed 13 fails."""

    retries = 0

    def __init__(self, *_: object) -> None:
        self.workers = [self]
        self.unit: tuple[PlannedRun, ...] = ()
        self.done: list[tuple[str, ...]] = []

    @property
    def idle(self) -> bool:
        return not self.unit

    def send(self, word: str, unit: tuple[PlannedRun, ...]) -> None:
        self.unit = unit

    def receive(self, seconds: float | None = None) -> list[tuple[Any, Any]]:
        self.done.append(tuple(cell.key for cell in self.unit))
        ended = {}
        for cell in self.unit:
            ended[cell.key] = "failed" if cell.key == "embedding/ag_news-13" else "finished"
            if ended[cell.key] == "failed":
                cell.files.fail("no such luck", cell.arguments)
            else:
                write_json(cell.folder / "result.json", {"fingerprint": cell.fingerprint})
        return [(self, ("ended", ended))]

    def check(self, cells: object) -> None: ...

    def close(self, patient: bool) -> None: ...


class Nobody:
    def begins(self, *_: object) -> None: ...

    finished = failed = begins


def test_a_key_that_fails_takes_only_what_needs_it_even_from_a_pack(study, tmp_path):
    cells = plan(study, tmp_path / "out")
    pool = Pretend()
    lost = {cell.key for cell in run_all(cells, 1, Nobody(), lambda *_: pool, side_by_side=8)}
    needing = {cell.key for cell in cells if cell.target == "ag_news" and cell.seed == 13 and cell.method != "PT"}
    # What is meta-learned once for all seeds is learned with seed 13.
    assert lost == needing | {"MAML-lowest/ag_news-21"}
    assert sorted(key for unit in pool.done for key in unit if key not in lost) == sorted(
        cell.key for cell in cells if cell.key not in lost
    )
    rest = [f"Top2/{name}" for name in ("superglue-cb-13", "superglue-cb-21", "ag_news-21")]
    assert tuple(f"{name}-rank{rank}" for name in rest for rank in (1, 2)) in pool.done
    reason = json.loads((tmp_path / "out/Mixture/ag_news-13/failed.json").read_text())["reason"]
    assert reason == "not started: it needs Mixture/upstream-ag_news-13, which failed"


def test_another_library_is_another_study_for_those_that_retrieve_and_for_nobody_else(study, tmp_path):
    before = {cell.key: cell.fingerprint for cell in plan(study, tmp_path / "out")}
    assert len(set(before.values())) == len(before)
    library = tmp_path / "library" / "prompts"
    weights = "adapter_model.safetensors"
    (library / "trec-1" / weights).write_bytes((library / "emo-0" / weights).read_bytes())
    after = {cell.key: cell.fingerprint for cell in plan(study, tmp_path / "out")}
    same = {key.split("/")[0] for key in before if before[key] == after[key]}
    assert same == {"PT", "embedding"}
    (library / "ag_news-3" / weights).write_bytes((library / "emo-0" / weights).read_bytes())
    assert {cell.key: cell.fingerprint for cell in plan(study, tmp_path / "out")} == after  # a target's own


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {(*FOUND, "use"): "bset"},
            "methods.Top2.retrieve.use is one of best, average, sum, mixed, tasks, mixture, not 'bset'",
        ),
        (
            {(*FOUND, "k"): 2, (*FOUND, "top_k"): REMOVED},
            "methods.Top2.retrieve has the unknown key k; known are by, from",
        ),
        ({FOUND: None}, "methods.Top2: retrieve is empty; say what"),
        ({FOUND: {"top_k": 0}}, "Top2.retrieve.top_k must be a whole number of at least 1, or the word all, not 0"),
        ({FOUND: {"top_k": "most"}}, "top_k must be a whole number of at least 1, or the word all, not 'most'"),
        ({(*FOUND, "use"): "mixture"}, "use mixture is .*, so the method needs an upstream stage"),
        ({(*MIXTURE, "retrieve", "use"): "average"}, "methods.Mixture.retrieve: use average is .*; leave out upstream"),
        ({(*AVERAGE2, "retrieve", "by"): "cosine"}, "by is one of per_token, .*, centred, not 'cosine'"),
        ({(*LOWEST, "retrieve", "order"): "last"}, "order is one of highest, random, lowest, not 'last'"),
        ({(*MIXTURE, "retrieve"): {"from": "library", "top_k": 2}}, "from library is for prompts"),
        ({(*MIXTURE, "upstream", "seed"): 13}, "a mixture learns on one draw of the target"),
        ({(*MIXTURE, "upstream", "epochs"): 2}, "epochs cannot be counted before the tasks are retrieved"),
        ({"library": REMOVED}, "methods.Top2 retrieves, but the study names no library; give library"),
        (
            {("methods", "embedding"): RETRIEVING["methods"]["Top2"], TOP2: REMOVED},
            "method 'embedding' is used as a folder",
        ),
    ],
)
def test_a_mistake_is_told_by_its_place_in_the_file(tmp_path, changes, said):
    file = write_retrieving(tmp_path, "mpt-tiny")
    with pytest.raises(UserError, match=said):
        load_study(changed_file(file, changes))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({(*FOUND, "top_k"): 4}, "top_k is 4, but the library .* has 3 prompts of source tasks of toys"),
        ({(*MIXTURE, "retrieve"): {"top_k": 3}}, "Mixture.retrieve: top_k is 3, but the library .* has 2 tasks"),
        (
            {(*TOP2, "downstream", "overrides", "model.prompt_length"): 4},
            "have length 4, and those of the library .* 3; set model.prompt_length",
        ),
        ({"library": "nowhere"}, "toy.yaml: library: library nowhere: no such folder"),
    ],
)
def test_what_the_library_cannot_give_is_told_before_any_run(study, tmp_path, changes, said):
    path = write_retrieving(tmp_path, "mpt-tiny", changed(RETRIEVING, changes))
    with pytest.raises(UserError, match=said):
        plan(load_study(path), tmp_path / "out")


def test_a_library_of_another_backbone_is_told_before_any_run(study, tmp_path):
    said = (
        r"methods.Top2.retrieve: the library .*library has prompts of mpt-tiny, and google/t5-large-lm-adapt has other"
    )
    with pytest.raises(UserError, match=said):
        plan(replace(study, backbone="google/t5-large-lm-adapt"), tmp_path)
    with pytest.raises(UserError, match=r"has prompts of mpt-tiny, and .*/other has other weights or another name"):
        plan(replace(study, backbone=str(t5(tmp_path / "other"))), tmp_path)


@pytest.mark.long
def test_a_backbone_of_another_name_is_known_by_its_weights(tmp_path):
    backbone = str(t5(tmp_path / "renamed"))
    fingerprint = Backbone(backbone).fingerprint
    assert Backbone(backbone, BackboneOptions(dtype="bfloat16")).fingerprint == fingerprint
    write_library(tmp_path / "library", fingerprint, "google/t5-tiny", ENTRIES)
    study = load_study(write_retrieving(tmp_path, backbone))
    assert sum(cell.method == "Top2" for cell in plan(study, tmp_path / "out")) == 8
    # What other prompts of the same weights call them is no matter.
    library = Library.open(tmp_path / "library")
    for number, weights in enumerate((fingerprint, "others")):
        facts = {"fingerprint": weights, "task": "trec", "backbone": "mine"}
        library.add(f"trec-mine-{number}", *torch.randn(2, P, H), facts, decoder_only=False)
    (method,) = [method for method in study.methods if method.name == "Top2"]
    for name in (backbone, "elsewhere/t5-tiny"):
        found = StudyLibrary(study).candidates(method.retrieve, *study_settings(study), name)
        assert [entry.name for entry in found] == ["emo-0", "emo-2", "trec-1", "trec-mine-0"]


def test_the_plan_is_counted_and_printed_as_commands(tmp_path, study, capsys):
    words = ["plan", str(tmp_path / "toy.yaml"), "--out", str(tmp_path / "out")]
    run_study_command(words)
    out = capsys.readouterr().out
    assert "38 runs" in out and "2 targets × 2 seeds × 2 prompts" in out
    assert "10 upstream runs first, 6 of them after others; 24 downstream runs wait" in out
    run_study_command([*words, "--commands"])
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 38 and lines[0].endswith("--only embedding/superglue-cb-13")
    assert sum("# needs embedding/" in line for line in lines) == 6 + 16
