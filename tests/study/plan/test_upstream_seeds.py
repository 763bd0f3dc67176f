"""Several upstream seeds: the runs that they make of a study, what is told of these, and a study done."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from support.by_hand import one_partition, record, run_of, write_curves, write_folder
from support.changes import REMOVED, changed, changed_file
from support.study_command import results
from support.study_command import study as command
from support.study_library import RETRIEVING, write_library, write_retrieving
from support.toy import Mpt
from support.toy_study import RATES, STUDY, TWO, write_study, write_study_of_two
from support.wandb_file import read

from mpt.record.result import RunResult
from mpt.study.plan.grid import chosen, plan
from mpt.study.plan.grouping import units
from mpt.study.plan.planned_run import PlannedRun
from mpt.study.report.contents import build_report
from mpt.study.report.csv_tables import csv_files
from mpt.study.report.retrieved import retrieved_table
from mpt.study.run.grid import unfinished
from mpt.study.run.results import RunRecord, read_study, several_upstream
from mpt.study.scores.convergence import convergence
from mpt.study.scores.scores import choose
from mpt.study.spec.study import Study, Variant, load_study
from mpt.util.errors import UserError

SEEDS = ("methods", "MTL", "upstream", "seeds")
SEVERAL = changed(STUDY, {SEEDS: [13, 5], ("methods", "FT"): REMOVED})


@pytest.fixture
def study(tmp_path: Path) -> Study:
    return load_study(write_study(tmp_path, "mpt-tiny", SEVERAL))


def mtl(cells: Sequence[PlannedRun]) -> list[PlannedRun]:
    return [cell for cell in cells if cell.method == "MTL"]


def test_every_target_and_draw_starts_from_each_upstream_prompt(study, tmp_path):
    cells = plan(study, tmp_path / "out")
    assert [cell.key for cell in mtl(cells)] == [
        "MTL/upstream-13",
        "MTL/upstream-5",
        "MTL/superglue-cb-13-up13",
        "MTL/superglue-cb-13-up5",
        "MTL/superglue-cb-21-up13",
        "MTL/superglue-cb-21-up5",
        "MTL/ag_news-13-up13",
        "MTL/ag_news-13-up5",
        "MTL/ag_news-21-up13",
        "MTL/ag_news-21-up5",
    ]
    one = next(cell for cell in cells if cell.key == "MTL/ag_news-21-up5")
    assert (one.seed, one.upstream_seed, one.needs) == (21, 5, ("MTL/upstream-5",))
    assert f"--model.init.path={tmp_path}/out/MTL/upstream-5/prompt" in one.arguments
    assert {"--seed_everything=21", "--data.seed=21"} <= set(one.arguments)
    assert one.folder == tmp_path / "out" / "MTL" / "ag_news-21-up5"
    upstream = next(cell for cell in cells if cell.key == "MTL/upstream-5")
    assert "--seed_everything=5" in upstream.arguments and upstream.upstream_seed is None
    assert {cell.upstream_seed for cell in cells if cell.method == "PT"} == {None}
    assert len({cell.fingerprint for cell in cells}) == len(cells)


def test_one_seed_is_short_for_a_list_of_one_and_its_keys_have_no_suffix(tmp_path):
    one, listed = (
        load_study(write_study(tmp_path, "mpt-tiny", changed(SEVERAL, given)))
        for given in ({SEEDS: REMOVED, (*SEEDS[:-1], "seed"): 13}, {SEEDS: [13]})
    )
    cells = plan(one, tmp_path)
    assert cells == plan(listed, tmp_path)
    assert [(cell.key, cell.upstream_seed) for cell in mtl(cells)] == [
        ("MTL/upstream-13", None),
        ("MTL/superglue-cb-13", 13),
        ("MTL/superglue-cb-21", 13),
        ("MTL/ag_news-13", 13),
        ("MTL/ag_news-21", 13),
    ]
    assert several_upstream(cells) == []


def test_where_each_draw_has_its_own_the_upstream_seed_is_the_draws(tmp_path):
    cells = plan(load_study(write_study(tmp_path, "mpt-tiny")), tmp_path)
    assert {(c.seed, c.upstream_seed) for c in mtl(cells) if c.target} == {(13, 13), (21, 21)}
    assert several_upstream(cells) == []


def test_each_partition_has_its_own_prompts_and_rates_come_last(tmp_path):
    several = {(*SEEDS[:-1], "seed"): REMOVED, SEEDS: [13, 5]}
    study = load_study(changed_file(write_study_of_two(tmp_path, "mpt-tiny"), several))
    rated = replace(study.methods[1], downstream=replace(study.methods[1].downstream, learning_rates=(0.5,)))
    cells = mtl(plan(replace(study, methods=(study.methods[0], rated)), tmp_path))
    assert [cell.key for cell in cells if cell.stage == "upstream"] == [
        "MTL/first/upstream-13",
        "MTL/first/upstream-5",
        "MTL/second/upstream-13",
        "MTL/second/upstream-5",
    ]
    assert {cell.key: cell.needs for cell in cells if cell.stage == "downstream"} == {
        f"MTL/{name}/{target}-{seed}-up{own}-lr0.5": (f"MTL/{name}/upstream-{own}",)
        for name, (_, targets) in TWO.items()
        for target in targets
        for seed in (13, 21)
        for own in (13, 5)
    }


def test_settings_that_differ_in_the_targets_alone_share_them(study, tmp_path):
    here = study.partitions[0]
    both = replace(study, variants=(Variant("a", here, target_k=16), Variant("b", here)), targets=("ag_news",))
    assert {cell.key: cell.needs for cell in mtl(plan(both, tmp_path))} == {
        "MTL/upstream-13": (),
        "MTL/upstream-5": (),
        **{
            f"MTL/{name}/ag_news-{seed}-up{own}": (f"MTL/upstream-{own}",)
            for name in "ab"
            for seed in (13, 21)
            for own in (13, 5)
        },
    }


def test_what_varies_and_lasts_epochs_does_so_for_each(tmp_path):
    varied = changed(SEVERAL, {(*SEEDS[:-1], "vary"): {"epochs": [1, 2]}})
    study = load_study(write_study(tmp_path, "mpt-tiny", varied))
    cells = [cell for cell in plan(study, tmp_path) if cell.stage == "upstream"]
    assert [cell.key for cell in cells] == [f"MTL-{n}/upstream-{seed}" for n in (1, 2) for seed in (13, 5)]
    steps = [next(word for word in cell.recipe if word.startswith("--trainer.max_steps")) for cell in cells]
    assert steps[0] == steps[1] != steps[2] == steps[3]


def test_packs_hold_runs_from_one_prompt(study, tmp_path):
    packs = [[cell.key for cell in unit] for unit in units(plan(study, tmp_path), 100) if unit[0].method == "MTL"]
    assert packs[2:] == [
        [f"MTL/{target}-{seed}-up{own}" for target in ("superglue-cb", "ag_news") for seed in (13, 21)]
        for own in (13, 5)
    ]


def test_an_upstream_stage_on_retrieved_tasks_is_learned_from_the_key_of_its_own_seed(tmp_path):
    write_library(tmp_path / "library", "abc", "mpt-tiny", ("emo", "trec"))
    maml = ("methods", "MAML-lowest", "upstream")
    several = changed(RETRIEVING, {(*maml, "seed"): REMOVED, (*maml, "seeds"): [13, 21]})
    study = load_study(write_retrieving(tmp_path, "mpt-tiny", several))
    cells = [cell for cell in plan(study, tmp_path) if cell.method == "MAML-lowest" and cell.target == "ag_news"]
    assert {cell.key: cell.needs for cell in cells} == {
        "MAML-lowest/upstream-ag_news-13": ("embedding/ag_news-13",),
        "MAML-lowest/upstream-ag_news-21": ("embedding/ag_news-21",),
        "MAML-lowest/ag_news-13-up13": ("MAML-lowest/upstream-ag_news-13",),
        "MAML-lowest/ag_news-13-up21": ("MAML-lowest/upstream-ag_news-21",),
        "MAML-lowest/ag_news-21-up13": ("MAML-lowest/upstream-ag_news-13",),
        "MAML-lowest/ag_news-21-up21": ("MAML-lowest/upstream-ag_news-21",),
    }
    # Of the methods that start from retrieved prompts, nothing is learned upstream.
    starts = {cell.upstream_seed for cell in plan(study, tmp_path) if cell.method in ("Top2", "Average2")}
    assert starts == {None}
    mixture = changed(several, {("methods", "Mixture", "upstream", "seeds"): [13, 21]})
    with pytest.raises(UserError, match=r"Mixture\.upstream: a mixture .* each seed needs its own; leave out seeds\.$"):
        load_study(write_retrieving(tmp_path, "mpt-tiny", mixture))


def test_the_rate_is_chosen_for_each_upstream_prompt():
    def run(own: int | None, rate: float, dev: float, score: float) -> RunRecord:
        return replace(record("MTL", "a", 13, score, dev, rate), key=f"{own}-{rate}", upstream_seed=own)

    rows = [run(5, 0.5, 0.6, 0.1), run(5, 0.3, 0.7, 0.2), run(21, 0.5, 0.9, 0.3), run(21, 0.3, 0.8, 0.4)]
    found = [(row.upstream_seed, row.learning_rate, row.score) for row in choose(rows)]
    assert found == [(5, 0.3, 0.2), (21, 0.5, 0.3)]


def test_a_folder_from_before_says_nothing_of_it(tmp_path):
    write_folder(tmp_path, one_partition())
    _, records = read_study(tmp_path)
    assert {row.upstream_seed for row in records} == {None}
    assert csv_files(build_report(tmp_path))["scores.csv"].splitlines()[0].endswith(",learning_rate,folder")


def test_each_upstream_prompt_is_a_run_of_its_own_in_how_fast(tmp_path):
    curves = {("PT", "a", 13): [0.2, 0.5], ("MTL", "a", 13): [0.5], ("MTL", "a", 21): [0.1]}
    pt, first, second = write_curves(tmp_path, curves)
    scores = [pt, replace(first, upstream_seed=5), replace(second, seed=13, upstream_seed=21)]
    found = convergence(tmp_path, scores, "PT")
    assert [(row.there, row.runs) for row in found.reached if row.method == "MTL"] == [(1, 2)] * 4
    (point,) = [point for point in found.points if point.method == "MTL"]
    assert point.mean == pytest.approx(0.3)


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory, model_folder) -> tuple[Path, Path, str]:
    """Of one target: 2 runs of PT, 2 upstream and 4 from them, side by side."""
    folder = tmp_path_factory.mktemp("several")
    small = changed(SEVERAL, {"targets": ["ag_news"], "side_by_side": 2, RATES: []})
    file = write_study(folder, model_folder("t5"), small)
    code, told, err = command("run", file, "--out", folder / "out", WANDB_MODE="offline")
    assert code == 0, err
    return file, folder / "out", told


@pytest.mark.long
def test_a_study_is_done_and_its_files_say_which_prompt_each_run_started_from(done):
    _, out, told = done
    found = results(out)
    own = {"MTL/ag_news-13-up13": 13, "MTL/ag_news-13-up5": 5, "MTL/ag_news-21-up13": 13, "MTL/ag_news-21-up5": 5}
    upstream = {"MTL/upstream-13": None, "MTL/upstream-5": None}
    expected = {**upstream, **own, "PT/ag_news-13": None, "PT/ag_news-21": None}
    assert {key: result["upstream_seed"] for key, result in found.items()} == expected
    assert {found[key].get("side_by_side") for key in own} == {2}
    facts = json.loads((out / "study.json").read_text())
    assert {run["key"]: run["upstream_seed"] for run in facts["runs"]} == expected
    assert any("seed 21   up5" in line for line in told.splitlines())
    # Whichever prompt it is, the data are the draw's.
    words = [[w for w in found[key]["recipe"] if w.startswith(("--data.", "--seed"))] for key in own]
    assert words[0] == words[1] != words[2] == words[3]


@pytest.mark.long
def test_its_scores_have_a_column_more_and_wandb_a_name_for_each(done):
    _, out, _ = done
    head, *rows = [line.split(",") for line in (out / "report" / "scores.csv").read_text().splitlines()]
    assert head[-2:] == ["folder", "upstream_seed"]
    assert [(row[3], row[-1], row[-2]) for row in rows if row[1] == "MTL"] == [
        (seed, own, f"MTL/ag_news-{seed}-up{own}") for seed in ("13", "21") for own in ("13", "5")
    ]
    assert [row[-1] for row in rows if row[1] == "PT"] == ["", ""]
    head, config, _ = read(out / "MTL/ag_news-21-up5")
    assert (head.run_group, head.job_type, head.display_name) == ("toy", "MTL", "MTL/ag_news-21-up5")
    assert (json.loads(config["upstream_seed"]), json.loads(config["seed"])) == (5, 21)


@pytest.mark.long
def test_done_once_it_is_finished_and_a_run_that_is_lost_asks_for_its_own_prompt(done, tmp_path, capsys):
    file, out, _ = done
    mpt, there = Mpt(capsys), tmp_path / "out"
    cells = plan(load_study(file), out)
    assert unfinished(cells) == []
    own = {"MTL/upstream-5", "MTL/ag_news-13-up5", "MTL/ag_news-21-up5"}
    assert {cell.key for cell in chosen(cells, ["MTL/ag_news-*-up5"])} == own
    shutil.copytree(out, there)
    for key in ("MTL/upstream-5", "MTL/ag_news-21-up5"):
        (there / key / "result.json").unlink()
    told = mpt("study", "plan", file, "--out", there).out
    rows = [[part.strip() for part in line.strip("│").split("│")] for line in told.splitlines() if line[0] == "│"]
    assert rows[:3] == [
        ["PT", "downstream", "2", "1 target × 2 seeds", "2", ""],
        ["MTL", "upstream", "2", "2 seeds", "1", ""],
        ["MTL", "downstream", "4", "1 target × 2 seeds × 2 upstream seeds", "3", "2 upstream runs"],
    ]
    lines = mpt("study", "plan", file, "--out", there, "--commands").out.splitlines()
    assert [line.partition(" --only ")[2] for line in lines] == [
        "MTL/upstream-5",
        "MTL/ag_news-21-up5  # needs MTL/upstream-5",
    ]


def test_what_was_retrieved_is_told_for_each_upstream_prompt(tmp_path):
    rows = []
    for own, task in ((5, "emo"), (21, "trec")):
        made_with = {"device": "cpu", "versions": {}}
        taken = RunResult(steps=1, seconds=1.0, source=[task], similarity=[0.5], environment=made_with)
        rows.append(run_of(f"MTL/upstream-a-{own}", "MTL", "upstream", "a", own, None, taken))
        rows.append(replace(record("MTL", "a", 13, 0.5), key=f"MTL/a-13-up{own}", upstream_seed=own))
    write_folder(tmp_path, rows)
    stored = json.loads((tmp_path / "study.json").read_text())
    for run, row in zip(stored["runs"], rows, strict=True):
        run["upstream_seed"] = row.upstream_seed
    (tmp_path / "study.json").write_text(json.dumps(stored))
    report = build_report(tmp_path)
    table = retrieved_table(report, report.sections[0])
    assert table is not None
    assert table.rows == [["MTL", "a", "upstream 5: emo (0.500); upstream 21: trec (0.500)", ""]]
