"""Labels that differ, and that nobody can tell apart by looking at them."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping

from mpt.util.errors import UserError


def refuse_lookalikes(where: str, labels: Mapping[str, int]) -> None:
    """Complain of two labels that look alike.

    Args:
        where: the start of a complaint: the file.
        labels: by label, the line that it first stands in; 0 where there are no lines.
    """
    seen: dict[str, str] = {}
    for label, line in labels.items():
        other = seen.setdefault(look(label), label)
        if other != label:
            places = sorted([(labels[other], other), (line, label)])
            texts = [ascii(text) + (f" (line {at})" if at else "") for at, text in places]
            raise UserError(
                f"{where}: the labels {' and '.join(texts)} look alike and differ in signs that are not seen, or in "
                "Unicode's ways to write one letter; write them in one way"
            )


def as_seen(label: str, labels: Iterable[str]) -> str:
    """The end of a complaint about a label that looks like a known one; empty if it does not."""
    alike = next((known for known in labels if look(known) == look(label)), None)
    return f"it looks like {alike!a} but is {label!a}" if alike is not None else ""


def look(label: str) -> str:
    """The label as it is seen: letters in one form (NFC), spaces of one kind, no format signs (zero-width spaces)."""
    signs = [(sign, unicodedata.category(sign)) for sign in unicodedata.normalize("NFC", label)]
    return "".join(" " if kind == "Zs" else sign for sign, kind in signs if kind != "Cf" and sign not in "\ufe0e\ufe0f")
