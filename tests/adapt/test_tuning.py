"""Prompts tuned side by side, against a loop written out here; stopped and gone on with."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from support.small_models import t5
from support.toy import write_toy
from transformers.optimization import Adafactor

from mpt.adapt.tuning import TuningJob, answers, early_prompts, plain_start, tune
from mpt.backbone.loading import BackboneOptions
from mpt.backbone.model import FrozenBackbone
from mpt.data.modules.few_shot import FewShotData
from mpt.learn import PromptTuning
from mpt.learn.side_by_side import SideBySide
from mpt.util.errors import UserError

LENGTH, RATE = 4, 0.3


@pytest.fixture(scope="module")
def backbone(tmp_path_factory) -> FrozenBackbone:
    """Without dropout, whose masks would differ."""
    folder = t5(tmp_path_factory.mktemp("models") / "still", dropout_rate=0.0, initializer_factor=1.0)
    return FrozenBackbone(str(folder), BackboneOptions(max_input_length=32, max_target_length=4))


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    return write_toy(tmp_path_factory.mktemp("data"), "toy", (13, 21))


def jobs(backbone: FrozenBackbone, root: Path, *seeds: int) -> list[TuningJob]:
    made = []
    for seed in seeds:
        data = FewShotData("toy", str(root), seed, metric="QA-F1", batch_size=3)
        data.setup()
        made.append(TuningJob(f"toy-{seed}", data, plain_start(backbone, LENGTH, 7), RATE))
    return made


def by_hand(backbone: FrozenBackbone, job: TuningJob, steps: int) -> torch.Tensor:
    prompt = job.start.clone().requires_grad_()
    optimizer = Adafactor([prompt], lr=RATE, weight_decay=1e-5, scale_parameter=False, relative_step=False)
    table, tokenizer = backbone.model.get_input_embeddings(), backbone.tokenizer
    for _, batch in zip(range(steps), job.data.train_dataloader(), strict=False):
        inputs = tokenizer(batch.inputs, padding=True, return_tensors="pt")
        labels = tokenizer(batch.targets, padding=True, return_tensors="pt").input_ids[:, :4]
        embeds = torch.cat([prompt.expand(len(labels), -1, -1), table(inputs.input_ids)], 1)
        mask = torch.cat([torch.ones(len(labels), LENGTH).long(), inputs.attention_mask], 1)
        labels = labels.masked_fill(labels == tokenizer.pad_token_id, -100)
        backbone.model(inputs_embeds=embeds, attention_mask=mask, labels=labels).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    return prompt.detach()


@pytest.mark.long
def test_the_early_prompt_is_that_of_plain_prompt_tuning(backbone, root):
    made = jobs(backbone, root, 13, 21)
    keys = early_prompts(backbone, made, 3)
    tuned = tune(backbone, made, steps=5, every=2, key_steps=3)
    for job, key, result in zip(made, keys, tuned, strict=True):
        assert torch.allclose(key, by_hand(backbone, job, 3), atol=1e-4)
        assert torch.equal(key, result.key)
    assert not torch.allclose(keys[0], keys[1])


def test_the_value_is_what_scored_best_on_dev_and_the_start_may_be(backbone, root):
    made = jobs(backbone, root, 13, 21)
    for result, job in zip(tune(backbone, made, steps=5, every=2, from_start=True), made, strict=True):
        assert [row["step"] for row in result.history] == [0, 2, 4, 5]
        scores = {row["step"]: row["dev/score"] for row in result.history}
        assert result.dev_score == max(scores.values()) == scores[result.best_step]
        assert all(score < result.dev_score for step, score in scores.items() if step < result.best_step)
        assert result.dev_loss == next(row["dev/loss"] for row in result.history if row["step"] == result.best_step)
        (score, outputs), (other, _) = answers(backbone, [result.value, job.start], job.data, job.data.fewshot.dev)
        assert (score, other) == pytest.approx((result.dev_score, scores[0]))
        assert [row.input for row in outputs] == [example.input for example in job.data.fewshot.dev]


def test_of_equal_scores_over_labels_the_lower_loss_is_kept(backbone, root):
    """On three dev examples and two labels many evaluations are equal."""
    made = jobs(backbone, root, 13, 21)
    made = [replace(job, labels=("yes", "no")) for job in made]
    tuned = tune(backbone, made, steps=12, every=1, from_start=True)
    for result, job in zip(tuned, made, strict=True):
        best = min(result.history, key=lambda row: (-row["dev/score"], row["dev/loss"]))
        assert (result.best_step, result.dev_loss) == (best["step"], best["dev/loss"])
        [(score, _)] = answers(backbone, [result.value], job.data, job.data.fewshot.dev, ("yes", "no"))
        assert score == result.dev_score
    first = [next(row for row in one.history if row["dev/score"] == one.dev_score)["step"] for one in tuned]
    assert first != [one.best_step for one in tuned]  # so the rule was needed


def test_the_start_is_that_of_the_learner_with_its_seed(backbone):
    learner = PromptTuning(backbone.name, LENGTH)
    learner.seed = 7
    learner.build_on(backbone, ())
    assert torch.equal(learner.prompt.weight, plain_start(backbone, LENGTH, 7))
    assert not torch.equal(plain_start(backbone, LENGTH, 8), plain_start(backbone, LENGTH, 7))


class Killed(Exception):
    pass


@pytest.mark.long
@pytest.mark.parametrize("steps_before", [0, 2, 4])
def test_what_was_stopped_goes_on_to_the_same_bits(backbone, root, tmp_path, steps_before):
    options = {"steps": 6, "every": 2, "key_steps": 3, "from_start": True}
    straight = tune(backbone, jobs(backbone, root, 13, 21), **options)
    state = tmp_path / "work" / "state.pt"

    def stop(side: SideBySide) -> None:
        if side.steps == steps_before:
            raise Killed

    with pytest.raises(Killed):
        tune(backbone, jobs(backbone, root, 13, 21), **options, state=state, told=stop)
    content = torch.load(state, weights_only=True)
    torch.save({**content, "seconds": content["seconds"] + 5000}, state)
    seen: list[int] = []
    resumed = tune(
        backbone, jobs(backbone, root, 13, 21), **options, state=state, told=lambda side: seen.append(side.steps)
    )
    assert seen == list(range(steps_before, 7, 2))
    for one, other in zip(straight, resumed, strict=True):
        assert torch.equal(one.key, other.key) and torch.equal(one.value, other.value)
        assert (one.steps, one.examples) == (other.steps, other.examples) == (6, 6 * 3)
        # Half of what the two took side by side, before and after the stop.
        assert other.seconds > 2500
        assert one.history == other.history and one.best_step == other.best_step


def test_a_prompt_that_is_not_finite_at_its_key_fails_alone(backbone, root, tmp_path):
    good, bad = jobs(backbone, root, 13, 21)
    bad = replace(bad, start=bad.start * float("nan"))
    seen: list[int] = []
    for _ in range(2):  # the second goes on from the state of the first, whose last evaluation was its end
        options = {"steps": 4, "every": 4, "key_steps": 3, "state": tmp_path / "state.pt"}
        one, other = tune(backbone, [bad, good], **options, told=lambda side: seen.append(len(side.live)))
        assert one.key is None and one.value is None and "no longer finite after 3 steps" in one.ended
        assert torch.allclose(other.key, by_hand(backbone, good, 3), atol=1e-4)
        assert other.value is not None and other.ended is None
    assert seen == [1, 1]
    alone = tune(backbone, [bad], steps=4, every=4, key_steps=3)
    assert alone[0].value is None and "no longer finite" in alone[0].ended
    # Where the key is a by-product, what was best before is kept.
    steep = replace(good, learning_rate=1e38)
    (kept,) = tune(backbone, [steep], steps=4, every=4, key_steps=3, key_needed=False, from_start=True)
    assert kept.key is None and kept.best_step == 0 and torch.equal(kept.value, good.start)


def test_half_a_state_is_none(backbone, root, tmp_path):
    state = tmp_path / "state.pt"
    state.write_bytes(b"PK\x03\x04 half")
    assert tune(backbone, jobs(backbone, root, 13), steps=2, every=2, state=state)[0].value is not None


def test_numbers_that_do_not_fit(backbone, root):
    made = jobs(backbone, root, 13)
    with pytest.raises(UserError, match="every 5 steps of 4"):
        tune(backbone, made, steps=4, every=5)
    with pytest.raises(UserError, match="key_steps"):
        tune(backbone, made, steps=4, every=2, key_steps=5)
    with pytest.raises(UserError, match=r"toy-13.*lower the learning rate"):
        early_prompts(backbone, [TuningJob("toy-13", made[0].data, made[0].start * float("nan"), RATE)], 1)
