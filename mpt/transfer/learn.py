"""Filling a library: the prompts of many tasks, learned side by side; what was killed goes on where it was."""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from rich.console import Console

from mpt.backbone import FrozenBackbone
from mpt.data.fewshot import SYNTHETIC
from mpt.data.modules import FewShotData
from mpt.data.partitions import load_partition
from mpt.data.tasks import Shots
from mpt.errors import UserError
from mpt.files import only_one
from mpt.loading import BackboneOptions
from mpt.prompt_files import backbone_facts
from mpt.targets import check_targets
from mpt.transfer.device import device_of, few_threads
from mpt.transfer.library import Library
from mpt.transfer.progress import Steps
from mpt.transfer.recipe import Recipe
from mpt.transfer.tuning import Job, Tuned, plain_start, tune

WORK = ".learning"
"""Folder in a library's for the states of packs at work."""


@dataclass(frozen=True)
class Lesson:
    """What is learned.

    Attributes:
        tasks: names of tasks under ``root``.
        root: folder of CrossFit's few-shot files, or the word ``synthetic``.
        seeds: draws of each task; each makes an entry.
        k: size of the draws, where a folder holds several, or for the synthetic suite.
        metric: of tasks that are not in the catalogue.
        steps: of a tuning.
        every: steps between evaluations on dev.
    """

    tasks: tuple[str, ...]
    root: str = SYNTHETIC
    seeds: tuple[int, ...] = (13,)
    k: Shots | None = None
    metric: str | None = None
    steps: int = 600
    every: int = 50


@dataclass(frozen=True)
class Wanted:
    """An entry that is to be there in the end."""

    task: str
    seed: int

    @property
    def name(self) -> str:
        """Of the entry."""
        return f"{self.task}-{self.seed}"


def learn(
    folder: Path,
    recipe: Recipe,
    lesson: Lesson,
    options: BackboneOptions,
    terminal: Console,
    device: torch.device,
    at_once: int,
) -> list[str]:
    """Add an entry to a library for each task and draw that has none yet: the names of those that failed.

    Every tuning starts from the recipe's start and takes the recipe's steps, so that its prompt after ``key_steps`` is
    the key; what was best on dev is the value.

    Args:
        folder: the library's; made if it is not there.
        at_once: how many are tuned side by side.

    Raises:
        UserError: a task that is not there; a library of another recipe.
    """
    if not 0 < recipe.key_steps <= lesson.steps:
        raise UserError(f"--key-steps {recipe.key_steps} is more than the {lesson.steps} of --steps")
    if not 0 < lesson.every <= lesson.steps:
        raise UserError(f"--every must be 1 to the {lesson.steps} of --steps, not {lesson.every}")
    wanted = [Wanted(task, seed) for task in lesson.tasks for seed in lesson.seeds]
    data = {one.name: _data(one, lesson, recipe.batch_size) for one in wanted}  # complains of all that is not there
    library = Library.create(folder, recipe)
    if (folder / WORK).is_symlink():
        raise UserError(f"{folder / WORK} is a link, which could lead anywhere; remove it")
    backbone = FrozenBackbone(recipe.backbone, options)
    backbone.check_lengths(recipe.prompt_length)
    for task in data.values():
        for sentence in check_targets(backbone.encode, task.outputs()):
            terminal.print(sentence, markup=False)
    few_threads(backbone)
    fingerprint = backbone.fingerprint
    there = _there(library, fingerprint, [one.name for one in wanted])
    if there:
        terminal.print(f"{len(there)} of {len(wanted)} entries are in {folder} already and left as they are")
    backbone.to(device)
    start = plain_start(backbone, recipe.prompt_length, recipe.seed)
    failed: list[str] = []
    # Packs do not depend on what is there: one that goes on must have the lanes that it began with.
    packs = [wanted[first : first + at_once] for first in range(0, len(wanted), at_once)]
    for number, pack in enumerate(packs, start=1):
        if all(one.name in there for one in pack):
            continue
        work = folder / WORK / _digest(pack, lesson, recipe, fingerprint, options)
        with only_one(work, f"another mpt library learn is at work on {pack[0].name} in {folder}"):
            jobs = [Job(one.name, data[one.name], start, recipe.learning_rate) for one in pack]
            title = f"{number} of {len(packs)}: {pack[0].task} and {len(pack) - 1} more" if pack[1:] else pack[0].task
            with Steps(terminal, title, lesson.steps) as bar:
                tuned = tune(
                    backbone,
                    jobs,
                    steps=lesson.steps,
                    every=lesson.every,
                    key_steps=recipe.key_steps,
                    state=work / "state.pt",
                    told=bar.told,
                )
            there |= _there(library, fingerprint, [one.name for one in pack])
            for one, result in zip(pack, tuned, strict=True):
                if one.name not in there and not _add(library, one, result, data[one.name], lesson, backbone, terminal):
                    failed.append(one.name)
            shutil.rmtree(work, ignore_errors=True)
    if (folder / WORK).is_dir() and not any((folder / WORK).iterdir()):
        (folder / WORK).rmdir()
    return failed


