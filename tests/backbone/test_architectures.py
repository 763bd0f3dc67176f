"""Many families of models: a row is what it is alone, and what a user of the plain model gets."""

from __future__ import annotations

import json

import pytest
import torch
from peft import PromptTuningConfig, TaskType, get_peft_model
from safetensors.torch import load_file, save_file
from support.architectures import DECODER_ONLY, ENCODER_DECODER, IDS, TODAYS, UNFIT, build
from support.plain_generation import by_transformers
from support.small_models import BOS, EOS, PAD, VOCABULARY, byte_tokenizer
from torch.nn import functional as F
from transformers import AutoModelForSeq2SeqLM

from mpt.backbone.loading import BackboneOptions
from mpt.backbone.model import FrozenBackbone
from mpt.util.errors import UserError

P = 20
INPUTS = [
    "it rained.",
    "",
    "a",
    "a much longer input that pads the short ones by dozens of tokens and goes on until it is eight times as long",
    *("so: " * n for n in range(2, 6)),
]
TARGETS = ["yes", "no", "not at all", "x", "maybe", "a", "never", "b"]


def loaded(folder, **options):
    return FrozenBackbone(str(folder), BackboneOptions(max_target_length=6, **options)).eval()


def some_prompt(backbone):
    return torch.randn(P, backbone.hidden_size, generator=torch.Generator().manual_seed(1)) * backbone.embeddings.std()


def learned(backbone, prompt, inputs, targets):
    leaf = prompt.clone().requires_grad_()
    losses = backbone.loss(leaf, backbone.encode(inputs, targets))
    return losses.detach(), torch.autograd.grad(losses.sum(), leaf)[0]


@pytest.mark.long
@pytest.mark.parametrize("family", DECODER_ONLY)
def test_a_row_is_the_same_alone_beside_seven_others_by_hand_and_in_peft(family, tmp_path):
    backbone = loaded(build(tmp_path, family, DECODER_ONLY[family]))
    model, prompt = backbone.model, some_prompt(backbone)
    losses, gradient = learned(backbone, prompt, INPUTS, TARGETS)
    alone = [learned(backbone, prompt, [text], [target]) for text, target in zip(INPUTS, TARGETS, strict=True)]
    torch.testing.assert_close(losses, torch.cat([loss for loss, _ in alone]), rtol=1e-5, atol=1e-4)
    total = torch.stack([part for _, part in alone]).sum(0)
    assert total.norm() > 0 and (gradient - total).norm() <= 1e-4 * total.norm()
    texts = [backbone.answer(prompt, backbone.encode([text])).texts[0] for text in INPUTS]
    assert backbone.answer(prompt, backbone.encode(INPUTS)).texts == texts

    source, target = (
        torch.tensor([backbone.tokenizer(text)["input_ids"]]) for text in (INPUTS[0], f" {TARGETS[0]}</s>")
    )
    ids, labels = torch.cat([source, target], 1), torch.cat([source * 0 - 100, target], 1)
    with torch.no_grad():
        embeds = torch.cat([prompt[None], model.get_input_embeddings()(ids)], 1)
        logits = model(inputs_embeds=embeds).logits[0, -target.shape[1] - 1 : -1]
    torch.testing.assert_close(losses[0], F.cross_entropy(logits, target[0], reduction="sum"), rtol=1e-5, atol=1e-4)
    theirs = get_peft_model(
        model,
        PromptTuningConfig(
            task_type=TaskType.CAUSAL_LM,
            num_virtual_tokens=P,
            token_dim=backbone.hidden_size,
            num_layers=2,
            num_attention_heads=4,
        ),
    ).eval()
    with torch.no_grad():
        theirs.prompt_encoder["default"].embedding.weight.copy_(prompt)
        loss = theirs(input_ids=ids, labels=labels, attention_mask=torch.ones_like(ids)).loss * target.shape[1]
    torch.testing.assert_close(losses[0], loss, rtol=1e-5, atol=1e-4)


