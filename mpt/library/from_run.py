"""A library's entry from the folder of a run or of ``mpt adapt``, if its key was made as the library's are."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from pytorch_lightning.callbacks import EarlyStopping
from pytorch_lightning.utilities.exceptions import MisconfigurationException

from mpt.library.entry import FILES, KEY, amount
from mpt.library.recipe import OPTIONS, KeyRecipe
from mpt.prompt.files import StoredPrompt, is_prompt, load_prompt
from mpt.prompt.initialisers import SampledVocabulary
from mpt.record.folder import CONFIG, EARLY, METRICS, RESULT, RunFolder
from mpt.record.options import RunOptions
from mpt.record.rows import DEV_SCORE, MetricsRow, read_metrics
from mpt.util.errors import UserError, one_line
from mpt.util.files import links_below, refuse_links
from mpt.util.places import expanded
from mpt.util.reading import read_json
from mpt.util.schema import checked
from mpt.util.yaml_file import called

_FACTS = FILES[-1]
_MADE_WITH = {"model": "PromptTuning", "model.init": "SampledVocabulary", "model.optimizer": "PromptAdafactor"}
"""By option, the class that the keys of a library are made with."""
ADAFACTOR = {"weight_decay": 1e-5, "decay_rate": -0.8, "clip_threshold": 1.0}
"""Other options of :class:`mpt.learn.PromptAdafactor`, at their defaults."""


@dataclass(frozen=True)
class LibraryRun:
    """What a run's folder holds for a library.

    Attributes:
        key: the prompt of the early step.
        value: the dev-best prompt.
        facts: for the entry; ``seed`` is that of the draw, ``start_seed`` that of the prompt it started from;
            ``steps``, ``examples`` and, of a study's run, ``seconds`` are what the whole run took.
        recipe: how the key was made.
        decoder_only: whether the backbone is.
    """

    key: StoredPrompt
    value: StoredPrompt
    facts: dict[str, Any]
    recipe: KeyRecipe
    decoder_only: bool

    @property
    def name(self) -> str:
        """What its entry is called if nobody says otherwise."""
        return f"{self.facts['task']}-{self.facts['seed']}"


def read_run(folder: Path, key_steps: int | None = None) -> LibraryRun:
    """Read a run's folder.

    Args:
        key_steps: step of the key; the only one that was kept, if not given.

    Raises:
        UserError: no run of prompt tuning on one task from a plain start, or one that kept no early prompt or did not
            finish.
    """
    folder = expanded(folder)
    refuse_links(folder, links_below(folder, skip="wandb"), f"run {folder}")
    files = RunFolder(folder)
    path = files.config
    if not path.is_file() and is_prompt(folder):
        return _adapted(folder)
    if not os.path.lexists(path):
        raise UserError(f"{folder} is no run's folder: it has no {CONFIG}")
    options = files.options()
    step = _kept(files, key_steps)
    key, value = load_prompt(files.early_prompt(step)), load_prompt(files.prompt)
    if key.facts.get("step", step) != step:
        raise UserError(f"{files.early_prompt(step)} says that it is of step {key.facts['step']}")
    recipe = KeyRecipe(
        backbone=_of(options, path, "model.backbone", str),
        prompt_length=len(value.weight),
        key_steps=step,
        learning_rate=float(_of(options, path, OPTIONS["learning_rate"], int | float)),
        batch_size=_of(options, path, OPTIONS["batch_size"], int),
        seed=_of(options, path, OPTIONS["seed"], int),
        chat_template=options.said(OPTIONS["chat_template"]) is True,
    )
    _check_plain(options, path)
    steps = _steps(files, options, value.facts)
    facts = {**value.facts, "start_seed": recipe.seed, "seed": _of(options, path, "data.seed", int)}
    facts.setdefault("task", called(_of(options, path, "data.task", str)))
    if (k := options.said("data.k")) is not None:
        facts.setdefault("k", k)
    if DEV_SCORE in facts:
        facts["dev_score"] = facts.pop(DEV_SCORE)
    facts |= {"steps": steps, "examples": steps * recipe.batch_size, **_recorded(files)}
    return LibraryRun(key, value, facts, recipe, _decoder_only(files.prompt))


def _adapted(folder: Path) -> LibraryRun:
    """What ``mpt adapt`` wrote: the prompt, and the task's key within."""
    value = load_prompt(folder)
    if value.facts.get("method") != "adapt" or not (folder / KEY).is_dir():
        raise UserError(
            f"{folder} is a prompt without a key, by which a library would find it; add a run's folder, or what mpt "
            "adapt writes with --library, or without it in more --steps"
        )
    key = load_prompt(folder / KEY)
    if "recipe" not in key.facts:
        raise UserError(f"{folder / KEY} does not say how the key was made, as today's mpt adapt does: adapt it again")
    recipe = checked(key.facts["recipe"], {}, str(folder / KEY / _FACTS), KeyRecipe)
    facts = {name: fact for name, fact in value.facts.items() if name != "tried"}
    return LibraryRun(key, value, facts, recipe, _decoder_only(folder))


