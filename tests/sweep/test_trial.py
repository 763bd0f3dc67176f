"""A trial as runs of a study: which runs, on which tasks, and what they come to."""

from __future__ import annotations

import os
import statistics
from pathlib import Path

import pytest
import yaml
from support.changes import REMOVED, changed_file
from support.toy_study import write_partition
from support.toy_sweep import VALIDATION, write_study, write_sweep

from mpt.cli.sweep_words import read_trial, setup_of
from mpt.fit.configs import find_config
from mpt.study.plan.grid import plan
from mpt.sweep.tracking import without_agent
from mpt.sweep.trial import TrialSetup, outcome, prepare
from mpt.util.errors import UserError
from mpt.util.files import write_json

RATES = {"model.algorithm.inner_lr": 0.5, "model.optimizer.lr": 5}


@pytest.fixture(scope="module")
def file(tmp_path_factory) -> Path:
    return write_study(tmp_path_factory.mktemp("study"))


@pytest.fixture
def bench(file, tmp_path) -> TrialSetup:
    return prepare(file, "FoMAML", tmp_path / "out")


def test_a_trial_learns_once_on_the_sources_and_then_on_the_validation_tasks(bench):
    cells = plan(bench.with_trials([RATES]), bench.out)
    own = [cell for cell in cells if cell.method != "PT"]
    assert {cell.method for cell in own} == {"FoMAML-inner_lr0.5-lr5"}
    (first, *others) = own
    assert first.stage == "upstream" and first.seed == 13 and '--data.tasks=["emo"]' in first.arguments
    words = [f"--{name}={value}" for name, value in RATES.items()]
    assert all(first.arguments.count(word) == 1 for word in words)
    assert not any(word.startswith("--model.algorithm.inner_lr=1") for word in first.arguments)
    assert [(cell.target, cell.seed) for cell in others] == [(task, seed) for task in VALIDATION for seed in (13, 21)]
    assert all(cell.needs == (first.key,) and not set(words) & set(cell.arguments) for cell in others)


def test_a_trial_learns_from_the_first_of_several_upstream_seeds(file, tmp_path):
    seeds = ("methods", "FoMAML", "upstream", "seeds")
    other = changed_file(file, {seeds: [7, 13]}, file.parent / "several_seeds.yaml")
    bench = prepare(other, "FoMAML", tmp_path / "out")
    first, *others = [cell for cell in plan(bench.with_trials([RATES]), bench.out) if cell.method != "PT"]
    assert first.key.endswith("/upstream-7") and len(others) == 4
    assert {cell.needs for cell in others} == {(first.key,)} and not any("-up" in cell.key for cell in others)


def test_the_baseline_is_the_same_for_all_trials_methods_and_folders(bench, file, tmp_path):
    def baseline(bench, trials):
        cells = plan(bench.with_trials(trials), bench.out)
        return {cell.key: cell.fingerprint for cell in cells if cell.method == "PT"}

    first = baseline(bench, [RATES])
    assert len(first) == 4
    assert first == baseline(bench, [{**RATES, "model.optimizer.lr": 1}])
    assert first == baseline(prepare(file, "Reptile", tmp_path / "moved"), [RATES])


def test_a_name_tells_settings_apart(bench):
    assert bench.name({"a.lr": 0.1, "b.lr": 3e-05}) == "FoMAML-a.lr0.1-b.lr3e-05"
    names = [bench.name({"a.x": value}) for value in ("p/q", "p q", ("p", "q"), "p_q")]
    assert len(set(names)) == 4 and not any(set(name) & set("/ []\"'") for name in names)


def test_references_are_what_the_study_and_the_config_say(bench):
    config = yaml.safe_load(find_config("fomaml").read_text())["model"]["init_args"]
    own = config["algorithm"]["init_args"]["inner_lr"]
    outer = config["optimizer"]["init_args"]["lr"]
    assert bench.references(list(RATES)) == {
        "the study's own": {"model.algorithm.inner_lr": 1, "model.optimizer.lr": outer},
        "the default of fomaml": {"model.algorithm.inner_lr": own, "model.optimizer.lr": outer},
    }
    assert bench.references(["model.no_such"]) == {}


