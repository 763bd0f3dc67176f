"""Digests of what a run reads beside its options: the same words over other data are another run."""

from __future__ import annotations

import contextlib
import hashlib
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from mpt.backbone.source import lies_at
from mpt.data.fewshot.files import SYNTHETIC, load_fewshot
from mpt.data.tables.own_task import read_own_task
from mpt.data.tasks.outputs import Outputs
from mpt.data.tasks.task import Example, Shots
from mpt.record.options import RunOptions
from mpt.util.reading import parse_json
from mpt.util.yaml_file import is_yaml

TEACHERS = "model.teachers"
"""The option that names the library of a run's teachers."""

_KINDS = (".safetensors", ".bin", ".gguf", ".json", ".model", ".txt")
_HEAD, _TAIL = 1 << 16, 1 << 20


def weights_digest(backbone: str) -> str | None:
    """Of the files of a local or bundled backbone; none for a hub name, whose revision is an option.

    Large files count by their size, beginning and end, which differ between any two trainings: a study should
    not read gigabytes to know that nothing has changed.
    """
    place = lies_at(backbone)
    if place is None:
        return None
    digest = hashlib.sha256()
    for path in sorted(place.iterdir()) if place.is_dir() else [place]:
        if path.suffix in _KINDS and path.is_file():
            size = path.stat().st_size
            digest.update(f"{path.name} {size} ".encode())
            with path.open("rb") as file:
                digest.update(file.read(_HEAD))
                file.seek(max(0, size - _TAIL))
                digest.update(file.read())
    return digest.hexdigest()[:16]


@dataclass(frozen=True)
class DrawRead:
    """What a study keeps of a draw.

    Attributes:
        digest: of the task's metric and all examples.
        outputs: of the splits, without the inputs.
    """

    digest: str
    outputs: tuple[Outputs, ...]


@cache
def read_draw(root: str, task: str, seed: int, k: Shots | None, metric: str | None) -> DrawRead:
    """A task's few-shot draw."""
    draw = load_fewshot(root, task, seed, k, metric)
    content = repr((draw.task, draw.k, draw.train, draw.dev, draw.test))
    splits = {"train": draw.train, "dev": draw.dev, "test": draw.test}
    found = Outputs.of(draw.task, splits)
    if found:
        bare = {split: [_bare(example.targets) for example in examples] for split, examples in splits.items()}
        found = [replace(found[0], splits=bare)]
    return DrawRead(hashlib.sha256(content.encode()).hexdigest()[:16], tuple(found))


@cache
def _bare(targets: tuple[str, ...]) -> Example:
    """Outputs alone, the same object for the same ones: all draws of a task have its test list."""
    return Example("", targets)


def draw_digest(root: str, task: str, seed: int, k: Shots | None, metric: str | None) -> str:
    """Of a task's metric and its few-shot draw: see :func:`read_draw`."""
    return read_draw(root, task, seed, k, metric).digest


@cache
def sources_digest(root: str, tasks: tuple[str, ...], k: Shots | None = None) -> str:
    """Of source tasks: the names and sizes of their files of a size, or, of the embedded suite, one draw of each; of
    a user's own, all examples.
    """
    own = [read_own_task(task).digest for task in tasks if is_yaml(task)]
    tasks = tuple(task for task in tasks if not is_yaml(task))
    if root == SYNTHETIC:
        facts = [draw_digest(root, task, 13, k, None) for task in tasks]
    else:
        files = [
            path
            for task in tasks
            for path in sorted(Path(root, task).glob("*.tsv" if k is None else f"{task}_{k}_*.tsv"))
        ]
        facts = [f"{path.name} {path.stat().st_size}" for path in files]
    return hashlib.sha256(repr(facts + own).encode()).hexdigest()[:16]


def beside_digests(root: str, run: RunOptions, k: Shots | None) -> list[str]:
    """Of what a run reads beside its own tasks: what is mixed in, unlabelled text of languages, what is validated or
    answered too, and the library of its teachers. Of the embedded suite, which does not change, nothing.
    """
    named = [*_mapping(run, "data.mixed"), *_mapping(run, "data.languages").values()]
    named += validation if isinstance(validation := run.said("data.validation"), list) else []
    named += [name for one in run.callbacks("OtherLanguages") for name in _mapping(one, "callback.tasks")]
    # Those of the embedded suite do not change; a user's own may.
    named = [name for name in map(str, named) if root != SYNTHETIC or is_yaml(name)]
    found = [sources_digest(root, tuple(named), k)] if named else []
    if isinstance(teachers := run.said(TEACHERS), str):
        from mpt.library.retrieval import digest, open_library

        found.append(digest(open_library(teachers).entries()))
    return found


def _mapping(run: RunOptions, name: str) -> dict[str, Any]:
    """An option that is a mapping, which may be given as a JSON text in place of a config's."""
    with contextlib.suppress(ValueError):
        if isinstance(given := run.said(name), str) and isinstance(content := parse_json(given), dict):
            return content
    return {part.removeprefix(f"{name}."): value for part, value in run.given.items() if part.startswith(f"{name}.")}
