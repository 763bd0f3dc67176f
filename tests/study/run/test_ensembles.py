"""A method of several prompts that vote: which runs it has, and that its score is that of the majority."""

from __future__ import annotations

import csv
import json
from collections import Counter
from statistics import fmean

import pytest
from support.changes import write_yaml
from support.study_command import study
from support.toy_study import PROMPT, SOURCES, write_partition, write_tasks

from mpt.metrics.crossfit import accuracy
from mpt.study.plan.grid import plan
from mpt.study.report.write import write_report
from mpt.study.spec.study import load_study
from mpt.util.errors import UserError

OWN = {"config": "prompt_tuning", "overrides": {**PROMPT, "model.optimizer.lr": 0.5}}


def write(folder, backbone, seeds=(13, 21), **method):
    content = {
        "name": "votes",
        "backbone": str(backbone),
        "root": str(write_tasks(folder / "data")),
        "partition": str(write_partition(folder / "toys.yaml", SOURCES, ("ag_news",))),
        "seeds": list(seeds),
        "overrides": {
            "trainer.max_steps": 4,
            "trainer.val_check_interval": 2,
            "trainer.accelerator": "cpu",
            "model.backbone_options.max_input_length": 16,
            "model.backbone_options.max_target_length": 2,
        },
        "methods": {"PT": {"downstream": OWN}, "Three": {"ensemble": 3, "downstream": OWN, **method}},
    }
    return write_yaml(folder / "votes.yaml", content)


def test_its_runs_differ_in_their_seeds_and_the_first_is_prompt_tunings(tmp_path, model_folder):
    runs = plan(load_study(write(tmp_path, model_folder("t5"))), tmp_path / "out")
    three = [run for run in runs if run.method == "Three" and run.seed == 21]
    assert [run.key for run in three] == [f"Three/ag_news-21-member{number}" for number in range(3)]
    assert [run.options["seed_everything"] for run in three] == [21, 1021, 2021]
    assert {run.options["data.seed"] for run in three} == {21}
    (alone,) = [run for run in runs if run.method == "PT" and run.seed == 21]
    own = {"trainer.default_root_dir": "", "trainer.logger.job_type": ""}
    assert {**three[0].options, **own} == {**alone.options, **own}


@pytest.mark.long
def test_its_score_is_that_of_the_majority(tmp_path, model_folder):
    out = tmp_path / "out"
    study("run", write(tmp_path, model_folder("t5"), seeds=[21]), "--out", out, "--workers", 1)
    with (out / "report/scores.csv").open() as file:
        scores = {(row["method"], row["seed"]): row for row in csv.DictReader(file)}
    with (out / "report/ensembles.csv").open() as file:
        table = {row["seed"]: row for row in csv.DictReader(file)}
    assert set(scores) == {("PT", "21"), ("Three", "21")}
    for seed in table:
        folders = [out / f"Three/ag_news-{seed}-member{number}" for number in range(3)]
        rows = [[json.loads(line) for line in (one / "predictions.jsonl").read_text().splitlines()] for one in folders]
        told = list(zip(*([row["prediction"] for row in own] for own in rows), strict=True))
        votes = [max(answers, key=lambda text: (Counter(answers)[text], -answers.index(text))) for answers in told]
        by_hand = accuracy(votes, [row["references"] for row in rows[0]])
        assert float(scores["Three", seed]["score"]) == pytest.approx(by_hand)
        alone = [json.loads((one / "result.json").read_text())["score"] for one in folders]
        assert alone[0] == pytest.approx(float(scores["PT", seed]["score"]))
        found = [float(table[seed][name]) for name in ("average", "best", "ensemble")]
        assert found == pytest.approx([fmean(alone), max(alone), by_hand], abs=1e-6)
    assert "## Prompts alone and together" in (out / "report/report.md").read_text()
    rows = (folders[1] / "predictions.jsonl").read_text().splitlines(keepends=True)
    (folders[1] / "predictions.jsonl").write_text("".join(rows[1:]))
    with pytest.raises(UserError, match="has other examples than Three/ag_news-21-member0: they cannot vote"):
        write_report(out)


@pytest.mark.parametrize(
    ("method", "complaint"),
    [
        ({"ensemble": 1}, "ensemble must be a whole number from 2 to 1000, not 1"),
        ({"retrieve": {"use": "best", "top_k": 2}}, "give retrieve or ensemble, not both"),
    ],
)
def test_what_is_no_ensemble_is_refused(tmp_path, model_folder, method, complaint):
    with pytest.raises(UserError, match=complaint):
        load_study(write(tmp_path, model_folder("t5"), **method))