def _data(one: Wanted, lesson: Lesson, batch_size: int) -> FewShotData:
    data = FewShotData(one.task, lesson.root, one.seed, lesson.k, lesson.metric, batch_size)
    data.setup()
    return data


def _there(library: Library, fingerprint: str, names: Sequence[str]) -> set[str]:
    """Which entries a library has.

    Raises:
        UserError: one of the names belongs to a prompt of another backbone.
    """
    found = {entry.name: entry.fingerprint for entry in library.entries()}
    for name in names:
        if found.get(name, fingerprint) != fingerprint:
            raise UserError(f"the library {library.folder} has an entry {name} of another backbone; remove it first")
    return found.keys() & set(names)


def _add(
    library: Library,
    one: Wanted,
    tuned: Tuned,
    data: FewShotData,
    lesson: Lesson,
    backbone: FrozenBackbone,
    terminal: Console,
) -> bool:
    if tuned.value is None or tuned.key is None:
        terminal.print(f"{one.name} failed: {tuned.ended}")
        return False
    assert data.task is not None and data.fewshot is not None
    facts = backbone_facts(backbone.config) | {
        "fingerprint": backbone.fingerprint,
        "method": "PromptTuning",
        "task": one.task,
        "type": data.task.type,
        "metric": data.task.metric,
        "seed": one.seed,
        "k": data.fewshot.k,
        "dev_score": tuned.dev_score,
        "step": tuned.best_step,
        "steps": tuned.steps,
        "examples": tuned.examples,
        "seconds": round(tuned.seconds, 2),
    }
    library.add(one.name, tuned.key, tuned.value, facts, decoder_only=backbone.decoder_only)
    terminal.print(f"{one.name}: dev {data.task.metric} {tuned.dev_score:.3f} at step {tuned.best_step}")
    return True


def _digest(pack: Sequence[Wanted], lesson: Lesson, recipe: Recipe, fingerprint: str, options: BackboneOptions) -> str:
    rest = {name: value for name, value in asdict(lesson).items() if name not in ("tasks", "seeds")}
    known = [[one.name for one in pack], rest, asdict(recipe), fingerprint, asdict(options)]
    return hashlib.sha256(json.dumps(known).encode()).hexdigest()[:16]


# The command -----------------------------------------------------------------------------------------------------


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
    from mpt.lightning_cli import quiet_libraries
    from mpt.transfer.progress import console

    quiet_libraries()
    lesson = Lesson(
        _tasks(options), options.root, _seeds(options), _k(options.k), options.metric, options.steps, options.every
    )
    if options.at_once is not None and options.at_once < 1:
        raise UserError(f"--at-once must be at least 1, not {options.at_once}")
    recipe = Recipe(
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
