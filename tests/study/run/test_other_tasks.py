"""What was learned on one task, tested on others without learning on them."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from support.by_hand import record, setting, write_folder
from support.changes import write_yaml
from support.study_command import results, study
from transformers import AutoTokenizer, T5ForConditionalGeneration

from mpt.data.fewshot.files import load_fewshot
from mpt.data.fewshot.other_words import in_other_words
from mpt.data.synthetic.draw import synthetic_fewshot
from mpt.prompt.files import load_prompt
from mpt.study.plan.grid import plan
from mpt.study.plan.planned_run import PlannedRun
from mpt.study.report.write import write_report
from mpt.study.run.results import read_study
from mpt.study.spec.study import load_study
from mpt.util.errors import UserError

BLOG, POST = "syn-age-blog", "syn-age-post"
STUDY: dict[str, Any] = {
    "backbone": "mpt-tiny",
    "root": "synthetic",
    "partition": "synthetic-random-to-random",
    "targets": [BLOG],
    "seeds": [13],
    "overrides": {
        "trainer.max_steps": 4,
        "trainer.val_check_interval": 2,
        "trainer.accelerator": "cpu",
        "data.test_examples": 24,
    },
    "methods": {
        "PT": {
            "downstream": {
                "config": "prompt_tuning",
                "overrides": {"model.prompt_length": 3, "model.init": "ClassLabels"},
                "learning_rates": [0.3, 0.5],
            }
        },
        "FT": {"downstream": {"config": "fine_tuning", "overrides": {"model.optimizer.lr": 0.001}}},
    },
}


def planned(folder: Path, **changes: Any) -> list[PlannedRun]:
    return plan(load_study(write_yaml(folder / "s.yaml", {**STUDY, **changes})), folder / "out")


def plain_answers(model: Any, tokenizer: Any, inputs: list[str], prompt: torch.Tensor | None) -> list[str]:
    """One input at a time by transformers alone."""
    texts = []
    for text in inputs:
        ids = tokenizer(text, return_tensors="pt").input_ids
        embeds = model.get_input_embeddings()(ids)
        if prompt is not None:
            embeds = torch.cat([prompt[None], embeds], 1)
        mask = torch.ones(embeds.shape[:2], dtype=torch.long)
        out = model.generate(inputs_embeds=embeds, attention_mask=mask, max_new_tokens=8, do_sample=False)
        texts.append(tokenizer.decode(out[0], skip_special_tokens=True).strip())
    return texts


@pytest.mark.long
def test_runs_are_tested_on_other_tasks_and_a_study_goes_on_with_that(tmp_path):
    out = tmp_path / "out"
    alone = ("--out", out, "--workers", 1)
    assert study("run", write_yaml(tmp_path / "s.yaml", STUDY), *alone)[0] == 0
    before = results(out)
    assert len(before) == 3 and not any("trained_on" in result for result in before.values())
    file = write_yaml(tmp_path / "s.yaml", {**STUDY, "test_on": {BLOG: [POST]}})
    code, told, err = study("run", file, *alone)
    assert code == 0, err
    found = results(out)
    assert {key: found[key] for key in before} == before, "nothing is done again"
    tests = {key: result for key, result in found.items() if key not in before}
    ends = (f"PT/{BLOG}-13-lr0.3", f"PT/{BLOG}-13-lr0.5", f"FT/{BLOG}-13")
    assert set(tests) == {f"{end}-on-{POST}" for end in ends}
    assert {(one["stage"], one["target"], one["trained_on"]) for one in tests.values()} == {("test", POST, BLOG)}
    assert "3 finished before" in told and f"after {BLOG}" in told

    examples = load_fewshot("synthetic", POST, 13).test[:24]
    for end in (ends[0], ends[2]):
        prompt = None if end.startswith("FT") else load_prompt(out / end / "prompt").weight
        folder = out / end / "model" if prompt is None else Path("mpt/assets/mpt-tiny").resolve()
        model, tokenizer = T5ForConditionalGeneration.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
        answers = plain_answers(model, tokenizer, [one.input for one in examples], prompt)
        rows = [json.loads(line) for line in (out / f"{end}-on-{POST}/predictions.jsonl").read_text().splitlines()]
        assert [row["prediction"] for row in rows] == answers
        right = [row["prediction"] in row["references"] for row in rows]
        assert tests[f"{end}-on-{POST}"]["score"] == pytest.approx(sum(right) / len(right))

    rows = list(csv.DictReader((out / "report/other_tasks.csv").read_text().splitlines()))
    places = [(row["method"], row["trained_on"], row["tested_on"]) for row in rows]
    assert places == [("PT", BLOG, BLOG), ("FT", BLOG, BLOG), ("PT", BLOG, POST), ("FT", BLOG, POST)]
    best = max(ends[:2], key=lambda end: before[end]["dev_score"])
    assert rows[2]["folder"] == f"{best}-on-{POST}" and float(rows[2]["score"]) == tests[rows[2]["folder"]]["score"]


def test_a_test_is_planned_for_each_run_and_task(tmp_path):
    assert [run.key for run in planned(tmp_path)] == [f"PT/{BLOG}-13-lr0.3", f"PT/{BLOG}-13-lr0.5", f"FT/{BLOG}-13"]
    runs = planned(tmp_path, test_on=[POST, BLOG])
    assert [run.stage for run in runs] == ["downstream"] * 3 + ["test"] * 3
    alone = {run.key: run.fingerprint for run in planned(tmp_path)}
    assert {run.key: run.fingerprint for run in runs[:3]} == alone, "a study that was begun without goes on"
    first, last = runs[3], runs[5]
    assert first.needs == (f"PT/{BLOG}-13-lr0.3",) and first.recipe[0] == "test"
    assert first.resolved.class_name("model.init") == "SavedPrompt"
    assert first.options["model.init.path"] == f"{{study}}/PT/{BLOG}-13-lr0.3/prompt"
    assert last.options["model.start"] == f"{{study}}/FT/{BLOG}-13/model" and last.options["data.task"] == POST
    assert "data.labels_as" not in first.options


def write_paraphrases(root: Path) -> Path:
    for task, labels in (("glue-mrpc", ("not_equivalent", "equivalent")), ("glue-qqp", ("not_duplicate", "duplicate"))):
        folder = root / task
        folder.mkdir(parents=True)
        for split in ("train", "dev", "test"):
            lines = [f"{split} {i}\t{labels[i % 2]}\n" for i in range(4)]
            (folder / f"{task}_16_13_{split}.tsv").write_text("".join(lines), encoding="utf-8")
    return root


def test_labels_that_mean_the_same_are_read_as_those_that_were_learned(tmp_path):
    root = write_paraphrases(tmp_path / "data")
    pair = ["glue-qqp", "glue-mrpc"]
    partition = write_yaml(tmp_path / "p.yaml", {"source": ["paws"], "target": pair})
    changes: dict[str, Any] = {"root": str(root), "partition": str(partition), "targets": pair, "test_on": pair}
    with pytest.raises(
        UserError, match=r"test_on: not_equivalent of glue-mrpc is none of the labels of glue-qqp \(not_"
    ):
        planned(tmp_path, **changes)
    same = [["duplicate", "equivalent"], ["not_duplicate", "not_equivalent"]]
    tests = {run.key: run for run in planned(tmp_path, **changes, same_labels=same) if run.stage == "test"}
    words = tests["FT/glue-qqp-13-on-glue-mrpc"].options["data.labels_as"]
    assert words == {"not_equivalent": "not_duplicate", "equivalent": "duplicate"}
    draw = load_fewshot(root, "glue-mrpc", 13)
    read = in_other_words(draw, words)
    assert read.task.labels == ("not_duplicate", "duplicate")
    assert [one.targets for one in read.test] == [("not_duplicate",), ("duplicate",)] * 2
    assert [one.input for one in read.test] == [one.input for one in draw.test]
    assert "FT/glue-mrpc-13-on-glue-qqp" in tests


def test_words_that_cannot_be_are_refused():
    draw = synthetic_fewshot(BLOG, 13)
    with pytest.raises(UserError, match="winter is no label of syn-age-blog; its labels are autumn, spring"):
        in_other_words(draw, {"winter": "old"})
    with pytest.raises(UserError, match="makes two labels of syn-age-blog one, spring"):
        in_other_words(draw, {"autumn": "spring"})
    with pytest.raises(UserError, match="winter is no label of syn-find-hour; it has no labels"):
        in_other_words(synthetic_fewshot("syn-find-hour", 13), {"winter": "old"})


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"test_on": {POST: [BLOG]}}, "test_on.syn-age-post: it is no target of the study"),
        ({"test_on": POST}, "test_on must be"),
        ({"test_on": ["syn-age"]}, "There is no task 'syn-age' in the synthetic suite"),
        ({"test_on": ["syn-size-ad"]}, "test_on: major of syn-size-ad is none of the labels of syn-age-blog"),
    ],
)
def test_mistakes_are_told(changes, says, tmp_path):
    with pytest.raises(UserError) as told:
        planned(tmp_path, **changes)
    assert says in str(told.value)


def test_the_difference_is_paired_by_draw(tmp_path):
    def tested(method: str, seed: int, score: float):
        one = record(method, "b", seed, score)
        return replace(one, key=f"{method}/a-{seed}-None-on-b", stage="test", trained_on="a")

    rows = [
        record(m, "a", seed, s) for m, seed, s in (("PT", 13, 0.9), ("PT", 21, 0.8), ("FT", 13, 0.8), ("FT", 21, 0.9))
    ]
    rows += [tested("PT", 13, 0.7), tested("PT", 21, 0.5), tested("FT", 13, 0.6), tested("FT", 21, 0.1)]
    write_folder(
        tmp_path, rows, methods=["PT", "FT"], settings=[{"name": "p", "given": "p", "targets": ["a"], "sources": ["s"]}]
    )
    write_report(tmp_path)
    page = (tmp_path / "report/report.md").read_text(encoding="utf-8")
    # means 85 and 85, 60 and 35; differences by draw +10 and -10, +10 and +40
    assert "| a | a (ACC) | **85.0 ± 7.1** | **85.0 ± 7.1** | +0.0 ± 14.1 |" in page
    assert "| a | b (ACC) | **60.0 ± 14.1** | 35.0 ± 35.4 | +25.0 ± 21.2 |" in page
    assert {row.target for row in read_study(tmp_path)[1]} == {"a", "b"}
    scores = (tmp_path / "report/scores.csv").read_text(encoding="utf-8")
    assert "-on-b" not in scores and scores.count("\n") == 5


def test_what_is_tested_is_the_prompt_as_it_was_kept(tmp_path):
    overrides = {"model.prompt_length": 3, "model.reparameterisation": "Residual"}
    own = {"PT": {"downstream": {"config": "prompt_tuning", "overrides": overrides}}}
    runs = planned(tmp_path, methods=own, test_on={BLOG: [POST]})
    learned, tested = runs
    assert learned.resolved.class_name("model.reparameterisation") == "Residual"
    assert tested.stage == "test" and tested.resolved.said("model.reparameterisation") is None
    assert tested.resolved.class_name("model.init") == "SavedPrompt"


def test_a_prompt_behind_anothers_rows_is_not_tested_on_other_tasks(tmp_path):
    own = {"Behind": {"downstream": {"config": "xgen/sub_prompt", "overrides": {"model.before": "some/prompt"}}}}
    with pytest.raises(UserError, match=r"test_on: what SubPromptTuning learned \(methods.Behind\) stands behind"):
        planned(tmp_path, methods=own, baseline="Behind", test_on={BLOG: [POST]})


def test_what_is_best_on_another_task_has_as_many_draws_as_any(tmp_path):
    def tested(method: str, seed: int, score: float):
        one = record(method, "b", seed, score)
        return replace(one, key=f"{method}/a-{seed}-None-on-b", stage="test", trained_on="a")

    rows = [record(method, "a", seed, 0.5) for method in ("PT", "FT") for seed in (13, 21)][:3]
    rows += [tested("PT", 13, 0.5), tested("PT", 21, 0.5), tested("FT", 13, 0.9)]
    write_folder(tmp_path, rows, methods=["PT", "FT"], settings=[setting("p", "a")])
    write_report(tmp_path)
    page = (tmp_path / "report/report.md").read_text(encoding="utf-8")
    assert "| a | b (ACC) | **50.0 ± 0.0** | 90.0 |" in page
