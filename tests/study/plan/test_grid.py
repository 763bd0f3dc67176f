"""The grid: which runs, in which order, with which words on their command lines."""

from __future__ import annotations

import shutil
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from support.changes import changed_file
from support.study_library import write_library
from support.toy_study import PROMPT, SEEDS, SOURCES, TARGETS, TWO, write_study, write_study_of_two

from mpt.study.plan.fingerprints import read_draw, sources_digest
from mpt.study.plan.grid import plan
from mpt.study.plan.planned_run import PlannedRun
from mpt.study.run.results import read_study
from mpt.study.run.results import write_study as write_facts
from mpt.study.spec.methods import Stage
from mpt.study.spec.settings import settings
from mpt.study.spec.study import Study, Variant, load_study
from mpt.util.errors import UserError


@pytest.fixture
def study(tmp_path: Path) -> Study:
    return load_study(write_study(tmp_path, "mpt-tiny"))


@pytest.fixture
def of_two(tmp_path: Path) -> Study:
    return load_study(write_study_of_two(tmp_path, "mpt-tiny"))


def one(cells: list[PlannedRun], key: str) -> PlannedRun:
    return next(cell for cell in cells if cell.key == key)


def test_what_is_learned_upstream_takes_the_place_of_a_start_with_all_its_options(study, tmp_path):
    """One downstream stage may serve PT and MTL; label words' own options would be none of a saved prompt's."""
    given = {"model.init": "ClassLabels", "model.init.backoff": "Uniform", "model.init_args.init.backoff.bound": 0.3}
    cells = plan(replace(study, overrides={**study.overrides, **given}), tmp_path / "out")
    said = {cell.key: [word for word in cell.arguments if "init" in word] for cell in cells if cell.seed == 13}
    alone = [f"--{name}={value}" for name, value in given.items()]
    assert said[next(key for key in said if key.startswith("PT/"))] == alone == said["MTL/upstream-13"]
    assert said["MTL/ag_news-13"] == [
        "--model.init=mpt.prompt.initialisers.SavedPrompt",
        f"--model.init.path={tmp_path}/out/MTL/upstream-13/prompt",
    ]


def test_a_prompt_of_another_length_than_is_learned_upstream_is_refused_before_any_run(study, tmp_path):
    *others, last = [method for method in study.methods if method.name != "FT"]
    longer = replace(last.upstream, overrides={**last.upstream.overrides, "model.prompt_length": 20})
    with pytest.raises(UserError) as told:
        plan(replace(study, methods=(*others, replace(last, upstream=longer))), tmp_path / "out")
    assert "methods.MTL: upstream learns a prompt of length 20, and downstream starts from it with length 3" in str(
        told.value
    )
    unsaid = {name: value for name, value in last.upstream.overrides.items() if name != "model.prompt_length"}
    unsaid = replace(last, upstream=replace(last.upstream, overrides=unsaid))
    with pytest.raises(UserError, match="length 100, and downstream"):  # what the config says, or the class
        plan(replace(study, methods=(*others, unsaid)), tmp_path / "out")


def test_the_grid_is_methods_by_targets_by_seeds_by_rates_and_upstream_comes_first(study, tmp_path):
    cells = plan(study, tmp_path / "out")
    assert Counter((cell.method, cell.stage) for cell in cells) == {
        ("MTL", "upstream"): 2,
        ("PT", "downstream"): 2 * 2 * 2,
        ("MTL", "downstream"): 2 * 2,
        ("FT", "downstream"): 2 * 2,
    }
    assert [cell.stage for cell in cells[:2]] == ["upstream", "upstream"]
    assert len({cell.key for cell in cells}) == len({cell.folder for cell in cells}) == len(cells)
    asked = {(cell.target, cell.seed) for cell in cells if cell.method == "FT"}
    assert asked == {(target, seed) for target in TARGETS for seed in SEEDS}


