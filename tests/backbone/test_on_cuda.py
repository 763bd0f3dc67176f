"""Whole runs on a GPU: alone, side by side and in a study, against the CPU's and against the model asked by hand."""

from __future__ import annotations

import copy

import pytest
import torch
from support.alone import OPTIONS, one_at_a_time, runs, start
from support.changes import changed
from support.meta_toy import episodes, fit, learner
from support.small_models import t5
from support.study_command import results, study
from support.toy import ROWS, json_lines, small_fit, write_toy
from support.toy_study import RATES, STUDY, write_study

from mpt.backbone.model import FrozenBackbone
from mpt.learn.meta import MAML, FoMAML
from mpt.learn.side_by_side import SideBySide
from mpt.prompt.files import load_prompt

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="torch finds no CUDA device here")

CUDA = torch.device("cuda")


@pytest.fixture(scope="module")
def still(tmp_path_factory):
    """A smooth T5 without dropout, whose masks would differ."""
    return t5(tmp_path_factory.mktemp("models") / "t5", dropout_rate=0.0, feed_forward_proj="gelu_new")


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_fit_and_predict_give_the_answers_of_the_saved_prompt(precision, mpt, still, tmp_path):
    folder, toy = tmp_path / "run", write_toy(tmp_path / "data")
    changes = {"trainer__accelerator": "gpu", "trainer__devices": 1, "trainer__precision": precision}
    options = ["--config", "prompt_tuning", *small_fit(still, toy, folder, **changes)]
    assert mpt("fit", *options).code == 0
    assert mpt("predict", *options).code == 0
    weight = load_prompt(folder / "prompt").weight
    assert weight.dtype == torch.float32 and weight.isfinite().all()
    backbone = FrozenBackbone(str(still), OPTIONS).eval()
    asked = [question for question, _ in ROWS["test"]]
    if precision == "32-true":
        by_hand = backbone.answer(weight, backbone.encode(asked)).texts
    else:
        backbone = backbone.to(CUDA)
        with torch.autocast("cuda", torch.bfloat16):
            by_hand = backbone.answer(weight.to(CUDA), backbone.encode(asked).to(CUDA)).texts
    assert [row["prediction"] for row in json_lines(folder / "predictions.jsonl")] == by_hand


@pytest.mark.parametrize("algorithm", [MAML(0.1, 2), FoMAML(0.1, 2)], ids=repr)
@pytest.mark.parametrize("at_once", [1, 2])
def test_meta_steps_are_the_cpus(algorithm, at_once, root, tmp_path):
    # Drawn less wide: on `still` the last bit of the start alone, on the CPU alone, changes MAML's two steps by a fifth
    # and FoMAML's by a thousandth; here by 3e-5 and less, and the second order makes 7 % of a step.
    tame = t5(tmp_path / "t5", dropout_rate=0.0, feed_forward_proj="gelu_new", initializer_factor=1.3)
    prompts = []
    for kind, steps in (("cpu", 0), ("cpu", 2), ("gpu", 2)):
        module = learner(tame, algorithm, parallel_episodes=at_once)
        data, folder = episodes(root, support_batches=2), tmp_path / f"{kind}-{steps}"
        fit(module, data, folder, accelerator=kind, devices=1, max_steps=steps)
        prompts.append(module.prompt.weight.detach().cpu())
    start, expected, found = prompts
    assert (found - expected).norm() < 1e-3 * (expected - start).norm()


def test_side_by_side_is_one_at_a_time_on_the_cpu(tmp_path):
    """At rates that do not blow rounding up."""
    rates = [0.003, 0.001, 0.002]
    toys = write_toy(write_toy(tmp_path, "toy", (13, 21)), "long", (13, 21))
    backbone = FrozenBackbone(str(t5(tmp_path / "t5", dropout_rate=0.0, initializer_factor=1.0)), OPTIONS)
    there = copy.deepcopy(backbone).to(CUDA)
    packs = [SideBySide(one, runs(one, toys, rates), max_steps=20, every=10) for one in (there, backbone)]
    for pack in packs:
        pack.fit()
    together, apart = (pack.runs for pack in packs)
    for number, (run, other, rate) in enumerate(zip(together, apart, rates, strict=True)):
        assert run.prompt.device.type == "cuda"
        alone = one_at_a_time(backbone, other.spec, number, rate, 20)
        torch.testing.assert_close(run.prompt.cpu(), alone, rtol=0, atol=1e-4)
        assert (alone - start(backbone, number)).abs().max() > 0.01, "nothing was learned"
        losses = [[row["dev/loss"] for row in one.history] for one in (run, other)]
        assert losses[0] == pytest.approx(losses[1], rel=1e-3)
    assert packs[0].test() == packs[1].test()
    assert [run.outputs for run in together] == [run.outputs for run in apart]


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_a_study_does_its_runs_on_the_gpu_packed_and_alone(precision, still, tmp_path):
    device = {("overrides", "trainer.accelerator"): "auto", ("overrides", "trainer.precision"): precision}
    file = write_study(tmp_path, still, changed(STUDY, {**device, RATES: []}))
    code, told, err = study("run", file, "--out", tmp_path / "out", "--workers", "1", WANDB_MODE="disabled")
    assert code == 0, told + err
    done = results(tmp_path / "out")
    assert all(found["environment"]["device"].startswith("cuda") for found in done.values())
    packed = [key for key, found in done.items() if "side_by_side" in found]
    assert len(packed) >= 4 and len(done) - len(packed) >= 4
