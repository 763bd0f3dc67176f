"""Runs side by side against the same runs one at a time, as loops written out here."""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from pytorch_lightning.callbacks import EarlyStopping
from support.alone import OPTIONS, one_at_a_time, runs, start
from support.small_models import gpt2, t5
from support.toy import write_toy
from torch.nn import functional as F
from transformers.models.t5.modeling_t5 import T5LayerNorm

import mpt.backbone.model
from mpt.backbone.encoder_decoder import EncoderDecoder
from mpt.backbone.model import FrozenBackbone
from mpt.data.fewshot.files import write_tsv
from mpt.data.tasks.task import Example
from mpt.learn.rows import mean_over_batches
from mpt.learn.side_by_side import PackedRun, RunProgress, SideBySide
from mpt.metrics import crossfit as metrics


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    """Two tasks whose texts differ in length, two seeds each."""
    root = write_toy(tmp_path_factory.mktemp("data"), "toy", (13, 21))
    (root / "long").mkdir()
    for seed in (13, 21):
        for split, size in (("train", 7), ("dev", 5), ("test", 6)):
            rows = [
                Example(f"{'so very ' * (i % 3)}{split} number {i + seed}", ("odd" if i % 2 else "e",))
                for i in range(size)
            ]
            write_tsv(root / "long" / f"long_16_{seed}_{split}.tsv", rows)
    return root


@pytest.fixture(scope="module")
def backbone(tmp_path_factory) -> FrozenBackbone:
    """Without dropout, whose masks would differ."""
    folder = t5(tmp_path_factory.mktemp("models") / "still", dropout_rate=0.0, initializer_factor=1.0)
    return FrozenBackbone(str(folder), OPTIONS)


@pytest.fixture
def exact(backbone, monkeypatch) -> FrozenBackbone:
    """In float64, so that a difference is one of the runs, not the rounding that high rates blow up."""

    def nll(logits, labels):
        flat = F.cross_entropy(logits.flatten(0, 1), labels.flatten(), ignore_index=-100, reduction="none")
        return flat.view(labels.shape).sum(1)

    def norm(self, hidden):  # transformers computes it in float32 whatever the model's type
        return self.weight * hidden * torch.rsqrt(hidden.pow(2).mean(-1, keepdim=True) + self.variance_epsilon)

    monkeypatch.setattr(mpt.backbone.rows, "row_nll", nll)
    monkeypatch.setattr(T5LayerNorm, "forward", norm)
    return copy.deepcopy(backbone).double()


@pytest.mark.long
@pytest.mark.parametrize("tokens", [None, 60])
def test_fifty_steps_side_by_side_are_fifty_steps_one_at_a_time(exact, root, tokens):
    rates = [0.3, 0.1, 0.5, 0.03, 0.2]
    found = runs(exact, root, rates)
    side_by_side = SideBySide(exact, found, max_steps=50, every=25, tokens=tokens)
    before = [weight.clone() for weight in exact.parameters()]
    side_by_side.fit()
    for number in (0, 1) if tokens is None else (2,):
        run, rate = found[number], rates[number]
        alone = one_at_a_time(exact, run, number, rate, 50)
        torch.testing.assert_close(run.prompt.detach(), alone, rtol=0, atol=1e-10)
        assert (alone - start(exact, number)).abs().max() > 0.1, "nothing was learned"
    assert all(torch.equal(one, other) for one, other in zip(before, exact.parameters(), strict=True))


@pytest.mark.long
def test_in_float32_too_where_rates_do_not_blow_rounding_up(backbone, root):
    rates = [0.003, 0.001]
    found = runs(backbone, root, rates)
    SideBySide(backbone, found, max_steps=50, every=50).fit()
    for number, (run, rate) in enumerate(zip(found, rates, strict=True)):
        alone = one_at_a_time(backbone, run, number, rate, 50)
        torch.testing.assert_close(run.prompt.detach(), alone, rtol=0, atol=1e-5)


def fitted(backbone: FrozenBackbone, found: list[PackedRun], **options: Any) -> list[RunProgress]:
    """What became of the runs, trained side by side."""
    side = SideBySide(backbone, found, **options)
    side.fit()
    return side.runs


@pytest.mark.long
@pytest.mark.parametrize("padded", [False, True])
def test_a_decoder_only_model_reads_each_prompt_once_or_pads_the_other_side(padded, tmp_path, root):
    backbone = FrozenBackbone(str(gpt2(tmp_path / "gpt2", resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0)), OPTIONS)
    assert backbone.one_sequence is not None
    if padded:
        backbone.one_sequence = None
    together = fitted(backbone, runs(backbone, root, [0.01, 0.02]), max_steps=6, every=3, tokens=40)
    for one, alone in zip(together, runs(backbone, root, [0.01, 0.02]), strict=True):
        (other,) = fitted(backbone, [alone], max_steps=6, every=3)
        torch.testing.assert_close(one.prompt, other.prompt, rtol=0, atol=1e-5)
        assert [row["dev/score"] for row in one.history] == [row["dev/score"] for row in other.history]