def test_a_cell_is_what_a_user_could_type(study, tmp_path):
    out = tmp_path / "out"
    assert one(plan(study, out), "MTL/ag_news-21").arguments == [
        "fit",
        "--config=prompt_tuning",
        "--seed_everything=21",
        f"--trainer.default_root_dir={out}/MTL/ag_news-21",
        "--trainer.enable_progress_bar=false",
        "--model.backbone=mpt-tiny",
        f"--data.root={tmp_path}/data",
        "--data.task=ag_news",
        "--data.seed=21",
        "--trainer.logger.group=toy",
        "--trainer.logger.job_type=MTL",
        "--trainer.max_steps=6",
        "--trainer.log_every_n_steps=3",
        "--trainer.val_check_interval=2",
        "--trainer.accelerator=cpu",
        "--model.backbone_options.max_input_length=16",
        "--model.backbone_options.max_target_length=2",
        "--model.prompt_length=3",
        "--model.init=mpt.prompt.initialisers.SavedPrompt",
        f"--model.init.path={out}/MTL/upstream-21/prompt",
    ]


def test_a_learning_rate_has_the_last_word(study, tmp_path):
    pt = one(plan(study, tmp_path), "PT/ag_news-21-lr0.3")
    assert pt.learning_rate == 0.3 and pt.arguments[-1] == "--model.optimizer.lr=0.3"


@pytest.mark.parametrize("monitor", ["dev/loss", None])
def test_rates_are_not_chosen_among_without_a_dev_score(monitor, study, tmp_path):
    keeper = {"class_path": "mpt.callbacks.KeepBest", "init_args": {"monitor": monitor}}
    changed = replace(study, overrides={**study.overrides, "trainer.callbacks": [keeper]})
    with pytest.raises(UserError, match=r"methods.PT chooses among learning_rates by the best dev score, and KeepBest"):
        plan(changed, tmp_path / "out")
    one = [replace(m, downstream=replace(m.downstream, learning_rates=())) for m in changed.methods]
    assert plan(replace(changed, methods=tuple(one)), tmp_path / "out")


def test_only_what_starts_from_an_upstream_prompt_waits_for_it(study, tmp_path):
    needs = {cell.key: cell.needs for cell in plan(study, tmp_path) if cell.needs}
    assert needs == {f"MTL/{t}-{s}": (f"MTL/upstream-{s}",) for t in TARGETS for s in SEEDS}


def test_one_upstream_seed_may_serve_all(study, tmp_path):
    mtl = study.methods[1]
    shared = replace(mtl, upstream=replace(mtl.upstream, seeds=(13,)))
    cells = plan(replace(study, methods=(study.methods[0], shared)), tmp_path)
    assert [cell.key for cell in cells if cell.stage == "upstream"] == ["MTL/upstream-13"]
    assert {cell.needs for cell in cells if cell.method == "MTL" and cell.target} == {("MTL/upstream-13",)}


def test_a_subset_of_targets_and_sources(study, tmp_path):
    part = replace(study, targets=TARGETS[:1], sources=SOURCES[1:])
    cells = plan(part, tmp_path)
    assert {cell.target for cell in cells} == {None, TARGETS[0]}
    upstream = one(cells, "MTL/upstream-13")
    assert '--data.tasks=["trec"]' in upstream.arguments and "--data.partition=null" in upstream.arguments
    with pytest.raises(UserError, match=r"ag_nws, which is not among the targets .* did you mean ag_news"):
        plan(replace(study, targets=("ag_nws",)), tmp_path)
    with pytest.raises(UserError, match="sources names ag_news, which is not among the sources"):
        plan(replace(study, sources=("ag_news",)), tmp_path)


def test_a_fingerprint_follows_what_the_numbers_depend_on_and_nothing_else(study, tmp_path):
    def prints(study: Study, out: str = "out") -> dict[str, str]:
        return {cell.key: cell.fingerprint for cell in plan(study, tmp_path / out)}

    before = prints(study)
    assert prints(study, "elsewhere") == before
    assert prints(replace(study, workers=7)) == before
    changed = prints(replace(study, overrides={**study.overrides, "trainer.max_steps": 8}))
    assert all(changed[key] != before[key] for key in before)
    # A change upstream reaches all that starts from it, though their own options are the same.
    mtl = study.methods[1]
    longer = Stage(mtl.upstream.config, {**mtl.upstream.overrides, "data.batch_size": 2})
    after = prints(replace(study, methods=(study.methods[0], replace(mtl, upstream=longer), study.methods[2])))
    assert {key for key in before if after[key] != before[key]} == {key for key in before if key.startswith("MTL/")}


