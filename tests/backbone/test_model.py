"""The backbone against PEFT, against plain Hugging Face models, and against itself one row at a time."""

from __future__ import annotations

import copy
import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel, PromptTuningConfig, TaskType, get_peft_model
from support.plain_generation import by_transformers
from support.small_models import BUILDERS, EOS, PAD, POSITIONS, gpt2, t5
from torch import Tensor, nn
from transformers import AutoModelForCausalLM, AutoModelForSeq2SeqLM

from mpt.backbone.encoding import IGNORED, Batch
from mpt.backbone.loading import BackboneOptions
from mpt.backbone.model import Backbone, FrozenBackbone, token_mean
from mpt.prompt.files import load_prompt, save_prompt
from mpt.prompt.soft import SoftPrompt
from mpt.util.errors import UserError

KINDS = list(BUILDERS)
# PEFT is compared on the model classes its users have.
PEFT_KINDS = ["t5", "bart", "gpt2"]
INPUTS = ["premise: it rained. so: ", "a", "the film was söße"]
TARGETS = ["yes", "not at all", "no"]
P = 5


def some_prompt(backbone: Backbone, *shape: int, seed: int = 1) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    spread = backbone.embeddings.std()
    return torch.randn(*(shape or (P,)), backbone.hidden_size, generator=generator) * spread


def assert_near(value: Tensor, expected: Tensor) -> None:
    """Equal to 1e-5 of its norm: small entries of a gradient are large sums that cancel."""
    assert expected.norm() > 1e-3
    assert (value - expected).norm() <= 1e-5 * expected.norm()


def plain_model(kind: str, folder: Path) -> Any:
    auto = AutoModelForCausalLM if kind in ("gpt2", "llama") else AutoModelForSeq2SeqLM
    return auto.from_pretrained(folder).eval()


def plain_inputs(backbone: Backbone, inputs: list[str], targets: list[str]) -> dict[str, Tensor]:
    """What a user of the plain model would pass: a decoder-only model gets input and target in one row."""
    batch = backbone.encode(inputs, targets)
    if not backbone.decoder_only:
        return {"input_ids": batch.input_ids, "attention_mask": batch.input_mask, "labels": batch.labels}
    rows = []
    for source, target in zip(inputs, targets, strict=True):
        ids = backbone.tokenizer(source)["input_ids"]
        answer = [*backbone.tokenizer(f" {target}", add_special_tokens=False)["input_ids"], EOS]
        rows.append((ids + answer, [IGNORED] * len(ids) + answer))
    width = max(len(ids) for ids, _ in rows)
    pad = lambda values, filler: values + [filler] * (width - len(values))  # noqa: E731
    return {
        "input_ids": torch.tensor([pad(ids, PAD) for ids, _ in rows]),
        "attention_mask": torch.tensor([pad([1] * len(ids), 0) for ids, _ in rows]),
        "labels": torch.tensor([pad(labels, IGNORED) for _, labels in rows]),
    }


def loss_and_gradient(
    backbone: Backbone, prompt: Tensor, inputs: list[str], targets: list[str]
) -> tuple[Tensor, Tensor]:
    prompt = prompt.detach().requires_grad_()
    losses = backbone.loss(prompt, backbone.encode(inputs, targets))
    return losses.detach(), torch.autograd.grad(losses.sum(), prompt)[0]


def digest(module: nn.Module) -> str:
    value = hashlib.sha256()
    for name, weight in module.state_dict().items():
        value.update(name.encode() + weight.float().numpy().tobytes())
    return value.hexdigest()


# Against PEFT -----------------------------------------------------------------------------------------------


def peft_model(kind: str, folder: Path, prompt: Tensor) -> Any:
    task = TaskType.CAUSAL_LM if kind in ("gpt2", "llama") else TaskType.SEQ_2_SEQ_LM
    model = get_peft_model(
        plain_model(kind, folder), PromptTuningConfig(task_type=task, num_virtual_tokens=len(prompt))
    )
    with torch.no_grad():
        model.prompt_encoder["default"].embedding.weight[: len(prompt)] = prompt
    return model.eval()


