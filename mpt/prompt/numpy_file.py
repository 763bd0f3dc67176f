"""A prompt in a NumPy file, as google-research/prompt-tuning saves one: ``[P, H]`` and nothing else."""

from __future__ import annotations

from pathlib import Path
from tokenize import TokenError
from typing import Any

import numpy as np
import numpy.typing as npt

from mpt.prompt.files import backbone_facts, save_prompt
from mpt.util.errors import UserError
from mpt.util.files import writing_to
from mpt.util.places import expanded
from mpt.util.reading import open_file


def read_numpy(file: Path) -> npt.NDArray[np.float32]:
    """The prompt in a ``.npy`` file, ``[P, H]``. Nothing is unpickled.

    Raises:
        UserError: there is no such file, or it holds something else than rows of finite floating-point numbers.
    """
    try:
        with open_file(expanded(file)):
            held = np.load(expanded(file), mmap_mode="r", allow_pickle=False)
    except OSError as error:
        raise UserError(f"prompt {file} cannot be read: {error.strerror or error}") from error
    except (
        ValueError,
        EOFError,
        OverflowError,
        SyntaxError,
        TokenError,
    ) as error:  # numpy's own words tell how to unpickle it
        raise UserError(
            f"prompt {file} is no .npy file of plain numbers; numpy.save writes one of a float32 array "
            "[length, hidden size]"
        ) from error
    if not isinstance(held, np.ndarray):
        held.close()
        raise UserError(f"prompt {file} is an archive of arrays ({', '.join(held.files)}); give one of them, as .npy")
    if held.ndim != 2 or not held.size:
        raise UserError(f"prompt {file} holds an array of shape {list(held.shape)}; [length, hidden size] was expected")
    if held.dtype.kind != "f":
        raise UserError(f"prompt {file} holds numbers of type {held.dtype}; save them as float32")
    with np.errstate(over="ignore"):
        weight = np.array(held, dtype=np.float32, order="C")
    if not np.isfinite(weight).all():
        raise UserError(f"prompt {file} holds numbers that are not finite in float32")
    return weight


def import_numpy(file: Path, out: Path, backbone: str, config: Any, hidden_size: int) -> tuple[int, int]:
    """Write the prompt folder of a ``.npy`` file.

    Args:
        out: a new folder.
        backbone: name of the model that the prompt was learned on, which the file does not say.
        config: the model's configuration.
        hidden_size: width of the model's input embeddings, H.

    Returns:
        P and H.

    Raises:
        UserError: see :func:`read_numpy`; its rows are not as wide as the backbone's; or nothing can be written there.
    """
    import torch

    weight = read_numpy(file)
    length, width = weight.shape
    if width != hidden_size:
        raise UserError(
            f"prompt {file} has hidden size {width}, but backbone {backbone} has hidden size {hidden_size}; give the "
            "backbone that it was learned on"
        )
    facts = {"imported": file.name, **backbone_facts(config)}
    with writing_to(out.parent, "OUT"):
        save_prompt(out, torch.from_numpy(weight), backbone, not config.is_encoder_decoder, facts)
    return length, width
