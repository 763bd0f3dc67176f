"""A meta-learning run that was cut off and resumed ends as if nothing had happened, to the bit, with dropout on."""

from __future__ import annotations

import pytest
import torch
from support.meta_toy import RATE, episodes, examples, fit, last_checkpoint, learner, meta_fit, write_callbacks

from mpt.learn.meta import FoMAML
from mpt.record.options import RunOptions, said_in
from mpt.study.report.costs import examples_of

SCHEDULE = {"model__lr_scheduler": "torch.optim.lr_scheduler.CosineAnnealingLR", "model__lr_scheduler__T_max": 12}
ADAMW = {"model__optimizer": "torch.optim.AdamW", "model__optimizer__lr": 0.01}
ACCUMULATED = {"model__accumulate_grad_batches": 2, "data__meta_batch_size": 2}
LEARNED = {"model__learn_inner_lr": "token", "model__inner_lr_lr": 0.1}
RUNS = {
    "MAML accumulated, on schedule, with learned rates": ("maml", ACCUMULATED | SCHEDULE | ADAMW | LEARNED),
    "FoMAML with a learned rate": ("fomaml", {"model__learn_inner_lr": "scalar"}),
    "Reptile accumulated": ("reptile", ACCUMULATED | SCHEDULE),
    "Reptile": ("reptile", {}),
}


@pytest.mark.long
@pytest.mark.parametrize(
    ("config", "changes"),
    [
        pytest.param(*run, id=name, marks=[pytest.mark.slow] if name == "Reptile accumulated" else [])
        for name, run in RUNS.items()
    ],
)
def test_cut_off_and_resumed_is_undisturbed_to_the_bit(config, changes, mpt, root, model_folder, tmp_path):
    """The cut comes in the middle of a step where meta-batches are accumulated, and loses a step or more."""
    shipped = write_callbacks(tmp_path / "shipped.yaml", every_n_steps=2)
    cut = write_callbacks(
        tmp_path / "cut.yaml", {"class_path": "support.meta_toy.Cut", "init_args": {"after": 7}}, every_n_steps=2
    )

    def run(folder, callbacks, *more):
        options = meta_fit(model_folder("t5"), root, tmp_path / folder, trainer__max_steps=8, **changes)
        return mpt("fit", "--config", config, "--config", callbacks, *options, *more)

    assert run("straight", shipped).code == 0
    with pytest.raises(ConnectionError, match="power cut"):
        run("cut", cut)
    assert not (tmp_path / "cut" / "prompt").exists()
    at_the_cut = last_checkpoint(tmp_path / "cut")
    assert run("cut", shipped, "--ckpt_path", "last").code == 0

    straight, resumed = (last_checkpoint(tmp_path / name) for name in ("straight", "cut"))
    config = RunOptions(said_in((tmp_path / "straight" / "config.yaml").read_text()))
    assert examples(tmp_path / "straight") == examples(tmp_path / "cut") == examples_of(config, 8) > 0
    learned = {"prompt.weight"} | ({"log_inner_lr"} if "model__learn_inner_lr" in changes else set())
    assert set(straight) == set(resumed) == learned
    for name in learned:
        assert torch.equal(straight[name], resumed[name]) and not torch.equal(at_the_cut[name], resumed[name])
    for file in ("metrics.jsonl", "prompt/adapter_model.safetensors", "prompt/mpt.json"):
        assert (tmp_path / "straight" / file).read_bytes() == (tmp_path / "cut" / file).read_bytes()


@pytest.mark.long
def test_resumed_with_other_accumulation_no_step_is_left_with_half_its_gradient(model_folder, root, tmp_path):
    """Three steps of one meta-batch, then two steps of two: as started anew from the prompt and the fourth batch."""
    first = learner(model_folder("t5"), FoMAML(RATE))
    fit(first, episodes(root), tmp_path, max_steps=3).save_checkpoint(tmp_path / "three.ckpt")
    resumed = learner(model_folder("t5"), FoMAML(RATE), accumulate_grad_batches=2)
    fit(resumed, episodes(root), tmp_path, max_steps=5, ckpt_path=tmp_path / "three.ckpt")

    anew, data = learner(model_folder("t5"), FoMAML(RATE), accumulate_grad_batches=2), episodes(root)
    anew.prepare()
    with torch.no_grad():
        anew.prompt.weight.copy_(first.prompt.weight)
    data.load_state_dict({"batches": 3, "step": 0})
    fit(anew, data, tmp_path, max_steps=2)
    assert torch.equal(anew.prompt.weight, resumed.prompt.weight)


@pytest.mark.long
def test_evaluation_in_the_middle_of_a_step_is_refused(mpt, root, model_folder, tmp_path):
    """A checkpoint follows every evaluation, and could not go on from there."""
    options = {"model__accumulate_grad_batches": 2, "trainer__val_check_interval": 3}
    ended = mpt("fit", "--config", "maml", *meta_fit(model_folder("t5"), root, tmp_path / "run", **options))
    assert ended.code == 2 and "Traceback" not in ended.err
    assert "trainer.val_check_interval 3" in ended.err and "model.accumulate_grad_batches 2" in ended.err