@pytest.mark.parametrize("kind", PEFT_KINDS)
def test_loss_and_gradient_are_those_of_peft(kind, model_folder, load_backbone):
    backbone = load_backbone(kind)
    prompt = some_prompt(backbone).requires_grad_()
    theirs = peft_model(kind, model_folder(kind), prompt.detach())
    expected = theirs(**plain_inputs(backbone, INPUTS, TARGETS)).loss
    expected.backward()

    batch = backbone.encode(INPUTS, TARGETS)
    loss = token_mean(backbone.loss(prompt, batch), batch)
    loss.backward()

    torch.testing.assert_close(loss, expected, rtol=1e-5, atol=1e-5)
    gradient = theirs.prompt_encoder["default"].embedding.weight.grad[:P]
    assert_near(prompt.grad, gradient)


@pytest.mark.parametrize("kind", PEFT_KINDS)
def test_a_saved_prompt_generates_in_peft_what_it_generates_here(kind, model_folder, load_backbone, tmp_path):
    backbone = load_backbone(kind)
    prompt = some_prompt(backbone)
    save_prompt(tmp_path / "prompt", prompt, str(model_folder(kind)), backbone.decoder_only, {})
    theirs = PeftModel.from_pretrained(plain_model(kind, model_folder(kind)), tmp_path / "prompt").eval()
    texts = []
    for text in INPUTS:  # one by one: with padding, PEFT gives decoder-only models other positions
        batch = backbone.encode([text])
        ids = theirs.generate(
            input_ids=batch.input_ids, attention_mask=batch.input_mask, generation_config=backbone.generation
        )
        if backbone.decoder_only:
            ids = ids[:, batch.input_ids.shape[1] :]
        texts.append(backbone.tokenizer.decode(ids[0], skip_special_tokens=True).strip())
    assert backbone.answer(prompt, backbone.encode(INPUTS)).texts == texts
    assert len(set(texts)) == len(texts)


@pytest.mark.parametrize("kind", PEFT_KINDS)
def test_a_folder_that_peft_wrote_gives_the_same_loss(kind, model_folder, load_backbone, tmp_path):
    backbone = load_backbone(kind)
    prompt = some_prompt(backbone)
    theirs = peft_model(kind, model_folder(kind), prompt)
    theirs.save_pretrained(tmp_path)
    stored = load_prompt(tmp_path)
    assert torch.equal(stored.weight, prompt)
    assert stored.backbone == str(model_folder(kind))
    batch = backbone.encode(INPUTS, TARGETS)
    with torch.no_grad():
        expected = theirs(**plain_inputs(backbone, INPUTS, TARGETS)).loss
        torch.testing.assert_close(token_mean(backbone.loss(stored.weight, batch), batch), expected)


