"""``mpt library learn``."""

from __future__ import annotations

import argparse
from pathlib import Path

from mpt.data.fewshot.files import SYNTHETIC
from mpt.data.tasks.partitions import load_partition
from mpt.data.tasks.task import Shots
from mpt.library.recipe import KeyRecipe
from mpt.util.errors import UserError


def add_learn_options(parser: argparse.ArgumentParser) -> None:
    """The options of ``mpt library learn``."""
    what = parser.add_argument_group("tasks")
    what.add_argument("--tasks", nargs="+", metavar="TASK", help="names of the tasks")
    what.add_argument("--partition", help="in their place: the source tasks of a partition, by name or file")
    what.add_argument("--root", default=SYNTHETIC, help="folder of CrossFit's few-shot files (default: synthetic)")
    what.add_argument(
        "--seeds", type=int, nargs="+", default=[13], help="draws of each task, an entry each (default: 13)"
    )
    what.add_argument("--k", help="size of the draws, or all: where there are several, or for synthetic")
    what.add_argument("--metric", help="of tasks that are not in the catalogue")
    how = parser.add_argument_group("learning")
    how.add_argument("--backbone", default="mpt-tiny", help="hub name, folder or mpt-tiny (default)")
    how.add_argument("--prompt-length", type=int, default=100, help="rows of a prompt (default: 100)")
    how.add_argument("--rate", type=float, default=0.3, help="learning rate of Adafactor, constant (default: 0.3)")
    how.add_argument("--batch-size", type=int, default=8, help="examples a step (default: 8)")
    how.add_argument("--steps", type=int, default=3000, help="of each task's tuning (default: 3000)")
    how.add_argument("--every", type=int, default=50, help="steps between evaluations on dev (default: 50)")
    how.add_argument("--key-steps", type=int, default=100, help="steps to a key (default: 100)")
    how.add_argument("--start-seed", type=int, default=13, help="of the prompt that all start from (default: 13)")
    how.add_argument("--at-once", type=int, help="prompts tuned side by side (default: 16 on a GPU, else 8)")
    how.add_argument("--max-input-length", type=int, default=512, help="tokens read of an input (default: 512)")
    how.add_argument("--max-target-length", type=int, default=64, help="tokens of an output (default: 64)")
    how.add_argument("--dtype", default="float32", choices=("float32", "bfloat16"), help="of the backbone's weights")
    how.add_argument("--device", help="cpu or cuda (default: a GPU if there is one)")
    parser.add_argument("--out", required=True, type=Path, help="folder of the library; one that is there is added to")


def run_learn(options: argparse.Namespace) -> bool:
    """``mpt library learn``: whether every entry is there in the end."""
    tasks, seeds, k = _tasks(options), _seeds(options), _k(options.k)
    if options.at_once is not None and options.at_once < 1:
        raise UserError(f"--at-once must be at least 1, not {options.at_once}")
    from mpt.adapt.device import device_of
    from mpt.adapt.fill_library import Lesson, learn
    from mpt.adapt.progress import console
    from mpt.backbone.loading import BackboneOptions
    from mpt.library.library import Library
    from mpt.util.quiet import quiet_libraries

    quiet_libraries()
    lesson = Lesson(tasks, options.root, seeds, k, options.metric, options.steps, options.every)
    recipe = KeyRecipe(
        backbone=options.backbone,
        prompt_length=options.prompt_length,
        key_steps=options.key_steps,
        learning_rate=options.rate,
        batch_size=options.batch_size,
        seed=options.start_seed,
    )
    limits = BackboneOptions(
        dtype=options.dtype, max_input_length=options.max_input_length, max_target_length=options.max_target_length
    )
    device, terminal = device_of(options.device), console()
    at_once = options.at_once or (16 if device.type == "cuda" else 8)
    failed = learn(options.out, recipe, lesson, limits, terminal, device, at_once)
    entries = len(Library.open(options.out).entries())
    terminal.print(f"the library {options.out} has {entries} entries" + (f"; {len(failed)} failed" if failed else ""))
    return not failed


def _tasks(options: argparse.Namespace) -> tuple[str, ...]:
    if (options.tasks is None) == (options.partition is None):
        raise UserError("name the tasks by either --tasks or --partition, and not both")
    names = tuple(options.tasks) if options.tasks is not None else load_partition(options.partition).source
    if twice := [name for name in dict.fromkeys(names) if names.count(name) > 1]:
        raise UserError(f"--tasks names {twice[0]} twice")
    return names


def _seeds(options: argparse.Namespace) -> tuple[int, ...]:
    seeds = tuple(options.seeds)
    if len(set(seeds)) < len(seeds):
        raise UserError(f"--seeds names a draw twice: {', '.join(map(str, seeds))}")
    if wrong := [seed for seed in seeds if not 0 <= seed < 2**32]:
        raise UserError(f"--seeds {wrong[0]}: a seed is a whole number from 0 to {2**32 - 1}")
    return seeds


def _k(given: str | None) -> Shots | None:
    if given is None or given == "all":
        return given  # type: ignore[return-value]
    if not given.isdigit() or int(given) < 1:
        raise UserError(f"--k is a number from 1 on, or the word all, not {given!r}")
    return int(given)