def test_a_changed_config_file_or_partition_changes_the_fingerprint(study, tmp_path):
    before = one(plan(study, tmp_path), "MTL/upstream-13").fingerprint
    Path(study.partitions[0]).write_text("source: [emo]\ntarget: [superglue-cb, ag_news]\n", encoding="utf-8")
    fewer = one(plan(study, tmp_path), "MTL/upstream-13").fingerprint
    assert fewer != before
    # A config beside the study's file goes before the shipped one of that name.
    (tmp_path / "spot").write_text("trainer: {callbacks: [mpt.callbacks.KeepBest]}\n", encoding="utf-8")
    beside = one(plan(study, tmp_path), "MTL/upstream-13")
    assert beside.fingerprint != fewer and f"--config={tmp_path}/spot" in beside.arguments


def test_wandb_options_only_where_there_is_a_wandb_logger(study, tmp_path):
    silent = replace(study, overrides={**study.overrides, "trainer.logger": False})
    for cell in plan(silent, tmp_path):
        assert "--trainer.logger=false" in cell.arguments
        assert not [word for word in cell.arguments if word.startswith("--trainer.logger.")]


def test_data_or_weights_that_changed_change_the_fingerprint(study, tmp_path):
    model = tmp_path / "model"
    model.mkdir()
    (model / "model.safetensors").write_bytes(bytes(3 << 20))
    study = replace(study, backbone=str(model))

    def prints() -> dict[str, str]:
        read_draw.cache_clear()
        sources_digest.cache_clear()
        return {cell.key: cell.fingerprint for cell in plan(study, tmp_path)}

    before = prints()
    assert prints() == before
    train = tmp_path / "data" / "ag_news" / "ag_news_16_21_train.tsv"
    train.write_text(train.read_text() + "more\tb\n", encoding="utf-8")
    after = prints()
    changed = {key for key in before if after[key] != before[key]}
    assert changed == {key for key in before if "ag_news-21" in key}
    (model / "model.safetensors").write_bytes(bytes((3 << 20) - 1) + b"1")
    again = prints()
    assert all(again[key] != after[key] for key in after)


BESIDE = {
    "mixed": {"data.mixed": {"text": 0.1}},
    "mixed, as text": {"data.mixed": '{"text": 0.1}'},
    "answered": {
        "trainer.callbacks+": {"class_path": "mpt.callbacks.OtherLanguages", "init_args": {"tasks": {"text": "th"}}}
    },
}


@pytest.mark.parametrize("beside", [*BESIDE, "validated", "learned as a language"])
def test_what_a_run_reads_beside_its_task_changes_the_fingerprint(beside, study, tmp_path):
    pt = replace(study.methods[0], downstream=replace(study.methods[0].downstream, overrides=BESIDE.get(beside, {})))
    upstream = {"validated": {"data.validation": ["text"]}, "learned as a language": {"data.languages": {"th": "text"}}}
    mtl = next(method for method in study.methods if method.name == "MTL")
    assert mtl.upstream is not None
    mtl = replace(mtl, upstream=replace(mtl.upstream, overrides={**mtl.upstream.overrides, **upstream.get(beside, {})}))
    study = replace(study, methods=(pt, mtl))

    def prints() -> dict[str, str]:
        sources_digest.cache_clear()
        return {cell.key: cell.fingerprint for cell in plan(study, tmp_path)}

    text = tmp_path / "data" / "text" / "text_all_13_train.tsv"
    text.parent.mkdir()
    text.write_text("some words\n")
    before = prints()
    assert prints() == before
    text.write_text("some more words\n")
    after = prints()
    changed = {key.split("/")[0] for key in before if after[key] != before[key]}
    assert changed == ({pt.name} if beside in BESIDE else {"MTL"})


