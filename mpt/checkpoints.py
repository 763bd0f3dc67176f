"""Checkpoints to go on from or to test: local files alone, read as tensors and plain values, so that none runs code."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mpt.errors import UserError, one_line

LAST = "last.ckpt"
"""A run's own, in its folder."""


def refuse_unsafe(config: Any) -> None:
    """Refuse a checkpoint from elsewhere, and one that may hold code, before anything is loaded.

    Args:
        config: of a subcommand; its ``weights_only`` is True afterwards, as Lightning would take what comes from a URL
            for safe.

    Raises:
        UserError: it asks for either.
    """
    given = config.get("ckpt_path")
    # Two colons are how fsspec, by which Lightning opens files, chains one file system to another.
    if given is not None and any(sign in str(given) for sign in ("://", "::")):
        raise UserError(f"ckpt_path {given}: a checkpoint is a file on this machine; download it and name that file")
    if config.get("weights_only") is False:
        raise UserError(
            "weights_only false would let a checkpoint run any code; checkpoints of mpt hold tensors and plain values, "
            "so leave it out"
        )
    if "weights_only" in config:
        config.weights_only = True


def find_checkpoint(given: str, folder: Path) -> Path:
    """The file that ``--ckpt_path`` names, as an absolute path.

    Args:
        given: a file, or ``last``.
        folder: of the run.

    Raises:
        UserError: there is none.
    """
    if given == "best":
        raise UserError(
            f"--ckpt_path best: what was best on dev is no checkpoint but lies in {folder}; validate, test and predict "
            "take it without --ckpt_path, and fit goes on with --ckpt_path last"
        )
    path = folder / LAST if given == "last" else Path(given).expanduser()
    if not path.is_file():
        if given == "last":
            raise UserError(f"--ckpt_path last: there is no {path} to go on from; start without --ckpt_path")
        raise UserError(f"--ckpt_path {given}: no such file; give a checkpoint's, or last")
    path = path.absolute()  # a name such as http-run/last.ckpt must not be taken for a URL
    refuse_unsafe({"ckpt_path": path})
    return path


def read_checkpoint(path: Path) -> dict[str, Any]:
    """What a checkpoint holds, on the CPU.

    Raises:
        UserError: it is none, or holds more than tensors and plain values.
    """
    import torch

    try:
        content = torch.load(path, weights_only=True, map_location="cpu")
    except Exception as error:  # torch's, zip's and pickle's
        raise UserError(
            f"checkpoint {path} cannot be read, or holds more than tensors and plain values ({one_line(error)})"
        ) from error
    if not isinstance(content, dict) or "state_dict" not in content:
        raise UserError(f"checkpoint {path} is none of a run: it has no state_dict")
    return content