def test_the_first_of_the_best_on_dev_is_kept_and_tested(backbone, root, monkeypatch):
    told = iter([0.5, 0.1, 0.25, 0.9, 0.5, 0.9, 0.75, 0.75])
    monkeypatch.setattr(metrics, "score", lambda *_: next(told))
    side_by_side = SideBySide(backbone, runs(backbone, root, [0.3, 0.3]), max_steps=6, every=2, log_every=3)
    kept: list[list[torch.Tensor]] = []
    side_by_side.fit(evaluated=lambda side: kept.append([run.prompt.clone() for run in side.runs]))
    found = side_by_side.runs
    assert [(run.best.score, run.best.step) for run in found] == [(0.5, 2), (0.9, 4)]
    assert [row["dev/ACC"] for row in found[1].history] == [0.1, 0.9, 0.9]
    assert [row["step"] for row in found[0].history] == [2, 4, 6] and [step for step, _ in found[0].losses] == [3, 6]
    assert torch.equal(found[0].best_prompt, kept[0][0]) and torch.equal(found[1].best_prompt, kept[1][1])

    used = []
    plain = FrozenBackbone.answer
    monkeypatch.setattr(
        FrozenBackbone, "answer", lambda self, p, b, owners: used.append(p[owners]) or plain(self, p, b, owners)
    )
    assert side_by_side.test() == {"0": ("ACC", 0.75), "1": ("ACC", 0.75)}
    rows = torch.cat(used)
    assert all(sum(torch.equal(row, run.best_prompt) for row in rows) == len(run.outputs) for run in found)
    assert [list(row.references) for row in found[0].outputs][:2] == [["yes"], ["no"]]


@pytest.mark.long
def test_answers_and_dev_loss_belong_to_their_run(backbone, root):
    side_by_side = SideBySide(backbone, runs(backbone, root, [0.3, 0.3, 0.3]), max_steps=2, every=2, tokens=50)
    side_by_side.fit()
    side_by_side.test()
    backbone.eval()
    for run in side_by_side.runs:
        data = run.spec.data
        test = [example for _, example in data.test_dataloader().dataset.rows]
        for row, example in zip(run.outputs, test, strict=True):
            assert row.input == example.input and list(row.references) == list(example.targets)
            assert backbone.answer(run.best_prompt, backbone.encode([example.input])).texts == [row.prediction]
        parts = [(backbone.encode(batch.inputs, batch.targets)) for batch in data.val_dataloader()]
        means = [mpt.backbone.model.token_mean(backbone.loss(run.prompt, part), part).item() for part in parts]
        expected = sum(mean * len(part) for mean, part in zip(means, parts, strict=True)) / sum(map(len, parts))
        assert run.history[-1]["dev/loss"] == pytest.approx(expected, rel=1e-4)


def test_a_run_that_stops_early_leaves_and_the_others_go_on(backbone, root, monkeypatch):
    one, other = runs(backbone, root, [0.003, 0.003])
    monkeypatch.setattr(metrics, "score", lambda *_: 0.5)
    one = replace(one, stopper=EarlyStopping("dev/score", patience=2, mode="max"))
    rows = []
    plain = FrozenBackbone.loss
    side_by_side = SideBySide(backbone, [one, other], max_steps=10, every=2)

    def counted(self, prompt, batch, owners):  # a step of training
        rows.append(len(batch))
        return plain(self, prompt, batch, owners)

    monkeypatch.setattr(FrozenBackbone, "loss", counted)
    side_by_side.fit()
    found = side_by_side.runs
    assert found[0].steps == 6 and "did not improve" in found[0].ended and not found[0].failed
    assert rows == [6] * 6 + [3] * 4 and found[1].steps == 10 and found[1].ended is None
    assert set(side_by_side.test()) == {"0", "1"}
    (alone,) = fitted(backbone, runs(backbone, root, [0.003, 0.003])[1:], max_steps=10, every=2)
    torch.testing.assert_close(found[1].prompt, alone.prompt, rtol=0, atol=1e-5)


@pytest.mark.parametrize("late", [False, True])
def test_a_run_that_diverges_ends_alone(backbone, root, late):
    side_by_side = SideBySide(backbone, runs(backbone, root, [0.003, 0.003]), max_steps=6, every=2)
    found = side_by_side.runs

    def spoil(*_):
        if found[0].steps >= 2 * late:
            found[0].prompt[0, 0] = float("nan")

    found[0].spec.optimizer.register_step_post_hook(spoil)
    side_by_side.fit()
    assert "no longer finite" in found[0].ended and found[0].steps == (4 if late else 2)
    assert found[0].failed != late, "what was best before counts"
    assert set(side_by_side.test()) == ({"0", "1"} if late else {"1"})
    (alone,) = fitted(backbone, runs(backbone, root, [0.003, 0.003])[1:], max_steps=6, every=2)
    torch.testing.assert_close(found[1].prompt, alone.prompt, rtol=0, atol=1e-5)


