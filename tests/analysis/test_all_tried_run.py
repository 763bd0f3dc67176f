"""A study that tries every source prompt, done, and analysed: result files say what the analysis reads."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
import torch
from support.changes import changed
from support.small_models import t5
from support.study_library import DOWN, RETRIEVING, write_library, write_retrieving
from support.toy import Mpt

from mpt.analysis.on_examples import measured_on_examples
from mpt.analysis.remeasure import read_keys
from mpt.analysis.transfers import read_transfers
from mpt.backbone.loading import BackboneOptions
from mpt.backbone.model import FrozenBackbone
from mpt.data.fewshot.files import load_fewshot
from mpt.library.library import Library
from mpt.library.similarity import per_token
from mpt.prompt.files import load_prompt
from mpt.study.plan.grid import plan
from mpt.study.plan.grouping import units
from mpt.study.report.costs import Amount, read_costs
from mpt.study.run.results import read_study, write_study
from mpt.study.run.worker import run_unit
from mpt.study.scores.oracle import oracle_scores
from mpt.study.spec.settings import settings
from mpt.study.spec.study import load_study

pytestmark = pytest.mark.long


def test_a_study_that_tries_every_source_is_done_and_analysed(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    backbone = t5(tmp_path / "t5", dropout_rate=0.0, initializer_factor=1.0)
    fingerprint = FrozenBackbone(str(backbone), BackboneOptions()).fingerprint
    library = write_library(tmp_path / "library", fingerprint, backbone, ("emo", "trec", "emo", "ag_news", "other"))
    changes = {"targets": ["ag_news"], ("overrides", "trainer.logger"): False, ("overrides", "trainer.max_steps"): 2}
    changes |= {("overrides", "data.k"): 4}  # not what the study itself says, nor the only size that is there
    every = {"retrieve": {"use": "best", "top_k": "all"}, "downstream": DOWN}
    methods = {"methods": {"PT": RETRIEVING["methods"]["PT"], "All-on-dev": every}}
    file = write_retrieving(tmp_path, backbone, changed(RETRIEVING, {**methods, **changes}))
    for path in (tmp_path / "data" / "ag_news").glob("*_16_*"):
        path.with_name(path.name.replace("_16_", "_4_")).write_text("".join(path.read_text().splitlines(True)[:4]))
    study, out = load_study(file), tmp_path / "out"
    cells = plan(study, out)
    write_study(study, settings(study), cells, out)
    for unit in units(cells, 12):
        assert set(run_unit(unit, {}).values()) == {"finished"}

    (transfers,) = read_transfers(tmp_path / "out")
    assert (transfers.method, transfers.by, transfers.missing) == ("All-on-dev", "per_token", 0)
    assert transfers.sources == ["emo-0", "emo-2", "trec-1"] and transfers.tasks == ["emo", "trec"]
    assert transfers.targets == ["ag_news"] and len(transfers.trials) == 2 * 3
    entries = {entry.name: entry for entry in Library.open(library.folder).entries()}
    for trial in transfers.trials:
        key = load_prompt(tmp_path / f"out/embedding/{trial.target}-{trial.seed}/prompt").weight
        expected = per_token(key[None], library.key(entries[trial.source])[None]).item()
        assert trial.similarity == pytest.approx(expected, abs=1e-5)

    facts, records = read_study(out)
    costs = {(cost.method, cost.part): cost for cost in read_costs(out, facts, records)}
    assert list(costs) == [("PT", "none"), ("All-on-dev", "keys"), ("All-on-dev", "library")]
    keys, shelf = costs["All-on-dev", "keys"], costs["All-on-dev", "library"]
    assert (keys.runs, keys.steps, keys.examples) == (2, Amount(2 * 4), Amount(2 * 4 * 4))  # seeds x steps x rows
    assert (shelf.runs, shelf.examples) == (3, Amount(0, False))  # a library made by hand tells no steps
    scores = oracle_scores(facts, records)
    best = {seed: max(trial.score for trial in transfers.trials if trial.seed == seed) for seed in (13, 21)}
    assert {(row.method, row.seed): row.score for row in scores} == {
        ("Oracle (chosen on test)", seed): score for seed, score in best.items()
    }

    ended = Mpt(capsys)("transfer", "matrix", "out")
    assert ended.code == 0, ended.err
    assert "differ" not in ended.out and "have no result" not in ended.out and "all 3" in ended.out
    rows = list(csv.DictReader((tmp_path / "out/report/transfer/matrix.csv").read_text().splitlines()))
    assert {(row["source"], row["runs"]) for row in rows} == {("emo", "4"), ("trec", "2")}

    before = Path("out/report/transfer/correlation.csv").read_text().splitlines()
    ended = Mpt(capsys)("transfer", "matrix", "out", "--on-examples")
    assert ended.code == 0, ended.err
    found = list(csv.DictReader(Path("out/report/transfer/correlation.csv").read_text().splitlines()))
    assert [row["by"] for row in found][len(before) - 1 :] == ["train loss", "LEEP", "neurons"]
    backbone = FrozenBackbone(str(backbone), BackboneOptions(max_input_length=16, max_target_length=2))
    keys = read_keys(transfers, library)
    again = measured_on_examples(transfers, library, keys)
    for trial in again["train loss"].trials:
        draw = load_fewshot(facts.root, trial.target, trial.seed, 4)
        assert len(draw.train) == 4
        batch = backbone.encode([one.input for one in draw.train], [one.targets[0] for one in draw.train])
        with torch.no_grad():
            losses = backbone.eval().loss(library.value(entries[trial.source]), batch)
        assert trial.similarity == pytest.approx(-float(losses.sum() / batch.target_lengths.sum()), rel=1e-4)
    assert all(0 < trial.similarity <= 1 + 1e-6 for trial in again["neurons"].trials)

    for name, value, told in (
        ("prompt/mpt.json", {"max_input_length": "x"}, "mpt.json says of the backbone what cannot be"),
        ("result.json", None, "is no similarity; did you mean"),
    ):
        for path in Path("out").glob(f"embedding/*/{name}" if value else f"All-on-dev/*/{name}"):
            text = path.read_text().replace("model.init.by=per_token", "model.init.by=per_tokn")
            path.write_text(json.dumps(json.loads(text) | value) if value else text)
        ended = Mpt(capsys)("transfer", "matrix", "out", "--on-examples")
        assert ended.code == 2 and told in ended.err, ended.err
