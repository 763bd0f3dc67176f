"""Where the tunings of one task begin: the task's own starts, and the prompts that a library has for tasks like it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from mpt.adapt.tuning import plain_start
from mpt.backbone.model import FrozenBackbone
from mpt.library.search import SearchHit
from mpt.prompt.files import check_fits, load_prompt
from mpt.prompt.initialisers import ClassLabels, FromText, InitContext
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
    """

    name: str
    prompt: Tensor
    task: str = ""
    similarity: float | None = None

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
    starts = [Start(SAMPLED, plain_start(backbone, length, seed))]
    if labels:
        starts.append(Start(LABELS, plain_start(backbone, length, seed, ClassLabels(list(labels)))))
    if instruction is not None:
        if not instruction.strip():
            raise UserError("--instruction is empty; write what is to be done, or leave it out")
        starts.append(Start(INSTRUCTION, plain_start(backbone, length, seed, FromText(instruction))))
    return starts


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
    return [Start(f"{SAMPLED}, seed {own}", plain_start(backbone, length, own)) for own in seeds]


def cut(backbone: FrozenBackbone, length: int, instruction: str) -> int:
    """How many tokens of an instruction have no room in a prompt of P rows."""
    return max(0, len(InitContext.of(backbone, 0).tokenize(instruction)) - length)
