"""The command ``mpt``: which word does what, and how a user's mistake is told."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Sequence

from mpt import __doc__ as _what
from mpt.util.errors import UserError, mistake_behind
from mpt.util.signals import signal_behind, stopped_by_sigterm

USAGE = f"""usage: mpt COMMAND …

{_what}

  fit | validate | test | predict   one run of one method, for example
                                      mpt fit --config experiments/prompt_tuning.yaml --data.task superglue-cb
  study run FILE [--out DIR]        methods compared by average relative gain over one partition or more
  study plan FILE [--commands]      its runs, what they wait for, how long they take; a shell command for each
  sweep run | trial FILE            rates chosen by average relative gain on validation tasks; W&B sweep files
  adapt TRAIN --library WHERE       the best prompt for a task of a few examples: retrieved, tuned, chosen on dev
  transfer matrix | clusters        which source prompts help which target, and whether their similarity tells it
  library list | search | add …     prompts of many tasks, found by task embedding; shared through the hub
  data build | verify               CrossFit's few-shot files made from the hub or raw files, checked by their sums
  configs list | show | copy        the experiment files that come with the package
  tasks [show NAME]                 CrossFit's and SPoT's tasks: types, metrics, sources, what a data folder has
  partitions [show NAME]            source and target tasks of the settings, and which of them a data folder lacks
  mixtures [show NAME]              source tasks under one name, as SPoT mixes them

`mpt COMMAND --help` tells more.
"""


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command line and exit: 0 if all went well, 2 after a user's mistake (one sentence on standard error),
    143 or 130 if a signal ended it.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    try:
        with stopped_by_sigterm():
            run(arguments)
    except Exception as error:
        mistake = mistake_behind(error)
        if mistake is None:
            raise
        if os.environ.get("LOCAL_RANK", "0") == "0":
            print(f"mpt: error: {mistake}", file=sys.stderr)
        else:
            _leave_it_to_the_first_device(str(mistake))
        sys.exit(2)
    except (KeyboardInterrupt, SystemExit) as end:
        ended_by = signal_behind(end)
        if ended_by is None:
            raise
        if os.environ.get("LOCAL_RANK", "0") == "0":
            goes_on = "the same command with --ckpt_path last" if arguments[0] == "fit" else "the same command"
            print(f"mpt: stopped by {ended_by.name}; {goes_on} goes on", file=sys.stderr)
        sys.exit(128 + ended_by)
    except BrokenPipeError:
        sys.exit(141)


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
        print(USAGE, end="")
        return
    name, rest = arguments[0], arguments[1:]
    commands = _commands()
    if name not in commands:
        raise UserError(f"{name} is not a command; mpt knows {', '.join(commands)}")
    commands[name](rest)


def _commands() -> dict[str, Callable[[list[str]], None]]:
    # Each is imported when it is asked for: `mpt configs list` should not wait for torch.
    def lightning(word: str) -> Callable[[list[str]], None]:
        def start(rest: list[str]) -> None:
            from mpt.fit.command import run_lightning

            run_lightning([word, *rest])

        return start

    def study(rest: list[str]) -> None:
        from mpt.cli.study import run_study_command

        run_study_command(rest)

    def sweep(rest: list[str]) -> None:
        from mpt.cli.sweep import run_sweep_command

        run_sweep_command(rest)

    def data(rest: list[str]) -> None:
        from mpt.cli.data import run_data_command

        run_data_command(rest)

    def configs(rest: list[str]) -> None:
        from mpt.cli.configs import run_configs_command

        run_configs_command(rest)

    def tasks(rest: list[str]) -> None:
        from mpt.cli.tasks import run_tasks_command

        run_tasks_command(rest)

    def partitions(rest: list[str]) -> None:
        from mpt.cli.partitions import run_partitions_command

        run_partitions_command(rest)

    def mixtures(rest: list[str]) -> None:
        from mpt.cli.mixtures import run_mixtures_command

        run_mixtures_command(rest)

    def adapt(rest: list[str]) -> None:
        from mpt.cli.adapt import run_adapt_command

        run_adapt_command(rest)

    def transfer(rest: list[str]) -> None:
        from mpt.cli.transfer import run_transfer_command

        run_transfer_command(rest)

    def library(rest: list[str]) -> None:
        from mpt.cli.library import run_library_command

        run_library_command(rest)

    words = {word: lightning(word) for word in ("fit", "validate", "test", "predict")}
    own = {"study": study, "sweep": sweep, "data": data, "configs": configs, "tasks": tasks, "partitions": partitions}
    own["mixtures"] = mixtures
    own["library"] = library
    own["transfer"] = transfer
    own["adapt"] = adapt
    return {**words, **own}