def test_the_teachers_of_a_run_change_its_fingerprint(study, tmp_path):
    mtl = next(method for method in study.methods if method.name == "MTL")
    assert mtl.upstream is not None
    write_library(tmp_path / "teachers", "print", "mpt-tiny", ("emo", "trec"))
    taught = replace(mtl.upstream, overrides={**mtl.upstream.overrides, "model.teachers": str(tmp_path / "teachers")})
    study = replace(study, methods=(study.methods[0], replace(mtl, upstream=taught)))
    before = one(plan(study, tmp_path), "MTL/upstream-13").fingerprint
    shutil.rmtree(next((tmp_path / "teachers").rglob("trec-1")))
    assert one(plan(study, tmp_path), "MTL/upstream-13").fingerprint != before


def test_data_that_is_not_there_is_known_before_the_first_run(study, tmp_path):
    with pytest.raises(UserError, match="no draw for seed 42"):
        plan(replace(study, seeds=(13, 42)), tmp_path)
    with pytest.raises(UserError, match="no data folder"):
        plan(replace(study, root=str(tmp_path / "nowhere")), tmp_path)
    for file in (tmp_path / "data" / "emo").iterdir():
        file.unlink()
    (tmp_path / "data" / "emo").rmdir()
    with pytest.raises(UserError, match=r"toys \(source emo\) are not in .*missing: skip"):
        plan(study, tmp_path)
    with pytest.raises(UserError, match="no partition 'random'"):
        plan(replace(study, partitions=("random",)), tmp_path)


def test_with_several_partitions_only_what_depends_on_the_sources_is_run_for_each(of_two, tmp_path):
    cells = plan(of_two, tmp_path / "out")
    assert [cell.key for cell in cells if cell.stage == "upstream"] == [f"MTL/{name}/upstream-13" for name in TWO]
    keys = [cell.key for cell in cells if cell.stage == "downstream"]
    assert len(keys) == len(set(keys))
    # ag_news is a target of both partitions: once for PT and FT, from either prompt for MTL.
    assert {key for key in keys if not key.startswith("MTL")} == {
        f"{method}/{target}-{seed}"
        for method in ("PT", "FT")
        for target in ("superglue-cb", "ag_news", "emo")
        for seed in SEEDS
    }
    assert {key for key in keys if key.startswith("MTL")} == {
        f"MTL/{name}/{target}-{seed}" for name, (_, targets) in TWO.items() for target in targets for seed in SEEDS
    }
    assert {cell.key: cell.partition for cell in cells if cell.target == "ag_news" and cell.seed == 13} == {
        "PT/ag_news-13": None,
        "MTL/first/ag_news-13": "first",
        "MTL/second/ag_news-13": "second",
        "FT/ag_news-13": None,
    }


def test_a_run_bound_to_a_partition_starts_from_its_prompt_in_its_folder(of_two, tmp_path):
    cells = plan(of_two, tmp_path / "out")
    for name in TWO:
        upstream = one(cells, f"MTL/{name}/upstream-13")
        assert f"--data.partition={tmp_path}/{name}.yaml" in upstream.arguments
        cell = one(cells, f"MTL/{name}/ag_news-21")
        assert cell.needs == (upstream.key,) and cell.folder == tmp_path / "out" / "MTL" / name / "ag_news-21"
        assert f"--trainer.default_root_dir={cell.folder}" in cell.arguments
        assert f"--model.init.path={upstream.folder}/prompt" in cell.arguments
        assert f"--trainer.logger.name={cell.key}" in cell.arguments
    assert one(cells, "MTL/first/ag_news-21").fingerprint != one(cells, "MTL/second/ag_news-21").fingerprint


