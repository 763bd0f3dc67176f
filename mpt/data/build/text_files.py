"""Text files as a source task of unlabelled text, in CrossFit's form of a data folder."""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from mpt.data.build.build import check_inside, link
from mpt.data.catalogue.filters import clean
from mpt.data.modules.unlabelled import documents
from mpt.data.tasks.sampling import draw
from mpt.data.tasks.task import Example
from mpt.util.errors import UserError
from mpt.util.files import new_folder
from mpt.util.reading import is_writable, lines_of, open_file, parse_json

_PACKED = 100
"""How much smaller a file of text can be packed; gzip makes what is not one a thousand times smaller."""
_UNJUDGED = 1 << 20


def write_texts(root: Path, name: str, files: Sequence[Path], seeds: Sequence[int]) -> int:
    """Make a task of unlabelled text from files; returns the number of its documents.

    The files are ``<root>/<name>/<name>_all_<seed>_{train,dev,test}.tsv``, the same for every seed; test is dev again.

    Args:
        files: ``.txt``, where an empty line ends a document, or ``.jsonl``/``.json``, a document a line in its key
            ``text``, as C4 has it; either may end in ``.gz``.

    Raises:
        UserError: a name that cannot be a folder's, a folder that is there already; a file that cannot be read or is of
            another form, by line; too little text for a train and a dev part.
    """
    folder = root / name
    check_inside(root, name)
    if folder.exists():
        raise UserError(f"{folder} is there already; choose another name, or remove it.")
    texts = dict.fromkeys(clean(text) for file in files for text in _texts(file))
    found = documents([Example("", (text,)) for text in texts])
    train, dev = draw(found, "all", by_label=False)
    if not dev:
        raise UserError(f"{', '.join(map(str, files))}: {len(found)} documents are too few; 5 or more are needed.")
    with new_folder(folder) as fresh:
        for split, part in (("train", train), ("dev", dev), ("test", dev)):
            first = fresh / f"{name}_all_{seeds[0]}_{split}.tsv"
            first.write_text("".join(f"\t{example.targets[0]}\n" for example in part), encoding="utf-8", newline="\n")
            for seed in seeds[1:]:
                link(first, fresh / f"{name}_all_{seed}_{split}.tsv")
    return len(found)


def _texts(path: Path) -> Iterator[str]:
    suffixes = [suffix for suffix in path.suffixes if suffix != ".gz"]
    kind = suffixes[-1] if suffixes else ""
    if kind not in (".txt", ".jsonl", ".json"):
        raise UserError(f"{path}: text files end in .txt, .jsonl or .json, and perhaps .gz.")
    number = unpacked = 0
    try:
        with open_file(path) as raw:
            packed = gzip.GzipFile(fileobj=raw) if path.suffix == ".gz" else raw
            file = io.TextIOWrapper(packed, encoding="utf-8-sig")
            begun: list[str] = []
            for line in lines_of(file):
                number += 1
                unpacked += len(line)
                if unpacked > _UNJUDGED and unpacked > _PACKED * raw.tell():
                    raise UserError(
                        f"{path} unpacks to more than {_PACKED} times its size, as no text does; if it is one, unpack "
                        "it and give that file"
                    )
                text = line if kind == ".txt" else _text(parse_json(line))
                if not is_writable(text):
                    raise UserError(f"{path}, line {number} holds a null byte or half a sign, which no file can.")
                if kind != ".txt":
                    yield text
                elif line.strip():
                    begun.append(line)
                elif begun:
                    yield "".join(begun)
                    begun = []
            if begun:
                yield "".join(begun)
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is not UTF-8 text: {error.reason} at byte {error.start}.") from None
    except (OSError, EOFError, zlib.error) as error:
        raise UserError(f"Cannot read {path}: {getattr(error, 'strerror', None) or error}.") from error
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path}, line {number} is no JSON object with the key text.") from error


def _text(record: Any) -> str:
    text = record["text"]
    if not isinstance(text, str):
        raise TypeError
    return text
