"""What counts as an answer in a run: a label by its likelihood, and beside it what the model writes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from sklearn.metrics import f1_score

from mpt.backbone.loading import BackboneOptions
from mpt.backbone.model import FrozenBackbone
from mpt.prompt.files import load_prompt

pytestmark = pytest.mark.long


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def fit(mpt, model, root, folder, *more: object):
    words = ["--model.backbone", model, "--data.root", root, "--data.task", "ag_news", "--model.prompt_length", 3]
    words += ["--trainer.max_steps", 4, "--trainer.val_check_interval", 2, "--trainer.logger", "false"]
    words += ["--model.backbone_options.max_target_length", 4, "--trainer.enable_progress_bar", "false"]
    return mpt("fit", "--config", "prompt_tuning", *words, "--trainer.default_root_dir", folder, *more)


@torch.no_grad()
def likelihood(backbone: FrozenBackbone, prompt: torch.Tensor, text: str, label: str) -> float:
    batch = backbone.encode([text], [label])
    return -float(backbone.loss(prompt, batch)[0])


@pytest.mark.parametrize("kind", ["t5", "llama"])
def test_dev_and_test_are_judged_by_the_likeliest_label(kind, mpt, model_folder, root, tmp_path):
    model = model_folder(kind)
    by_label, free = tmp_path / "labels", tmp_path / "free"
    assert fit(mpt, model, root, by_label, "--model.answers", "labels").code == 0
    assert fit(mpt, model, root, free).code == 0
    losses = [[row["dev/loss"] for row in lines(folder / "metrics.jsonl")] for folder in (by_label, free)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)  # how answers are judged changes nothing that is learned
    assert mpt("test", "--config", by_label / "config.yaml").code == 0

    found = lines(by_label / "predictions.jsonl")
    prompt = load_prompt(by_label / "prompt").weight
    backbone = FrozenBackbone(str(model), BackboneOptions(max_target_length=4)).eval()
    for row in found:
        scores = {label: likelihood(backbone, prompt, row["input"], label) for label in ("g", "b")}
        assert row["prediction"] == max(scores, key=scores.__getitem__)
        assert row["written"] == backbone.answer(prompt, backbone.encode([row["input"]])).texts[0]
    *_, tested = lines(by_label / "metrics.jsonl")
    gold = [row["references"][0] for row in found]
    for name, said in (("test/score", "prediction"), ("test/score_written", "written")):
        macro = f1_score(gold, [row[said] for row in found], average="macro", zero_division=0)
        assert tested[name] == pytest.approx(macro, abs=1e-6)


def test_a_label_that_train_lacks_is_weighed_for_its_loss_alone(mpt, model_folder, root, tmp_path):
    copy = tmp_path / "data" / "ag_news"
    copy.mkdir(parents=True)
    for path in (root / "ag_news").iterdir():
        text = path.read_text(encoding="utf-8")
        (copy / path.name).write_text(text.replace("\tg\n", "\tx\n", 1) if "dev" in path.name else text, "utf-8")
    losses = []
    for folder, more in ((tmp_path / "labels", ("--model.answers", "labels")), (tmp_path / "free", ())):
        assert fit(mpt, model_folder("llama"), copy.parent, folder, *more).code == 0
        losses.append([row["dev/loss"] for row in lines(folder / "metrics.jsonl")])
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)


def test_a_task_without_labels_is_refused(mpt, model_folder, tmp_path):
    words = ["--model.backbone", model_folder("t5"), "--data.task", "syn-find-thing", "--model.answers", "labels"]
    told = mpt("fit", "--config", "prompt_tuning", *words, "--trainer.default_root_dir", tmp_path / "run")
    assert told.code == 2 and "model.answers labels: syn-find-thing has no labels; leave it out" in told.err