@pytest.mark.long
@pytest.mark.parametrize("family", UNFIT)
def test_a_model_that_cannot_is_refused_as_it_is_loaded(family, tmp_path):
    shape, why = UNFIT[family]
    with pytest.raises(UserError, match=rf"\({family}\).*{why}.*use another backbone"):
        loaded(build(tmp_path, family, shape))


@pytest.mark.long
@pytest.mark.parametrize("forced", [None, 7])
@pytest.mark.parametrize("family", ENCODER_DECODER)
def test_an_encoder_decoder_says_what_the_plain_model_says(family, forced, tmp_path):
    folder = build(tmp_path, family, ENCODER_DECODER[family])
    if forced is not None:  # a language's token, or BART's own <s>
        path = folder / "generation_config.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), "forced_bos_token_id": forced}))
    backbone, model = loaded(folder), AutoModelForSeq2SeqLM.from_pretrained(folder).eval()
    texts = []
    for text, target in zip(INPUTS[2:4], TARGETS[2:4], strict=True):
        batch = backbone.encode([text], [target])
        with torch.no_grad():
            mean = model(input_ids=batch.input_ids, labels=batch.labels).loss
            ids = model.generate(input_ids=batch.input_ids, max_new_tokens=6, num_beams=1, do_sample=False)
        torch.testing.assert_close(backbone.loss(None, batch)[0], mean * batch.target_lengths[0], rtol=1e-5, atol=1e-4)
        texts.append(backbone.tokenizer.decode(ids[0], skip_special_tokens=True).strip())
        assert forced is None or ids[0, 1] == forced
    batch = backbone.encode(INPUTS[2:4])
    assert backbone.answer(None, batch).texts == by_transformers(backbone, None, batch) == texts


def set_in(folder, **changes):
    """In the model's and the generation's configuration."""
    for name in ("config.json", "generation_config.json"):
        path = folder / name
        path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))
    return folder


def test_a_first_token_of_answers_is_forced_on_no_decoder_only_model(tmp_path):
    """It would be the second that transformers forces, behind embeddings."""
    folder, batch = build(tmp_path, "llama", TODAYS), INPUTS[2:4]
    free = loaded(folder)
    prompt = some_prompt(free)
    forced = loaded(set_in(folder, forced_bos_token_id=7))
    assert forced.answer(prompt, forced.encode(batch)).texts == free.answer(prompt, free.encode(batch)).texts


def test_an_answer_is_without_its_start_and_may_have_several_last_tokens(tmp_path):
    folder = set_in(build(tmp_path, "umt5", ENCODER_DECODER["umt5"]), forced_eos_token_id=[1, 5])
    byte_tokenizer(True).save_pretrained(folder)  # <pad>, with which answers start, is no special token
    backbone = loaded(folder)
    prompt, batch = some_prompt(backbone), backbone.encode(INPUTS)
    answers = backbone.answer(prompt, batch).texts
    assert answers == by_transformers(backbone, prompt, batch)
    assert any(answers) and not any(text.startswith("<pad>") for text in answers)


def test_where_no_start_is_named_answers_start_as_targets_do(tmp_path):
    none = {"decoder_start_token_id": None, "bos_token_id": None}
    backbone = loaded(set_in(build(tmp_path / "mbart", "mbart", ENCODER_DECODER["mbart"]), **none))
    started = backbone.layout.shifted(backbone.encode.labels(["yes"]))[0, 0]
    assert backbone.generation.decoder_start_token_id == started == EOS
    with pytest.raises(UserError, match=r"set decoder_start_token_id in its config\.json"):
        loaded(set_in(build(tmp_path / "umt5", "umt5", ENCODER_DECODER["umt5"]), **none))


def test_without_a_prompt_an_empty_input_gives_nothing_to_go_on_from(tmp_path):
    backbone = loaded(build(tmp_path, "llama", TODAYS))
    for inputs in ([""], ["", "a"]):
        with pytest.raises(UserError, match="an input is empty"):
            backbone.loss(None, backbone.encode(inputs, ["yes"] * len(inputs)))


