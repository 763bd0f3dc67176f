"""What a model must be able to do to be a backbone, tried on two short rows when it is loaded.

Families of models are many and change with every release: what one does says more than its name.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from copy import deepcopy
from typing import Any

import torch
from torch import Tensor, nn

from mpt.backbone.encoding import IGNORED, Batch
from mpt.backbone.one_sequence import OneSequence
from mpt.backbone.rows import Rows, Weighed
from mpt.util.errors import UserError, one_line

PROMPT, LONG, TARGET, ANSWER = 4, 16, 8, 4
"""Tokens of the prompt, of the longer row and its target, and of an answer."""
TOLERANCE = {torch.float32: 1e-3, torch.bfloat16: 0.1, torch.float16: 0.05}
"""How far two ways to compute the same may lie apart, as a part of the largest value, by type of the weights."""
LARGEST = 2_000_000_000
"""Weights of two bytes that are tried as float32 for a moment: of more the copy could pass the memory."""


@torch.enable_grad()
def check_ability(backbone: Any) -> None:
    """Try a loss, a gradient and an answer, alone and beside a longer row.

    Args:
        backbone: a :class:`mpt.backbone.model.Backbone`, which calls this when it is loaded.

    Raises:
        UserError: if the model cannot do what a prompt needs, gives values that are not finite, or answers a row
            otherwise beside another.
    """
    name = f"backbone {backbone.name} ({backbone.config.model_type})"
    beside = _rows(backbone)
    own, labels = beside.input_mask[0].bool(), beside.labels
    assert labels is not None
    alone = Batch(beside.input_ids[:1, own], beside.input_mask[:1, own], labels[:1, :2])
    prompt = _prompt(backbone, beside.input_ids[1, : PROMPT + 1])
    dtype = prompt.dtype
    try:
        with torch.random.fork_rng(devices=[]), backbone.in_mode(training=True):
            leaf = prompt.clone().requires_grad_()
            loss = backbone.loss(leaf, beside)
            gradient = torch.autograd.grad(loss.sum(), leaf)[0]
        with torch.no_grad(), backbone.in_mode(training=False):
            lone, crowded = (backbone.loss(prompt, batch)[0] for batch in (alone, beside))
            unprompted, plain = (
                backbone.layout.logits(backbone._rows(None, alone), labels[:1, :2]),
                _plain_logits(backbone, alone),
            )
            answers = [_first_logits(backbone, prompt, batch) for batch in (alone, beside)]
    except Exception as error:  # every family fails in its own way
        asked = ((option, getattr(backbone.options, option)) for option in ("attention", "quantization"))
        given = " and ".join(f"{option}={value}" for option, value in asked if value)
        way = f"leave out {given}, or use another backbone" if given else "use another backbone"
        way = "give sizes that fit each other" if backbone.sizes else way
        raise UserError(f"{name} cannot work with a prompt: {one_line(error)}; {way}") from error
    if not (loss.isfinite().all() and gradient.isfinite().all()):
        other = "float32 weights" if dtype == torch.bfloat16 else "bfloat16 or float32 weights"
        way = f"use {other}" if dtype != torch.float32 else "its checkpoint is damaged; use another"
        raise UserError(f"{name}: losses and gradients are not finite in {str(dtype).removeprefix('torch.')}; {way}")
    tolerance = TOLERANCE.get(dtype, TOLERANCE[torch.float32])
    if not backbone.options.dropout and _differ(loss.detach()[0], crowded, tolerance):
        raise UserError(
            f"{name} has another loss in training than in evaluation though dropout is off, by what its configuration "
            "does not name; leave out dropout=false, or use another backbone"
        )
    if _differ(unprompted, plain, tolerance):
        raise UserError(
            f"{name} reads more of a token than its input embedding (such as embeddings for each layer, or a place "
            "that hangs on the token), which a soft prompt has not; use another backbone"
        )
    if _differ(lone, crowded, tolerance) or any(_differ(*pair, tolerance) for pair in _while_equal(*answers)):
        raise UserError(
            f"{name} answers a row otherwise when a longer one is in its batch: it does not leave padding out; use "
            "another backbone"
        )


@torch.enable_grad()
def one_sequence_of(backbone: Any) -> tuple[OneSequence | None, str]:
    """A decoder-only model as a reader of one sequence; or None, and why: it would not say what it says to padded rows.

    Where a layer counts places in the sequence or carries a state along it, or takes no mask of its own, it does not.
    Weights of fewer bits are tried in float32, for rounding would hide what a model does or seem to be it.
    """
    attention = backbone.model.config._attn_implementation
    if attention not in ("eager", "sdpa"):
        return None, f"attention {attention} takes no mask that tells them apart"
    reduced = [weight for weight in backbone.model.parameters() if weight.dtype in (torch.bfloat16, torch.float16)]
    if sum(weight.numel() for weight in reduced) > LARGEST:
        return None, "its weights are too many to be tried in float32"
    batch = _rows(backbone)
    assert batch.labels is not None
    labels = Weighed(batch.labels)
    found: list[tuple[Tensor, Tensor]] = []
    few = deepcopy(backbone.generation)
    few.max_new_tokens = ANSWER  # the options' own may be many, and cost a large model minutes
    try:
        one = OneSequence(backbone.model)
        with backbone.in_mode(training=False), _in_float32(reduced):
            words = _prompt(backbone, batch.input_ids[1, : 2 * PROMPT + 1])
            for prompt in (words[:PROMPT], words.view(2, PROMPT, -1)):
                leaf = prompt.clone().requires_grad_()
                rows = backbone._rows(leaf, batch)
                plain, losses = backbone.layout.losses(rows, labels), one.losses(rows, labels)
                own, other = (torch.autograd.grad(each.sum(), leaf)[0] for each in (plain, losses))
                answered = one.answer(few, rows, labels)[1]
                assert answered is not None
                found += [(plain.detach(), losses.detach()), (plain.detach(), answered), (own, other)]
            # Checkpoints are computed again in the backward pass, by the attention that is there then.
            if (
                attention == "sdpa"
                and backbone.options.attention is None
                and not backbone.options.gradient_checkpointing
            ):
                one.chooses = _same_by_plain_products(one, rows, labels, losses.detach())
    except Exception as error:  # every family fails in its own way
        return None, f"the model does not take them as one sequence ({one_line(error)})"
    if any(_differ(*pair, TOLERANCE[torch.float32]) for pair in found):
        return None, "the model does not tell rows of one sequence apart"
    return one, ""


@torch.no_grad()
def _same_by_plain_products(one: OneSequence, rows: Rows, labels: Weighed, losses: Tensor) -> bool:
    """Whether a model says the same by plain products as by the fused kernel, which leaves out what a few compute."""
    try:
        with one.attending("eager"):
            return not _differ(one.losses(rows, labels), losses, TOLERANCE[torch.float32])
    except Exception:  # it has no other
        return False


@contextmanager
def _in_float32(weights: Sequence[nn.Parameter]) -> Iterator[None]:
    """With the same values as float32, which come back to the last bit."""
    types = [weight.dtype for weight in weights]
    try:
        for weight in weights:
            weight.data = weight.data.float()
        yield
    finally:
        for weight, dtype in zip(weights, types, strict=True):
            weight.data = weight.data.to(dtype)


def _rows(backbone: Any) -> Batch:
    """A row of one token and one of :data:`LONG`, their targets of two and :data:`TARGET`, padded as texts are."""
    special = set(backbone.tokenizer.all_special_ids)
    known = range(min(len(backbone.tokenizer), backbone.encode.rows))
    words = [i for i in known if i not in special][: LONG // 2]
    room = (backbone.position_limit or 10_000) - PROMPT - TARGET
    long = (words * LONG)[: max(1, min(LONG, room))]
    pad = [backbone.encode.pad_id] * (len(long) - 1)
    zeros = [0] * len(pad)
    labels = torch.tensor([[*words[:2], *[IGNORED] * (TARGET - 2)], (words * TARGET)[:TARGET]])
    short, seen = ([*pad, long[-1]], [*zeros, 1]) if backbone.decoder_only else ([long[-1], *pad], [1, *zeros])
    return Batch(torch.tensor([short, long]), torch.tensor([seen, [1] * len(long)]), labels)


def _prompt(backbone: Any, ids: Tensor) -> Tensor:
    """A row between each two tokens, ``[len(ids) - 1, H]``: none is a token's own, which a model may look up."""
    words: Tensor = backbone.model.get_input_embeddings()(ids).detach()
    return (words[1:] + words[:-1]) / 2


