"""Checkpoints to go on from or to test: local files alone, read as tensors and plain values, so that none runs code."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mpt.util.errors import UserError
from mpt.util.places import expanded


class BadCheckpoint(UserError):
    """A checkpoint that nothing can go on from."""


LAST = "last.ckpt"
"""A run's own, in its folder."""

_PARTS = {
    **dict.fromkeys(("state_dict", "loops", "callbacks", "of", "spent"), dict),
    **dict.fromkeys(("optimizer_states", "lr_schedulers"), list),
}
"""What a checkpoint may hold, by kind."""


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
    path = folder / LAST if given == "last" else expanded(given)
    if not path.is_file():
        if given == "last":
            raise UserError(f"--ckpt_path last: there is no {path}")
        raise UserError(f"--ckpt_path {given}: no such file; give a checkpoint's, or last")
    path = path.absolute()  # a name such as http-run/last.ckpt must not be taken for a URL
    refuse_unsafe({"ckpt_path": path})
    return path


def read_checkpoint(path: Path) -> dict[str, Any]:
    """What a checkpoint holds, on the CPU.

    Raises:
        BadCheckpoint: it is none, or holds more than tensors and plain values.
    """
    import torch

    try:
        content = torch.load(path, weights_only=True, map_location="cpu")
    except Exception as error:  # torch's, zip's and pickle's
        raise BadCheckpoint(
            # Without what torch says: it advises to let the file run code.
            f"checkpoint {path} cannot be read, or holds more than tensors and plain values ({type(error).__name__})"
        ) from error
    if not isinstance(content, dict) or "state_dict" not in content:
        raise BadCheckpoint(f"checkpoint {path} is none of a run: it has no state_dict")
    wrong = [name for name, kind in _PARTS.items() if name in content and not isinstance(content[name], kind)]
    if not wrong:
        wrong = [name for name, value in content["state_dict"].items() if not _is_learned(value)]
    if wrong:
        raise unusable(path, f"what it has as {wrong[0]} is none or not finite")
    return content


def unusable(path: Path | str, why: str) -> BadCheckpoint:
    """The complaint of a checkpoint that is damaged, or was written by a version that wrote others."""
    return BadCheckpoint(
        f"checkpoint {path} is damaged or of another version ({why}); name another, or start anew without --ckpt_path"
    )


def _is_learned(value: Any) -> bool:
    import torch

    is_plain = isinstance(value, torch.Tensor) and value.layout == torch.strided and value.is_floating_point()
    return is_plain and bool(value.isfinite().all())


def check_same(
    path: Path | str, content: dict[str, Any], now: dict[str, Any], shapes: dict[str, list[int]], training: bool
) -> None:
    """Refuse to go on from a checkpoint of another run, or to test one of another model.

    Args:
        path: of the checkpoint.
        content: of it; one of an earlier version does not say what it is of, and is judged by its shapes.
        now: what this run is of, see :meth:`mpt.learn.learner.Learner.identity`.
        shapes: of what is learned now, by name.
        training: whether the run is to go on; what is tested may have been learned on another task, or otherwise.

    Raises:
        BadCheckpoint: names all that differs.
    """
    before = content.get("of", {})
    names = [name for name in now if training or name in ("backbone", "weights", "prompt length", "fixed rows")]
    told = [
        f"{name} {_shown(before[name])} (now {_shown(now[name])})"
        for name in names
        if name in before and before[name] != now[name]
    ]
    stored = {name: list(value.shape) for name, value in content["state_dict"].items()}
    version = "" if told else " or version"
    if not told and stored != shapes:
        name = next(name for name in {**shapes, **stored} if stored.get(name) != shapes.get(name))
        told = [f"{name} {stored.get(name, 'not at all')} (now {shapes.get(name, 'not at all')})"]
    if told:
        end = "start anew without --ckpt_path" if training else "name another"
        raise BadCheckpoint(
            f"checkpoint {path} is of another run{version}: it has {', '.join(told)}; give what it had, or {end}"
        )


def plain_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """Options as a checkpoint holds and names them; without those of a kind that it would not be read with."""
    plain = bool | int | float | str | tuple | list | dict | None
    return {
        name.replace("_", " "): list(value) if isinstance(value, tuple) else value
        for name, value in options.items()
        if isinstance(value, plain)
    }


def _shown(value: Any) -> str:
    return (
        ", ".join(map(str, value))
        if isinstance(value, list)
        else format(value, "g")
        if isinstance(value, float)
        else str(value)
    )
