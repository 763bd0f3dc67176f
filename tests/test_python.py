"""What ``import mpt`` offers."""

from __future__ import annotations

import json

import pytest

import mpt
from mpt.study.run.results import study_results
from mpt.util.errors import UserError


def test_every_name_is_there_and_no_other():
    for name in mpt.__all__:
        assert getattr(mpt, name).__name__.removeprefix("mpt.") == name and name in dir(mpt)
    with pytest.raises(AttributeError, match="no attribute 'FrozenBackbon'"):
        mpt.FrozenBackbon  # noqa: B018


def test_a_prompt_is_saved_and_loaded(tmp_path):
    import torch

    weight = torch.arange(6.0).reshape(2, 3)
    mpt.save_prompt(tmp_path / "prompt", weight, "mpt-tiny", False, {"task": "some"})
    loaded = mpt.load_prompt(tmp_path / "prompt")
    assert torch.equal(loaded.weight, weight) and loaded.facts["task"] == "some"


def test_a_folder_without_a_study_has_no_results(tmp_path):
    with pytest.raises(UserError, match="is no study's folder"):
        study_results(tmp_path)


def test_the_results_of_a_study_are_rows(tmp_path):
    known = {"method": "PT", "stage": "downstream", "target": "toy", "learning_rate": 0.3}
    runs = [{"key": f"PT/toy-{seed}", "seed": seed, **known} for seed in (13, 21)]
    facts = {
        "name": "s",
        "file": "s.yaml",
        "backbone": "mpt-tiny",
        "root": "synthetic",
        "settings": [{"name": "p", "given": "p.yaml", "targets": ["toy"], "sources": []}],
        "baseline": "PT",
    }
    facts |= {"methods": ["PT"], "seeds": [13, 21], "k": 16, "oracles": []}
    (tmp_path / "study.json").write_text(json.dumps({**facts, "runs": runs}))
    (tmp_path / "PT/toy-13").mkdir(parents=True)
    result = {**runs[0], "score": 0.5, "dev_score": 0.75, "metric": "ACC", "seconds": 1.0, "steps": 3, "best_step": 2}
    result |= {"fingerprint": "f", "recipe": [], "arguments": [], "versions": {}, "device": "cpu", "resumed": False}
    (tmp_path / "PT/toy-13/result.json").write_text(json.dumps(result))
    first, second = mpt.study_results(tmp_path)
    assert (first["key"], first["seed"], first["score"], first["dev_score"]) == ("PT/toy-13", 13, 0.5, 0.75)
    assert second["seed"] == 21 and "score" not in second