def test_arg_is_the_mean_relative_gain_of_the_means_over_draws(bench):
    cells = plan(bench.with_trials([RATES]), bench.out)
    scores = {}
    for number, cell in enumerate(cells):
        score = 0.2 + 0.05 * number if cell.target else None
        scores[cell.method, cell.target, cell.seed] = score
        result = {"metric": "ACC", "score": score, "dev_score": 0.5, "seconds": 2.0}
        write_json(cell.folder / "result.json", {**result, "fingerprint": cell.fingerprint})
    name = bench.name(RATES)
    means = {(m, t): statistics.fmean(scores[m, t, s] for s in (13, 21)) for m in ("PT", name) for t in VALIDATION}
    row = outcome(bench, RATES, cells)
    wanted = statistics.fmean(100 * (means[name, t] - means["PT", t]) / means["PT", t] for t in VALIDATION)
    adds = [
        statistics.fmean(100 * (scores[name, t, s] - scores["PT", t, s]) / means["PT", t] for t in VALIDATION)
        for s in (13, 21)
    ]
    assert row.arg == pytest.approx(wanted) and row.std == pytest.approx(statistics.stdev(adds), abs=1e-9)
    assert set(row.gains) == set(VALIDATION) and row.seconds == 2.0 * 5 and not row.trouble

    (cell,) = [cell for cell in cells if cell.key == f"{name}/trec-21"]
    (cell.folder / "result.json").unlink()
    assert outcome(bench, RATES, cells).trouble == "1 runs are not finished"
    write_json(cell.folder / "failed.json", {"reason": "it diverged"})
    assert outcome(bench, RATES, cells).trouble == f"{cell.key}: it diverged"


def test_words_as_people_and_agents_write_them(file, tmp_path):
    words = [str(file), "--method", "FoMAML", "--seeds", "21", "--out", str(tmp_path)]
    typed = ["--model.optimizer.lr", "5.0", "--model.algorithm.inner_lr=5e-1"]
    options, values = read_trial([*words, *typed])
    assert values == RATES and list(values) == sorted(values)
    assert setup_of(options).study.seeds == (21,)
    assert read_trial([*words, "--a.b=True", "--a.c=[1, 2.0]", "--a.d=x"])[1] == {
        "a.b": True,
        "a.c": (1, 2),
        "a.d": "x",
    }


def test_a_sweep_file_names_the_study_itself(file, tmp_path):
    sweep = write_sweep(tmp_path, file, words=["--trainer.max_steps=3"])
    options, values = read_trial([str(sweep), "--model.optimizer.lr=5", "--out", str(tmp_path / "out")])
    assert (options.file, options.method, options.out) == (str(file), "FoMAML", tmp_path / "out")
    assert values == {"model.optimizer.lr": 5, "trainer.max_steps": 3}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--method", "FoMAL"], "--method FoMAL is none of its methods; did you mean FoMAML?"),
        (["--method", "FT"], "FT learns nothing upstream to tune; those that do: FoMAML, Reptile"),
        ([], "--method is missing"),
        (["--method", "FoMAML", "--validation", "ag_news"], "ag_news is a target task of toys"),
        (["--method", "FoMAML", "--validation", "nothing"], "nothing"),
        (["--method", "FoMAML", "--setting", "others"], "--setting others is none of its settings"),
        (["--method", "FoMAML", "--model.optimizer.lr"], "--model.optimizer.lr has no value"),
        (["--method", "FoMAML", "--wokers", "2"], "--wokers is not known"),
        (["--method", "FoMAML", "--workers", "0"], "--workers must be at least 1"),
    ],
)
def test_mistakes(file, tmp_path, words, said):
    with pytest.raises(UserError) as error:
        options, values = read_trial([str(file), "--out", str(tmp_path), *words])
        bench = setup_of(options)
        plan(bench.with_trials([values]), bench.out)
    assert said in str(error.value)


