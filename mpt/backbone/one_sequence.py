"""The rows of a batch as one sequence for a decoder-only model: each prompt is read once, and nothing is padded.

``[prompts; inputs of all rows; answers to them]``, in which positions go on from a row's prompt, and a mask by which a
token sees its own prompt, its own input, its own answer up to itself, and nothing else. A causal model's states at the
prompt do not depend on what follows, so this is the same function as one row at a time.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import torch
from torch import Tensor
from transformers import DynamicCache, GenerationConfig

from mpt.backbone.encoding import IGNORED
from mpt.backbone.rows import Rows, Weighed

_ANY, _NONE = -1, -2
"""In a token's path: all that lies below may see it, or nothing."""

_BY_MASK = ("sliding_window",)
_BY_LAYER = ("attention_chunk_size", "window_size", "attention_window", "index_topk")
"""What configurations call a number of tokens beyond which a layer does not look back as it does within: by a mask,
which ours stands in for, or by its own count of the sequence's tokens."""

_PASS = 32
"""Tokens that could be read in the time that a pass, of reading or of decoding, takes before it reads any, on a CPU."""

_LEAST = {False: 128, True: 8192}
"""Tokens that are worth a pass in any case, on a CPU and on a GPU."""

_PLAIN = 512**2
"""Pairs of a token and a key up to which plain products are faster than a CPU's fused kernel in bfloat16."""


@dataclass(frozen=True)
class Tokens:
    """L tokens of a sequence.

    Attributes:
        embeds: ``[L, H]``.
        positions: within the row that each is of, from its prompt's beginning on, ``[L]``.
        paths: the prompt, the input and the answer that each belongs to, ``[L, 3]``.
    """

    embeds: Tensor
    positions: Tensor
    paths: Tensor

    def __len__(self) -> int:
        return len(self.embeds)

    def __add__(self, later: Tokens) -> Tokens:
        return Tokens(
            torch.cat([self.embeds, later.embeds]),
            torch.cat([self.positions, later.positions]),
            torch.cat([self.paths, later.paths]),
        )

    def sees(self, keys: Tokens) -> Tensor:
        """Which keys each token sees, ``[L, K]``."""
        mine, theirs = self.paths[:, None], keys.paths[None]
        return ((theirs == _ANY) | (theirs == mine)).all(-1) & (keys.positions <= self.positions[:, None])


