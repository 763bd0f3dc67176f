"""A frozen language model as a function of a prompt."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import RepetitionPenaltyLogitsProcessor

from mpt.backbone.ability import check_ability
from mpt.backbone.encoding import IGNORED, Batch, Encoder
from mpt.backbone.generation import generation_config
from mpt.backbone.greedy import Encoded, greedy
from mpt.backbone.loading import BackboneOptions, load
from mpt.util.errors import UserError

Candidates = Sequence[str] | Sequence[Sequence[str]]

_POSITIONS = ("max_position_embeddings", "n_positions", "max_seq_len", "n_ctx")
"""What configurations call the number of positions, where encoder and decoder do not have their own."""


class Answers(NamedTuple):
    """The texts that a model answers to B rows, and the losses of their targets.

    Attributes:
        texts: B of them.
        losses: of the rows' targets as :meth:`Backbone.loss` gives them in evaluation, ``[B]``; None without targets.
    """

    texts: list[str]
    losses: Tensor | None


class Backbone(nn.Module):
    """A Hugging Face encoder-decoder or decoder-only model that reads a soft prompt before its input.

    The prompt is an argument: ``[P, H]`` shared by all rows, ``[B, P, H]`` with one prompt per row, or
    ``None``. An encoder-decoder reads ``[prompt; input]`` in its encoder, a decoder-only model reads
    ``[prompt; input; target]`` (Lester et al. 2021, section 2), where a tokenizer's ``<bos>`` is the input's
    first token. Padding stands behind an encoder's input and before a decoder-only model's prompt, so that no
    layer, windowed or recurrent, sees it between two tokens of a row. In training mode the model's own dropout
    is on, as in fine-tuning.

    Args:
        name: hub name, local folder, or ``mpt-tiny``.
        options: see :class:`mpt.backbone.loading.BackboneOptions`.
        random_weights: do not load weights (pre-training from scratch).

    Raises:
        UserError: if there is no such model or it cannot be used safely.
    """

    def __init__(self, name: str, options: BackboneOptions | None = None, random_weights: bool = False) -> None:
        super().__init__()
        self.name = name
        self.options = options or BackboneOptions()
        self.model, self.tokenizer = load(name, self.options, random_weights)
        self.config: Any = self.model.config
        self.decoder_only = not self.config.is_encoder_decoder
        lengths = (self.options.max_input_length, self.options.max_target_length)
        rows = self.model.get_input_embeddings().weight.shape[0]
        self.encode = Encoder(self.tokenizer, self.decoder_only, *lengths, rows=rows)
        self.generation = generation_config(self.model, self.encode, self.options)
        if not random_weights:
            check_ability(self)

    # The three calls everything rests on --------------------------------------------------------------------

    def loss(self, prompt: Tensor | None, batch: Batch) -> Tensor:
        """Negative log-likelihood of each target, summed over its tokens: ``-log p(Y | [P, X])``, ``[B]``.

        This is the summand of equation 1 of Qin et al. (2023). See :func:`token_mean` for the per-token mean.

        Args:
            prompt: ``[P, H]``, ``[B, P, H]`` or ``None``.
            batch: B rows with targets.
        """
        if batch.labels is None:
            raise ValueError("loss needs a batch with targets")
        return self._nll(prompt, batch, batch.labels)

    @torch.no_grad()
    def answer(self, prompt: Tensor | None, batch: Batch) -> Answers:
        """The B answers in evaluation mode, and the losses where the batch has targets.

        Decoding is greedy unless the options ask for beams or a penalty. Greedy encoder-decoders read the input once
        for both.

        Args:
            prompt: ``[P, H]``, ``[B, P, H]`` or ``None``.
            batch: B rows.
        """
        with self.in_mode(training=False):
            once = not self.decoder_only and self.options.is_greedy
            encoded = self._encoded(prompt, batch) if once else None
            losses = None if batch.labels is None else self._nll(prompt, batch, batch.labels, encoded)
            if encoded is not None:
                ids = greedy(self.model, self.generation, encoded)
            else:
                ids = self._generated(prompt, batch)
                # An encoder-decoder's begin with its start token, which a tokenizer need not know as a special one.
                ids = ids if self.decoder_only else ids[:, 1:]
        return Answers(self.encode.decode(ids), losses)

    @torch.no_grad()
    def score(self, prompt: Tensor | None, batch: Batch, options: Candidates) -> Tensor:
        """Log-likelihood of each candidate answer, ``[B, n]``.

        Args:
            prompt: ``[P, H]``, ``[B, P, H]`` or ``None``.
            batch: inputs; targets are not used.
            options: ``n`` answers for all rows, or ``n`` for each of the ``B`` rows.
        """
        columns = list(zip(*_per_row(options, len(batch)), strict=True))
        labels = [self.encode.labels(column).to(batch.input_ids.device) for column in columns]
        with self.in_mode(training=False):
            # The input is read once, however many answers are weighed.
            encoded = None if self.decoder_only else self._encoded(prompt, batch)
            rows = [-self._nll(prompt, batch, column, encoded) for column in labels]
        return torch.stack(rows, dim=1)

    # What callers ask of the model --------------------------------------------------------------------------

    @property
    def hidden_size(self) -> int:
        """Width of the input embeddings, H."""
        return int(self.model.get_input_embeddings().weight.shape[1])

    @property
    def embeddings(self) -> Tensor:
        """Input embeddings as the model reads them (scaled where the model scales them), ``[V, H]``.

        Rows that pad the table beyond the tokenizer's vocabulary are left out.
        """
        table = self.model.get_input_embeddings()
        used = min(len(self.tokenizer), table.weight.shape[0])
        with torch.no_grad():
            rows: Tensor = table(torch.arange(used, device=table.weight.device))
        return rows.detach()

    @property
    def fingerprint(self) -> str:
        """Digest of a sample of every weight: one checkpoint's, wherever it lies and in whatever type."""
        digest = hashlib.sha256()
        for name, weight in sorted(self.model.named_parameters()):
            sample = weight.detach().flatten()[:: max(1, weight.numel() // 64)]
            digest.update(f"{name}{tuple(weight.shape)}".encode())
            digest.update(sample.to("cpu", torch.bfloat16).view(torch.int16).numpy().tobytes())
        return digest.hexdigest()[:16]

    @property
    def position_limit(self) -> int | None:
        """Longest sequence the model has positions for; ``None`` for relative positions (T5)."""
        return self._positions("decoder" if self.decoder_only else "encoder")

    def check_lengths(self, prompt_length: int) -> None:
        """Refuse a prompt and input that do not fit, before anything is trained.

        Raises:
            UserError: if P + T (P + T + U for a decoder-only model) passes the model's positions.
        """
        limit = self.position_limit
        if limit is None:
            return
        inputs, targets = self.options.max_input_length, self.options.max_target_length
        parts = {"prompt_length": prompt_length, "max_input_length": inputs}
        if self.decoder_only:
            parts["max_target_length"] = targets
        elif targets > (written := self._positions("decoder") or targets):
            raise UserError(f"max_target_length {targets} passes the {written} decoder positions of {self.name}")
        total = sum(parts.values())
        if total > limit:
            room = limit - (total - inputs)
            remedy = f"lower max_input_length to at most {room}" if room > 0 else "use a shorter prompt"
            what = " + ".join(f"{name} {value}" for name, value in parts.items())
            raise UserError(
                f"{what} = {total} passes the {limit} positions of {self.name} "
                f"(max_position_embeddings of its configuration); {remedy}"
            )

    # Inside -------------------------------------------------------------------------------------------------

    def _positions(self, side: str) -> int | None:
        if getattr(self.config, "relative_attention_num_buckets", None):
            return None
        part = getattr(self.config, side, self.config)  # two models in one (BERT and BERT, T5Gemma 2) have one for each
        configs = (self.config, part, part.get_text_config(**{side: True}))
        names = (f"max_{side}_position_embeddings", *_POSITIONS)
        limits = (getattr(config, name, None) for config in configs for name in names)
        return next((limit for limit in limits if limit), None)

    def _with_prompt(self, prompt: Tensor | None, batch: Batch) -> tuple[Tensor, Tensor]:
        """Embeddings ``[B, P + T, H]`` and mask ``[B, P + T]`` of prompt and input."""
        embeds = self.model.get_input_embeddings()(batch.input_ids)
        if prompt is None:
            if self.decoder_only and not batch.input_mask.any(1).all():
                raise UserError(
                    f"an input is empty, and {self.name} puts no start token before it: without a prompt there is "
                    "nothing that an answer could follow; leave such examples out"
                )
            return embeds, batch.input_mask
        rows, width = len(batch), embeds.shape[-1]
        if prompt.shape[-1] != width or prompt.dim() not in (2, 3) or (prompt.dim() == 3 and len(prompt) != rows):
            raise ValueError(
                f"prompt has shape {list(prompt.shape)}; "
                f"this batch and backbone need [P, {width}] or [{rows}, P, {width}]"
            )
        prompt = prompt.to(embeds.dtype)
        if prompt.dim() == 2:
            prompt = prompt.expand(rows, -1, -1)
        embeds = torch.cat([prompt, embeds], dim=1)
        mask = torch.cat([batch.input_mask.new_ones(rows, prompt.shape[1]), batch.input_mask], dim=1)
        return _padding_first(embeds, mask, prompt.shape[1]) if self.decoder_only else (embeds, mask)

    def _nll(self, prompt: Tensor | None, batch: Batch, labels: Tensor, encoded: Encoded | None = None) -> Tensor:
        """Of each row's labels ``[B, U]``, ``[B]``."""
        return _row_nll(self._logits(prompt, batch, labels, encoded), labels)

    def _logits(self, prompt: Tensor | None, batch: Batch, labels: Tensor, encoded: Encoded | None = None) -> Tensor:
        """Next-token logits for each label position, ``[B, U, V]``."""
        if self.decoder_only:
            return self._causal_logits(prompt, batch, labels)
        decoder_ids = self.shifted(labels)
        if encoded is not None:
            states, mask = encoded
            out = self.model(
                encoder_outputs=states, attention_mask=mask, decoder_input_ids=decoder_ids, use_cache=False
            )
        else:
            embeds, mask = self._with_prompt(prompt, batch)
            out = self.model(inputs_embeds=embeds, attention_mask=mask, decoder_input_ids=decoder_ids, use_cache=False)
        logits: Tensor = out.logits
        return logits

    def _causal_logits(self, prompt: Tensor | None, batch: Batch, labels: Tensor) -> Tensor:
        embeds, mask = self._with_prompt(prompt, batch)
        answer = labels.clamp(min=0)
        answer_embeds = self.model.get_input_embeddings()(answer).to(embeds.dtype)
        mask = torch.cat([mask, (labels != IGNORED).to(mask.dtype)], dim=1)
        out = self.model(
            inputs_embeds=torch.cat([embeds, answer_embeds], dim=1),
            attention_mask=mask,
            # Padding stands before the prompt; counting tokens keeps positions as if it were not there.
            position_ids=(mask.cumsum(1) - 1).clamp(min=0),
            use_cache=False,
            # Only the positions that predict the answer need the vocabulary-sized product.
            logits_to_keep=labels.shape[1] + 1,
        )
        logits: Tensor = out.logits
        return logits[:, -labels.shape[1] - 1 : -1]  # a few families give all positions, whatever is asked

    def shifted(self, labels: Tensor) -> Tensor:
        """What an encoder-decoder's decoder reads where it is to write ``labels``, both ``[B, U]``."""
        prepare = getattr(self.model, "prepare_decoder_input_ids_from_labels", None)
        if prepare is not None:
            ids: Tensor = prepare(labels=labels)
            return ids
        start = labels.new_full((len(labels), 1), self.generation.decoder_start_token_id)
        return torch.cat([start, labels[:, :-1].masked_fill(labels[:, :-1] == IGNORED, self.encode.pad_id)], dim=1)

    def _generated(self, prompt: Tensor | None, batch: Batch, **changes: Any) -> Any:
        """What the model's own generation gives in evaluation mode, with changes to :attr:`generation`."""
        embeds, mask = self._with_prompt(prompt, batch)
        if self.decoder_only and (penalty := self.generation.repetition_penalty) != 1:
            # generate() would leave out as many tokens of an answer as there is padding before the prompt.
            changes |= {"repetition_penalty": 1.0, "logits_processor": [RepetitionPenaltyLogitsProcessor(penalty)]}
        with self.in_mode(training=False), self._own_generation_config():
            return self.model.generate(inputs_embeds=embeds, attention_mask=mask, **changes)

    def _encoded(self, prompt: Tensor | None, batch: Batch) -> Encoded:
        embeds, mask = self._with_prompt(prompt, batch)
        return Encoded(self.model.get_encoder()(inputs_embeds=embeds, attention_mask=mask), mask)

    @contextmanager
    def _own_generation_config(self) -> Iterator[None]:
        # A checkpoint's own settings (beams, minimum lengths, sampling) would silently change every score,
        # and transformers fills whatever a given configuration leaves open from them.
        checkpoints, self.model.generation_config = self.model.generation_config, self.generation
        try:
            yield
        finally:
            self.model.generation_config = checkpoints

    @contextmanager
    def in_mode(self, training: bool) -> Iterator[None]:
        """With dropout on or off, and afterwards as before."""
        before = self.model.training
        if before != training:
            self.model.train(training)
        try:
            yield
        finally:
            if before != training:
                self.model.train(before)


class FrozenBackbone(Backbone):
    """A :class:`Backbone` none of whose weights can change."""

    def __init__(self, name: str, options: BackboneOptions | None = None) -> None:
        super().__init__(name, options)
        self.model.requires_grad_(False)

    @cached_property
    def fingerprint(self) -> str:
        """As of any backbone; taken once, for it cannot change."""
        return super().fingerprint


def token_mean(losses: Tensor, batch: Batch) -> Tensor:
    """Mean loss per target token over a batch: the loss that Hugging Face, PEFT and Lester et al. minimise.

    Args:
        losses: ``[B]`` from :meth:`Backbone.loss`.
        batch: the batch they belong to.
    """
    return losses.sum() / batch.target_lengths.sum()


def _padding_first(embeds: Tensor, mask: Tensor, prompt_length: int) -> tuple[Tensor, Tensor]:
    """``[prompt; padding; input]`` to ``[padding; prompt; input]``: ``[B, P + T, H]`` and ``[B, P + T]``."""
    places = torch.arange(mask.shape[1], device=mask.device).expand_as(mask)
    padding = (mask == 0).sum(1, keepdim=True)
    order = torch.where(places < padding + prompt_length, places - padding, places)
    order = torch.where(places < padding, places + prompt_length, order)
    return embeds.take_along_dim(order[:, :, None], 1), mask.take_along_dim(order, 1)


def _row_nll(logits: Tensor, labels: Tensor) -> Tensor:
    """``[B, U, V]`` and ``[B, U]`` to ``[B]``."""
    flat = F.cross_entropy(logits.flatten(0, 1).float(), labels.flatten(), ignore_index=IGNORED, reduction="none")
    return flat.view(labels.shape).sum(1)


def _per_row(options: Candidates, rows: int) -> list[list[str]]:
    if options and isinstance(options[0], str):
        return [list(options)] * rows  # type: ignore[arg-type]
    if len(options) != rows or len({len(row) for row in options}) != 1:
        raise ValueError(f"options must be n strings, or n strings for each of the {rows} rows")
    return [list(row) for row in options]
