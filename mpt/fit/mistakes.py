"""What the parser of a run complains of, as one sentence with the nearest right name."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from pytorch_lightning.cli import LightningArgumentParser

from mpt.fit.classes import GROUPS, configs_of, dotted, ending_in, named, pairs, parameters, reached
from mpt.record.options import plain
from mpt.util.errors import UserError
from mpt.util.names import hint, nearest
from mpt.util.yaml_file import read_yaml

_TYPES = {"int": "a whole number", "float": "a number", "bool": "true or false", "str": "a text", "list": "a list"}


class Unparsed(UserError):
    """What the parser said, as it said it."""


class RunParser(LightningArgumentParser):
    """Lightning's parser, which raises instead of printing pages, and takes options in full alone."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{"prog": "mpt", "allow_abbrev": False, **kwargs})

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        raise Unparsed(message) from ex


_Tell = Callable[[re.Match[str], "_Complaint"], str]


@dataclass(frozen=True)
class _Complaint:
    """What is known of a complaint.

    Attributes:
        text: what jsonargparse said, on one line or on sixty.
        place: the option it is about, ``model.init.most_common``.
        words: the command line after the command's name.
        options: the parser's own, ``--trainer.max_steps``.
    """

    text: str
    place: str
    words: Sequence[str]
    options: Sequence[str]

    @property
    def group(self) -> str:
        return next((name for name in GROUPS if self.place == name or self.place.startswith(f"{name}.")), "")

    @property
    def inside(self) -> list[str]:
        """The place below its group, or all of it if there is none."""
        below = self.place.removeprefix(self.group).strip(".")
        return below.split(".") if below else []


def sentence(text: str, words: Sequence[str], options: Iterable[str]) -> str:
    """One sentence: which option or file, what is wrong with it, and what would be right.

    Args:
        text: what jsonargparse said.
        words: the command line after the command's name.
        options: the parser's own.
    """
    lines = [line.strip().removeprefix("- ") for line in text.splitlines() if line.strip()]
    reasons = ("Parser key", "Problem with", "Option", "Expected", "the following", "unrecognized")
    lines = [
        line
        for line, after in pairs(lines)
        if not (line.startswith("Problem with given class_path") and after.startswith(reasons))
    ]
    keys = [key for line in lines for key in re.findall(r'^Parser key "([^"]+)":', line)]
    nested = re.findall(r"Given value: NestedArg\(key='([^']+)'", text)  # the last names all of the way
    place = ".".join(keys[:1])
    for part in (*nested[-1:], *keys[1:]):
        if f".{part}." not in f".{place}.":
            place += f".{part}"
    about = _Complaint(text, place, words, list(options))
    kinds = _KINDS
    if about.group == "trainer.callbacks":  # a list of classes or one, both of which complain
        kinds = (*(_OF_A_VALUE if len(keys) > 1 else ()), *_OF_WHAT_LACKS, *_KINDS)
    for pattern, tell in kinds:
        for line in lines:
            if match := re.search(pattern, line):
                typed = nested or tell is _required
                return ("" if typed else _file(_name(tell, match, about), words)) + tell(match, about)
    return " ".join(lines)[:300]


def _not_accepted(match: re.Match[str], about: _Complaint) -> str:
    return _no_option(match[1].rpartition(".")[2], about)


def _no_option(name: str, about: _Complaint) -> str:
    parts = about.inside if about.inside[-1:] == [name] else [*about.inside, name]
    classes = list(reached(about.group, parts[:-1], about.words))
    known = sorted({option for kind in classes for option in parameters(kind)} - {name})
    whose = f" of {classes[0].__name__}" if len(classes) == 1 else ""
    typed = ".".join(filter(None, [about.group, *parts]))
    if about.group == "trainer.callbacks" and (
        owners := [kind.__name__ for kind in classes if name in parameters(kind)]
    ):
        owner = " or ".join(sorted(owners))
        return f"--{typed} belongs to the callback named before it: --{about.group}+={owner} --{typed}=…"
    return f"--{typed} is not an option{whose}; {_below(name, about) or nearest(name, known)}"


def _below(name: str, about: _Complaint) -> str:
    """Did you mean one of those that end so?"""
    found = ending_in(name, about.words)
    return f"did you mean {' or '.join(found)}?" if found else ""


def _no_class(match: re.Match[str], about: _Complaint) -> str:
    known = named(reached(about.group, about.inside, ()))
    near = f"; {nearest(match[1], known)}" if known else ""
    return f"--{about.place} {match[1]}: there is no class of that name{near}"


def _class_wanted(match: re.Match[str], about: _Complaint) -> str:
    known = named(reached(about.group, about.inside, about.words))
    return f"--{about.place} takes the name of a class; {nearest('', known)}"


def _not_imported(match: re.Match[str], about: _Complaint) -> str:
    reason = about.text.split(match[0], 1)[1].strip().splitlines()[0].strip().rstrip(".")
    return f"--{about.place} {match[1]} cannot be imported: {reason}"