def stopped_runs(backbone: FrozenBackbone, root: Path) -> SideBySide:
    """Three whose rates fall, the first of which stops early."""
    found = [
        replace(run, scheduler=torch.optim.lr_scheduler.LinearLR(run.optimizer, 1.0, 0.1, total_iters=8))
        for run in runs(backbone, root, [0.3, 0.1, 0.3])
    ]
    found[0] = replace(found[0], stopper=EarlyStopping("dev/score", patience=1, mode="max", min_delta=2.0))
    return SideBySide(backbone, found, max_steps=8, every=2, log_every=1)


class Killed(Exception):
    pass


def kill_at_four(side: SideBySide) -> None:
    if side.steps == 4:
        raise Killed


def test_what_goes_on_from_a_saved_state_has_the_same_bits(backbone, root, tmp_path):
    undisturbed = stopped_runs(backbone, root)
    undisturbed.fit()
    assert undisturbed.runs[0].ended is not None

    with pytest.raises(Killed):
        stopped_runs(backbone, root).fit(tmp_path / "state.pt", evaluated=kill_at_four)
    again = stopped_runs(backbone, root)
    assert again.resume(tmp_path / "state.pt") and again.steps == 4
    again.fit()
    for one, other in zip(undisturbed.runs, again.runs, strict=True):
        assert torch.equal(one.prompt, other.prompt) and torch.equal(one.best_prompt, other.best_prompt)
        assert one.history == other.history and one.losses == other.losses and one.best == other.best
        assert one.ended == other.ended and one.steps == other.steps


@pytest.mark.parametrize("spoil", ["half", "none", "earlier", "fields"])
def test_a_state_that_cannot_be_read_is_none_and_changes_nothing(spoil, backbone, root, tmp_path, capsys):
    path = tmp_path / "state.pt"
    with pytest.raises(Killed):
        stopped_runs(backbone, root).fit(path, evaluated=kill_at_four)
    content = torch.load(path, weights_only=True)
    if spoil == "half":
        path.write_bytes(path.read_bytes()[:-100])
    elif spoil == "none":
        path.unlink()
    elif spoil == "earlier":  # as they were written before, by the runs' names
        torch.save({"steps": 4, "tokens": None, "lanes": content["runs"], "seconds": 1.0}, path)
    else:
        del content["runs"]["2"]["history"]
        torch.save(content, path)
    side = stopped_runs(backbone, root)
    before = [run.prompt.clone() for run in side.runs]
    assert not side.resume(path) and side.steps == 0
    assert all(
        torch.equal(run.prompt, prompt) and not run.history for run, prompt in zip(side.runs, before, strict=True)
    )
    assert ("cannot be read" in capsys.readouterr().out) == (spoil != "none")


def test_where_the_device_has_no_room_the_rows_are_taken_in_parts(backbone, root, monkeypatch):
    plain, tried = EncoderDecoder.losses, []

    def losses(self, rows, answers, encoded=None):
        tried.append(len(rows))
        if len(rows) > 4:
            raise torch.cuda.OutOfMemoryError("full")
        return plain(self, rows, answers, encoded)

    alone = fitted(backbone, runs(backbone, root, [0.003] * 4), max_steps=3, every=3)
    monkeypatch.setattr(EncoderDecoder, "losses", losses)
    found = fitted(backbone, runs(backbone, root, [0.003] * 4), max_steps=3, every=3)
    assert tried.count(12) == 1, "it learns from what failed"
    for one, other in zip(found, alone, strict=True):
        torch.testing.assert_close(one.prompt, other.prompt, rtol=0, atol=1e-5)


@pytest.mark.parametrize("before", [True, False])
def test_a_dev_loss_that_is_not_finite_ends_its_run_alone(before, backbone, root, monkeypatch):
    judged = []

    def mean(given, size):
        judged.append(mean_over_batches(given, size))
        return float("inf") if len(judged) == (3 if before else 1) else judged[-1]

    monkeypatch.setattr("mpt.learn.side_by_side.mean_over_batches", mean)
    bad, good = fitted(backbone, runs(backbone, root, [0.003, 0.003]), max_steps=4, every=2)
    assert bad.ended is not None and "dev loss was no longer finite" in bad.ended and bad.failed is not before
    assert (
        bad.best.step == (2 if before else None)
        and good.ended is None
        and [row["step"] for row in good.history] == [2, 4]
    )
