"""Reading a W&B sweep file whose trials are ``mpt sweep trial``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from mpt.sweep.distributions import Parameter, ParameterFile
from mpt.util.files import is_folder_name
from mpt.util.reading import read_text
from mpt.util.schema import Checked, FromFile, checked, one_of, shown, whole
from mpt.util.yaml_file import Lines, read_yaml

OBJECTIVE = "ARG"
METHODS = ("grid", "random", "bayes")

_WORDS = ("mpt", "sweep", "trial")


@dataclass(frozen=True)
class Sweep:
    """A sweep as its file says it.

    Attributes:
        name: as it says, else the file's own; the folder of its report goes by it.
        method: one of :data:`METHODS`.
        parameters: dotted option of the upstream run to the values it may take.
        words: what its command gives to ``mpt sweep trial`` beside the parameters.
        cap: the most trials; none if it does not say.
        stops_early: whether it would have W&B stop bad trials before their end.
        file: where it was read from.
    """

    name: str
    method: str
    parameters: Mapping[str, Parameter]
    words: tuple[str, ...]
    cap: int | None
    stops_early: bool
    file: str


def _metric(given: Any, _: object) -> Any:
    right = f"must be {{name: {OBJECTIVE}, goal: maximize}}"
    if not isinstance(given, dict) or given.get("name") != OBJECTIVE:
        raise ValueError(f"{right}, for {OBJECTIVE} is what a trial logs")
    if given.get("goal") != "maximize":
        raise ValueError(f"{right}; W&B minimises if nothing is said, and more {OBJECTIVE} is better")
    return given


def _parameters(given: Any, validate: Callable[[Any], Any]) -> Any:
    if not isinstance(given, dict) or not given:
        raise ValueError("must name at least one option of the upstream run and its values")
    for name in map(str, given):
        if "." not in name:
            raise ValueError(
                f": {name} cannot be tried; options that can have dots in their names, such as model.optimizer.lr or "
                "model.algorithm.inner_lr"
            )
    # By name, as W&B hands them on.
    return {name: one.parameter() for name, one in sorted(validate({str(key): given[key] for key in given}).items())}


def _words(given: Any, _: object) -> tuple[str, ...]:
    """What stands between ``mpt sweep trial`` and the parameters."""
    example = '["${env}", mpt, sweep, trial, studies/quickstart, --method, FoMAML, "${args}"]'
    if not isinstance(given, list):
        raise ValueError(f"must be a list such as {example}")
    words = [str(word) for word in given]
    start = next((i for i in range(len(words)) if tuple(words[i : i + 3]) == _WORDS), None)
    if start is None or words[-1] != "${args}":
        raise ValueError(f"must run mpt sweep trial and end with ${{args}}, such as {example}")
    between = words[start + 3 : -1]
    if macros := [word for word in between if word.startswith("${")]:
        raise ValueError(f": {macros[0]} after mpt sweep trial has no meaning here; write it out")
    return tuple(between)


def _folder(given: Any, _: object) -> str:
    """W&B's name of the sweep, which the folder of its report goes by."""
    if not isinstance(given, str) or not is_folder_name(given):
        raise ValueError(f"must be a name that a folder can have, not {shown(given)}")
    return given


_METRIC = {
    "type": "object",
    "required": ["name", "goal"],
    "properties": {"name": {"const": OBJECTIVE}, "goal": {"const": "maximize"}},
}


@dataclass(frozen=True)
class SweepFile(FromFile):
    """What a sweep file may say: our part of W&B's, and by name what W&B alone looks at."""

    method: Annotated[str, one_of(METHODS)]
    metric: Annotated[Any, Checked(_metric, _METRIC)]
    parameters: Annotated[dict[str, ParameterFile], Checked(_parameters)]
    command: Annotated[tuple[str, ...], Checked(_words)]
    run_cap: Annotated[int, whole(1)] | None = None
    early_terminate: Any = None
    program: Any = None
    name: Annotated[str, Checked(_folder)] = ""
    description: Any = None
    project: Any = None
    entity: Any = None
    controller: Any = None
    apiVersion: Any = None
    kind: Any = None


def load_sweep(path: Path) -> Sweep:
    """Read a sweep file.

    Raises:
        UserError: it is not YAML, or not a sweep that ``mpt sweep run`` can do; names the file, the key and what is
            right.
    """
    content, lines = _read(path)
    said = checked(content, lines, f"The sweep file {path}", SweepFile)
    parameters: Any = said.parameters
    stops_early = "early_terminate" in content
    return Sweep(said.name or path.stem, said.method, parameters, said.command, said.run_cap, stops_early, str(path))


def is_sweep(path: Path) -> bool:
    """Whether a YAML file is a sweep, not a study."""
    content, _ = _read(path)
    return isinstance(content, dict) and "parameters" in content and "method" in content


def _read(path: Path) -> tuple[Any, Lines]:
    """A YAML file's content, as W&B reads it."""
    return read_yaml(read_text(path, "sweep file"), f"The sweep file {path}", merges=True, powers=False)
