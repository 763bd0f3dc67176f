"""The command ``mpt``: which word does what, and how a user's mistake is told."""

from __future__ import annotations

import importlib
import os
import re
import sys
import time
from collections.abc import Sequence

import mpt
from mpt.util.errors import UserError, causes, mistake_behind, system_mistake
from mpt.util.names import hint, printable, refuse_unwritable
from mpt.util.output import drop_unwritten, make_streams_take_all
from mpt.util.signals import signal_behind, stopped_by_signals

_TABLE = (
    ("fit | validate | test", "one run of one method, for example", "mpt.cli.fit", ""),
    ("predict PROMPT … FILE", "answers to the rows of a CSV, TSV, JSONL or text file by a learned prompt or several",
     "mpt.cli.predict", "run_predict_command"),
    ("evaluate PROMPT … FILE", "what its answers to labelled rows are worth: the metric, label by label, the mistakes",
     "mpt.cli.evaluate", "run_evaluate_command"),
    ("study run FILE [--out DIR]", "methods compared by average relative gain over one partition or more",
     "mpt.cli.study", "run_study_command"),
    ("study plan FILE [--commands]", "its runs, what they wait for, how long they take; a shell command for each",
     "mpt.cli.study", "run_study_command"),
    ("sweep run | trial FILE", "rates chosen by average relative gain on validation tasks; W&B sweep files",
     "mpt.cli.sweep", "run_sweep_command"),
    ("adapt TRAIN --library WHERE", "the best prompt for a task of a few examples: retrieved, tuned, chosen on dev",
     "mpt.cli.adapt", "run_adapt_command"),
    ("transfer matrix | clusters", "which source prompts help which target, and whether their similarity tells it",
     "mpt.cli.transfer", "run_transfer_command"),
    ("prompt words | import …", "the vocabulary tokens nearest to a prompt's rows; a prompt of another program",
     "mpt.cli.prompt", "run_prompt_command"),
    ("library list | search | add …", "prompts of many tasks, found by task embedding; shared through the hub",
     "mpt.cli.library", "run_library_command"),
    ("push PROMPT owner/name", "a prompt to the Hugging Face hub, with a model card",
     "mpt.cli.push", "run_push_command"),
    ("export ENGINE PROMPT… OUT", "prompts for engines that serve models: many in one model, mixed in a batch",
     "mpt.cli.export", "run_export_command"),
    ("data build | verify …", "CrossFit's few-shot files made from the hub or raw files, checked by their sums",
     "mpt.cli.data", "run_data_command"),
    ("configs list | show | copy …", "the experiment files that come with the package",
     "mpt.cli.configs", "run_configs_command"),
    ("tasks [show NAME]", "CrossFit's and SPoT's tasks: types, metrics, sources, what a data folder has",
     "mpt.cli.tasks", "run_tasks_command"),
    ("partitions [show NAME]", "source and target tasks of the settings, and which of them a data folder lacks",
     "mpt.cli.task_lists", "run_partitions_command"),
    ("mixtures [show NAME]", "source tasks under one name, as SPoT mixes them",
     "mpt.cli.task_lists", "run_mixtures_command"),
    ("completion bash | zsh", "a script by which the shell completes all this",
     "mpt.cli.completion", "run_completion_command"),
)  # fmt: skip
"""What is typed, what it is for, and who does it: imported when it is asked for."""

_ABOUT = "Soft prompts on a frozen language model: prompt tuning, SPoT, meta prompt tuning."
_RUNS = ("fit", "validate", "test")
_ON_DEVICES = [[word] for word in (*_RUNS, "predict")]
COMMANDS = {
    **{word: ("mpt.cli.fit", f"run_{word}_command") for word in _RUNS},
    **{typed.split()[0]: (module, function) for typed, _, module, function in _TABLE[1:]},
}
"""Word to module and function."""

_EXAMPLE = f"{'':36}  mpt fit --config experiments/prompt_tuning.yaml --data.task superglue-cb\n"