class OneSequence:
    """A decoder-only model that reads the rows of a batch as one sequence, or a large batch as a few.

    What the mask hides is computed all the same. Where a pass over L tokens costs ``O + L + L² / L0``, rows are
    cheapest in sequences of ``sqrt(P² + (P + O) L0)`` tokens behind a prompt of P, each of which reads the prompt
    again; in longer ones where answers are written, for each takes passes of its own; and apart from rows of another
    prompt.

    Args:
        model: in which a mask ``[1, 1, Q, K]`` and positions are all that tells one row from another; see
            :func:`mpt.backbone.ability.one_sequence_of`, which makes these.

    Attributes:
        chooses: whether attention may be by plain products in place of the fused kernel, as they give the same. In
            bfloat16 a CPU takes less time for them, up to :data:`_PLAIN`; in float32 and beyond it does not.
    """

    def __init__(self, model: Any) -> None:
        self.model, self.chooses = model, False
        self.table = model.get_input_embeddings()
        config = model.config.get_text_config()
        weights = sum(weight.numel() for weight in model.parameters()) - self.table.weight.numel()
        self._even = weights / (2 * self.table.weight.shape[1] * config.num_hidden_layers)  # L0
        self._longest_path, self._longest = _least(config, _BY_MASK), _least(config, _BY_LAYER)

    def groups(
        self, rows: Rows, answers: Weighed | None, more: int = 0, most: float = float("inf")
    ) -> list[list[int]] | None:
        """Numbers of the rows of each sequence; None if what one reads is longer than a layer of the model looks back.

        Args:
            answers: that are read with the rows.
            more: tokens that may be written after a row's input.
            most: tokens of a sequence, if one row allows that.
        """
        length, lengths = rows.prompt_length, rows.batch.input_mask.sum(1)
        paths = lengths + more
        if answers is not None:
            sizes_of = (answers.labels != IGNORED).sum(1).view(len(rows), -1)
            paths = torch.maximum(paths, lengths + sizes_of.max(1).values)
            lengths = lengths + sizes_of.sum(1)
        written = min(more, more if answers is None else answers.labels.shape[1])
        if int(paths.max()) + length > self._longest_path or int(lengths.max()) + more + length > self._longest:
            return None
        sizes: list[int] = (lengths if self._longest == torch.inf else lengths + more).tolist()
        owners: list[int] = rows.each.tolist()
        most = min(most, self._longest)
        least = min(_LEAST[lengths.is_cuda], most)
        cheapest = (length**2 + (length + _PASS * (1 + written)) * self._even) ** 0.5
        cheapest = min(max(cheapest, least), most - length)
        found: list[list[int]] = []
        spent = 0
        for _, run in groupby(sorted(range(len(sizes)), key=owners.__getitem__), owners.__getitem__):
            for group in _evenly(list(run), sizes, cheapest):
                tokens = length + sum(sizes[row] for row in group)
                if found and spent + tokens <= least:
                    found[-1] += group
                    spent += tokens
                else:
                    found.append(group)
                    spent = tokens
        return found

    def losses(self, rows: Rows, answers: Weighed) -> Tensor:
        """Negative log-likelihood of each answer, ``[B * n]``, in one pass."""
        read = self._inputs(rows)
        both = read + self._answers(rows, answers)
        return answers.nll(self._logits(both, both, _before(rows, answers, len(read))))

    @torch.no_grad()
    def answer(self, settings: GenerationConfig, rows: Rows, answers: Weighed | None) -> tuple[Tensor, Tensor | None]:
        """Token ids of greedy answers, ``[B, U]``, and the losses of answers that are weighed, ``[B * n]``.

        Prompts and inputs are read once, and a row that has ended costs no more.

        Args:
            settings: as :func:`mpt.backbone.generation.generation_config` makes them, greedy and without a penalty.
        """
        cache, keys = DynamicCache(), self._inputs(rows)
        first = self._logits(keys, keys, _ends(rows), cache)
        losses = None if answers is None else self._weighed(rows, answers, keys, first, cache)
        limit = settings.max_new_tokens
        assert limit is not None
        stops = torch.as_tensor(settings.eos_token_id, device=first.device).view(-1)
        found = torch.full((len(first), limit), settings.pad_token_id, device=first.device)
        going, owners = torch.arange(len(first), device=first.device), rows.each
        lengths = rows.lengths
        last = first.float().argmax(-1)
        for place in range(limit):
            if place == limit - 1 and settings.forced_eos_token_id is not None:
                last = torch.full_like(last, int(torch.as_tensor(settings.forced_eos_token_id).min()))
            found[going, place] = last
            kept = (~torch.isin(last, stops)).nonzero()[:, 0]  # once, for a GPU is waited for
            going, last = going[kept], last[kept]
            if not len(going) or place == limit - 1:
                break
            new = Tokens(self.table(last), lengths[going] + place, _paths(owners[going], going, going))
            keys = keys + new
            last = self._logits(new, keys, torch.arange(len(going), device=last.device), cache).float().argmax(-1)
        return found[:, : place + 1], losses

    @contextmanager
    def attending(self, implementation: str) -> Iterator[None]:
        """With the model's attention of this implementation, and afterwards as before."""
        before = self.model.config._attn_implementation
        if implementation != before:
            self.model.set_attn_implementation(implementation)
        try:
            yield
        finally:
            if implementation != before:
                self.model.set_attn_implementation(before)

    def _weighed(self, rows: Rows, answers: Weighed, read: Tokens, first: Tensor, cache: DynamicCache) -> Tensor:
        """The losses of answers to rows that the cache holds, ``[B * n]``.

        Args:
            first: logits of the rows' next tokens, ``[B, V]``.
        """
        written, before = self._answers(rows, answers), _before(rows, answers, len(read))
        begins = before < len(read)
        logits = first.new_empty(len(before), first.shape[1])
        logits[begins] = first[answers.rows]
        if len(written):
            logits[~begins] = self._logits(written, read + written, before[~begins] - len(read), cache)
            cache.crop(-len(written))
        return answers.nll(logits)

    def _inputs(self, rows: Rows) -> Tokens:
        """Every prompt, then every row's input."""
        number, length, width = rows.prompts.shape
        ids, mask = rows.batch.input_ids, rows.batch.input_mask
        row, column = mask.nonzero(as_tuple=True)
        read = self.table(ids[row, column])
        places = torch.arange(number * length, device=ids.device)
        owner, place = places // max(1, length), places % max(1, length)
        padding = None if rows.sizes is None else torch.where(place < rows.sizes[owner], _ANY, _NONE)
        positions = mask.cumsum(1) - 1 + (rows.lengths - mask.sum(1))[:, None]
        return Tokens(
            torch.cat([rows.prompts.reshape(-1, width).to(read.dtype), read]),
            torch.cat([place, positions[row, column]]),
            torch.cat([_paths(owner, padding), _paths(rows.each[row], row)]),
        )

    def _answers(self, rows: Rows, answers: Weighed) -> Tokens:
        """Every token of the answers but each one's last, which nothing follows."""
        answer, column = _followed(answers).nonzero(as_tuple=True)
        row = answers.rows[answer]
        positions = rows.lengths[row] + column
        return Tokens(self.table(answers.labels[answer, column]), positions, _paths(rows.each[row], row, answer))

    def _logits(self, tokens: Tokens, keys: Tokens, kept: Tensor, cache: DynamicCache | None = None) -> Tensor:
        """Next-token logits at some of the tokens, ``[len(kept), V]``.

        Args:
            keys: all that can be seen: what the cache holds, and the tokens.
        """
        mask = tokens.sees(keys)[None, None]
        kind = mask.device.type
        dtype = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else tokens.embeds.dtype
        plain = self.chooses and (kind, dtype) == ("cpu", torch.bfloat16) and mask.numel() <= _PLAIN
        attention = "eager" if plain else self.model.config._attn_implementation
        if attention == "eager":  # it adds what a fused kernel reads as yes and no
            mask = torch.zeros_like(mask, dtype=dtype).masked_fill(~mask, -torch.inf)
        with self.attending(attention):
            out = self.model(
                inputs_embeds=tokens.embeds[None],
                position_ids=tokens.positions[None],
                attention_mask=mask,
                past_key_values=cache,
                use_cache=cache is not None,
                logits_to_keep=kept,
            )
        logits: Tensor = out.logits[0]
        return logits if len(logits) == len(kept) else logits[kept]  # a few families give all, whatever is asked


