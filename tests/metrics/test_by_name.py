"""Metrics by name, and SP-ROUGE wherever a run, a pack or `mpt evaluate` is scored."""

from __future__ import annotations

import json

import pytest
from support.toy import Mpt, small_fit, write_toy

from mpt.metrics import by_name, crossfit
from mpt.util.errors import UserError


def test_crossfits_are_crossfits():
    for metric in crossfit.METRICS:
        texts, golds = ["1", "2", "3"], [["1"], ["3"], ["2.5"]]
        assert by_name.score(metric, texts, golds) == crossfit.score(metric, texts, golds)
        assert by_name.is_right(metric, "The 1", "1") == crossfit.is_right(metric, "The 1", "1")


def test_sp_rouge_needs_a_tokenizer():
    with pytest.raises(UserError, match="a backbone's tokenizer, and there is none"):
        by_name.score("SP-ROUGE", ["a"], [["a"]])
    assert by_name.score("SP-ROUGE", ["a b"], [["a c"]], str.split) == 0.5
    assert by_name.is_right("SP-ROUGE", "a ", "a") and not by_name.is_right("SP-ROUGE", "A", "a")


@pytest.mark.long
def test_a_run_and_evaluate_score_alike(capsys, tmp_path, monkeypatch, model_folder):
    monkeypatch.setenv("WANDB_MODE", "disabled")
    root, model = write_toy(tmp_path / "data"), model_folder("t5")
    mpt = Mpt(capsys)
    options = ["--config", "prompt_tuning", *small_fit(model, root, tmp_path / "run", data__metric="SP-ROUGE")]
    assert mpt("fit", *options).code == 0
    done = mpt("test", *options)
    assert done.code == 0, done.err
    rows = [json.loads(line) for line in (tmp_path / "run/predictions.jsonl").read_text().splitlines()]
    from mpt.backbone.model import FrozenBackbone

    pieces = FrozenBackbone(str(model)).pieces
    wanted = by_name.score("SP-ROUGE", [row["prediction"] for row in rows], [row["references"] for row in rows], pieces)
    assert f"SP-ROUGE {wanted:.4f}" in done.out
    (tmp_path / "rows.csv").write_text("input,output\n" + "".join(f"{r['input']},{r['references'][0]}\n" for r in rows))
    told = mpt("evaluate", tmp_path / "run", tmp_path / "rows.csv", "--out", tmp_path / "told.json")
    assert told.code == 0, told.err
    found = json.loads((tmp_path / "told.json").read_text())
    assert found["metric"] == "SP-ROUGE" and found["score"] == pytest.approx(wanted, abs=1e-4)
    assert found["interval_95"][0] <= found["score"] <= found["interval_95"][1]


def test_nothing_to_score_and_gold_answers_that_are_a_text_are_refused_alike():
    for metric in ("Rouge-L", "SP-ROUGE"):
        for predictions, references in (([], []), (["a"], ["ab"]), (["a"], [])):
            with pytest.raises(ValueError):
                by_name.score(metric, predictions, references, str.split)
