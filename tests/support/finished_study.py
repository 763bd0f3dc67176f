"""A study's folder as if all its runs had been done, without doing them."""

from __future__ import annotations

from pathlib import Path

from support.toy_study import PROMPT, write_study

from mpt.record.result import RunResult
from mpt.record.rows import MetricsRow, Prediction, write_metrics, write_predictions
from mpt.study.plan.grid import plan
from mpt.study.plan.planned_run import PlannedRun
from mpt.study.run.claims import CLAIMS
from mpt.study.run.results import write_study as write_facts
from mpt.study.spec.settings import settings
from mpt.study.spec.study import load_study

STUDY = {
    "name": "toy",
    "seeds": [13, 21],
    "methods": {
        "PT": {"downstream": {"config": "prompt_tuning", "overrides": PROMPT, "learning_rates": [0.5, 0.3]}},
        "MTL": {
            "upstream": {"config": "spot", "seed": 13, "overrides": {**PROMPT, "data.seeds": [13, 21]}},
            "downstream": {"config": "prompt_tuning", "overrides": PROMPT},
        },
        "Vote": {"downstream": {"config": "prompt_tuning", "overrides": PROMPT}, "ensemble": 2},
    },
}


def write_finished(folder: Path, backbone: Path | str) -> Path:
    """The study's file; its folder is ``out`` beside it."""
    file = write_study(folder, backbone, STUDY)
    study, out = load_study(file), folder / "out"
    places = settings(study)
    runs = plan(study, out, places)
    write_facts(study, places, runs, out)
    for number, run in enumerate(runs):
        finish(run, number % 7 / 10)
    (out / CLAIMS).mkdir()
    for name in ("door", "present", "report"):
        (out / CLAIMS / name).touch()
    return file


def finish(run: PlannedRun, score: float) -> None:
    """What a run leaves that is done."""
    run.files.start(run.fingerprint, run.recipe, False)
    run.files.config.write_text(run.config, encoding="utf-8")
    judged = run.stage != "upstream"
    result = RunResult(
        metric="ACC" if judged else None,
        score=score if judged else None,
        dev_score=score,
        best_step=2,
        steps=6,
        seconds=1.5,
        fingerprint=run.fingerprint,
        recipe=run.recipe,
        arguments=run.arguments,
        environment={"versions": {"torch": "2"}, "device": "cpu"},
    )
    write_metrics(run.files.metrics, [MetricsRow(step, {"dev/score": score}) for step in (2, 4)])
    if judged:
        write_predictions(run.folder / "predictions.jsonl", [Prediction(f"x{i}", ["y"], "y") for i in range(4)])
    run.files.finish(run.identity, result)