def _least(config: Any, names: tuple[str, ...]) -> float:
    sizes = (getattr(config, name, None) for name in names)
    return min((size for size in sizes if isinstance(size, int) and size > 0), default=torch.inf)


def _evenly(rows: list[int], sizes: list[int], most: float) -> Iterator[list[int]]:
    """Rows in order in few groups of equally many tokens, of no more than ``most`` if a row allows that."""
    total = sum(sizes[row] for row in rows)
    share = total / max(1, -(-total // max(1, most)))
    group: list[int] = []
    spent = 0
    for row in rows:
        if group and (spent + sizes[row] > most or spent + sizes[row] / 2 > share):
            yield group
            group, spent = [], 0
        group.append(row)
        spent += sizes[row]
    yield group


def _ends(rows: Rows) -> Tensor:
    """Where the last token before each row's answers stands, ``[B]``."""
    inputs = rows.batch.input_mask.sum(1)
    prompts = len(rows.prompts) * rows.prompt_length
    return torch.where(inputs > 0, prompts + inputs.cumsum(0), rows.each * rows.prompt_length + rows.lengths) - 1


def _before(rows: Rows, answers: Weighed, read: int) -> Tensor:
    """Where the token before each token of the answers stands, answer by answer.

    Args:
        read: tokens of prompts and inputs.
    """
    followed = _followed(answers).sum(1)
    answer, column = (answers.labels != IGNORED).nonzero(as_tuple=True)
    own = read + (followed.cumsum(0) - followed)[answer] + column - 1
    return torch.where(column == 0, _ends(rows)[answers.rows[answer]], own)


def _followed(answers: Weighed) -> Tensor:
    """Which tokens of the answers another one follows, ``[B * n, U]``."""
    known = answers.labels != IGNORED
    return torch.arange(known.shape[1], device=known.device) < known.sum(1, keepdim=True) - 1


def _paths(prompt: Tensor, row: Tensor | None = None, answer: Tensor | None = None) -> Tensor:
    below = torch.full_like(prompt, _ANY)
    return torch.stack([prompt, below if row is None else row, below if answer is None else answer], dim=1)