# Against the plain model ------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_without_a_prompt_the_loss_is_the_plain_models(kind, model_folder, load_backbone):
    backbone = load_backbone(kind)
    batch = backbone.encode(INPUTS, TARGETS)
    with torch.no_grad():
        expected = plain_model(kind, model_folder(kind))(**plain_inputs(backbone, INPUTS, TARGETS)).loss
        torch.testing.assert_close(token_mean(backbone.loss(None, batch), batch), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_a_prompt_of_word_embeddings_is_those_words(kind, model_folder, load_backbone):
    """Closed form for the prompt's place: embeddings of words before the input are those words before it."""
    backbone = load_backbone(kind)
    words = backbone.tokenizer("answer: ", add_special_tokens=False)["input_ids"]
    prompt = backbone.embeddings[words]
    plain = backbone.encode([f"answer: {text}" for text in INPUTS], TARGETS)
    torch.testing.assert_close(
        backbone.loss(prompt, backbone.encode(INPUTS, TARGETS)),
        backbone.loss(None, plain),
        rtol=1e-5,
        atol=1e-4,
    )


@pytest.mark.parametrize("kind", KINDS)
def test_token_mean_is_the_mean_over_all_target_tokens(kind, load_backbone):
    backbone = load_backbone(kind)
    batch = backbone.encode(INPUTS, TARGETS)
    losses = backbone.loss(None, batch)
    tokens = torch.tensor([len(backbone.encode.labels([text])[0]) for text in TARGETS])
    torch.testing.assert_close(token_mean(losses, batch), losses.sum() / tokens.sum())


@pytest.mark.parametrize("kind", KINDS)
def test_float32_is_close_to_float64(kind, load_backbone):
    backbone = load_backbone(kind)
    prompt = some_prompt(backbone)
    twin = copy.deepcopy(backbone)
    twin.model.double()
    losses, gradient = loss_and_gradient(backbone, prompt, INPUTS, TARGETS)
    exact, exact_gradient = loss_and_gradient(twin, prompt.double(), INPUTS, TARGETS)
    assert exact_gradient.dtype == torch.float64
    torch.testing.assert_close(losses.double(), exact.double(), rtol=1e-4, atol=1e-4)
    assert (gradient.double() - exact_gradient).norm() < 1e-3 * exact_gradient.norm()


# One prompt per row, padding --------------------------------------------------------------------------------


@pytest.mark.long
@pytest.mark.parametrize("kind", KINDS)
def test_prompts_per_row_equal_the_rows_one_at_a_time(kind, load_backbone):
    backbone = copy.deepcopy(load_backbone(kind))
    backbone.model.double()  # float32's rounding differs with the shape of a batch, on some machines by more than 1e-5
    prompts = some_prompt(backbone, len(INPUTS), P)
    options = [["yes", "not at all"], ["no", "maybe"], ["x", "yellow"]]
    losses, gradients = loss_and_gradient(backbone, prompts, INPUTS, TARGETS)
    texts = backbone.answer(prompts, backbone.encode(INPUTS)).texts
    scores = backbone.score(prompts, backbone.encode(INPUTS), options)
    for row, (source, target) in enumerate(zip(INPUTS, TARGETS, strict=True)):
        loss, gradient = loss_and_gradient(backbone, prompts[row], [source], [target])
        torch.testing.assert_close(losses[row], loss[0], rtol=1e-5, atol=1e-4)
        assert_near(gradients[row], gradient)
        alone = backbone.encode([source])
        assert texts[row] == backbone.answer(prompts[row], alone).texts[0]
        torch.testing.assert_close(
            scores[row], backbone.score(prompts[row], alone, options[row])[0], rtol=1e-5, atol=1e-4
        )


@pytest.mark.parametrize("kind", KINDS)
def test_a_shared_prompt_is_the_same_prompt_in_every_row(kind, load_backbone):
    backbone = load_backbone(kind)
    prompt = some_prompt(backbone)
    stacked = prompt.expand(len(INPUTS), -1, -1)
    losses, gradient = loss_and_gradient(backbone, prompt, INPUTS, TARGETS)
    same, per_row = loss_and_gradient(backbone, stacked, INPUTS, TARGETS)
    torch.testing.assert_close(losses, same)
    assert_near(gradient, per_row.sum(0))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("prompted", [False, True])
def test_neighbours_and_their_padding_change_nothing(kind, prompted, load_backbone):
    backbone = load_backbone(kind)
    prompt = some_prompt(backbone) if prompted else None
    source, target = "short", "answer"
    crowd = [source, "a much longer input that pads the short one by dozens of tokens"]
    alone = backbone.loss(prompt, backbone.encode([source], [target]))
    among = backbone.loss(prompt, backbone.encode(crowd, [target, "an answer that pads, too"]))
    torch.testing.assert_close(among[0], alone[0], rtol=1e-5, atol=1e-4)
    assert (
        backbone.answer(prompt, backbone.encode(crowd)).texts[0]
        == backbone.answer(prompt, backbone.encode([source])).texts[0]
    )


def test_a_prompt_of_the_wrong_shape_is_refused_with_both_shapes(load_backbone):
    backbone = load_backbone("t5")
    batch = backbone.encode(INPUTS, TARGETS)
    for shape in [(P, 31), (2, P, 32), (32,)]:
        with pytest.raises(ValueError, match=r"prompt has shape .* need \[P, 32\] or \[3, P, 32\]"):
            backbone.loss(torch.zeros(shape), batch)


# Scores and generation --------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_scores_are_log_likelihoods_of_each_candidate(kind, load_backbone):
    backbone = load_backbone(kind)
    prompt = some_prompt(backbone)
    options = ["yes", "no, never", "maybe"]
    scores = backbone.score(prompt, backbone.encode(INPUTS), options)
    assert scores.shape == (3, 3)
    for column, option in enumerate(options):
        losses = backbone.loss(prompt, backbone.encode(INPUTS, [option] * 3))
        torch.testing.assert_close(scores[:, column], -losses.detach(), rtol=1e-5, atol=1e-4)
    per_row = [["a", "b"], ["c", "de"], ["f", "ghi"]]
    scores = backbone.score(prompt, backbone.encode(INPUTS), per_row)
    for column in range(2):
        losses = backbone.loss(prompt, backbone.encode(INPUTS, [row[column] for row in per_row]))
        torch.testing.assert_close(scores[:, column], -losses.detach(), rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("kind", ["t5", "gpt2"])
def test_the_probabilities_of_all_next_tokens_sum_to_one(kind, load_backbone):
    """Closed form: losses of one-token answers are negative logarithms of probabilities, which sum to one."""
    backbone = load_backbone(kind)
    batch = backbone.encode(["hello"])
    everything = Batch(
        batch.input_ids.expand(260, -1), batch.input_mask.expand(260, -1), torch.arange(260).view(260, 1)
    )
    total = (-backbone.loss(some_prompt(backbone), everything)).exp().sum()
    torch.testing.assert_close(total, torch.tensor(1.0))


@pytest.mark.parametrize("options", [[], [["a"], ["b"]], [["a"], ["b"], ["c", "d"]]])
def test_options_that_fit_no_batch_are_refused(options, load_backbone):
    backbone = load_backbone("t5")
    with pytest.raises(ValueError, match="options must be n strings"):
        backbone.score(None, backbone.encode(INPUTS), options)


@pytest.mark.parametrize("kind", KINDS)
def test_the_prompt_changes_what_is_generated(kind, load_backbone):
    """`generate` has ignored soft prompts before (peft#2123)."""
    backbone = load_backbone(kind)
    batch = backbone.encode(INPUTS)
    texts = {tuple(backbone.answer(some_prompt(backbone, seed=seed), batch).texts) for seed in (1, 2, 3)}
    texts.add(tuple(backbone.answer(None, batch).texts))
    assert len(texts) == 4


@pytest.mark.long
@pytest.mark.parametrize("kind", KINDS)
def test_greedy_generation_takes_the_best_token_each_time(kind, load_backbone):
    """Decoded by hand, without a key-value cache, through the logits that the loss uses."""
    backbone = load_backbone(kind)
    prompt = some_prompt(backbone)
    for source in INPUTS:
        batch = backbone.encode([source])
        ids: list[int] = []
        while len(ids) < backbone.options.max_target_length and EOS not in ids:
            labels = torch.tensor([[*ids, 0]])
            ids.append(int(backbone.layout.logits(backbone._rows(prompt, batch), labels)[0, -1].argmax()))
        if kind.startswith("bart"):
            ids[11:] = [EOS]  # its checkpoints close an answer that reaches the limit
        assert backbone.answer(prompt, batch).texts == [
            backbone.tokenizer.decode(ids, skip_special_tokens=True).strip()
        ]


@pytest.mark.parametrize("kind", KINDS)
def test_the_key_value_cache_changes_nothing_but_time(kind, load_backbone):
    backbone = load_backbone(kind)
    prompt, batch = some_prompt(backbone), backbone.encode(INPUTS)
    cached = backbone.answer(prompt, batch).texts
    twin = copy.copy(backbone)
    twin.generation = copy.deepcopy(backbone.generation)
    twin.generation.use_cache = False
    assert backbone.generation.use_cache is True and twin.generation.use_cache is False
    assert by_transformers(twin, prompt, batch) == cached


@pytest.mark.long
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("wanted", [{}, {"repetition_penalty": 2.5, "early_stopping": True}])
def test_beams_on_request(kind, wanted, model_folder, load_backbone):
    backbone = load_backbone(kind, num_beams=3, **wanted)
    prompt = some_prompt(backbone)
    model = plain_model(kind, model_folder(kind))
    texts = []
    for text in INPUTS:
        batch = backbone.encode([text])
        embeds = torch.cat([prompt[None], model.get_input_embeddings()(batch.input_ids)], dim=1)
        ids = model.generate(
            inputs_embeds=embeds,
            attention_mask=torch.ones(embeds.shape[:2], dtype=torch.long),
            num_beams=3,
            do_sample=False,
            max_new_tokens=12,
            pad_token_id=backbone.encode.pad_id,
            **wanted,
        )
        texts.append(backbone.tokenizer.decode(ids[0], skip_special_tokens=True).strip())
    assert backbone.answer(prompt, backbone.encode(INPUTS)).texts == texts


@pytest.mark.parametrize("kind", ["t5", "gpt2"])
def test_a_repetition_penalty_weighs_down_what_the_answer_holds(kind, load_backbone):
    backbone = load_backbone(kind, repetition_penalty=2.5)
    prompt, ends = some_prompt(backbone), backbone.generation.eos_token_id
    texts = []
    for text in INPUTS:
        batch = backbone.encode([text])
        embeds = torch.cat([prompt[None], backbone.model.get_input_embeddings()(batch.input_ids)], dim=1)
        # The decoder of an encoder-decoder starts with a token, which is in the answer too.
        answer = [] if backbone.decoder_only else [backbone.generation.decoder_start_token_id]
        while ends not in answer and len(answer) < 12 + (not backbone.decoder_only):
            said = torch.tensor([answer], dtype=torch.long)
            if backbone.decoder_only:
                more = backbone.model.get_input_embeddings()(said)
                scores = backbone.model(inputs_embeds=torch.cat([embeds, more], dim=1)).logits[0, -1].clone()
            else:
                scores = backbone.model(inputs_embeds=embeds, decoder_input_ids=said).logits[0, -1].clone()
            for token in set(answer):
                scores[token] = scores[token] / 2.5 if scores[token] > 0 else scores[token] * 2.5
            answer.append(int(scores.argmax()))
        texts.append(backbone.tokenizer.decode(answer, skip_special_tokens=True).strip())
    assert backbone.answer(prompt, backbone.encode(INPUTS)).texts == texts
    assert texts != load_backbone(kind).answer(prompt, load_backbone(kind).encode(INPUTS)).texts


def test_a_checkpoints_own_generation_settings_do_not_leak(model_folder, load_backbone, tmp_path):
    """BART's checkpoints ask for beams, long answers and no repetition; every score would silently follow."""
    folder = tmp_path / "bart"
    shutil.copytree(model_folder("bart"), folder)
    path = folder / "generation_config.json"
    own = json.loads(path.read_text())
    own |= {
        "num_beams": 4,
        "min_length": 20,
        "no_repeat_ngram_size": 3,
        "early_stopping": True,
    }
    own |= {
        "length_penalty": 2.0,
        "max_length": 142,
        "repetition_penalty": 1.5,
        "do_sample": True,
        "top_k": 3,
    }
    own |= {
        "suppress_tokens": [10, 11],
        "encoder_no_repeat_ngram_size": 2,
        "bad_words_ids": [[9]],
        "num_return_sequences": 2,
    }
    path.write_text(json.dumps(own))
    backbone = load_backbone("bart")
    other = FrozenBackbone(str(folder), backbone.options).eval()
    assert other.model.generation_config.num_beams == 4
    prompt = some_prompt(backbone)
    assert other.answer(prompt, other.encode(INPUTS)).texts == backbone.answer(prompt, backbone.encode(INPUTS)).texts


def test_generation_leaves_training_mode_as_it_was(load_backbone):
    backbone = copy.deepcopy(load_backbone("t5"))
    backbone.model.train()
    batch = backbone.encode(INPUTS)
    assert backbone.answer(None, batch).texts == load_backbone("t5").answer(None, batch).texts
    torch.testing.assert_close(backbone.score(None, batch, ["a"]), load_backbone("t5").score(None, batch, ["a"]))
    assert backbone.model.training
    labelled = backbone.encode(INPUTS, TARGETS)
    assert not torch.equal(backbone.loss(None, labelled), backbone.loss(None, labelled)), "dropout is on in training"


# Options ----------------------------------------------------------------------------------------------------


@pytest.mark.long
@pytest.mark.parametrize("kind", KINDS)
def test_bfloat16_works_and_is_near_float32(kind, load_backbone):
    backbone = load_backbone(kind, dtype="bfloat16")
    assert next(backbone.model.parameters()).dtype == torch.bfloat16
    prompt = some_prompt(load_backbone(kind))
    losses, gradient = loss_and_gradient(backbone, prompt, INPUTS, TARGETS)
    exact, _ = loss_and_gradient(load_backbone(kind), prompt, INPUTS, TARGETS)
    assert losses.dtype == gradient.dtype == torch.float32
    torch.testing.assert_close(losses, exact, rtol=0.1, atol=1.0)
    assert gradient.isfinite().all() and gradient.norm() > 0
    assert len(backbone.answer(prompt, backbone.encode(INPUTS)).texts) == 3


@pytest.mark.long
@pytest.mark.parametrize("kind", KINDS)
def test_gradient_checkpointing_gives_the_same_gradient(kind, model_folder, load_backbone):
    plain = copy.deepcopy(load_backbone(kind))
    options = BackboneOptions(gradient_checkpointing=True)
    thrifty = FrozenBackbone(str(model_folder(kind)), options)
    prompt = some_prompt(plain)
    results = []
    for backbone in (plain, thrifty):
        backbone.model.train()  # transformers checkpoints in training mode only
        torch.manual_seed(5)
        results.append(loss_and_gradient(backbone, prompt, INPUTS, TARGETS))
    assert thrifty.model.is_gradient_checkpointing
    for value, expected in zip(*results, strict=True):
        assert_near(value, expected)
    assert thrifty.answer(prompt, thrifty.encode(INPUTS[:1])).texts


@pytest.mark.long
@pytest.mark.parametrize("kind", KINDS)
def test_attention_implementations_agree(kind, load_backbone):
    eager, fused = load_backbone(kind, attention="eager"), load_backbone(kind, attention="sdpa")
    assert (eager.config._attn_implementation, fused.config._attn_implementation) == ("eager", "sdpa")
    prompt = some_prompt(eager)
    losses = []
    for backbone in (eager, fused):
        batch = backbone.encode(INPUTS, TARGETS)
        losses.append(token_mean(backbone.loss(prompt, batch), batch))
    torch.testing.assert_close(losses[0], losses[1], rtol=1e-5, atol=1e-5)


def test_float16_is_refused_for_t5_with_the_reason(model_folder):
    with pytest.raises(UserError, match=r"float16 on a T5 model \(t5\) overflows to NaN .* use bfloat16"):
        FrozenBackbone(str(model_folder("t5")), BackboneOptions(dtype="float16"))


def test_float16_is_fine_for_others(load_backbone):
    backbone = load_backbone("gpt2", dtype="float16")
    assert next(backbone.model.parameters()).dtype == torch.float16


# Lengths ----------------------------------------------------------------------------------------------------


def test_prompt_and_input_beyond_the_positions_are_refused_before_training(load_backbone):
    load_backbone("bart", max_input_length=600).check_lengths(100)
    with pytest.raises(UserError) as refusal:
        load_backbone("bart", max_input_length=601).check_lengths(100)
    for part in (
        "prompt_length 100",
        "max_input_length 601",
        "= 701",
        f"{POSITIONS} positions",
        "at most 600",
    ):
        assert part in str(refusal.value)
    load_backbone("gpt2", max_input_length=588).check_lengths(100)
    with pytest.raises(UserError) as refusal:
        load_backbone("gpt2", max_input_length=589).check_lengths(100)
    for part in ("prompt_length 100", "max_input_length 589", "max_target_length 12", "= 701", "at most 588"):
        assert part in str(refusal.value)
    with pytest.raises(UserError, match="use a shorter prompt"):
        load_backbone("gpt2").check_lengths(POSITIONS)
    with pytest.raises(UserError, match=f"max_target_length 701 passes the {POSITIONS} decoder positions"):
        load_backbone("bart", max_target_length=701).check_lengths(10)


@pytest.mark.parametrize("kind", ["bart", "gpt2"])
def test_the_longest_allowed_lengths_do_run(kind, load_backbone):
    target = 12
    room = POSITIONS - 100 - (target if kind == "gpt2" else 0)
    backbone = load_backbone(kind, max_input_length=room)
    backbone.check_lengths(100)
    prompt = some_prompt(backbone, 100)
    batch = backbone.encode(["x" * 2000], ["y" * 2000])
    assert batch.input_ids.shape == (1, room) and batch.labels.shape == (1, target)
    assert backbone.loss(prompt, batch).isfinite().all()
    backbone.answer(prompt, batch)


def test_relative_positions_have_no_limit(load_backbone):
    backbone = load_backbone("t5", max_input_length=4000)
    assert backbone.position_limit is None
    backbone.check_lengths(1000)


# What stays as it is ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_training_a_prompt_changes_no_weight(kind, model_folder):
    backbone = FrozenBackbone(str(model_folder(kind)), BackboneOptions(max_target_length=12))
    backbone.train()
    before = digest(backbone.model)
    prompt = SoftPrompt(some_prompt(backbone))
    start = prompt.weight.detach().clone()
    optimizer = torch.optim.AdamW([*prompt.parameters(), *backbone.parameters()], lr=0.1, weight_decay=0.1)
    batch = backbone.encode(INPUTS, TARGETS)
    for _ in range(3):
        optimizer.zero_grad()
        token_mean(backbone.loss(prompt(), batch), batch).backward()
        optimizer.step()
    assert not torch.equal(prompt.weight, start)
    assert digest(backbone.model) == before
    assert all(not weight.requires_grad and weight.grad is None for weight in backbone.parameters())


@pytest.mark.long
def test_the_fingerprint_names_the_weights_not_the_folder(model_folder, load_backbone, tmp_path):
    known = load_backbone("t5").fingerprint
    shutil.copytree(model_folder("t5"), tmp_path / "copy")
    assert FrozenBackbone(str(tmp_path / "copy")).fingerprint == known
    assert load_backbone("t5", dtype="bfloat16").fingerprint == known
    load_backbone("t5", dtype="bfloat16").model.save_pretrained(tmp_path / "half")
    load_backbone("t5").tokenizer.save_pretrained(tmp_path / "half")
    assert FrozenBackbone(str(tmp_path / "half")).fingerprint == known
    assert FrozenBackbone(str(t5(tmp_path / "other", seed=1))).fingerprint != known
    prints = {load_backbone(kind).fingerprint for kind in KINDS}
    assert len(prints) == len(KINDS) - 1, "bart and bart_unscaled hold the same weights"


def test_the_fingerprint_of_weights_that_learn_follows_them_and_that_of_frozen_ones_is_taken_once(model_folder):
    learning, frozen = (kind(str(model_folder("t5"))) for kind in (Backbone, FrozenBackbone))
    before = learning.fingerprint
    assert frozen.fingerprint == before
    for backbone in (learning, frozen):
        with torch.no_grad():
            backbone.model.get_input_embeddings().weight.add_(1.0)
    assert learning.fingerprint != before == frozen.fingerprint


def test_the_hidden_size_is_known_without_a_table(load_backbone, monkeypatch):
    monkeypatch.setattr(Backbone, "embeddings", property(lambda self: 1 / 0))
    assert load_backbone("t5").hidden_size == 32


@pytest.mark.parametrize("kind", KINDS)
def test_embeddings_are_what_the_model_reads(kind, model_folder, load_backbone):
    backbone = load_backbone(kind)
    weight = plain_model(kind, model_folder(kind)).get_input_embeddings().weight.detach()
    scale = backbone.hidden_size**0.5 if kind == "bart" else 1.0
    torch.testing.assert_close(backbone.embeddings, weight * scale)
    assert backbone.hidden_size == weight.shape[1]


def test_rows_beyond_the_tokenizer_are_no_words(tmp_path):
    backbone = FrozenBackbone(str(gpt2(tmp_path, vocab_size=300)))
    assert len(backbone.tokenizer) == 260
    assert backbone.embeddings.shape == (260, backbone.hidden_size)


def test_random_weights_are_for_training_from_scratch(model_folder, load_backbone):
    torch.manual_seed(3)
    fresh = Backbone(str(model_folder("t5")), new={})
    assert fresh.fingerprint != load_backbone("t5").fingerprint
    assert all(weight.requires_grad for weight in fresh.parameters())
    batch = fresh.encode(INPUTS, TARGETS)
    fresh.loss(None, batch).sum().backward()
    assert fresh.model.get_input_embeddings().weight.grad.norm() > 0


def test_a_batch_without_targets_has_no_loss(load_backbone):
    backbone = load_backbone("t5")
    with pytest.raises(ValueError, match="needs a batch with targets"):
        backbone.loss(None, backbone.encode(INPUTS))


@pytest.mark.long
@pytest.mark.usefixtures("cuda")
@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "bart_unscaled"])
def test_a_gpu_gives_what_the_cpu_gives(kind, load_backbone, monkeypatch):
    backbone = load_backbone(kind)
    prompt = some_prompt(backbone)
    there = copy.deepcopy(backbone).cuda()
    batch, moved = (b.encode(INPUTS, TARGETS).to(device) for b, device in ((backbone, "cpu"), (there, "cuda")))
    found = []
    for one, start, rows in ((there, prompt.cuda(), moved), (backbone, prompt.clone(), batch)):
        losses = one.loss(start.requires_grad_(), rows)
        (gradient,) = torch.autograd.grad(losses.sum(), start)
        found.append((losses.detach().cpu(), gradient.cpu(), one.answer(start.detach(), rows).texts))
    (losses, gradient, texts), (expected, slope, by_cpu) = found
    torch.testing.assert_close(losses, expected, rtol=1e-4, atol=1e-3)
    assert (gradient - slope).norm() < 1e-3 * slope.norm() and texts == by_cpu
    scores = there.score(prompt.cuda(), moved, ["a", "bc"])
    torch.testing.assert_close(scores.cpu(), backbone.score(prompt, batch, ["a", "bc"]), rtol=1e-4, atol=1e-3)
    assert there.fingerprint == backbone.fingerprint
    for one in (there, backbone):  # every other token ends an answer, so that rows leave one by one
        monkeypatch.setattr(one.generation, "eos_token_id", list(range(0, len(backbone.tokenizer), 2)))
    assert there.answer(prompt.cuda(), moved).texts == backbone.answer(prompt, batch).texts != texts


@pytest.mark.long
@pytest.mark.usefixtures("cuda")
@pytest.mark.parametrize("kind", ["t5", "llama"])
def test_beams_and_penalties_on_a_gpu_give_the_cpus_answers(kind, load_backbone):
    backbone = load_backbone(kind, num_beams=2, repetition_penalty=1.2, max_target_length=4)
    there, prompt = copy.deepcopy(backbone).cuda(), some_prompt(backbone)
    expected = backbone.answer(prompt, backbone.encode(INPUTS)).texts
    assert there.answer(prompt.cuda(), there.encode(INPUTS).to("cuda")).texts == expected