def _plain_logits(backbone: Any, batch: Batch) -> Tensor:
    """Logits of the labels from token ids, as everyone calls the model, ``[B, U, V]``."""
    if backbone.decoder_only:
        ids = torch.cat([batch.input_ids, batch.labels.clamp(min=0)], dim=1)  # type: ignore[union-attr]
        logits: Tensor = backbone.model(input_ids=ids, use_cache=False).logits
        return logits[:, batch.input_ids.shape[1] - 1 : -1]
    decoder_ids = backbone.layout.shifted(batch.labels)
    logits = backbone.model(input_ids=batch.input_ids, decoder_input_ids=decoder_ids, use_cache=False).logits
    return logits


def _first_logits(backbone: Any, prompt: Tensor, batch: Batch) -> list[Tensor]:
    """Logits of the first tokens of the first row's answer, each ``[V]``."""
    more: dict[str, Any] = {"max_new_tokens": ANSWER, "output_logits": True, "return_dict_in_generate": True}
    out = backbone._generated(backbone._rows(prompt, batch), num_beams=1, early_stopping=False, **more)
    return [step[0] for step in out.logits]


def _while_equal(one: list[Tensor], other: list[Tensor]) -> list[tuple[Tensor, Tensor]]:
    """The pairs up to the first whose best tokens differ: after it the two answers are of different texts."""
    pairs = []
    for pair in zip(one, other, strict=False):
        pairs.append(pair)
        if pair[0].argmax() != pair[1].argmax():
            break
    return pairs


def _differ(one: Tensor, other: Tensor, tolerance: float) -> bool:
    return not float((one - other).abs().max()) <= tolerance * max(1.0, float(one.abs().max()))
