"""What a prompt says in words: the tokens nearest to each of its rows (Lester et al. 2021, section 7)."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import normalize

from mpt.backbone.vocabulary import Vocabulary

COSINE, EUCLID = MEASURES = ("cosine", "euclid")
TOP = 5
"""Tokens that are looked at of each row, as the paper does."""

_DIRECTIONS = 256
_PLACEHOLDER = re.compile(r"[<\[]\W*(unused|reserved|extra_id|pad|mask)\w*\W*[>\]]", flags=re.IGNORECASE)
_SHORTEST, _SHARED = 3, 0.8


@dataclass(frozen=True)
class Neighbours:
    """The tokens nearest to some rows, and what they have in common.

    Attributes:
        values: cosine or Euclidean distance of each token, the nearest first, ``[P, k]``.
        tokens: their texts.
        forms: of each row, how many of its tokens are forms of one word, see :func:`are_forms`; 1 if no two are.
        alike: of each row, the mean cosine of its tokens with each other, ``[P]``.
        labels: of each row, the label words among its tokens.
    """

    values: Tensor
    tokens: list[list[str]]
    forms: list[int]
    alike: Tensor
    labels: list[list[str]]

    @property
    def with_forms(self) -> float:
        """Share of the rows with at least two forms of one word."""
        return sum(count > 1 for count in self.forms) / len(self.forms)

    @property
    def with_label(self) -> float:
        """Share of the rows with a label word."""
        return sum(map(bool, self.labels)) / len(self.labels)

    @property
    def found(self) -> set[str]:
        """The label words that any row has."""
        return {label for own in self.labels for label in own}


class Words:
    """The tokens of a vocabulary that can be said: none that are special, that stand for nothing (``<unused7>``), or
    whose embedding is zero.

    Args:
        by: the measure of nearness: ``cosine`` or ``euclid``.
        top: how many tokens are looked at of each row.
    """

    def __init__(self, vocabulary: Vocabulary, by: str = COSINE, top: int = TOP) -> None:
        self.vocabulary, self.by, self.top = vocabulary, by, top
        tokenizer, table = vocabulary.tokenizer, vocabulary.embeddings
        special = {*tokenizer.all_special_ids}
        special |= {token for token, added in tokenizer.added_tokens_decoder.items() if added.special}
        raw = tokenizer.convert_ids_to_tokens(list(range(len(table))))
        used = table.ne(0).any(1).tolist()
        self.ids = torch.tensor(
            [
                i
                for i, token in enumerate(raw)
                if token is not None and used[i] and i not in special and not _PLACEHOLDER.fullmatch(token)
            ]
        )
        self.table = table[self.ids]
        self.directions = normalize(self.table, dim=1)

    def near(self, rows: Tensor, labels: Collection[str] = ()) -> Neighbours:
        """The nearest tokens of some rows ``[P, H]``.

        Args:
            labels: label words to look for. One that is a token, in capitals or not, is found by it; one that is
                several tokens by any of them that has two letters and is in no other label.
        """
        if self.by == COSINE:
            found = (normalize(rows, dim=1) @ self.directions.T).topk(min(self.top, len(self.ids)))
        else:
            found = torch.cdist(rows, self.table).topk(min(self.top, len(self.ids)), largest=False)
        beside = self.directions[found.indices]
        count = beside.shape[1]
        alike = (torch.einsum("pkh,plh->p", beside, beside) - count) / max(1, count * (count - 1))
        ids = self.ids[found.indices].tolist()
        tokens = [[self.text(token) for token in row] for row in ids]
        named, pieces = self._of_labels(labels)
        told = [
            list(dict.fromkeys(label for token, text in zip(row, texts, strict=True)
                               if (label := named.get(text.casefold()) or pieces.get(token))))
            for row, texts in zip(ids, tokens, strict=True)
        ]  # fmt: skip
        return Neighbours(found.values, tokens, [most_forms(texts) for texts in tokens], alike, told)

    def near_random(self, rows: Tensor, labels: Collection[str] = ()) -> Neighbours:
        """Likewise of random directions, as long as the rows are: what there is by chance."""
        drawn = torch.randn(_DIRECTIONS, rows.shape[1], generator=torch.Generator().manual_seed(0))
        lengths = rows.norm(dim=1).repeat(-(-_DIRECTIONS // len(rows)))[:_DIRECTIONS]
        return self.near(normalize(drawn, dim=1) * lengths[:, None], labels)

    def text(self, token: int) -> str:
        """A token as it is read; as the tokenizer writes it where it is white space or a part of a letter."""
        text: str = self.vocabulary.tokenizer.decode([token]).strip()
        if text and text.isprintable() and "\N{REPLACEMENT CHARACTER}" not in text:
            return text
        return str(self.vocabulary.tokenizer.convert_ids_to_tokens(token)).encode("unicode_escape").decode()

    def _of_labels(self, labels: Collection[str]) -> tuple[dict[str, str], dict[int, str]]:
        """Label by its whole text in small letters, and by the tokens that it alone is spelt with."""
        pieces: dict[int, list[str]] = {}
        for label in labels:
            tokenizer = self.vocabulary.tokenizer
            forms = (tokenizer(form, add_special_tokens=False)["input_ids"] for form in (label, f" {label}"))
            for token in {token for ids in forms for token in ids}:
                pieces.setdefault(token, []).append(label)
        own = {token: found[0] for token, found in pieces.items() if len(found) == 1}
        kept = {token: label for token, label in own.items() if sum(map(str.isalpha, self.text(token))) > 1}
        return {label.casefold(): label for label in labels}, kept


def are_forms(one: str, other: str) -> bool:
    """Whether two tokens are forms of one word, by their letters alone: in small letters they are equal, or begin with
    the same three letters or more that are at least four fifths of the shorter.

    >>> are_forms("Technology", "technologies"), are_forms("internal", "internet")
    (True, False)
    """
    one, other = one.casefold(), other.casefold()
    if one == other:
        return True
    if not (one.isalpha() and other.isalpha()):
        return False
    shared = next((i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
    return shared >= max(_SHORTEST, _SHARED * min(len(one), len(other)))


def most_forms(tokens: Sequence[str]) -> int:
    """How many of some tokens are forms of the same one among them, itself with them."""
    return max((sum(are_forms(token, other) for other in tokens) for token in tokens), default=0)
