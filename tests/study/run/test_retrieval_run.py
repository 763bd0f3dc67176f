"""A study that retrieves, done: what its runs start from, killed, and with a library that changes."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from support.changes import changed
from support.paths import TESTS
from support.runs_of_a_study import do
from support.small_models import t5
from support.study_command import FOUND, results
from support.study_library import RETRIEVING, write_library, write_retrieving

from mpt.adapt.tuning import TuningJob, plain_start, tune
from mpt.backbone.loading import BackboneOptions
from mpt.backbone.model import FrozenBackbone
from mpt.data.fewshot.files import load_fewshot
from mpt.data.modules.few_shot import FewShotData
from mpt.library.library import Library
from mpt.library.similarity import per_token
from mpt.prompt.files import load_prompt
from mpt.record.options import RunOptions, said_in
from mpt.study.forecast import by_kind
from mpt.study.plan.grid import plan
from mpt.study.report.contents import build_report
from mpt.study.report.costs import examples_of
from mpt.study.report.retrieved import retrieved_table
from mpt.study.run.grid import unfinished
from mpt.study.run.results import write_study
from mpt.study.spec.settings import settings
from mpt.study.spec.study import load_study
from mpt.util.errors import UserError

pytestmark = pytest.mark.long

ENTRIES = ("emo", "trec", "emo", "ag_news", "other")


@pytest.fixture(scope="module")
def file(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("study")
    backbone = t5(folder / "t5", dropout_rate=0.0, initializer_factor=1.0)
    fingerprint = FrozenBackbone(str(backbone), BackboneOptions()).fingerprint
    write_library(folder / "library", fingerprint, backbone, ENTRIES)
    changes = {"targets": ["ag_news"], ("overrides", "trainer.logger"): False, ("overrides", "trainer.max_steps"): 2}
    three = {name: RETRIEVING["methods"][name] for name in ("PT", "Top2", "Mixture")}  # for time
    return write_retrieving(folder, backbone, changed(RETRIEVING, {"methods": three, **changes}))


@pytest.fixture(scope="module")
def done(file, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("done") / "out"
    do(plan(load_study(file), out))
    return out


def lasting(out: Path) -> dict[str, Any]:
    """What must be the same after a kill: results but for times and places, and every prompt's bytes."""
    passing = ("seconds", "resumed", "environment", "arguments")
    found: dict[str, Any] = {}
    for key, result in results(out).items():
        kept = {name: value for name, value in result.items() if name not in passing}
        found[key] = (kept, (out / key / "prompt" / "adapter_model.safetensors").read_bytes())
    return found


def test_results_say_what_was_retrieved_and_runs_are_done_side_by_side(done, file):
    library, found = Library.open(file.parent / "library"), results(done)
    for seed in (13, 21):
        key = load_prompt(done / f"embedding/ag_news-{seed}/prompt").weight
        entries = [entry for entry in library.entries() if entry.task in ("emo", "trec")]
        values = per_token(key[None], library.keys(entries))[0].tolist()
        ranked = sorted(zip(values, [entry.name for entry in entries], strict=True), reverse=True)
        for rank, (value, name) in enumerate(ranked[:2], start=1):
            result = found[f"Top2/ag_news-{seed}-rank{rank}"]
            assert result["source"] == name and result["similarity"] == pytest.approx(value, abs=1e-5)
            assert result["side_by_side"] == 4
        tasks = list(dict.fromkeys(name.split("-")[0] for _, name in ranked))
        assert found[f"Mixture/upstream-ag_news-{seed}"]["source"] == tasks
        assert "source" not in found[f"PT/ag_news-{seed}"]


def test_results_tell_the_examples_that_their_configs_make(done):
    for key, result in results(done).items():
        config = RunOptions(said_in((done / key / "config.yaml").read_text()))
        assert result["examples"] == examples_of(config, result["steps"]) > 0, key


def test_keys_of_one_target_start_alike_and_learn_from_their_own_draw(done, file):
    keys = [load_prompt(done / f"embedding/ag_news-{seed}/prompt") for seed in (13, 21)]
    assert {key.facts["seed"] for key in keys} == {5} and {key.facts["step"] for key in keys} == {4}
    root = file.parent / "data"
    draws = [load_fewshot(root, "ag_news", seed).train for seed in (13, 21)]
    assert draws[0] != draws[1] and not torch.equal(keys[0].weight, keys[1].weight)