def test_each_seed_its_own_upstream_in_each_partition(of_two, tmp_path):
    mtl = of_two.methods[1]
    each = replace(of_two, methods=(of_two.methods[0], replace(mtl, upstream=replace(mtl.upstream, seeds=()))))
    needs = {cell.key: cell.needs for cell in plan(each, tmp_path) if cell.needs}
    assert needs == {
        f"MTL/{name}/{target}-{seed}": (f"MTL/{name}/upstream-{seed}",)
        for name, (_, targets) in TWO.items()
        for target in targets
        for seed in SEEDS
    }


def test_what_is_shared_is_the_same_run_as_in_a_study_of_one_partition(of_two, tmp_path):
    alone = replace(of_two, partitions=of_two.partitions[:1])
    both = {cell.key: cell.fingerprint for cell in plan(of_two, tmp_path)}
    one_only = {cell.key: cell.fingerprint for cell in plan(alone, tmp_path) if cell.method != "MTL"}
    assert len(one_only) == 2 * 2 * 2 and one_only.items() <= both.items()


def test_two_partitions_of_one_name_are_refused(of_two, tmp_path):
    (tmp_path / "sub").mkdir()
    twin = tmp_path / "sub" / "first.yaml"
    twin.write_text((tmp_path / "second.yaml").read_text(), encoding="utf-8")
    with pytest.raises(UserError, match=r"are both named first, .*rename one") as raised:
        plan(replace(of_two, partitions=(of_two.partitions[0], str(twin))), tmp_path)
    assert "\n" not in str(raised.value)


def of_settings(study: Study, **variants: Variant) -> Study:
    return replace(study, variants=tuple(replace(variant, name=name) for name, variant in variants.items()))


def test_settings_that_differ_in_the_sources_share_what_learns_nothing_upstream(study, tmp_path):
    here = study.partitions[0]
    cells = plan(of_settings(study, few=Variant("", here), same=Variant("", here, source_k=16)), tmp_path)
    assert {cell.partition for cell in cells if cell.method != "MTL"} == {None}
    keys = [cell.key for cell in cells if cell.stage == "upstream"]
    assert keys == [f"MTL/{name}/upstream-{seed}" for name in ("few", "same") for seed in SEEDS]
    assert "--data.k=16" in one(cells, "MTL/same/upstream-13").arguments
    for key in ("MTL/few/upstream-13", "MTL/same/ag_news-13", "PT/ag_news-13-lr0.5"):
        assert not [word for word in one(cells, key).arguments if word.startswith("--data.k=")]


def test_settings_that_differ_in_the_targets_have_runs_of_their_own(study, tmp_path, model_folder):
    here, t5 = study.partitions[0], str(model_folder("t5"))
    both = of_settings(study, a=Variant("", here, target_k=16), b=Variant("", here, t5, overrides={"model.dropout": 0}))
    cells = plan(both, tmp_path)
    assert len({cell.key for cell in cells}) == len(cells) == 2 * len(plan(study, tmp_path))
    a, b = one(cells, "PT/a/ag_news-13-lr0.5"), one(cells, "PT/b/ag_news-13-lr0.5")
    assert (a.partition, b.partition) == ("a", "b") and a.fingerprint != b.fingerprint
    assert {"--data.k=16", "--model.backbone=mpt-tiny"} <= set(a.arguments)
    assert {f"--model.backbone={t5}", "--model.dropout=0"} <= set(b.arguments)
    assert one(cells, "MTL/b/ag_news-13").needs == ("MTL/b/upstream-13",)
    # Some of the settings are the same runs in the same folders.
    part = plan(replace(both, only=("b",)), tmp_path)
    assert part == [cell for cell in cells if cell.partition == "b"]
    # The study's folder goes on to know the others.
    write_facts(both, settings(both), cells, tmp_path)
    known = read_study(tmp_path)
    only = replace(both, only=("b",))
    write_facts(only, settings(only), part, tmp_path)
    assert read_study(tmp_path) == known
    with pytest.raises(UserError, match="has no setting c; known are a, b"):
        plan(replace(both, only=("c",)), tmp_path)


