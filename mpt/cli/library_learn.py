"""``mpt library learn``."""

from __future__ import annotations

import argparse

from mpt.cli.options import Distinct, above_zero, add_model, at_least, part, seed, shots
from mpt.data.fewshot.files import SYNTHETIC
from mpt.data.tasks.partitions import load_partition
from mpt.library.recipe import KeyRecipe
from mpt.util.errors import UserError
from mpt.util.places import expanded


def add_learn_options(parser: argparse.ArgumentParser) -> None:
    """The options of ``mpt library learn``."""
    what = parser.add_argument_group("tasks")
    what.add_argument("--tasks", nargs="+", action=Distinct, metavar="TASK", help="names, or YAML files of your own")
    what.add_argument("--partition", help="in their place: the source tasks of a partition, by name or file")
    what.add_argument("--root", default=SYNTHETIC, help="folder of CrossFit's few-shot files (default: synthetic)")
    draws = "draws of each task, an entry each (default: 13)"
    what.add_argument("--seeds", type=seed, nargs="+", action=Distinct, default=[13], help=draws)
    what.add_argument("--k", type=shots, help="size of the draws, or all: where there are several, or for synthetic")
    what.add_argument("--metric", help="of tasks that are not in the catalogue")
    how = parser.add_argument_group("learning")
    how.add_argument(
        "--backbone", default="mpt-tiny", help="hub name, folder, GGUF file, smollm2-135m or mpt-tiny (default)"
    )
    how.add_argument("--prompt-length", type=at_least(1), default=100, help="rows of a prompt (default: 100)")
    how.add_argument("--rate", type=above_zero, default=0.3, dest="learning_rate", help="of Adafactor (default: 0.3)")
    how.add_argument("--batch-size", type=at_least(1), default=8, help="examples a step (default: 8)")
    how.add_argument("--steps", type=at_least(1), default=3000, help="of each task's tuning (default: 3000)")
    how.add_argument("--every", type=at_least(1), default=50, help="steps between evaluations on dev (default: 50)")
    told = "judged on dev: what the model writes (default), or the likeliest of a task's labels"
    how.add_argument("--answers", choices=("written", "labels"), default="written", help=told)
    how.add_argument("--key-steps", type=at_least(1), default=100, help="steps to a key (default: 100)")
    how.add_argument(
        "--start-seed", type=seed, default=13, dest="seed", help="of the prompt all start from (default: 13)"
    )
    how.add_argument("--at-once", type=at_least(1), help="prompts tuned side by side (default: 16 on a GPU, else 8)")
    add_model(how)
    parser.add_argument("--out", required=True, type=expanded, help="the library's folder; one that is there grows")


def run_learn(options: argparse.Namespace) -> bool:
    """``mpt library learn``: whether every entry is there in the end."""
    if (options.tasks is None) == (options.partition is None):
        raise UserError("name the tasks by either --tasks or --partition, and not both")
    options.tasks = options.tasks or load_partition(options.partition).source
    from mpt.adapt.fill_library import LearnOptions, learn
    from mpt.backbone.device import arithmetic_of, device_of
    from mpt.backbone.loading import BackboneOptions
    from mpt.library.library import Library
    from mpt.present.terminal import console
    from mpt.util.quiet import quiet_libraries

    quiet_libraries()
    lesson, recipe, limits = part(LearnOptions, options), part(KeyRecipe, options), part(BackboneOptions, options)
    device, terminal = device_of(options.device), console()
    at_once = options.at_once or (16 if device.type == "cuda" else 8)
    arithmetic = arithmetic_of(options.precision, device)
    failed = learn(options.out, recipe, lesson, limits, terminal, device, at_once, arithmetic)
    entries = len(Library.open(options.out).entries())
    terminal.print(f"the library {options.out} has {entries} entries" + (f"; {len(failed)} failed" if failed else ""))
    return not failed
