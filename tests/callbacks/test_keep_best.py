"""Keep the best: the first of equals, restored for testing, told apart from a named checkpoint."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from mpt.callbacks import KeepBest, ResumePoint
from mpt.util.errors import Diverged, UserError


class Learner:
    """Stands in for a learner: what it has learned is one word."""

    starts_learned = False

    def __init__(self) -> None:
        self.state = ""

    def save_learned(self, folder, facts):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "state").write_text(self.state)
        (folder / "facts").write_text(str(facts["step"]))

    def load_learned(self, folder):
        self.state = (folder / "state").read_text()


def fake_trainer(tmp_path, fn="fit", **changes):
    known = {
        "default_root_dir": str(tmp_path),
        "sanity_checking": False,
        "state": SimpleNamespace(fn=fn),
        "callback_metrics": {},
        "global_step": 0,
        "is_global_zero": True,
        "ckpt_path": None,
        "datamodule": None,
        "val_check_interval": 2,
        "val_check_batch": 2,
        "max_steps": 10,
        "limit_val_batches": 1.0,
        "accumulate_grad_batches": 1,
    }
    return SimpleNamespace(**known | changes)


def play(callback, trainer, learner, scores):
    for step, score in enumerate(scores, start=1):
        learner.state, trainer.global_step = f"after {step}", step
        trainer.callback_metrics = {"dev/score": score}
        callback.on_validation_end(trainer, learner)


def test_the_first_of_equal_scores_is_kept_and_tested(tmp_path):
    callback, learner, trainer = KeepBest(), Learner(), fake_trainer(tmp_path)
    play(callback, trainer, learner, [0.2, 0.7, 0.7, 0.5])
    callback.on_train_end(trainer, learner)
    fresh = Learner()
    KeepBest().on_test_start(fake_trainer(tmp_path, fn="test"), fresh)
    assert fresh.state == "after 2" and (tmp_path / "prompt" / "facts").read_text() == "2"


def test_of_a_loss_the_least_is_kept(tmp_path):
    callback, learner, trainer = KeepBest("dev/loss"), Learner(), fake_trainer(tmp_path)
    for step, loss in enumerate([1.5, 0.5, 0.5, 0.7], start=1):
        learner.state, trainer.global_step, trainer.callback_metrics = f"after {step}", step, {"dev/loss": loss}
        callback.on_validation_end(trainer, learner)
    assert (tmp_path / "prompt" / "state").read_text() == "after 2" and callback.best.score == 0.5
    again = KeepBest("dev/loss")
    again.load_state_dict({"best": float("-inf"), "best_step": None})  # of before there was one
    again.load_state_dict(callback.state_dict())
    trainer.callback_metrics = {"dev/loss": 0.6}
    again.on_validation_end(trainer, learner)
    assert (tmp_path / "prompt" / "state").read_text() == "after 2"


def test_a_score_of_zero_is_better_than_none(tmp_path):
    callback, learner = KeepBest(), Learner()
    play(callback, fake_trainer(tmp_path), learner, [0.0, 0.0])
    assert (tmp_path / "prompt" / "state").read_text() == "after 1"


def test_without_a_dev_set_the_last_state_is_kept(tmp_path):
    callback, learner, trainer = KeepBest(monitor=None), Learner(), fake_trainer(tmp_path, global_step=9)
    learner.state = "last"
    callback.on_validation_end(trainer, learner)
    assert not (tmp_path / "prompt").exists()
    callback.on_train_end(trainer, learner)
    assert (tmp_path / "prompt" / "state").read_text() == "last"


def test_a_named_checkpoint_wins_over_the_best(tmp_path):
    callback, learner = KeepBest(), Learner()
    play(callback, fake_trainer(tmp_path), learner, [0.5])
    learner.state = "from checkpoint"
    callback.on_test_start(fake_trainer(tmp_path, fn="test", ckpt_path="some.ckpt"), learner)
    assert learner.state == "from checkpoint"


def test_validation_inside_fit_does_not_go_back_to_the_best(tmp_path):
    callback, learner, trainer = KeepBest(), Learner(), fake_trainer(tmp_path)
    play(callback, trainer, learner, [0.9, 0.1])
    callback.on_validation_start(trainer, learner)
    assert learner.state == "after 2"
    callback.on_validation_start(fake_trainer(tmp_path, fn="validate"), learner)
    assert learner.state == "after 1"


def test_nothing_learned_is_an_error_unless_the_start_was_learned(tmp_path):
    learner = Learner()
    with pytest.raises(UserError, match="mpt fit"):
        KeepBest().on_test_start(fake_trainer(tmp_path, fn="test"), learner)
    learner.starts_learned = True
    KeepBest().on_test_start(fake_trainer(tmp_path, fn="test"), learner)


def test_resumed_it_remembers_the_best_and_seeks_anew_if_that_is_gone(tmp_path):
    callback, learner, trainer = KeepBest(), Learner(), fake_trainer(tmp_path)
    play(callback, trainer, learner, [0.8])
    resumed = KeepBest()
    resumed.load_state_dict(callback.state_dict())
    resumed.on_train_start(trainer, learner)
    play(resumed, trainer, learner, [0.5])
    assert (tmp_path / "prompt" / "facts").read_text() == "1" and resumed.best.score == 0.8

    gone = KeepBest(folder="elsewhere")
    gone.load_state_dict(callback.state_dict())
    gone.on_train_start(trainer, learner)
    play(gone, trainer, learner, [0.5])
    assert (tmp_path / "elsewhere" / "state").exists()


def test_an_unknown_value_to_monitor_is_named_with_the_known_ones(tmp_path):
    trainer = fake_trainer(tmp_path, callback_metrics={"dev/score": 1.0})
    with pytest.raises(UserError, match=r"dev/socre.*dev/score"):
        KeepBest("dev/socre").on_validation_end(trainer, Learner())


def test_a_run_too_short_to_be_evaluated_is_refused_at_once(tmp_path):
    with pytest.raises(UserError, match="max_steps 10"):
        KeepBest().on_fit_start(fake_trainer(tmp_path, val_check_interval=50), Learner())
    with pytest.raises(UserError, match="limit_val_batches 0 leaves no evaluation"):
        KeepBest().on_fit_start(fake_trainer(tmp_path, limit_val_batches=0), Learner())


def test_a_stream_without_end_that_is_evaluated_after_its_end_is_refused(tmp_path):
    trainer = fake_trainer(tmp_path, val_check_interval=1.0, val_check_batch=float("inf"))
    with pytest.raises(UserError, match=r"set trainer\.val_check_interval"):
        KeepBest().on_train_start(trainer, Learner())
    KeepBest(monitor=None).on_train_start(trainer, Learner())


def test_a_run_that_stops_itself_leaves_its_last_good_state_unless_there_is_a_best(tmp_path):
    """The trainer has counted the bad step already."""
    callback, learner, trainer = KeepBest(), Learner(), fake_trainer(tmp_path, global_step=4)
    callback.on_train_start(trainer, learner)
    callback.on_train_batch_end(trainer, learner)
    for mistake in (ConnectionError(), UserError("an option is wrong")):
        callback.on_exception(trainer, learner, mistake)
        assert not (tmp_path / "prompt").exists()
    callback.on_train_batch_end(trainer, learner)
    learner.state, trainer.global_step = "after 4", 5
    callback.on_exception(trainer, learner, Diverged("it exploded"))
    assert (tmp_path / "prompt" / "state").read_text() == "after 4"
    assert (tmp_path / "prompt" / "facts").read_text() == "4"

    play(callback, trainer, learner, [0.5])
    learner.state = "worse"
    callback.on_exception(trainer, learner, Diverged("it exploded"))
    assert (tmp_path / "prompt" / "state").read_text() == "after 1"


def test_without_a_step_the_start_is_kept_and_tested(tmp_path):
    callback, learner, trainer = KeepBest(), Learner(), fake_trainer(tmp_path, max_steps=0)
    learner.state = "start"
    callback.on_fit_start(trainer, learner)
    assert (tmp_path / "prompt" / "facts").read_text() == "0" and callback.best.step == 0
    fresh = Learner()
    callback.on_test_start(fake_trainer(tmp_path, fn="test"), fresh)
    assert fresh.state == "start"


def test_no_step_is_none_to_save_after():
    with pytest.raises(UserError, match="ResumePoint: every_n_steps must be at least 1, not 0"):
        ResumePoint(every_n_steps=0)