def _wrong_value(match: re.Match[str], about: _Complaint) -> str:
    given = re.search(r"Got value: (.*)$", about.text, re.MULTILINE)
    given = given or re.search(r"Given value: (?:NestedArg\(.*val='?(.*?)'?\)|(.*))$", about.text, re.MULTILINE)
    value = next((part for part in given.groups() if part is not None), "") if given else ""
    kinds: list[str] = []
    words: list[str] = []
    for kind in re.findall(r"Expected a (.*?)(?:\. Got value|$)", about.text, re.MULTILINE):
        if literal := re.match(r"typing\.Literal\[(.*)\]", kind):
            words += [word.strip().strip("'") for word in literal[1].split(",")]
        elif (name := re.match(r"<class '(?:.*\.)?(\w+)'>", kind)) and name[1] != "NoneType":
            kinds.append(_TYPES.get(name[1], name[1]))
    wanted = list(dict.fromkeys([*kinds, *words]))
    takes = " or ".join(wanted) if len(wanted) < 3 else ", ".join(wanted)
    return f"--{about.place} takes {takes}, not {value}{hint(value, words)}"


def _unrecognised(match: re.Match[str], about: _Complaint) -> str:
    word = match[1].split()[0].partition("=")[0]
    if not word.startswith("-"):
        return f"{match[1]} belongs to no option"
    if about.group:
        return _no_option(word.rpartition(".")[2], about)
    near = _below(word.rpartition(".")[2].lstrip("-"), about)
    return f"{word} is not an option; {near or nearest(word, [*about.options, *dotted(about.words)])}"


def _not_a_key(match: re.Match[str], about: _Complaint) -> str:
    known = {option.removeprefix("--").split(".")[0] for option in about.options}
    key = match[1].partition(".")[0]
    if key in known:
        return f"{match[1]} is not an option; {nearest(f'--{match[1]}', [*about.options, *dotted(about.words)])}"
    return f"{key} is not an option; {_below(match[1].rpartition('.')[2], about) or nearest(key, known)}"


def _required(match: re.Match[str], about: _Complaint) -> str:
    """Of the command's own options, or of a class: ``fit.model``, ``fit.data.init_args.task``."""
    given = [name.strip() for name in match[1].split(",")]
    below = [f"{_owner(name, about)}.{name}" if about.group else name.partition(".")[2] or name for name in given]
    names = sorted(name.replace("init_args.", "") for name in below)
    if names == ["data.task"]:
        return (
            "--data.task is missing: mpt tasks lists the tasks, mpt tasks --root synthetic those that need no "
            "download, and one of your own is a YAML file"
        )
    missing = " and ".join(f"--{name}" for name in names) + (" is missing" if len(names) == 1 else " are missing")
    if any("." in name for name in names):
        return missing
    return (
        f"{missing}: give a config that has it, as by --config prompt_tuning (mpt configs list), or a class, as by "
        "--model PromptTuning --data FewShotData"
    )


def _owner(name: str, about: _Complaint) -> str:
    """Where the class stands that lacks an option: the complaint names the outermost."""
    for word, after in pairs(about.words):
        option, equals, value = word.partition("=")
        group, *inside = plain(option.removeprefix("--")).split(".")
        called = (value if equals else after).rpartition(".")[2]
        for kind in reached(group, inside, ()):
            if kind.__name__ == called and name in parameters(kind):
                return ".".join([group, *inside])
    return about.place


def _no_value(match: re.Match[str], about: _Complaint) -> str:
    lone = [word for word, after in pairs(about.words) if after.startswith("--") or not after]
    return f"{next((word for word in lone if word.startswith(match[1]) and '=' not in word), match[1])} has no value"


_Kinds = tuple[tuple[str, _Tell], ...]

_OF_A_VALUE: _Kinds = ((r"^Expected a .*Got value: (.*)$", _wrong_value),)
_OF_WHAT_LACKS: _Kinds = ((r"arguments? (?:are|is) required: (.*)$", _required),)
_KINDS: _Kinds = (
    (r"^Problem with given class_path '([^']+)':", _not_imported),
    (r"^Option '([^']+)' is not accepted", _not_accepted),
    (r"^Expected a <class '(?:float|int)'>$", _wrong_value),
    (r"^Expected a dot import path string: (.*)$", _no_class),
    (r"^Not a valid subclass of (\w+)$", _class_wanted),
    (r"does not accept (?:option|nested key) '([^']+)'", _not_a_key),
    (r"^unrecognized arguments: (.*)$", _unrecognised),
    *_OF_WHAT_LACKS,
    (r"^argument (--\S+): expected", _no_value),
    *_OF_A_VALUE,
    (r"^Expected a (?!path)(?!<class 'NoneType'>)", _wrong_value),
)
"""By what a line of the complaint looks like, the more telling first."""


def _name(tell: _Tell, match: re.Match[str], about: _Complaint) -> str:
    """The option that is wrong, ``model.init.pth``."""
    if tell is _not_accepted:
        return f"{about.place}.{match[1]}"
    return match[1] if tell is _not_a_key else about.place


def _file(name: str, words: Sequence[str]) -> str:
    """``file, line N: `` where the last of the configs that say an option says it, if the command line does not."""
    name = plain(name)
    if any(plain(word.partition("=")[0].removeprefix("--").removesuffix("+")) == name for word in words):
        return ""
    for path in reversed([*configs_of(words)]):
        _, lines = read_yaml(path.read_text(encoding="utf-8"), str(path), merges=True)
        found = {place: line for place, line in lines.items() if plain(".".join(_keys(place))) == name}
        if found:  # of several in a list, such as callbacks, the complaint does not say which
            one_of = {tuple(part for part in place if isinstance(part, int)) for place in found}
            return f"{path}, line {next(iter(found.values()))}: " if len(one_of) == 1 else f"{path}: "
    return ""


def _keys(place: Iterable[Any]) -> list[str]:
    return [part for part in place if isinstance(part, str)]
