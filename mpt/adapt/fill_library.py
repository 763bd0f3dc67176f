"""Filling a library: the prompts of many tasks, learned side by side; what was killed goes on where it was."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from rich.console import Console

from mpt.adapt.progress import TuningProgress
from mpt.adapt.tuning import Tuned, TuningJob, plain_start, tune
from mpt.backbone.device import few_threads
from mpt.backbone.loading import BackboneOptions
from mpt.backbone.memory import refuse_too_large
from mpt.backbone.model import FrozenBackbone
from mpt.data.fewshot.files import SYNTHETIC
from mpt.data.modules.few_shot import FewShotData
from mpt.data.tables.own_task import read_own_task
from mpt.data.tasks.task import Shots
from mpt.learn.answering import Answering
from mpt.learn.targets import check_targets
from mpt.library.library import Library
from mpt.library.recipe import KeyRecipe
from mpt.prompt.files import backbone_facts
from mpt.util.errors import UserError
from mpt.util.files import at_work
from mpt.util.places import refuse_link
from mpt.util.yaml_file import is_yaml

WORK = ".learning"
"""Folder in a library's for the states of packs at work."""


@dataclass(frozen=True)
class LearnOptions:
    """What is learned.

    Attributes:
        tasks: names of tasks under ``root``, and paths of a user's own.
        root: folder of CrossFit's few-shot files, or the word ``synthetic``.
        seeds: draws of each task; each makes an entry.
        k: size of the draws, where a folder holds several, or for the synthetic suite.
        metric: of tasks that are not in the catalogue.
        steps: of a tuning.
        every: steps between evaluations on dev.
        answers: what is judged on dev: what the model writes, or the likeliest label where a task has labels.
    """

    tasks: tuple[str, ...]
    root: str = SYNTHETIC
    seeds: tuple[int, ...] = (13,)
    k: Shots | None = None
    metric: str | None = None
    steps: int = 600
    every: int = 50
    answers: Answering = "written"