def test_an_answer_ends_where_its_target_ends(tmp_path):
    """A checkpoint's end of sequence for generation may be another token than its tokenizer's."""
    backbone = loaded(set_in(build(tmp_path, "llama", TODAYS), eos_token_id=[2, 5]))
    assert set(backbone.generation.eos_token_id) == {2, 5, EOS} and backbone.encode.labels(["a"])[0, -1] == EOS


@pytest.mark.parametrize("lost", ["lm_head.weight", "model.layers.1."])
def test_weights_that_a_checkpoint_lacks_are_not_drawn_at_random(lost, tmp_path):
    folder = build(tmp_path, "llama", {**TODAYS, "tie_word_embeddings": False})
    weights = load_file(folder / "model.safetensors")
    kept = {name: weight for name, weight in weights.items() if not name.startswith(lost)}
    save_file(kept, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(UserError, match=f"its checkpoint has no {lost}.*random"):
        loaded(folder)


def test_a_type_in_which_a_model_overflows_is_refused(tmp_path):
    folder = build(tmp_path, "llama", TODAYS)
    weights = load_file(folder / "model.safetensors")
    weights["model.layers.0.mlp.down_proj.weight"] *= 1e6
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    loaded(folder)
    with pytest.raises(UserError, match="not finite in float16; use bfloat16 or float32 weights"):
        loaded(folder, dtype="float16")


def test_positions_are_found_where_a_configuration_keeps_them(tmp_path):
    assert loaded(build(tmp_path / "mpt", "mpt", DECODER_ONLY["mpt"])).position_limit == 700
    led = loaded(build(tmp_path / "led", "led", {**ENCODER_DECODER["led"], "max_decoder_position_embeddings": 24}))
    assert led.position_limit == 700
    led.options = BackboneOptions(max_target_length=25)
    with pytest.raises(UserError, match="max_target_length 25 passes the 24 decoder positions"):
        led.check_lengths(0)
    # Beyond its first length one row would decide how all others are read.
    factors = {name: [factor] * 4 for name, factor in (("short_factor", 1.0), ("long_factor", 2.0))}
    first = {"original_max_position_embeddings": 350, "sliding_window": None}
    rope = {"rope_type": "longrope", "rope_theta": 1e4, **factors}
    long = build(tmp_path / "phi3", "phi3", {**DECODER_ONLY["phi3"], "rope_parameters": rope, **first})
    assert loaded(long).position_limit == 350
    bert = {**IDS, **TODAYS, "model_type": "bert", "max_position_embeddings": 600}
    writer = {**bert, "is_decoder": True, "add_cross_attention": True}
    shape = {"encoder": bert, "decoder": writer, "decoder_start_token_id": BOS}
    assert loaded(build(tmp_path / "bert", "encoder-decoder", shape)).position_limit == 600
    text = {**TODAYS, "query_pre_attn_scalar": 8, "vocab_size": VOCABULARY, "pad_token_id": PAD}
    sight = {name: 16 for name in ("hidden_size", "intermediate_size")}
    sight |= {"num_hidden_layers": 1, "num_attention_heads": 2, "image_size": 28, "patch_size": 14}
    shape = {"text_config": text, "vision_config": sight, "mm_tokens_per_image": 4, "image_token_index": 259}
    composite = loaded(build(tmp_path / "gemma3", "gemma3", shape))
    assert composite.position_limit == 700
    with pytest.raises(UserError, match="passes the 700 positions"):
        composite.check_lengths(600)


def test_the_trial_copies_no_table(tmp_path, monkeypatch):
    """Gemma 3's of 262,144 rows are 0.7 GB each time."""
    asked, forward = [], torch.nn.Embedding.forward
    monkeypatch.setattr(
        torch.nn.Embedding, "forward", lambda table, ids: asked.append(ids.numel()) or forward(table, ids)
    )
    FrozenBackbone(str(build(tmp_path, "llama", DECODER_ONLY["llama"])))
    assert asked and max(asked) < VOCABULARY / 2
