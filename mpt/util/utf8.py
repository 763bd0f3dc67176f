"""The bytes of a text file as text: what editors and spreadsheets put around it taken away, or named."""

from __future__ import annotations

import codecs
from pathlib import Path

from mpt.util.errors import UserError

_OTHERS = {
    codecs.BOM_UTF32_LE: "UTF-32",
    codecs.BOM_UTF32_BE: "UTF-32",
    codecs.BOM_UTF16_LE: "UTF-16",
    codecs.BOM_UTF16_BE: "UTF-16",
}


def utf8_text(path: Path, content: bytes, first: int = 1) -> str:
    """The text without a byte order mark; line ends as they are.

    Args:
        path: the file, for complaints.
        content: its bytes, or whole lines of it.
        first: number of the first line.

    Raises:
        UserError: another encoding, or bytes that are no UTF-8, by file and line.
    """
    for mark, name in _OTHERS.items():
        if first == 1 and content.startswith(mark):
            raise UserError(f"{path} is {name} (as some programs save “Unicode text”); save it as UTF-8")
    if b"\0" in content:
        line = content.count(b"\n", 0, content.index(b"\0")) + first
        raise UserError(
            f"{path}, line {line} holds a null byte, as in UTF-16 or a file that is no text; save it as UTF-8"
        )
    try:
        text = content.decode("utf-8")
        return text.lstrip("\ufeff") if first == 1 else text
    except UnicodeDecodeError as error:
        begin = content.rfind(b"\n", 0, error.start) + 1
        line = content.count(b"\n", 0, begin) + first
        raise UserError(
            f"{path}, line {line} is not UTF-8: {error.reason} at byte {error.start - begin}; save the file as UTF-8"
        ) from None