def test_settings_that_differ_in_the_shots_of_targets_start_from_one_prompt(study, tmp_path):
    here = study.partitions[0]
    cells = plan(of_settings(study, a=Variant("", here, target_k=16), b=Variant("", here)), tmp_path)
    assert [cell.key for cell in cells if cell.stage == "upstream"] == [f"MTL/upstream-{seed}" for seed in SEEDS]
    assert {cell.partition for cell in cells if cell.method == "MTL"} == {None, "a", "b"}
    both = [one(cells, f"MTL/{name}/ag_news-13") for name in "ab"]
    assert [cell.needs for cell in both] == [("MTL/upstream-13",)] * 2
    assert "--data.k=16" in both[0].arguments and both[0].fingerprint != both[1].fingerprint


def test_a_setting_may_have_sources_of_its_own(study, tmp_path):
    here = study.partitions[0]
    cells = plan(of_settings(study, few=Variant("", here, sources=("trec",)), whole=Variant("", here)), tmp_path)
    assert '--data.tasks=["trec"]' in one(cells, "MTL/few/upstream-13").arguments
    assert f"--data.partition={here}" in one(cells, "MTL/whole/upstream-13").arguments
    assert one(cells, "PT/ag_news-13-lr0.5").partition is None
    with pytest.raises(UserError, match="sources names ag_news, which is not among the sources"):
        plan(of_settings(study, few=Variant("", here, sources=("ag_news",)), whole=Variant("", here)), tmp_path)


def test_targets_are_chosen_in_each_partition_and_may_be_validation_tasks(of_two, study, tmp_path):
    cells = plan(replace(of_two, targets=("ag_news",)), tmp_path)
    assert {cell.target for cell in cells} == {None, "ag_news"}
    with pytest.raises(UserError, match="superglue-cb, which is not among the targets of the partition second"):
        plan(replace(of_two, targets=("superglue-cb",)), tmp_path)
    text = "source: [emo]\ntarget: [superglue-cb]\nvalidation: [ag_news]\n"
    Path(study.partitions[0]).write_text(text, encoding="utf-8")
    assert {cell.target for cell in plan(study, tmp_path)} == {None, "superglue-cb"}
    assert {cell.target for cell in plan(replace(study, targets=("ag_news",)), tmp_path)} == {None, "ag_news"}