def test_a_partition_without_validation_tasks_says_how_to_name_some(file, tmp_path):
    bare = write_partition(file.parent / "bare.yaml", ["emo"], ["ag_news"])
    other = changed_file(file, {"partition": str(bare)}, file.parent / "bare_study.yaml")
    with pytest.raises(UserError, match="--validation TASK"):
        prepare(other, "FoMAML", tmp_path)
    bench = prepare(other, "FoMAML", tmp_path, tasks=["trec"])
    targets = {cell.target for cell in plan(bench.with_trials([RATES]), bench.out)}
    assert targets == {None, "trec"}


def test_one_of_several_settings(file, tmp_path):
    here = {"partition": str(file.parent / "toys.yaml")}
    several = {"deep": {**here, "overrides": {"model.prompt_length": 4}, "target_k": 16}, "all": here}
    other = changed_file(file, {"partition": REMOVED, "settings": several}, file.parent / "several.yaml")
    with pytest.raises(UserError, match="choose one by --setting: deep, all"):
        prepare(other, "FoMAML", tmp_path)
    bench = prepare(other, "FoMAML", tmp_path, setting="deep")
    cells = plan(bench.with_trials([RATES]), bench.out)
    assert all(cell.arguments.count("--model.prompt_length=4") == 1 and cell.key.count("/") == 1 for cell in cells)
    assert ["--data.k=16" in cell.arguments for cell in cells] == [cell.target is not None for cell in cells]
    with pytest.raises(UserError, match=r"the setting deep sets model\.prompt_length itself"):
        bench.with_trials([{"model.prompt_length": 2}])


def test_targets_that_were_made_for_choosing(file, tmp_path):
    bench = prepare(file, "FoMAML", tmp_path, tasks=["targets"])
    assert {cell.target for cell in plan(bench.with_trials([RATES]), bench.out)} == {None, "ag_news"}


SMALL = {
    "name": "small",
    "backbone": "mpt-tiny",
    "root": "synthetic",
    "partition": "part.yaml",
    "sources": ["mix.yaml"],
    "seeds": [13],
    "methods": {
        "PT": {"downstream": {"config": "prompt_tuning"}},
        "FoMAML": {"upstream": {"config": "fomaml"}, "downstream": {"config": "prompt_tuning"}},
    },
}


def test_of_a_mixture_neither_validation_tasks_nor_the_studys_targets_are_learned_on(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    parts = {"source": ["syn-size-ad"], "target": ["syn-age-post"], "validation": ["syn-size-caption"]}
    mixed = ["syn-size-ad", "syn-colour-poem", "syn-age-post", "syn-size-caption"]
    for name, content in (("part", parts), ("mix", {"tasks": mixed}), ("small", SMALL)):
        Path(f"{name}.yaml").write_text(yaml.safe_dump(content))
    for tasks in ([], ["targets"]):
        bench = prepare(Path("small.yaml"), "FoMAML", Path("out"), tasks=tasks)
        first, *others = plan(bench.with_trials([RATES]), bench.out)
        learned = '["syn-size-ad", "syn-colour-poem"' + (', "syn-size-caption"]' if tasks else "]")
        assert f"--data.tasks={learned}" in first.arguments
        assert {cell.target for cell in others} == {"syn-age-post" if tasks else "syn-size-caption"}


def test_a_trial_of_a_method_that_retrieves_retrieves(tmp_path):
    file = find_config("studies/synthetic_retrieved_sources")
    bench = prepare(file, "MAML-lowest", tmp_path / "out")
    cells = plan(bench.with_trials([{"model.optimizer.lr": 0.5}]), bench.out)
    first = next(cell for cell in cells if cell.key.startswith("MAML-lowest-lr0.5/upstream-"))
    assert "--data.retrieved.order=lowest" in first.arguments and first.needs[0].startswith("embedding/")


def test_workers_know_of_no_agent(monkeypatch):
    monkeypatch.setenv("WANDB_SWEEP_ID", "s")
    monkeypatch.setenv("WANDB_RUN_ID", "r")
    with without_agent():
        assert not {"WANDB_SWEEP_ID", "WANDB_RUN_ID"} & set(os.environ)
    assert os.environ["WANDB_SWEEP_ID"] == "s" and os.environ["WANDB_RUN_ID"] == "r"
