"""The classes that options of a run may name, and what options these have."""

from __future__ import annotations

import collections.abc
import inspect
import itertools
import typing
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from pytorch_lightning import Callback, LightningDataModule, LightningModule

from mpt.util.yaml_file import parse_yaml

GROUPS: dict[str, type] = {"model": LightningModule, "data": LightningDataModule, "trainer.callbacks": Callback}
"""The options whose value is a class with options of its own."""

_ABSTRACT = {"LightningModule", "LightningDataModule", "Learner", "TextData"}


def class_names(group: str) -> set[str]:
    """The classes that ``--model`` or another group may name, as far as they are imported."""
    return named(_family(GROUPS[group]))


def named(kinds: Iterable[type]) -> set[str]:
    """The names of those that can be made."""
    return {kind.__name__ for kind in kinds if not inspect.isabstract(kind)} - _ABSTRACT


def pairs(words: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Each word with the one that follows."""
    yield from zip(words, [*words[1:], ""], strict=False)


def configs_of(words: Sequence[str]) -> Iterator[Path]:
    for word, after in pairs(words):
        if word in ("--config", "-c"):
            yield Path(after)
        elif word.startswith("--config="):
            yield Path(word.removeprefix("--config="))


def _chosen(group: str, words: Sequence[str]) -> str | None:
    """The name of the class that the command line or its configs name for an option."""
    found = None
    for path in configs_of(words):
        content = parse_yaml(path.read_text(encoding="utf-8"), str(path), merges=True)
        part = content.get(group) if isinstance(content, dict) else None
        found = part.get("class_path", found) if isinstance(part, dict) else found
    for word, after in pairs(words):
        name, equals, value = word.partition("=")
        if name in (f"--{group}", f"--{group}.class_path"):
            found = value if equals else after
    return found.rpartition(".")[2] if isinstance(found, str) else None


def reached(group: str, parts: Sequence[str], words: Sequence[str]) -> Iterator[type]:
    """The classes that an option below a group may be of: ``model``, ``init`` gives the initialisers."""
    if group not in GROUPS:
        return
    current: list[type] = list(dict.fromkeys(_family(GROUPS[group])))
    chosen = [kind for kind in current if kind.__name__ == _chosen(group, words)]
    current = chosen or current
    for part in parts:
        if part in ("init_args", "class_path", ""):
            continue
        hints = [hint for kind in current if (hint := types_of(kind).get(part)) is not None]
        bases = [base for hint in hints for base in _classes(hint)]
        current = list(dict.fromkeys(itertools.chain.from_iterable(map(_family, bases))))
    yield from current


def _family(base: type) -> Iterator[type]:
    if not base.__name__.startswith("_"):
        yield base
    kinds: list[type] = base.__subclasses__()
    for kind in kinds:
        yield from _family(kind)


def _classes(hint: Any) -> Iterator[type]:
    """The classes in a type: ``Callable[[Iterable], Optimizer] | None`` has ``Optimizer``."""
    if isinstance(hint, type) and typing.get_origin(hint) is None:
        if hint.__module__ not in ("builtins", "typing", "collections.abc", "pathlib"):
            yield hint
    elif not isinstance(hint, str):
        parts = hint if isinstance(hint, list) else typing.get_args(hint)
        if typing.get_origin(hint) is collections.abc.Callable:  # what it makes is named, not what it takes
            parts = parts[-1:]
        for part in parts:
            yield from _classes(part)


def types_of(kind: type) -> dict[str, Any]:
    try:
        return typing.get_type_hints(kind.__init__)  # type: ignore[misc]
    except (NameError, AttributeError, TypeError):  # annotations of other packages' classes may name what is not there
        return {}


def parameters(kind: type) -> list[str]:
    try:
        return [name for name in inspect.signature(kind).parameters if name not in ("self", "args", "kwargs", "params")]
    except (TypeError, ValueError):
        return []


def dotted(words: Sequence[str]) -> Iterator[str]:
    """``--model.prompt_length`` and so on: of the classes named, or of all."""
    for group in ("model", "data"):
        for kind in reached(group, (), words):
            yield from (f"--{group}.{name}" for name in parameters(kind))


def places_of(name: str) -> Iterator[tuple[str, str, str]]:
    """Where a class may stand that is a part of a learner or of data: group, class that takes it, option."""
    for group in ("model", "data"):
        for kind in _family(GROUPS[group]):
            for option, hint in types_of(kind).items() if kind.__name__ in class_names(group) else ():
                if name in named(part for base in _classes(hint) for part in _family(base)):
                    yield group, kind.__name__, option


_CALLED = {"outer_lr": "lr", "meta_lr": "lr", "learning_rate": "lr", "inner_learning_rate": "inner_lr"}
"""What the field calls an option, and what we do."""


def ending_in(name: str, words: Sequence[str]) -> list[str]:
    """Options of the classes below learner and data whose last part it is: ``--model.algorithm.inner_lr``."""
    name, found = _CALLED.get(name, name), []
    for group in ("model", "data"):
        options = {option for kind in reached(group, (), words) for option in parameters(kind)}
        for option in sorted(options):
            if any(name in parameters(kind) for kind in reached(group, (option,), words)):
                found.append(f"--{group}.{option}.{name}")
    return found
