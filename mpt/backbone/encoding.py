"""From texts to the tensors a backbone reads, with the tokenizer that belongs to that backbone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from mpt.backbone.chat import ChatTemplate
from mpt.util.errors import UserError

IGNORED = -100
"""Label value that no loss counts: Hugging Face's convention."""

_CACHED_TOKENS = 2**21
_BEFORE = "x"


@dataclass(frozen=True)
class Batch:
    """Token ids and masks of B inputs, and the labels of their targets.

    Attributes:
        input_ids: ``[B, T]`` token ids of the inputs (padded on the right for encoder-decoder models, on the
            left for decoder-only ones, so that input and target touch).
        input_mask: ``[B, T]`` one on tokens, zero on padding.
        labels: ``[B, U]`` token ids of the targets, padded on the right with :data:`IGNORED`; ``None``
            without targets.
    """

    input_ids: Tensor
    input_mask: Tensor
    labels: Tensor | None = None

    def to(self, device: torch.device | str) -> Batch:
        """The same batch on another device."""
        labels = None if self.labels is None else self.labels.to(device, non_blocking=True)
        input_ids = self.input_ids.to(device, non_blocking=True)
        return Batch(input_ids, self.input_mask.to(device, non_blocking=True), labels)

    def __len__(self) -> int:
        return len(self.input_ids)

    @property
    def target_lengths(self) -> Tensor:
        """Number of target tokens of each row, ``[B]``."""
        if self.labels is None:
            raise ValueError("this batch has no targets")
        return (self.labels != IGNORED).sum(1)