def _decoder_only(prompt: Path) -> bool:
    return read_json(prompt / "adapter_config.json").get("task_type") == "CAUSAL_LM"


def _kept(files: RunFolder, key_steps: int | None) -> int:
    steps = (path.name.removeprefix("step-") for path in files.early.glob("step-*"))
    kept = sorted(int(step) for step in steps if step.isdecimal())
    if not kept or (key_steps is not None and key_steps not in kept):
        wanted = f"step {key_steps}" if key_steps is not None else "an early step"
        there = f"of steps {', '.join(map(str, kept))}" if kept else "none"
        raise UserError(
            f"{files.path} has not kept the prompt of {wanted} ({there} in {EARLY}/), which would be its key; "
            "run it with the callback mpt.callbacks.KeepEarly"
        )
    if key_steps is None and len(kept) > 1:
        raise UserError(
            f"{files.path} has kept the prompts of steps {', '.join(map(str, kept))}; choose with --key-steps"
        )
    return kept[0] if key_steps is None else key_steps


def _check_plain(options: RunOptions, path: Path) -> None:
    """Refuse keys that differ by more than what their tasks taught."""
    for name, kind in _MADE_WITH.items():
        if (given := _of(options, path, name, str)).rpartition(".")[2] != kind:
            raise UserError(f"{path}: {name} is {given}, but the keys of a library are made with {kind}")
    common = SampledVocabulary().most_common
    for name, plain, why in (
        ("model.lr_scheduler", None, "the keys of a library are made at a constant rate"),
        ("model.init.most_common", common, f"the keys of a library start from the {common} most common tokens"),
        ("model.init.seed", None, "the keys of a library start from one draw, that of the run's seed"),
        ("model.reparameterisation", None, "the keys of a library are learned as they are"),
        *(
            (f"model.optimizer.{name}", usual, f"the keys of a library are made with {usual}")
            for name, usual in ADAFACTOR.items()
        ),
        ("data.task_prefix", False, "the keys of a library are made with false"),
        ("data.references", "first", "the keys of a library are made with first"),
        ("trainer.accumulate_grad_batches", 1, "each step to a library's key takes one batch"),
        ("trainer.gradient_clip_val", 0, "the keys of a library are made with whole gradients"),
    ):
        if (given := options.said(name)) not in (None, plain):
            raise UserError(f"{path}: {name} is {'true' if given is True else given}, but {why}")


def _recorded(files: RunFolder) -> dict[str, Any]:
    """What the result of a study's run says that it took; nothing of a run that was done alone."""
    try:
        result = read_json(files.path / RESULT)
    except UserError:
        return {}
    names = ("steps", "examples", "seconds")
    return {name: result[name] for name in names if amount(result.get(name)) is not None}


def _steps(files: RunFolder, options: RunOptions, facts: dict[str, Any]) -> int:
    """The steps that a run made; a prompt that may not be the best of a whole run is refused."""
    path, every = files.config, options.said("trainer.val_check_interval")
    end: int = _of(options, path, "trainer.max_steps", int)
    if end < 1:
        raise UserError(f"{path}: trainer.max_steps is {end}, so nothing says whether the run finished")
    # What a run does after its last evaluation changes nothing.
    last = end - end % every if type(every) is int and 0 < every <= end else end
    rows, reached = read_metrics(files.metrics, cut_short=True), facts.get("step", 0)
    reached = max([reached if isinstance(reached, int) else 0, *(row.step for row in rows)])
    if reached >= last:
        return end
    if _stopped_early(options, path, rows):
        return reached
    if not rows:
        raise UserError(
            f"{files.path} has no {METRICS} that says whether the run finished; run it with the callback "
            "mpt.callbacks.MetricsFile"
        )
    raise UserError(
        f"{files.path} was stopped at step {reached} of {end}; go on with mpt fit --config {path} --ckpt_path last"
    )


def _stopped_early(options: RunOptions, path: Path, rows: list[MetricsRow]) -> bool:
    """Whether the run's own early stopping ended it, as its evaluations tell."""
    for part in options.callbacks("EarlyStopping"):
        given = {name.removeprefix("callback."): value for name, value in part.given.items() if name != "callback"}
        try:
            stopper = EarlyStopping(**{**given, "verbose": False})
            scores = [torch.tensor(row.values[stopper.monitor]) for row in rows if stopper.monitor in row.values]
        except (TypeError, ValueError, MisconfigurationException) as error:
            raise UserError(f"{path}: its EarlyStopping cannot be read ({one_line(error)})") from error
        if any(stopper._evaluate_stopping_criteria(score)[0] for score in scores):
            return True
    return False


def _of(options: RunOptions, path: Path, name: str, kind: Any) -> Any:
    value = options.said(name)
    if not isinstance(value, kind) or isinstance(value, bool):
        raise UserError(
            f"{path}: {name} is missing or of another kind; a run of prompt tuning on one task was expected"
        )
    return value