def _usage() -> str:
    lines = [f"  {typed:<34}{what}\n" for typed, what, *_ in _TABLE]
    return (
        f"usage: mpt COMMAND …\n\n{_ABOUT}\n\n{lines[0]}{_EXAMPLE}{''.join(lines[1:])}\n"
        "`mpt COMMAND --help` tells more; `mpt --version` which version this is.\n"
    )


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command line and exit: 0 if all went well, 2 after a user's mistake (one sentence on standard error),
    128 and its number if a signal ended it.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    make_streams_take_all()
    try:
        with stopped_by_signals():
            try:
                run(arguments)
            finally:
                sys.stdout.flush()  # or Python finds out after all is said
    except BrokenPipeError as error:  # whoever read, such as head, has seen enough
        drop_unwritten()
        if mistake := mistake_behind(error):
            print(f"mpt: error: {printable(str(mistake))}", file=sys.stderr)
        sys.exit(2 if mistake else 141)
    except Exception as error:
        drop_unwritten()
        mistake = mistake_behind(error) or system_mistake(error) or _mistake_of_the_shell(error, arguments)
        if mistake is None:
            raise
        # A name in it may be a stranger's: of any length, and a terminal does what escapes tell it.
        sentence = re.sub(r"(\S{100})\S{900,}", r"\1…", printable(str(mistake)))
        if _is_first(arguments):
            print(f"mpt: error: {sentence}", file=sys.stderr)
        else:
            _leave_it_to_the_first_device(sentence)
        sys.exit(2)
    except (KeyboardInterrupt, SystemExit) as end:
        ended_by = signal_behind(end)
        if ended_by is None:
            raise
        if _is_first(arguments):
            print(f"mpt: stopped by {ended_by.name}{_how_to_go_on(arguments)}", file=sys.stderr)
        sys.exit(128 + ended_by)


def _how_to_go_on(arguments: list[str]) -> str:
    """What a stopped command says of its state, if it keeps one."""
    if arguments[0] == "fit":
        return "; the same command with --ckpt_path last goes on"
    kept = arguments[0] in ("study", "adapt", "data", "sweep") or arguments[:2] == ["library", "learn"]
    kept |= arguments[0] == "predict" and any(word.partition("=")[0] == "--out" for word in arguments)
    return "; the same command goes on" if kept else ""


def _is_first(arguments: list[str]) -> bool:
    """Whether this process is alone, or the first of a run on several devices."""
    rank = os.environ.get("LOCAL_RANK", "0")
    return arguments[:1] not in _ON_DEVICES or rank == "0" or not rank.isdecimal()


def _mistake_of_the_shell(error: Exception, arguments: list[str]) -> UserError | None:
    """What an environment variable or a word brought: a number of this process that is none, which Lightning stumbles
    over while it is imported, or a name that is no UTF-8.
    """
    if any(isinstance(one, UnicodeEncodeError) for one in causes(error)):
        try:
            refuse_unwritable(arguments)
        except UserError as mistake:
            return mistake
    for name in ("RANK", "LOCAL_RANK", "SLURM_PROCID", "JSM_NAMESPACE_RANK"):
        value = os.environ.get(name, "0")
        if isinstance(error, ValueError) and not value.isdecimal() and repr(value) in str(error):
            return UserError(f"the environment variable {name} is {value}, not this process's number; unset it")
    return None


def _leave_it_to_the_first_device(mistake: str, seconds: float = 20) -> None:
    """Wait until the process that started this one is gone: it says the same, once.

    Lightning kills it, before it can say anything, if it sees one of its processes end with an error. If it goes on,
    the mistake is this process's alone.
    """
    first, deadline = os.getppid(), time.monotonic() + seconds
    while os.getppid() == first and time.monotonic() < deadline:
        time.sleep(0.1)
    if os.getppid() == first:
        print(f"mpt: error: {mistake}", file=sys.stderr)


def run(arguments: list[str]) -> None:
    """Run one command; errors come out as exceptions."""
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print(_usage(), end="")
        return
    name, rest = arguments[0], arguments[1:]
    if name in ("--version", "version"):
        print(f"mpt {mpt.__version__}")
        return
    if name not in COMMANDS:
        raise UserError(f"{name} is not a command; mpt knows {', '.join(COMMANDS)}{hint(name, COMMANDS)}")
    module, function = COMMANDS[name]
    getattr(importlib.import_module(module), function)(rest)
