"""The folder of an earlier run is kept, not written over."""

from __future__ import annotations

import os
from pathlib import Path


def set_aside(folder: Path) -> bool:
    """Rename the folder of an earlier run, if it is one, so that a new fit neither mixes with it nor loses it."""
    if not (folder / "config.yaml").is_file():
        return False
    number = 1
    while folder.with_name(f"{folder.name}.{number}").exists():
        number += 1
    os.rename(folder, folder.with_name(f"{folder.name}.{number}"))
    print(f"an earlier run in {folder} was kept as {folder.name}.{number}")
    return True
