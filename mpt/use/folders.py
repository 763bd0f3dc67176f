"""Where a prompt lies."""

from __future__ import annotations

from pathlib import Path

from mpt.prompt.files import is_prompt
from mpt.record.folder import PROMPT


def prompt_folder(folder: Path) -> Path:
    """The folder of a prompt: itself, or that of the run which it is the folder of."""
    return folder / PROMPT if not is_prompt(folder) and is_prompt(folder / PROMPT) else folder