class Encoder:
    """Tokenises inputs and targets, cuts long ones and counts what it cut.

    The prompt is not part of a text, so cutting never touches it. Token ids are remembered per text: few-shot
    runs see the same few dozen texts hundreds of times.

    Args:
        tokenizer: a Hugging Face tokenizer.
        decoder_only: whether targets continue the input (a space, the target, end of sequence) or are their
            own sequence.
        max_input_length: tokens kept of an input, T.
        max_target_length: tokens kept of a target, U.
        rows: of the model's embedding table; a padding token that was added beyond it is not read, and a text with
            another such token is refused.
        chat_template: whether inputs are turns of a user and targets answers to them, as the tokenizer's chat template
            writes them. Of an input that is too long its own text is cut.

    Attributes:
        end_id: the token that ends a target.
        tail: what a template writes behind an input, which is never cut.
        closing: tokens that an encoder-decoder's tokenizer puts behind a text, which are not cut either.

    Raises:
        UserError: the tokenizer has no chat template, or one that leaves an input no room.
    """

    def __init__(
        self,
        tokenizer: Any,
        decoder_only: bool,
        max_input_length: int,
        max_target_length: int,
        rows: int | None = None,
        chat_template: bool = False,
    ) -> None:
        self.tokenizer = tokenizer
        # Set to tidy up what it decodes ("good ." to "good."), it would give no answer as it was learned.
        tokenizer.clean_up_tokenization_spaces = False
        self.decoder_only = decoder_only
        self.max_input_length = max_input_length
        self.max_target_length = max_target_length
        self.rows = rows
        self.pad_id = _pad_id(tokenizer, rows)
        self.inputs_seen = self.inputs_cut = self.targets_seen = self.targets_cut = 0
        self._cached = 0
        self._inputs: dict[str, list[int]] = {}
        self._targets: dict[str, list[int]] = {}
        self.chat: ChatTemplate | None = None
        self.end_id: int | None = tokenizer.eos_token_id
        self.tail: list[int] = []
        self.closing = 0 if decoder_only else _closing(tokenizer)
        if chat_template:
            self._use_template()

    def __call__(self, inputs: Sequence[str], targets: Sequence[str] | None = None) -> Batch:
        """Encode ``B`` inputs and, where given, their ``B`` targets."""
        rows = self._ids(inputs, self._inputs, self._input_ids)
        input_ids = self._pad(rows, self.pad_id, left=self.decoder_only)
        input_mask = self._pad([[1] * len(row) for row in rows], 0, left=self.decoder_only)
        return Batch(input_ids, input_mask, None if targets is None else self.labels(targets))

    def labels(self, targets: Sequence[str]) -> Tensor:
        """Token ids of ``B`` targets, ``[B, U]``, padded with :data:`IGNORED`."""
        return self._pad(self._ids(targets, self._targets, self._target_ids), IGNORED, left=False)

    def target_ids(self, targets: Sequence[str]) -> list[list[int]]:
        """Token ids of targets as they are before they are cut, their end of sequence with them."""
        if self.decoder_only:
            if self.chat is not None:
                return self._continued([self.chat.answer(text) for text in targets], self.chat.tail)
            return [[*ids, self.tokenizer.eos_token_id] for ids in self._continued([f" {text}" for text in targets])]
        rows, end = self._tokenize(list(targets), as_target=True), self.tokenizer.eos_token_id
        # Some tokenizers (Gemma's) close nothing; mBART's put the language behind the end of sequence.
        return [ids if end is None or end in ids[-2:] else [*ids, end] for ids in rows]

    def _use_template(self) -> None:
        if not self.decoder_only:
            raise UserError("backbone_options.chat_template is for decoder-only models; leave it out")
        name, longest = self.tokenizer.name_or_path, self.max_input_length
        self.chat = ChatTemplate.of(self.tokenizer)
        self.end_id = self.tokenizer.convert_tokens_to_ids(self.chat.end_token)
        self.tail = self._continued([self.chat.tail])[0]
        own = len(self._tokenize([self.chat.turn("")], add_special_tokens=False)[0])
        if own >= longest:
            raise UserError(
                f"the chat template of {name} takes {own} tokens of an input, and max_input_length is {longest}; "
                f"raise it to {own} and what your texts need"
            )

    def _continued(self, texts: list[str], behind: str = _BEFORE) -> list[list[int]]:
        """The ids that each text has behind another one.

        Some tokenizers (Llama 2's) begin every text with a space of their own, so that one by itself, " good", would
        have two. What follows a word's own ids is what follows it in any text; unless the two have grown together.
        """
        before = self._tokenize([behind], add_special_tokens=False)[0]
        rows = self._tokenize([behind + text for text in texts], add_special_tokens=False)
        together = [text for text, ids in zip(texts, rows, strict=True) if ids[: len(before)] != before]
        alone = dict(zip(together, self._tokenize(together, add_special_tokens=False), strict=True)) if together else {}
        return [alone[text] if text in alone else ids[len(before) :] for text, ids in zip(texts, rows, strict=True)]

    def decode(self, ids: Any) -> list[str]:
        """The texts that ``B`` rows of token ids spell, without special tokens and the white space around them."""
        if self.chat is not None:  # a token that ends a turn need not be a special one
            rows = ids.tolist() if isinstance(ids, Tensor) else ids
            ids = [[token for token in row if token != self.end_id] for row in rows]
        texts = self.tokenizer.batch_decode(ids, skip_special_tokens=True)
        return [text.strip() for text in texts]

    def _ids(self, texts: Sequence[str], cache: dict[str, list[int]], encode: Any) -> list[list[int]]:
        fresh = list(dict.fromkeys(text for text in texts if text not in cache))
        known = dict(zip(fresh, encode(fresh), strict=True)) if fresh else {}
        self._cached += (more := sum(map(len, known.values())) + len(known))
        if self._cached <= _CACHED_TOKENS:
            cache.update(known)
        else:
            self._cached -= more
        return [known[text] if text in known else cache[text] for text in texts]

    def _input_ids(self, texts: list[str]) -> list[list[int]]:
        if self.chat is None:
            read = self._tokenize(texts)
        else:  # a start token is a part of its text
            read = self._tokenize([self.chat.turn(text) for text in texts], add_special_tokens=False)
        rows = []
        for ids in read:
            self.inputs_seen += 1
            self.inputs_cut += len(ids) > self.max_input_length
            rows.append(_cut(ids, self.max_input_length, self.tail if self.decoder_only else self._end(ids)))
        return rows

    def _target_ids(self, texts: list[str]) -> list[list[int]]:
        rows = self.target_ids(texts)
        self.targets_seen += len(rows)
        self.targets_cut += sum(len(ids) > self.max_target_length for ids in rows)
        return [self.cut_target(ids) for ids in rows]

    def cut_target(self, ids: list[int]) -> list[int]:
        """What is kept of a target's token ids: the first of them and the end of sequence."""
        return _cut(ids, self.max_target_length, ids[-1:] if self.decoder_only else self._end(ids) or ids[-1:])

    def clashes(self, labels: Sequence[str]) -> Iterator[tuple[str, str, int | None]]:
        """Each label that is one and the same target as one before it, after that one.

        Yields:
            The two, and the ``max_target_length`` by which they differ; None where the tokenizer writes both alike.
        """
        first: dict[tuple[int, ...], tuple[str, list[int]]] = {}
        for label, ids in zip(labels, self.target_ids(labels) if labels else [], strict=True):
            other, theirs = first.setdefault(tuple(self.cut_target(ids)), (label, ids))
            if other != label:
                yield other, label, None if ids == theirs else max(len(ids), len(theirs))

    def _end(self, ids: list[int]) -> list[int]:
        """Of an encoder-decoder's text, what its tokenizer puts behind each: nothing, or an end, or a language too."""
        return ids[len(ids) - self.closing :]

    def _tokenize(self, texts: list[str], as_target: bool = False, **options: Any) -> list[list[int]]:
        # Cutting is ours, so the tokenizer must neither cut nor warn about its own idea of a limit.
        texts_as = {"text_target": texts} if as_target else {"text": texts}
        rows: list[list[int]] = self.tokenizer(**texts_as, truncation=False, verbose=False, **options)["input_ids"]
        for text, ids in zip(texts, rows, strict=True):
            if self.rows is not None and max(ids, default=0) >= self.rows:
                raise UserError(
                    f"the tokenizer has {self.tokenizer.convert_ids_to_tokens(max(ids))!r} for a part of {text!r}, a "
                    f"token beyond the {self.rows} that its model knows; use a backbone whose tokenizer is its own"
                )
        return rows

    @staticmethod
    def _pad(rows: list[list[int]], value: int, left: bool) -> Tensor:
        width = max((len(row) for row in rows), default=0)
        padded = [[value] * (width - len(row)) + row if left else row + [value] * (width - len(row)) for row in rows]
        return torch.tensor(padded, dtype=torch.long).view(len(rows), width)


def _cut(ids: list[int], limit: int, tail: list[int]) -> list[int]:
    """At most ``limit`` ids from the front, and of these the last are the tail's, such as an end of sequence."""
    if len(ids) <= limit:
        return ids
    tail = tail[-limit:]
    return [*ids[: limit - len(tail)], *tail]


def _closing(tokenizer: Any) -> int:
    """How many tokens a tokenizer puts behind a text."""
    bare = tokenizer("a", add_special_tokens=False)["input_ids"]
    whole = tokenizer("a")["input_ids"]
    begin = next((at for at in range(len(whole)) if whole[at : at + len(bare)] == bare), 0)
    return len(whole) - begin - len(bare)


def _pad_id(tokenizer: Any, rows: int | None) -> int:
    """A token to pad with that the model has a row for: any will do, for it is masked, and none that is decoded."""
    known: list[int | None] = [tokenizer.pad_token_id, tokenizer.eos_token_id]
    if rows is not None:
        known = [token for token in (*known, *tokenizer.all_special_ids, 0) if token is None or token < rows]
    return next(token for token in known if token is not None)
