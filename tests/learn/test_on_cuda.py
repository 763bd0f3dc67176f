"""Whole runs on a GPU: alone, side by side and in a study, against the CPU's and against the model asked by hand.

Without a GPU on one in name (:mod:`support.cuda_in_name`), where each operator takes ten times as long: fewer steps.
"""

from __future__ import annotations

import copy

import pytest
import torch
from support.alone import OPTIONS, one_at_a_time, runs, start
from support.changes import changed
from support.cuda_in_name import IN_NAME, ONLY_ON_A_GPU, on_a_gpu
from support.meta_toy import episodes, fit, learner
from support.small_models import BUILDERS, t5
from support.study_command import results, study
from support.toy import ROWS, json_lines, small_fit, write_toy
from support.toy_study import RATES, SEEDS, SOURCES, STUDY, write_study

from mpt.backbone.model import FrozenBackbone
from mpt.data.modules.mixture import MixtureData
from mpt.learn import FineTuning, PromptTuning
from mpt.learn.language_modeling import LanguageModeling
from mpt.learn.meta import MAML, FoMAML, Reptile
from mpt.learn.side_by_side import SideBySide
from mpt.prompt.files import load_prompt

pytestmark = pytest.mark.usefixtures("cuda")

CUDA = torch.device("cuda")


@pytest.fixture(scope="module")
def still(tmp_path_factory):
    """A smooth T5 without dropout, whose masks would differ."""
    return t5(tmp_path_factory.mktemp("models") / "t5", dropout_rate=0.0, feed_forward_proj="gelu_new")


@pytest.mark.long
@pytest.mark.parametrize(
    ("kind", "precision"),
    [
        ("t5", "bf16-mixed"),
        ("bart", "bf16-mixed"),
        ("llama", "bf16-mixed"),
        ("llama", "32-true"),
        on_a_gpu("t5", "32-true"),
        on_a_gpu("bart", "32-true"),
    ],
)
def test_fit_and_predict_give_the_answers_of_the_saved_prompt(kind, precision, mpt, model_folder, tmp_path):
    folder, toy, model = tmp_path / "run", write_toy(tmp_path / "data"), model_folder(kind)
    changes = {"trainer__accelerator": "gpu", "trainer__devices": 1, "trainer__precision": precision}
    changes["trainer__max_steps"] = 2
    options = ["--config", "prompt_tuning", *small_fit(model, toy, folder, **changes)]
    assert mpt("fit", *options).code == 0
    assert mpt("predict", *options).code == 0
    weight = load_prompt(folder / "prompt").weight
    assert weight.dtype == torch.float32 and weight.isfinite().all()
    backbone = FrozenBackbone(str(model), OPTIONS).eval()
    asked = [question for question, _ in ROWS["test"]]
    if precision == "32-true":
        by_hand = backbone.answer(weight, backbone.encode(asked)).texts
    else:
        backbone = backbone.to(CUDA)
        with torch.autocast("cuda", torch.bfloat16):
            by_hand = backbone.answer(weight.to(CUDA), backbone.encode(asked).to(CUDA)).texts
    assert [row["prediction"] for row in json_lines(folder / "predictions.jsonl")] == by_hand


