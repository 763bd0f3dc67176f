"""A task in another language: its files with each text translated."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from mpt.data.build.build import check_inside
from mpt.data.fewshot.files import TaskDraws, write_tsv
from mpt.data.tasks.task import Example
from mpt.util.errors import UserError
from mpt.util.files import new_folder, write_text
from mpt.util.places import open_own
from mpt.util.reading import is_writable, read_json_lines

Side = Literal["inputs", "outputs"]

AT_ONCE = 256
"""Texts that are translated before the translations are written down."""


def write_translated(
    root: Path,
    task: str,
    name: str,
    translate: Callable[[Sequence[str]], list[str]],
    sides: Sequence[Side] = ("inputs", "outputs"),
    by: str = "",
    told: Callable[[int, int], None] = lambda done, count: None,
) -> int:
    """Make the task ``name`` of another: every draw and split that is there, with its texts translated.

    With both sides it is what TRANS-TRAIN of Vu et al. (2022) learns on; with the inputs alone, into the language that
    was learned in, what TRANS-TEST asks. What was translated when the work was stopped is not translated again.

    Args:
        root: the data folder of both.
        translate: texts to as many texts, such as :class:`mpt.backbone.translator.Translator`.
        sides: what is translated of an example; an empty text stays so.
        by: names what translates, so that what another began is not gone on with.
        told: how many different texts are done, of how many.

    Returns:
        The number of different texts.

    Raises:
        UserError: no such task; a name that is there already, or cannot be a folder's; a damaged file.
    """
    check_inside(root, name)
    draws, folder = TaskDraws.of(root, task), root / name
    if folder.exists():
        raise UserError(f"{folder} is there already; choose another name, or remove it.")
    read = {key: draws.read(key[2], key[1], key[0]) for key in draws.files}
    texts = list(dict.fromkeys(text for examples in read.values() for one in examples for text in _texts(one, sides)))
    # Beside the folder, which appears when it is whole.
    kept = root / f".{name}.{hashlib.sha256(by.encode()).hexdigest()[:8]}.jsonl"
    said = _before(kept)
    if said:
        write_text(kept, "".join(map(_line, said.items())))  # without what a kill cut
    left = [text for text in texts if text not in said]
    with os.fdopen(open_own(kept), "a", encoding="utf-8") as file, _nothing_left(kept):
        for start in range(0, len(left), AT_ONCE):
            told(len(texts) - len(left) + start, len(texts))
            part = left[start : start + AT_ONCE]
            for text, translation in zip(part, translate(part), strict=True):
                said[text] = " ".join(translation.split())
                file.write(_line((text, said[text])))
            file.flush()
    told(len(texts), len(texts))
    outputs = [text for examples in read.values() for one in examples for text in one.targets if "outputs" in sides]
    if blank := next((text for text in outputs if text.strip() and not said[text]), None):
        raise UserError(f"the translation of the output {blank!r:.80} is empty; try another --model, or --ask")
    with new_folder(folder) as fresh:
        for (k, seed, split), examples in read.items():
            translated = [_translated(one, sides, said) for one in examples]
            write_tsv(fresh / f"{name}_{k}_{seed}_{split}.tsv", translated)
    kept.unlink()
    return len(texts)


def _texts(example: Example, sides: Sequence[Side]) -> list[str]:
    return [*([example.input] if "inputs" in sides else []), *(example.targets if "outputs" in sides else ())]


def _translated(example: Example, sides: Sequence[Side], said: dict[str, str]) -> Example:
    targets = tuple(said[text] for text in example.targets) if "outputs" in sides else example.targets
    return Example(said[example.input] if "inputs" in sides else example.input, targets)


@contextmanager
def _nothing_left(path: Path) -> Iterator[None]:
    """Remove a file that nothing came into."""
    try:
        yield
    finally:
        if not path.stat().st_size:
            path.unlink()


def _line(pair: tuple[str, str]) -> str:
    return json.dumps(pair, ensure_ascii=False) + "\n"


def _before(path: Path) -> dict[str, str]:
    """What a stopped command translated; a line that a kill cut is none."""
    if not path.exists():
        return {}
    return dict(read_json_lines(path, "translation", _pair, True, "; remove the file, and the command begins anew"))


def _pair(row: Any) -> tuple[str, str]:
    if (
        not isinstance(row, list)
        or len(row) != 2
        or not all(isinstance(text, str) and is_writable(text) for text in row)
    ):
        raise ValueError("it must be a list of two texts")
    return row[0], row[1]
