"""The experiment files that come with the package: found by name, shown, copied."""

from __future__ import annotations

import difflib
from pathlib import Path

from mpt.util.errors import UserError
from mpt.util.yaml_file import is_yaml

_KINDS = {"studies": "study", "sweeps": "sweep"}
"""Folders of shipped files that are no runs."""


def config_root() -> Path:
    """Folder of the shipped YAML files: ``experiments/`` of the repository, ``mpt/experiments`` of an install."""
    import mpt.experiments

    return Path(mpt.experiments.__path__[0])


def shipped_configs() -> dict[str, Path]:
    """Name (path below the root, without ``.yaml``) and file of every shipped experiment."""
    root = config_root()
    return {path.relative_to(root).with_suffix("").as_posix(): path for path in sorted(root.rglob("*.yaml"))}


def find_config(name: str, *kinds: str, beside: str = "") -> Path:
    """A file as given if it exists, else the shipped file of that name, with or without ``experiments/`` and ``.yaml``.

    Args:
        name: a file, or the name of a shipped one.
        kinds: folders that may be left out before the name: ``studies``, ``sweeps``.
        beside: a file in whose folder it is looked for first.

    Raises:
        UserError: if there is neither; names the nearest.
    """
    path = Path(name)
    what = " or ".join(_KINDS[kind] for kind in kinds) or "config"
    if not path.name:
        raise UserError(f"{what} {name!r} names a folder; give a file")
    if beside and (near_it := Path(beside).parent / name).is_file():
        return near_it
    if path.is_file():
        return path
    shipped = shipped_configs()
    key = path.with_suffix("").as_posix().removeprefix("experiments/")
    keys = [*(f"{kind}/{key}" for kind in kinds), key]
    for candidate in keys:
        if candidate in shipped:
            return shipped[candidate]
    if path.is_dir():
        raise UserError(f"{what} {name} is a folder; give a file")
    neighbours = {str(other): other.stem for other in _yaml_files(path.parent)}
    near = [other for other, stem in neighbours.items() if difflib.get_close_matches(path.stem, [stem], cutoff=0.75)]
    meant = {key.partition("/")[0]} & {*_KINDS} or {*kinds}
    of_kind = [known for known in shipped if bool(meant) == (known.partition("/")[0] in (meant or _KINDS))]
    for known in (of_kind, shipped):
        near = near or difflib.get_close_matches(key if "/" in key else keys[0], known, n=3, cutoff=0.4)
    hint = f"did you mean {', '.join(near[:3])}?" if near else "mpt configs list names them"
    raise UserError(f"{what} {name}: no such file, and no shipped one of that name; {hint}")


def _yaml_files(folder: Path) -> list[Path]:
    try:
        return sorted(path for path in folder.iterdir() if is_yaml(path))
    except OSError:  # it is none, or may not be read
        return []


def called_as(file: str) -> str:
    """A shipped file by the name that :func:`find_config` finds it by anywhere; another file as it is."""
    path, root = Path(file).absolute(), config_root()
    return path.relative_to(root).with_suffix("").as_posix() if path.is_relative_to(root) else file
