"""The words after ``mpt sweep trial``: which method of which study, and the values of the parameters."""

from __future__ import annotations

import argparse
import ast
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from mpt.cli.options import Parser, add_workers, seed
from mpt.fit.configs import find_config
from mpt.sweep.distributions import canonical
from mpt.sweep.file import is_sweep, load_sweep
from mpt.sweep.sampling import Values
from mpt.util.errors import UserError
from mpt.util.places import expanded

if TYPE_CHECKING:
    from mpt.sweep.trial import TrialSetup


def trial_parser() -> Parser:
    """The parser of all that is not a parameter."""
    parser = Parser(
        prog="mpt sweep trial",
        description="Learn upstream once with the options given, prompt tuning on each validation task and seed from "
        "there, and log ARG over the baseline to W&B.",
        epilog="All other options, such as --model.algorithm.inner_lr 0.1, go over the method's upstream options.",
    )
    parser.add_argument("file", help="study or sweep file, or the name of a shipped one (see mpt configs list)")
    parser.add_argument("--method", help="method of the study whose upstream is tuned (a sweep file names it itself)")
    parser.add_argument("--seeds", type=seed, nargs="+", default=[], help="in place of the study's")
    parser.add_argument(
        "--validation",
        nargs="+",
        default=[],
        metavar="TASK",
        help="in place of the partition's; the word targets for the study's own",
    )
    parser.add_argument("--setting", default="", help="which setting or partition, in a study of several")
    parser.add_argument("--out", type=expanded, help="folder of the runs (default: runs/sweeps/<name of the study>)")
    add_workers(parser, "the study's, else one a GPU, else one a core")
    return parser


def read_trial(words: Sequence[str]) -> tuple[argparse.Namespace, Values]:
    """Options and parameters among the words of a command line; a sweep file brings its own command's with it.

    Raises:
        UserError: an option without a name or value, or a method missing.
    """
    options, rest = trial_parser().parse_known_args(list(words))
    values = _values(rest)
    path = find_config(options.file, "studies", "sweeps")
    if is_sweep(path):
        if options.method:
            raise UserError(f"{path} is a sweep, whose command names study and method; leave --method out")
        sweep = load_sweep(path)
        if sweep.words and is_sweep(find_config(sweep.words[0], "studies", "sweeps")):
            raise UserError(f"{path}: its command must name a study, and {sweep.words[0]} is a sweep")
        # What is typed goes over what the file's command says.
        typed = {name: value for name, value in vars(options).items() if value and name not in ("file", "method")}
        options, fixed = read_trial(sweep.words)
        vars(options).update(typed)
        values = dict(sorted({**fixed, **values}.items()))
    elif not options.method:
        raise UserError("mpt sweep trial: --method is missing; name the method of the study whose upstream is tuned")
    return options, values


def setup_of(options: argparse.Namespace) -> TrialSetup:
    """What the options name."""
    from mpt.sweep.trial import prepare  # the study's rooms, which take seconds to import

    file = find_config(options.file, "studies", "sweeps")
    return prepare(file, options.method, options.out, options.seeds, options.validation, options.setting)


def _values(words: Sequence[str]) -> Values:
    """``--name=value`` and ``--name value`` as data, as W&B's agent and people write them."""
    values: Values = {}
    left = list(words)
    while left:
        word = left.pop(0)
        name, equals, text = word.removeprefix("--").partition("=")
        if not word.startswith("--") or not name:
            raise UserError(f"mpt sweep trial: {word} belongs to no option; parameters are given as --name=value")
        if "." not in name:
            raise UserError(f"mpt sweep trial: --{name} is not known; a parameter's name has dots (see --help)")
        if not equals:
            if not left:
                raise UserError(f"mpt sweep trial: --{name} has no value")
            text = left.pop(0)
        values[name] = canonical(_read(text))
    return dict(sorted(values.items()))


def _read(text: str) -> Any:
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, TypeError):
        return {"true": True, "false": False}.get(text, text)