def learn(
    folder: Path,
    recipe: KeyRecipe,
    lesson: LearnOptions,
    options: BackboneOptions,
    terminal: Console,
    device: torch.device,
    at_once: int,
    autocast: torch.dtype | None = None,
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
    data: dict[str, FewShotData] = {}
    for task in lesson.tasks:
        for seed in lesson.seeds:
            one = FewShotData(task, lesson.root, seed, lesson.k, lesson.metric, recipe.batch_size)
            one.setup()  # complains of all that is not there
            if (name := f"{one.task_name}-{seed}") in data:
                raise UserError(
                    f"two of the tasks are called {one.task_name}, and so would be their entries; rename one"
                )
            data[name] = one
    refuse_link(folder / WORK)
    backbone = FrozenBackbone(recipe.backbone, options)
    terminal.print(f"backbone {backbone.name}: {backbone.reading}", markup=False)
    backbone.check_lengths(recipe.prompt_length)
    refuse_too_large(backbone, recipe.prompt_length, recipe.batch_size * at_once, device)
    library = Library.create(folder, recipe)
    for one in data.values():
        for sentence in check_targets(backbone.encode, one.outputs()):
            terminal.print(sentence, markup=False)
    few_threads(backbone)
    names = list(data)
    there = _there(library, backbone.fingerprint, data)
    if there:
        terminal.print(f"{len(there)} of {len(names)} entries are in {folder} already and left as they are")
    backbone.to(device)
    start = plain_start(backbone, recipe.prompt_length, recipe.seed)
    failed: list[str] = []
    # Packs do not depend on what is there: one that goes on must have the prompts that it began with.
    packs = [names[place : place + at_once] for place in range(0, len(names), at_once)]
    for number, pack in enumerate(packs, start=1):
        if there.issuperset(pack):
            continue
        own = [_data_digest(data[name]) for name in pack]
        work = folder / WORK / _digest([*pack, *own], lesson, recipe, backbone, autocast)
        with at_work(work, f"another mpt library learn is at work on {pack[0]} in {folder}"):
            by_label = lesson.answers == "labels"
            jobs = [
                TuningJob(name, one, start, recipe.learning_rate, one.labels if by_label else ())
                for name, one in ((name, data[name]) for name in pack)
            ]
            first = data[pack[0]].task_name
            title = f"{number} of {len(packs)}: {first} and {len(pack) - 1} more" if pack[1:] else first
            with TuningProgress(terminal, title) as bar:
                tuned = tune(
                    backbone,
                    jobs,
                    steps=lesson.steps,
                    every=lesson.every,
                    key_steps=recipe.key_steps,
                    state=work / "state.pt",
                    told=bar.told,
                    stepped=bar.stepped,
                    autocast=autocast,
                )
            there |= _there(library, backbone.fingerprint, {name: data[name] for name in pack})
            for name, result in zip(pack, tuned, strict=True):
                if name not in there and not _add(library, name, result, data[name], backbone, terminal):
                    failed.append(name)
            shutil.rmtree(work, ignore_errors=True)
    if (folder / WORK).is_dir() and not any((folder / WORK).iterdir()):
        (folder / WORK).rmdir()
    return failed


def _there(library: Library, fingerprint: str, data: Mapping[str, FewShotData]) -> set[str]:
    """Which entries a library has."""
    found = {entry.name: entry for entry in library.entries() if entry.name in data}
    for name, entry in found.items():
        if entry.fingerprint != fingerprint:
            raise UserError(f"the library {library.folder} has an entry {name} of another backbone; remove it first")
        known = entry.facts.get("data")  # of CrossFit's tasks earlier versions did not say it
        if known != _data_digest(data[name]) and (known is not None or is_yaml(data[name].source)):
            raise UserError(
                f"the library {library.folder} has an entry {name} that was learned on other examples than "
                f"{data[name].source} has now; remove it first, or rename the task"
            )
    return set(found)


def _data_digest(data: FewShotData) -> str | None:
    """Of a task's examples, whose files may change."""
    return read_own_task(data.source).digest if is_yaml(data.source) else data.learned


def _add(
    library: Library, name: str, tuned: Tuned, data: FewShotData, backbone: FrozenBackbone, terminal: Console
) -> bool:
    if tuned.value is None or tuned.key is None:
        terminal.print(f"{name} failed: {tuned.ended}")
        return False
    assert data.task is not None and data.fewshot is not None
    facts = backbone_facts(backbone.config) | {
        "fingerprint": backbone.fingerprint,
        "method": "PromptTuning",
        "task": data.task_name,
        "type": data.task.type,
        "metric": data.task.metric,
        "labels": list(data.task.labels),
        "seed": data.seed,
        "k": data.fewshot.k,
        "dev_score": tuned.dev_score,
        "step": tuned.best_step,
        "steps": tuned.steps,
        "examples": tuned.examples,
        "seconds": round(tuned.seconds, 2),
    }
    facts |= {**backbone.options.remembered, "data": _data_digest(data)}
    facts |= {"template": data.template} if data.template else {}
    library.add(name, tuned.key, tuned.value, facts, decoder_only=backbone.decoder_only)
    terminal.print(f"{name}: dev {data.task.metric} {tuned.dev_score:.3f} at step {tuned.best_step}")
    return True


def _digest(
    pack: Sequence[str | None],
    lesson: LearnOptions,
    recipe: KeyRecipe,
    backbone: FrozenBackbone,
    autocast: torch.dtype | None,
) -> str:
    rest = {name: value for name, value in asdict(lesson).items() if name not in ("tasks", "seeds")}
    known = [pack, rest, asdict(recipe), backbone.fingerprint, asdict(backbone.options), str(autocast)]
    return hashlib.sha256(json.dumps(known).encode()).hexdigest()[:16]