def test_epochs_are_counted_on_the_pooled_examples(study, tmp_path):
    mtl = study.methods[1]
    options = {**PROMPT, "data.seeds": [13, 21], "data.batch_size": 5}
    three = replace(study, methods=(study.methods[0], replace(mtl, upstream=Stage("spot", options, epochs=3))))
    pool = 0
    for task in SOURCES:
        files = [
            tmp_path / "data" / task / f"{task}_16_{seed}_{part}.tsv" for seed in SEEDS for part in ("train", "dev")
        ]
        pool += len({line for file in files for line in file.read_text().splitlines()})
    steps = -(-3 * pool // 5)
    assert f"--trainer.max_steps={steps}" in one(plan(three, tmp_path), "MTL/upstream-13").arguments
    capped = Stage("spot", {**options, "data.limit": 6}, epochs=3)
    capped_cells = plan(replace(three, methods=(study.methods[0], replace(mtl, upstream=capped))), tmp_path)
    assert f"--trainer.max_steps={-(-3 * 12 // 5)}" in one(capped_cells, "MTL/upstream-13").arguments
    wrong = replace(mtl, upstream=Stage("maml", {"data.seeds": [13, 21]}, epochs=3))
    with pytest.raises(UserError, match=r"methods.MTL.upstream: epochs is for a stage that learns on a mixture"):
        plan(replace(study, methods=(study.methods[0], wrong)), tmp_path)


def test_a_setting_may_have_epochs_of_its_own(study, tmp_path):
    mtl, here = study.methods[1], study.partitions[0]
    counted = replace(mtl, upstream=Stage("spot", {**PROMPT, "data.seeds": [13, 21]}, epochs=20))
    several = of_settings(study, a=Variant("", here), b=Variant("", here, epochs=3))
    cells = plan(replace(several, methods=(study.methods[0], counted)), tmp_path)
    steps = {
        name: int(word.partition("=")[2])
        for name in "ab"
        for word in one(cells, f"MTL/{name}/upstream-13").arguments
        if word.startswith("--trainer.max_steps=")
    }
    assert steps["b"] == -(-steps["a"] * 3 // 20) and steps["a"] > 100
    # What learns nothing upstream is the same for both.
    assert {cell.partition for cell in cells if cell.method == "PT"} == {None}


def test_a_grid_can_be_counted_before_all_data_are_there(study, tmp_path):
    whole = plan(study, tmp_path)
    counted = plan(study, tmp_path, absent=("emo", "ag_news"))
    assert [cell.key for cell in counted] == [cell.key for cell in whole]
    unknown = {cell.key for cell in counted if not cell.fingerprint}
    assert unknown == {cell.key for cell in whole if cell.method == "MTL" or cell.target == "ag_news"}
    before = {cell.key: cell.fingerprint for cell in whole}
    assert all(before[cell.key] == cell.fingerprint for cell in counted if cell.fingerprint)


def test_a_setting_has_the_last_word_however_an_option_is_spelt(study, tmp_path):
    (base,) = settings(study)
    stage = replace(study.methods[0].downstream, overrides={"model.init_args.prompt_length": 7}, learning_rates=())
    method = replace(study.methods[0], downstream=stage)
    given = {**study.overrides, "model.prompt_length": 10}
    (cell, *_) = plan(replace(study, methods=(method,), overrides=given), tmp_path / "out")
    assert cell.resolved["model.prompt_length"] == 7
    own = [replace(base, overrides={"model.prompt_length": 5})]
    (cell, *_) = plan(replace(study, methods=(method,), overrides=given), tmp_path / "out", own)
    assert cell.resolved["model.prompt_length"] == 5
    assert sum("prompt_length" in word for word in cell.arguments) == 1


def test_shots_are_said_once(study, tmp_path):
    sized = of_settings(study, a=Variant("", study.partitions[0], target_k=16))
    with pytest.raises(UserError, match=r"overrides say data\.k, which settings say by target_k; leave out one"):
        plan(replace(sized, overrides={**study.overrides, "data.k": 16}), tmp_path / "out")
    for size in ("source_k", "target_k"):
        both = replace(study, overrides={**study.overrides, "data.k": 16}, **{size: 16})
        with pytest.raises(UserError, match=rf"overrides say data\.k, which the study says by {size}; leave out one"):
            plan(both, tmp_path / "out")


def test_two_runs_of_one_folder_are_refused(study, tmp_path):
    stage = replace(study.methods[0].downstream, learning_rates=(0.1234567, 0.12345671))
    methods = (replace(study.methods[0], downstream=stage),)
    with pytest.raises(UserError, match=r"two different runs would be in the folder PT/\S+-lr0.123457; take learning"):
        plan(replace(study, methods=methods), tmp_path / "out")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("trainer.max_steps", "many"),
        ("trainer.max_steps", 1.5),
        ("trainer.val_check_interval", 0),
        ("trainer.accumulate_grad_batches", "x"),
        ("data.batch_size", 0),
        ("data.test_examples", "many"),
        ("data.seeds", 13),
        ("data.support_splits", "train"),
        ("data.metric", []),
        ("model.backbone", 1.5),
        ("model.backbone_options.max_target_length", "x"),
    ],
)
def test_what_is_counted_with_is_of_its_kind(name, value, study, tmp_path):
    with pytest.raises(UserError, match=rf"config \w+: {name} must be "):
        plan(replace(study, overrides={**study.overrides, name: value}), tmp_path / "out")


def test_a_whole_number_in_quotes_is_one(tmp_path):
    file = changed_file(write_study(tmp_path, "mpt-tiny"), {("overrides", "trainer.max_steps"): "6"})
    cells, same = (plan(load_study(path), tmp_path / "out") for path in (file, write_study(tmp_path, "mpt-tiny")))
    assert [cell.fingerprint for cell in cells] == [cell.fingerprint for cell in same]
    assert cells[0].resolved["trainer.max_steps"] == 6
