"""A frozen language model as a function of a prompt."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from transformers import RepetitionPenaltyLogitsProcessor

from mpt.backbone.ability import check_ability, one_sequence_of
from mpt.backbone.encoder_decoder import EncoderDecoder
from mpt.backbone.encoding import Batch, Encoder
from mpt.backbone.generation import generation_config
from mpt.backbone.greedy import greedy
from mpt.backbone.grouping import groups
from mpt.backbone.loading import BackboneOptions, load
from mpt.backbone.one_sequence import OneSequence
from mpt.backbone.padded import PaddedRows
from mpt.backbone.rounding import Rounding
from mpt.backbone.rows import Prompts, Rows, Weighed
from mpt.util.errors import UserError

Candidates = Sequence[str] | Sequence[Sequence[str]]

_POSITIONS = ("max_position_embeddings", "n_positions", "max_seq_len", "n_ctx")
"""What configurations call the number of positions, where encoder and decoder do not have their own."""


class Answers(NamedTuple):
    """The texts that a model answers to B rows, and the losses of their targets.

    Attributes:
        texts: B of them.
        losses: of the rows' targets as :meth:`Backbone.loss` gives them in evaluation, ``[B]``, or of candidates,
            ``[B, n]``; None without either.
    """

    texts: list[str]
    losses: Tensor | None


class Backbone(nn.Module):
    """A Hugging Face encoder-decoder or decoder-only model that reads a soft prompt before its input.

    The prompt is an argument: ``[P, H]`` shared by all rows, ``[B, P, H]`` with one prompt per row, ``[N, P, H]`` with
    one for each B / N rows in turn, or ``None``. An encoder-decoder reads ``[prompt; input]`` in its encoder, a
    decoder-only model reads ``[prompt; input; target]`` (Lester et al. 2021, section 2), where a tokenizer's ``<bos>``
    is the input's first token, and a chat template is a part of input and target. In training mode the model's own
    dropout is on, as in fine-tuning, unless the options leave it out.

    Attributes:
        layout: how rows become tensors.
        one_sequence: how a decoder-only model reads them that can tell rows of one sequence apart, which costs less;
            the layout is then for what it cannot read so (see :meth:`OneSequence.groups`).
        reading: which of both it is, for a log.

    Args:
        name: hub name, local folder, or ``mpt-tiny``.
        options: see :class:`mpt.backbone.loading.BackboneOptions`.
        new: random weights of these sizes in place of the trained ones (:func:`mpt.backbone.loading.load`).

    Raises:
        UserError: if there is no such model or it cannot be used safely.
    """

    def __init__(self, name: str, options: BackboneOptions | None = None, new: Mapping[str, int] | None = None) -> None:
        super().__init__()
        self.name = name
        self.options = options or BackboneOptions()
        self.sizes = new
        self.model, self.tokenizer = load(name, self.options, new)
        self.config: Any = self.model.config
        self.decoder_only = not self.config.is_encoder_decoder
        lengths = (self.options.max_input_length, self.options.max_target_length)
        rows = self.model.get_input_embeddings().weight.shape[0]
        chats = self.options.chat_template
        self.encode = Encoder(self.tokenizer, self.decoder_only, *lengths, rows=rows, chat_template=chats)
        self.generation = generation_config(self.model, self.encode, self.options)
        self.layout: EncoderDecoder | PaddedRows = (
            PaddedRows(self.model)
            if self.decoder_only
            else EncoderDecoder(self.model, self.generation.decoder_start_token_id, self.encode.pad_id)
        )
        self.one_sequence: OneSequence | None = None
        self._rounded = Rounding(self.model)
        self.reading = "rows are padded"
        if new is None or new:  # sizes may not fit each other
            check_ability(self)
        if new is None and self.decoder_only:
            self.one_sequence, why = one_sequence_of(self)
            self.reading = f"rows are padded ({why})" if why else "rows are one sequence, each prompt read once"

    # The three calls everything rests on --------------------------------------------------------------------

    def loss(self, prompt: Prompts, batch: Batch, owners: Tensor | None = None) -> Tensor:
        """Negative log-likelihood of each target, summed over its tokens: ``-log p(Y | [P, X])``, ``[B]``.

        This is the summand of equation 1 of Qin et al. (2023). See :func:`token_mean` for the per-token mean.

        Args:
            prompt: ``[P, H]``, ``None``, ``[N, P, H]``, or N of ``[P, H]`` whose lengths may differ. A prompt that
                several rows share is read once by a decoder-only model that reads its rows as one sequence.
            batch: B rows with targets.
            owners: number of each row's prompt among the N, ``[B]``. If not given, each is that of the next B / N rows.
        """
        if batch.labels is None:
            raise ValueError("loss needs a batch with targets")
        with self._rounded():
            return self._losses(self._rows(prompt, batch, owners), Weighed(batch.labels))

    def log_probabilities(self, prompt: Prompts, batch: Batch) -> Tensor:
        """Of every token at each place of each target, ``[B, U, V]``; what stands behind a target's end means nothing.

        Args:
            prompt, batch: see :meth:`loss`.
        """
        if batch.labels is None:
            raise ValueError("log-probabilities are of a batch with targets")
        with self._rounded():
            return self.layout.logits(self._rows(prompt, batch), batch.labels).float().log_softmax(-1)

    @torch.no_grad()
    def answer(
        self, prompt: Prompts, batch: Batch, owners: Tensor | None = None, options: Candidates | None = None
    ) -> Answers:
        """The B answers in evaluation mode, and the losses where the batch has targets or candidates are given.

        Decoding is greedy unless the options of the backbone ask for beams or a penalty, and then the input is read
        once for both.

        Args:
            prompt, owners: see :meth:`loss`.
            batch: B rows.
            options: candidates that are weighed in place of the targets, see :meth:`score`.
        """
        if options is not None:
            weighed: Weighed | None = self._candidates(batch, options)
        else:
            weighed = None if batch.labels is None else Weighed(batch.labels)
        texts, losses = self._answer(self._rows(prompt, batch, owners), weighed)
        return Answers(texts, losses if losses is None or options is None else losses.view(len(batch), -1))

    def _answer(self, rows: Rows, weighed: Weighed | None) -> Answers:
        with self.in_mode(training=False), self._rounded():
            if self.options.is_greedy:
                if isinstance(self.layout, EncoderDecoder):
                    encoded = self.layout.encoded(rows)
                    losses = None if weighed is None else self.layout.losses(rows, weighed, encoded)
                    return Answers(self.encode.decode(greedy(self.model, self.generation, encoded)), losses)
                if self.one_sequence is not None:
                    shared = rows.behind_common_prefix(self.model.get_input_embeddings())
                    groups = self.one_sequence.groups(shared, weighed, self.options.max_target_length)
                    if groups is not None:
                        return self._answered(self.one_sequence, shared, weighed, groups)
            losses = None if weighed is None else self._losses(rows, weighed)
            ids = self._generated(rows)
        # An encoder-decoder's begin with its start token, which a tokenizer need not know as a special one.
        return Answers(self.encode.decode(ids if self.decoder_only else ids[:, 1:]), losses)

    @torch.no_grad()
    def score(self, prompt: Prompts, batch: Batch, options: Candidates, owners: Tensor | None = None) -> Tensor:
        """Log-likelihood of each candidate answer, ``[B, n]``. The input is read once, however many are weighed.

        Args:
            prompt, owners: see :meth:`loss`.
            batch: inputs; targets are not used.
            options: ``n`` answers for all rows, or ``n`` for each of the ``B`` rows.
        """
        with self.in_mode(training=False), self._rounded():
            losses = self._losses(self._rows(prompt, batch, owners), self._candidates(batch, options))
        return -losses.view(len(batch), -1)

    # What callers ask of the model --------------------------------------------------------------------------

    @property
    def hidden_size(self) -> int:
        """Width of the input embeddings, H."""
        return int(self.model.get_input_embeddings().weight.shape[1])

    def pieces(self, text: str) -> list[str]:
        """A text as the tokenizer cuts it, without what it adds."""
        cut: list[str] = self.tokenizer.tokenize(text)
        return cut

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
        """Digest of a sample of every weight: one checkpoint's, wherever it lies, in float32 or bfloat16.

        Through float16 numbers are rounded twice, and some end elsewhere.
        """
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

    def groups(
        self, prompts: Prompts, batch: Batch, owners: Tensor, more: int = 0, most: int | None = None
    ) -> list[Tensor]:
        """Numbers of the rows that are best read together, ``[G]`` for each group; every row is in one.

        Args:
            prompts, owners: see :meth:`loss`.
            batch: B rows.
            more: tokens that are written after a row's input.
            most: tokens of a group, if one row allows that: its padding and prompts count.
        """
        rows = self._rows(prompts, batch, owners)
        if self.one_sequence is not None:
            weighed = None if batch.labels is None else Weighed(batch.labels)
            shared = rows.behind_common_prefix(self.model.get_input_embeddings())
            found = self.one_sequence.groups(shared, weighed, more, float("inf") if most is None else most)
            if found is not None:
                return [torch.tensor(group) for group in found]
        return groups(batch, rows.prompt_length, most)

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
                f"{what} = {total} passes the {limit} positions of {self.name} (of its configuration, or up to where "
                f"its rotary angles change); {remedy}"
            )

    # Inside -------------------------------------------------------------------------------------------------

    def _apply(self, *args: Any, **kwargs: Any) -> Any:
        self._rounded.forget()  # weights that move leave no copies behind
        return super()._apply(*args, **kwargs)  # type: ignore[no-untyped-call]

    def _positions(self, side: str) -> int | None:
        if getattr(self.config, "relative_attention_num_buckets", None):
            return None
        part = getattr(self.config, side, self.config)  # two models in one (BERT and BERT, T5Gemma 2) have one for each
        configs = (self.config, part, part.get_text_config(**{side: True}))
        names = (f"max_{side}_position_embeddings", *_POSITIONS)
        limits = (getattr(config, name, None) for config in configs for name in names)
        limit = next((limit for limit in limits if limit), None)
        rotary = getattr(configs[-1], "rope_parameters", None) or {}
        if rotary.get("rope_type") == "longrope":  # beyond it the longest row decides how all others are read
            return rotary.get("original_max_position_embeddings") or limit
        return limit

    def _rows(self, prompt: Prompts, batch: Batch, owners: Tensor | None = None) -> Rows:
        if prompt is None and self.decoder_only and not batch.input_mask.any(1).all():
            raise UserError(
                f"an input is empty, and {self.name} puts no start token before it: without a prompt there is "
                "nothing that an answer could follow; leave such examples out"
            )
        return Rows.of(prompt, owners, batch, self.model.get_input_embeddings())

    def _candidates(self, batch: Batch, options: Candidates) -> Weighed:
        each = _per_row(options, len(batch))
        labels = self.encode.labels([text for row in each for text in row])
        return Weighed(labels.to(batch.input_ids.device), len(each[0]))

    def _losses(self, rows: Rows, weighed: Weighed) -> Tensor:
        """Of each answer, ``[B * n]``."""
        one = self.one_sequence
        if one is None:
            return self.layout.losses(rows, weighed)
        shared = rows.behind_common_prefix(self.model.get_input_embeddings())
        groups = one.groups(shared, weighed)
        if groups is None:
            return self.layout.losses(rows, weighed)
        rows = shared
        if len(groups) == 1:
            return one.losses(rows, weighed)
        found = [one.losses(rows.select(group), weighed.select(group)) for group in groups]
        return _in_order(torch.cat(found), groups)

    def _answered(self, one: OneSequence, rows: Rows, weighed: Weighed | None, groups: list[list[int]]) -> Answers:
        if len(groups) == 1:
            ids, losses = one.answer(self.generation, rows, weighed)
            return Answers(self.encode.decode(ids), losses)
        texts, found = [""] * len(rows), []
        for group in groups:
            ids, losses = one.answer(self.generation, rows.select(group), weighed and weighed.select(group))
            found += [] if losses is None else [losses]
            for row, text in zip(group, self.encode.decode(ids), strict=True):
                texts[row] = text
        return Answers(texts, _in_order(torch.cat(found), groups) if found else None)

    def _generated(self, rows: Rows, **changes: Any) -> Any:
        """What the model's own generation gives in evaluation mode, with changes to :attr:`generation`."""
        embeds, mask = self.layout.embeds(rows)
        if self.decoder_only and (penalty := self.generation.repetition_penalty) != 1:
            # generate() would leave out as many tokens of an answer as there is padding before the prompt.
            changes |= {"repetition_penalty": 1.0, "logits_processor": [RepetitionPenaltyLogitsProcessor(penalty)]}
        with self.in_mode(training=False), self._own_generation_config():
            return self.model.generate(inputs_embeds=embeds, attention_mask=mask, **changes)

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


def _in_order(values: Tensor, groups: list[list[int]]) -> Tensor:
    """Values of the rows of all groups, n of each, one group after the other, as values of the rows in their order."""
    order = [row for group in groups for row in group]
    if order == sorted(order):
        return values
    return values.view(len(order), -1)[torch.tensor(order, device=values.device).argsort()].flatten()


def _per_row(options: Candidates, rows: int) -> list[list[str]]:
    if options and isinstance(options[0], str):
        return [list(options)] * rows  # type: ignore[arg-type]
    if len(options) != rows or len({len(row) for row in options}) != 1:
        raise ValueError(f"options must be n strings, or n strings for each of the {rows} rows")
    return [list(row) for row in options]