@pytest.mark.long
@pytest.mark.parametrize(
    ("algorithm", "at_once"),
    [
        (MAML(0.1, 2), 2),
        (Reptile(0.1, 2), 1),
        on_a_gpu(MAML(0.1, 2), 1),
        on_a_gpu(FoMAML(0.1, 2), 1),
        on_a_gpu(FoMAML(0.1, 2), 2),
    ],
    ids=str,
)
def test_meta_steps_are_the_cpus(algorithm, at_once, root, tmp_path):
    # Drawn less wide: on `still` the last bit of the start alone, on the CPU alone, changes MAML's two steps by a fifth
    # and FoMAML's by a thousandth; here by 3e-5 and less, and the second order makes 7 % of a step.
    tame = t5(tmp_path / "t5", dropout_rate=0.0, feed_forward_proj="gelu_new", initializer_factor=1.3)
    prompts, losses, number = [], [], 1 if IN_NAME else 2
    for kind, steps in (("cpu", 0), ("cpu", number), ("gpu", number)):
        module = learner(tame, algorithm, parallel_episodes=at_once)
        data = episodes(root, support_batches=2, validation=["ag_news"], eval_batch_size=2)
        evaluated = {"limit_val_batches": 1, "val_check_interval": number}
        trainer = fit(
            module, data, tmp_path / f"{kind}{steps}", accelerator=kind, devices=1, max_steps=steps, **evaluated
        )
        losses.append(float(trainer.callback_metrics.get("dev/loss", 0)))
        prompts.append(module.prompt.weight.detach().cpu())
    start, expected, found = prompts
    assert (found - expected).norm() < 1e-3 * (expected - start).norm()
    assert losses[2] == pytest.approx(losses[1], rel=1e-3) and losses[1] > 0, "prompts adapted to a task held out"


@pytest.mark.long
@pytest.mark.parametrize(
    ("learner", "precision"),
    [
        (PromptTuning, "32-true"),
        (FineTuning, "32-true"),
        (LanguageModeling, "bf16-mixed"),
        on_a_gpu(PromptTuning, "bf16-mixed"),
        on_a_gpu(FineTuning, "bf16-mixed"),
        on_a_gpu(LanguageModeling, "32-true"),
    ],
)
def test_a_mixture_is_learned_as_on_the_cpu(learner, precision, root, tmp_path):
    tame = t5(tmp_path / "t5", dropout_rate=0.0, initializer_factor=1.0)
    learned = []
    for device, steps in (("cpu", 0), ("cpu", 1), ("gpu", 1)):
        module = learner(str(tame), optimizer=lambda params: torch.optim.SGD(params, 0.01), backbone_options=OPTIONS)
        data, folder = MixtureData([*SOURCES], root=str(root), seeds=SEEDS, batch_size=4), tmp_path / f"{device}{steps}"
        fit(module, data, folder, accelerator=device, devices=1, precision=precision, max_steps=steps)
        learned.append(torch.cat([each.detach().cpu().flatten() for each in module.parameters()]))
    start, expected, found = learned
    assert (found - expected).norm() < (1e-3 if precision == "32-true" else 0.1) * (expected - start).norm()


@pytest.mark.long
@pytest.mark.parametrize("kind", ["t5", "llama"])
def test_side_by_side_is_one_at_a_time_on_the_cpu(kind, tmp_path):
    """At rates that do not blow rounding up."""
    rates, steps = [0.003, 0.001, 0.002], 2 if IN_NAME else 20
    toys = write_toy(write_toy(tmp_path, "toy", (13, 21)), "long", (13, 21))
    tame = {"t5": {"dropout_rate": 0.0, "initializer_factor": 1.0}, "llama": {}}[kind]
    backbone = FrozenBackbone(str(BUILDERS[kind](tmp_path / kind, **tame)), OPTIONS)
    there = copy.deepcopy(backbone).to(CUDA)
    packs = [SideBySide(one, runs(one, toys, rates), max_steps=steps, every=steps // 2) for one in (there, backbone)]
    for pack in packs:
        pack.fit()
    together, apart = (pack.runs for pack in packs)
    for number, (run, other, rate) in enumerate(zip(together, apart, rates, strict=True)):
        assert run.prompt.device.type == "cuda"
        expected = one_at_a_time(backbone, other.spec, number, rate, steps) if kind == "t5" else other.prompt
        torch.testing.assert_close(run.prompt.cpu(), expected, rtol=0, atol=1e-4)
        assert (expected - start(backbone, number)).abs().max() > rate * steps / 2, "nothing was learned"
        losses = [[row["dev/loss"] for row in one.history] for one in (run, other)]
        assert losses[0] == pytest.approx(losses[1], rel=1e-3)
    assert packs[0].test() == packs[1].test()
    assert [run.outputs for run in together] == [run.outputs for run in apart]


@ONLY_ON_A_GPU
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
