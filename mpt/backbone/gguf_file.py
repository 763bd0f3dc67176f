"""GGUF files, the format of llama.cpp, made into ordinary Hugging Face folders once."""

from __future__ import annotations

import hashlib
import logging
import sys
from contextlib import nullcontext, redirect_stderr
from functools import cache
from importlib.util import find_spec
from io import StringIO
from pathlib import Path
from typing import Any

from mpt.util.distribution import install
from mpt.util.errors import UserError, one_line
from mpt.util.files import clear_left

log = logging.getLogger(__name__)

_NEEDED = ("gguf", "accelerate")
"""What transformers reads such files with."""

_SCALES = ("rope_freqs", "rope_factors")
"""Tensors by which llama.cpp scales rotary positions. transformers' reader leaves them out and says nothing."""

_INSTEAD = "give the model as a hub name or as a Hugging Face folder"


def folder_of(file: Path, name: str) -> Path:
    """The Hugging Face folder of a GGUF file: its weights in float32, exactly, and its tokenizer.

    It is made where it is not there yet, below the Hugging Face cache, under a name that tells the file's content and
    the version of transformers, so that it is never another file's. Whoever comes meanwhile waits.

    Args:
        name: what the user called the backbone.

    Raises:
        UserError: the file is no GGUF file, is cut short, or its architecture is unknown; a package is missing; or
            the cache cannot be written to.
    """
    from huggingface_hub.utils import WeakFileLock

    _refuse_others(file, name)
    root = cache_folder()
    folder = root / f"{file.stem[:80]}-{_digest(file)}"
    if folder.is_dir():
        return folder
    if missing := [package for package in _NEEDED if find_spec(package) is None]:
        raise UserError(
            f"backbone {name}: GGUF files are read with {' and '.join(missing)}, not installed here: {install('gguf')}"
        )
    try:
        root.mkdir(parents=True, exist_ok=True)
        with WeakFileLock(root / ".lock"):
            clear_left(root)
            if not folder.is_dir():
                _refuse_damaged(file, name)
                # A warning, for it is seen whatever a command has made of its log: a large file takes minutes.
                log.warning("backbone %s is made into ordinary weights once, which takes a while: %s", name, folder)
                _make(file, name, folder)
    except OSError as error:
        raise UserError(
            f"backbone {name}: {root}, where GGUF files are made into ordinary weights, cannot be written to "
            f"({error.strerror or one_line(error)}); name another cache by HF_HOME"
        ) from error
    return folder


def cache_folder() -> Path:
    """Where the folders are. Any of them may be deleted at any time: it is made again."""
    from huggingface_hub import constants

    return Path(constants.HF_HOME) / "mpt" / "gguf"


def _digest(file: Path) -> str:
    import transformers

    facts = file.resolve().stat()
    content = _content_digest(str(file.resolve()), facts.st_size, facts.st_mtime_ns, facts.st_ino)
    return hashlib.sha256(f"{content} {transformers.__version__}".encode()).hexdigest()[:16]


@cache
def _content_digest(path: str, *facts: int) -> str:
    """Read once a process, for as long as the file's facts stay."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 22):
            digest.update(block)
    return digest.hexdigest()


def _refuse_others(file: Path, name: str) -> None:
    try:
        with file.open("rb") as content:
            head = content.read(4)
    except OSError as error:
        raise UserError(f"backbone {name}: {file} cannot be read: {error.strerror}") from error
    if head != b"GGUF":
        raise UserError(f"backbone {name}: {file} is no GGUF file, for it does not begin with GGUF; {_INSTEAD}")


def _refuse_damaged(file: Path, name: str) -> None:
    """By the table of tensors: transformers' words for these files name neither the file nor the way on."""
    from gguf import GGUFReader

    try:
        reader: Any = GGUFReader(file)
    except Exception as error:  # whatever numpy says of bytes that are not there
        raise UserError(
            f"backbone {name}: the GGUF file {file} is cut short or damaged ({one_line(error)}); fetch it again"
        ) from error
    parts = reader.get_field("split.count")
    if parts is not None and (count := int(parts.contents())) > 1:
        raise UserError(
            f"backbone {name}: {file} is one of {count} parts of a GGUF file; join them with llama.cpp's "
            "llama-gguf-split --merge"
        )
    if scales := [tensor.name for tensor in reader.tensors if tensor.name.startswith(_SCALES)]:
        raise UserError(
            f"backbone {name}: {file} scales its rotary positions by {scales[0]}, which transformers leaves out of "
            f"such files, so the model would be another; {_INSTEAD}"
        )


def _make(file: Path, name: str, folder: Path) -> None:
    import torch
    from transformers import AutoConfig, AutoTokenizer

    from mpt.backbone.checks import model_class, refuse_missing
    from mpt.backbone.saving import save_backbone

    where: dict[str, Any] = {"gguf_file": file.name}
    try:
        config = AutoConfig.from_pretrained(file.parent, **where)
        kind = model_class(config, name)
        with nullcontext() if sys.stderr.isatty() else redirect_stderr(StringIO()):  # transformers' bar
            model, found = kind.from_pretrained(
                file.parent, config=config, dtype=torch.float32, output_loading_info=True, **where
            )
        refuse_missing(found["missing_keys"], name)
        tokenizer = AutoTokenizer.from_pretrained(file.parent, **where)
    except UserError:
        raise
    except Exception as error:  # three libraries read these files, each with exceptions of its own
        raise UserError(f"backbone {name}: {file} cannot be read as GGUF: {one_line(error)}; {_INSTEAD}") from error
    # They are plain numbers now; transformers refuses to save what it takes for quantised.
    if hasattr(model.config, "quantization_config"):
        del model.config.quantization_config
    model.hf_quantizer = None
    save_backbone(folder, model, tokenizer)
