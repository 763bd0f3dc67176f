"""A meta-learning run that goes wrong stops by itself, says where, and leaves the last good prompt."""

from __future__ import annotations

import json

import pytest
import torch
from support.changes import changed
from support.meta_toy import RATE, episodes, fit, last_checkpoint, learner, meta_fit, saved_prompt, sgd, write_callbacks
from support.toy import json_lines
from support.toy_study import STUDY, write_study

from mpt.callbacks import KeepBest, ResumePoint
from mpt.learn.meta import MAML, FoMAML, Reptile
from mpt.prompt.files import load_prompt
from mpt.study.plan.grid import plan
from mpt.study.run.one import do_run
from mpt.study.spec.study import load_study
from mpt.util.errors import UserError


class Failing(FoMAML):
    """Good for some episodes, then one whose gradient is no number."""

    def __init__(self, good: int) -> None:
        super().__init__(RATE)
        self.left = good

    def __call__(self, loss, prompt, support, query, rate=None):
        result = super().__call__(loss, prompt, support, query, rate)
        self.left -= 1
        if self.left < 0:
            result.gradient.fill_(float("nan"))
        return result


class Leaping(torch.optim.SGD):
    """Good for some steps, then one into infinity."""

    def __init__(self, params, good: int) -> None:
        super().__init__(params, lr=0.1)
        self.left = good

    def step(self, closure=None):
        super().step(closure)
        self.left -= 1
        if self.left < 0:
            self.param_groups[0]["params"][0].data[0, 0] = float("inf")


def stop(module, root, folder, *, monitor=None, **changes):
    """Train until it stops; what it said."""
    callbacks = [KeepBest(monitor), ResumePoint(every_n_steps=1)]
    with pytest.raises(UserError) as told:
        fit(module, episodes(root), folder, max_steps=6, callbacks=callbacks, enable_checkpointing=True, **changes)
    assert "\n" not in str(told.value)
    return str(told.value)


def after_good_steps(model, root, folder, steps, **changes):
    """The prompt of a run that ends before anything goes wrong."""
    module = learner(model, FoMAML(RATE), **changes)
    fit(module, episodes(root), folder, max_steps=steps)
    return module.prompt.weight.detach()


@pytest.mark.long
@pytest.mark.parametrize("algorithm", [MAML(1e6), MAML(1e6, 3, hessian="exact"), FoMAML(1e38), Reptile(1e6)], ids=repr)
def test_an_exploding_inner_loop_ends_the_command_with_task_step_and_rate(algorithm, mpt, root, model_folder, tmp_path):
    words = [f"--model.algorithm={type(algorithm).__name__}"]
    words += [f"--model.algorithm.{name}={value}" for name, value in vars(algorithm).items()]
    options = meta_fit(model_folder("t5"), root, tmp_path / "run", model__algorithm__inner_lr=None)
    ended = mpt("fit", "--config", "maml", *options, *words)
    assert ended.code == 2 and "Traceback" not in ended.err
    (told,) = [line for line in ended.err.splitlines() if line.startswith("mpt: error: ")]
    for word in ("task emo", "step 0", f"inner rate {algorithm.inner_lr:g}", "model.algorithm.inner_lr"):
        assert word in told
    assert not (tmp_path / "run" / "prompt").exists(), "nothing was learned"


@pytest.mark.long
def test_an_episode_without_a_number_stops_the_run_at_the_last_good_prompt(root, model_folder, tmp_path):
    module = learner(model_folder("t5"), Failing(good=3 * 2), optimizer=sgd(0.1))
    told = stop(module, root, tmp_path / "run")
    assert "step 3" in told and "task" in told and f"inner rate {RATE:g}" in told
    good = after_good_steps(model_folder("t5"), root, tmp_path / "good", 3, optimizer=sgd(0.1))
    assert torch.equal(saved_prompt(tmp_path / "run"), good)
    assert torch.equal(last_checkpoint(tmp_path / "run")["prompt.weight"], good)
    assert load_prompt(tmp_path / "run" / "prompt").facts["step"] == 3