def test_a_targets_key_is_made_as_a_librarys_are(done, file):
    options = BackboneOptions(max_input_length=16, max_target_length=2)
    backbone = FrozenBackbone(str(file.parent / "t5"), options)
    recipe = Library.open(file.parent / "library").recipe
    data = FewShotData("ag_news", str(file.parent / "data"), seed=21, batch_size=recipe.batch_size)
    data.setup()
    job = TuningJob("key", data, plain_start(backbone, recipe.prompt_length, recipe.seed), recipe.learning_rate)
    (tuned,) = tune(backbone, [job], steps=4, every=4, key_steps=recipe.key_steps)
    key = load_prompt(done / "embedding/ag_news-21/prompt").weight
    torch.testing.assert_close(tuned.key, key, atol=1e-4, rtol=1e-4)


@pytest.mark.slow
def test_killed_and_started_again_it_ends_with_the_same_results(done, file, tmp_path):
    out = tmp_path / "out"
    code = (
        "import os, signal, sys\nfrom pathlib import Path\n"
        f"sys.path.insert(0, {str(TESTS)!r})\nfrom support.runs_of_a_study import do\n"
        "from mpt.callbacks import KeepBest\nfrom mpt.study.plan.grid import plan\n"
        "from mpt.study.spec.study import load_study\n"
        "plain = KeepBest.on_train_end\n"
        "def end(self, trainer, learner):\n"
        "    if 'Mixture' in trainer.default_root_dir: os.kill(os.getpid(), signal.SIGKILL)\n"
        "    plain(self, trainer, learner)\n"
        f"KeepBest.on_train_end = end\ndo(plan(load_study(Path({str(file)!r})), Path({str(out)!r})))\n"
    )
    ended = subprocess.run([sys.executable, "-c", code], env={**os.environ, **FOUND}, capture_output=True)
    assert ended.returncode == -signal.SIGKILL, ended.stderr
    # What it began to learn on the retrieved tasks is begun again, and the keys are those that there were.
    assert set(results(out)) == {"embedding/ag_news-13", "embedding/ag_news-21"}
    do(plan(load_study(file), out))
    assert lasting(out) == lasting(done)


def test_a_changed_library_is_told_by_its_name_before_any_run(done, file, tmp_path):
    folder = file.parent
    shutil.copytree(done, tmp_path / "out")
    path = folder / "library" / "prompts" / "trec-1" / "adapter_model.safetensors"
    before = path.read_bytes()
    try:
        path.write_bytes((folder / "library" / "prompts" / "emo-0" / "adapter_model.safetensors").read_bytes())
        cells = plan(load_study(file), tmp_path / "out")
        with pytest.raises(UserError, match=r"Top2/ag_news-13-rank1: the library .*library has changed since; give"):
            unfinished([cell for cell in cells if cell.method == "Top2"])
        assert unfinished([cell for cell in cells if cell.method in ("PT", "embedding")]) == []
    finally:
        path.write_bytes(before)


def test_what_starts_from_a_retrieved_prompt_takes_as_long_as_any_other(file, tmp_path):
    kinds = by_kind(plan(load_study(file), tmp_path)).values()
    (downstream,) = [runs for runs in kinds if runs[0].stage == "downstream"]
    assert {run.method for run in downstream} == {"PT", "Top2", "Mixture"}


def test_the_report_takes_the_best_prompt_on_dev(done, file, tmp_path):
    out = tmp_path / "out"
    shutil.copytree(done, out)
    study = load_study(file)
    for rank, (dev, score) in enumerate([(0.25, 0.75), (0.5, 0.125)], start=1):
        path = out / f"Top2/ag_news-13-rank{rank}/result.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), "dev_score": dev, "score": score}))
    write_study(study, settings(study), plan(study, out), out)
    report = build_report(out)
    assert report.missing == []
    (row,) = [row for row in report.sections[0].scores if row.method == "Top2" and row.seed == 13]
    assert row.score == 0.125 and row.folder == "Top2/ag_news-13-rank2"
    assert {row.method for row in report.sections[0].scores} == {method.name for method in study.methods}
    table, found = retrieved_table(report, report.sections[0]), results(out)
    assert table is not None and table.head == ["method", "target", "seed 13", "seed 21"]
    top, mixture = table.rows
    assert top[:2] == ["Top2", "ag_news"] and mixture[:2] == ["Mixture", "ag_news"]
    chosen = found["Top2/ag_news-13-rank2"]
    assert top[2] == f"{chosen['source']} ({chosen['similarity']:.3f})"
    learned = found["Mixture/upstream-ag_news-21"]
    pairs = zip(learned["source"], learned["similarity"], strict=True)
    assert mixture[3] == ", ".join(f"{name} ({value:.3f})" for name, value in pairs)
