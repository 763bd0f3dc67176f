"""Where the tunings of one task begin: the task's own starts, and the prompts that a library has for tasks like it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from mpt.adapt.tuning import plain_start
from mpt.backbone.model import FrozenBackbone
from mpt.library.search import SearchHit
from mpt.prompt.files import check_fits, load_prompt
from mpt.prompt.initialisers import ClassLabels, FromText, InitContext, Initialiser, SampledVocabulary
from mpt.use.answers.folders import prompt_folder
from mpt.util.errors import UserError

SAMPLED = "sampled vocabulary"
"""The start that every other is compared with."""

LABELS = "label words"
INSTRUCTION = "instruction"

_APART = 1000


@dataclass(frozen=True)
class Start:
    """What a tuning begins with.

    Attributes:
        name: of the library's entry or of a prompt that was given, :data:`SAMPLED`, :data:`LABELS` or
            :data:`INSTRUCTION`.
        prompt: ``[P, H]``.
        task: that the entry was learned on; empty for the others.
        similarity: of the entry's key to the task's.
        made: options of a run that starts so; none of a prompt that was learned.
    """

    name: str
    prompt: Tensor
    task: str = ""
    similarity: float | None = None
    made: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, hit: SearchHit, value: Tensor) -> Start:
        """A library's prompt."""
        return cls(hit.entry.name, value, hit.entry.task, hit.similarity)


def own_starts(
    backbone: FrozenBackbone, length: int, seed: int, labels: Sequence[str] = (), instruction: str | None = None
) -> list[Start]:
    """Sampled vocabulary; then label words, if there are labels; then the instruction, if there is one.

    The rows that labels or the instruction leave free are sampled vocabulary too.

    Raises:
        UserError: the instruction has no words.
    """
    if instruction is not None and not instruction.strip():
        raise UserError("--instruction is empty; write what is to be done, or leave it out")
    starts = [_made(SAMPLED, backbone, length, seed, SampledVocabulary())]
    if labels:
        words = list(labels)
        starts.append(_made(LABELS, backbone, length, seed, ClassLabels(words), labels=words))
    if instruction is not None:
        starts.append(_made(INSTRUCTION, backbone, length, seed, FromText(instruction), text=instruction))
    return starts


def _made(name: str, backbone: FrozenBackbone, length: int, seed: int, init: Initialiser, **given: Any) -> Start:
    said = {"seed_everything": seed, "model.init": type(init).__name__}
    said |= {f"model.init.{option}": value for option, value in given.items()}
    return Start(name, plain_start(backbone, length, seed, init), made=said)


def given_start(backbone: FrozenBackbone, length: int, name: str) -> Start:
    """A prompt that somebody learned, on many tasks perhaps.

    Raises:
        UserError: it is none, or of another backbone or length.
    """
    if not name:
        raise UserError("--start '' names no prompt; give its folder, or LIBRARY:ENTRY")
    folder = prompt_folder(name)
    stored = load_prompt(folder)
    check_fits(stored, folder, backbone.hidden_size, backbone.name, backbone.fingerprint)
    if len(stored.weight) != length:
        raise UserError(
            f"--start {name} has {len(stored.weight)} rows, and the other starts {length}; give --prompt-length "
            f"{len(stored.weight)}, or leave it out"
        )
    return Start(name, stored.weight, stored.facts.get("task") or "")


def more_starts(backbone: FrozenBackbone, length: int, seed: int, number: int) -> list[Start]:
    """Further samples of the vocabulary, by other seeds."""
    seeds = [seed + _APART * (place + 1) for place in range(number)]
    return [_made(f"{SAMPLED}, seed {own}", backbone, length, own, SampledVocabulary()) for own in seeds]


def cut(backbone: FrozenBackbone, length: int, instruction: str) -> int:
    """How many tokens of an instruction have no room in a prompt of P rows."""
    return max(0, len(InitContext.of(backbone, 0).tokenize(instruction)) - length)