@pytest.mark.long
def test_a_step_into_infinity_is_taken_back(root, model_folder, tmp_path):
    module = learner(model_folder("t5"), FoMAML(RATE), optimizer=lambda params: Leaping(params, good=2))
    told = stop(module, root, tmp_path / "run")
    assert "step 2" in told and "outer rate 0.1" in told and "model.optimizer.lr" in told
    good = after_good_steps(model_folder("t5"), root, tmp_path / "good", 2, optimizer=sgd(0.1))
    for prompt in (
        module.prompt.weight.detach(),
        saved_prompt(tmp_path / "run"),
        last_checkpoint(tmp_path / "run")["prompt.weight"],
    ):
        assert torch.equal(prompt, good)
    assert load_prompt(tmp_path / "run" / "prompt").facts["step"] == 2


def test_inner_rates_are_taken_back_too(root, model_folder, tmp_path):
    module = learner(
        model_folder("t5"), FoMAML(RATE), optimizer=sgd(0.1), learn_inner_lr="scalar", inner_lr_lr=float("inf")
    )
    stop(module, root, tmp_path)
    assert module.inner_rate().item() == pytest.approx(RATE)


@pytest.mark.long
def test_a_run_that_stops_before_its_first_evaluation_leaves_its_last_prompt(root, model_folder, tmp_path):
    module = learner(model_folder("t5"), Failing(good=2 * 2), optimizer=sgd(0.1))
    stop(module, root, tmp_path / "run", monitor="dev/score", val_check_interval=6)
    good = after_good_steps(model_folder("t5"), root, tmp_path / "good", 2, optimizer=sgd(0.1))
    assert torch.equal(saved_prompt(tmp_path / "run"), good)

    def refuse(word):
        raise AssertionError(f"{word} is not JSON")

    facts = json.loads((tmp_path / "run" / "prompt" / "mpt.json").read_text(), parse_constant=refuse)
    assert facts["step"] == 2 and facts["last"] is True


@pytest.mark.long
def test_what_was_best_on_dev_is_not_replaced_by_the_last(root, model_folder, tmp_path):
    module = learner(model_folder("t5"), Failing(good=4 * 2), optimizer=sgd(0.1))
    data = episodes(root, validation=["ag_news"])
    with pytest.raises(UserError, match="step 4"):
        fit(module, data, tmp_path, max_steps=6, callbacks=[KeepBest()], val_check_interval=2)
    assert load_prompt(tmp_path / "prompt").facts["step"] == 2


@pytest.mark.long
def test_an_outer_rate_far_too_large_ends_the_command_with_finite_prompts(mpt, root, model_folder, tmp_path):
    callbacks = write_callbacks(tmp_path / "callbacks.yaml")
    options = meta_fit(model_folder("t5"), root, tmp_path / "run", model__optimizer="torch.optim.SGD")
    ended = mpt("fit", "--config", "maml", "--config", callbacks, *options, "--model.optimizer.lr", 1e30)
    assert ended.code == 2 and "Traceback" not in ended.err and "model.optimizer.lr" in ended.err
    good = [row["step"] for row in json_lines(tmp_path / "run" / "metrics.jsonl")]
    kept, resumable = saved_prompt(tmp_path / "run"), last_checkpoint(tmp_path / "run")["prompt.weight"]
    assert kept.isfinite().all() and torch.equal(kept, resumable)
    assert load_prompt(tmp_path / "run" / "prompt").facts["step"] == good[-1]


@pytest.mark.long
def test_a_study_records_the_sentence(model_folder, tmp_path):
    upstream = ("methods", "MTL", "upstream")
    changes = {(*upstream, "config"): "maml", (*upstream, "overrides", "model.algorithm.inner_lr"): 1e6}
    cells = plan(load_study(write_study(tmp_path, model_folder("t5"), changed(STUDY, changes))), tmp_path / "out")
    upstream = next(cell for cell in cells if cell.stage == "upstream")
    assert do_run(upstream) == "failed"
    reason = json.loads((upstream.folder / "failed.json").read_text())["reason"]
    assert reason.startswith("the inner loop on task") and "at inner rate 1e+06" in reason
