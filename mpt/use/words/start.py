"""The start of a prompt, made again from what its folder, or its run's, says of it."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from mpt.backbone.vocabulary import Vocabulary
from mpt.prompt import initialisers
from mpt.prompt.files import StoredPrompt
from mpt.prompt.initialisers import InitContext, Initialiser
from mpt.record.folder import CONFIG
from mpt.record.options import said_in
from mpt.util.errors import UserError
from mpt.util.reading import read_text

_INIT, _LENGTH = "model.init", "model.prompt_length"
_KINDS = {
    name: kind
    for name, kind in vars(initialisers).items()
    if inspect.isclass(kind) and issubclass(kind, Initialiser) and kind is not Initialiser
}


def start_of(folder: Path, stored: StoredPrompt, vocabulary: Vocabulary, labels: Sequence[str]) -> Tensor | None:
    """What a prompt was before it was learned, ``[P, H]``; None if its folder does not tell.

    It tells in a run's folder, by the config beside the prompt, and in one of ``mpt adapt``, by ``init_options``
    in ``mpt.json``, where the start is one of :mod:`mpt.prompt.initialisers`.

    Args:
        labels: the task's, as the run had them.
    """
    path, init = folder.resolve().parent / CONFIG, stored.facts.get("init_options")
    said: Mapping[str, Any]
    if isinstance(init, dict):  # a stranger's, perhaps, who is to name no path of this machine
        if init.get(_INIT) not in ("SampledVocabulary", "ClassLabels", "FromText"):
            return None
        said = {**init, _LENGTH: len(stored.weight)}
    elif path.is_file():
        said = said_in(read_text(path, "run's config"))
    else:
        return None
    task = stored.facts.get("task")
    seed = said.get("seed_everything")
    if said.get(_LENGTH) != len(stored.weight) or type(seed) is not int or not 0 <= seed < 2**63:
        return None
    context = InitContext.of(vocabulary, seed, tuple(labels), (task,) if task else ())
    try:
        made = _made(said, _INIT)
        return None if made is None else made(len(stored.weight), context)
    except (UserError, TypeError, ValueError, AttributeError):  # a prompt that is no longer there, a stranger's facts
        return None


def _made(said: Mapping[str, Any], name: str) -> Initialiser | None:
    """An initialiser by the options of a run; no class of another package is imported."""
    kind = _KINDS.get(str(said.get(name)).rpartition(".")[2])
    if kind is None:
        return None
    given: dict[str, Any] = {}
    for option in inspect.signature(kind).parameters:
        whole = f"{name}.{option}"
        if option == "backoff" and said.get(whole) is not None:
            given[option] = _made(said, whole)
        elif whole in said:
            given[option] = said[whole]
    return kind(**given)
