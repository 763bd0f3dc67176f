"""The shipped study on CrossFit's own files, made small."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import yaml
from support.study_command import results, study

from mpt.fit.configs import find_config

pytestmark = pytest.mark.skipif("MPT_CROSSFIT" not in os.environ, reason="MPT_CROSSFIT names no CrossFit folder")


def small(content: Any) -> Any:
    """The study with few steps, wherever it says how many."""
    changes = {"trainer.max_steps": 4, "trainer.val_check_interval": 2, "trainer.limit_test_batches": 1}
    if isinstance(content, dict):
        return {key: changes.get(key, small(value)) for key, value in content.items()}
    return content


@pytest.mark.slow
def test_it_runs_to_its_table_on_the_tasks_that_are_there(tmp_path):
    content = small(yaml.safe_load(find_config("studies/crossfit_paraphrase").read_text(encoding="utf-8")))
    content["seeds"] = [13]
    content["overrides"]["model.backbone_options.max_input_length"] = 32
    file, out = tmp_path / "small.yaml", tmp_path / "out"
    file.write_text(yaml.safe_dump(content), encoding="utf-8")
    fewshot = Path(os.environ["MPT_CROSSFIT"], "fewshot")
    code, told, err = study("run", file, "--root", fewshot, "--out", out, "--workers", "1")
    assert code == 0, err
    targets = ("glue-mrpc", "glue-qqp", "paws")
    downstream = {f"{method}/{target}-13" for method in ("PT", "MTL", "FoMAML") for target in targets}
    assert set(results(out)) == {*downstream, "MTL/upstream-13", "FoMAML/upstream-13"}
    assert "1 of 4 target tasks (medical_questions_pairs)" in told and "ARG (%)" in told
    learned_on = next(word for word in results(out)["MTL/upstream-13"]["arguments"] if word.startswith("--data.tasks="))
    assert '"sms_spam"' in learned_on and '"circa"' not in learned_on
    page = (out / "report" / "report.md").read_text(encoding="utf-8")
    assert "mpt-tiny is not a pre-trained English model" in page and "not a pre-trained English model" in told
    assert "11 of 60 source tasks (circa, climate_fever, " in page and "| paws (Classification-F1) |" in page


@pytest.mark.long
def test_without_skip_it_says_what_is_missing(tmp_path):
    content = yaml.safe_load(find_config("studies/crossfit_paraphrase").read_text(encoding="utf-8"))
    del content["missing"]
    file, fewshot = tmp_path / "whole.yaml", Path(os.environ["MPT_CROSSFIT"], "fewshot")
    file.write_text(yaml.safe_dump(content), encoding="utf-8")
    code, _, err = study("run", file, "--root", fewshot, "--out", tmp_path / "out")
    assert code == 2 and err.count("\n") == 1
    assert "source circa, climate_fever, " in err and "; target medical_questions_pairs)" in err
    assert f"mpt data build --partition nonparaphrase-to-paraphrase --root {fewshot}" in err and "missing: skip" in err
    assert not (tmp_path / "out").exists()
