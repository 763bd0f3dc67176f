"""The grid of a study as data: every run it takes, each exactly an ``mpt fit`` that a user could type."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import yaml

from mpt.configs import find_config
from mpt.data.fewshot import find_task, load_fewshot, task_names
from mpt.data.partitions import Partition, load_partition
from mpt.data.tasks import nearest
from mpt.errors import UserError
from mpt.study.spec import Method, Stage, Study

PLACE = "{study}"
"""Stands for the study's folder in a recipe, so that a moved folder is still the same study."""


@dataclass(frozen=True)
class Cell:
    """One run of a study.

    Attributes:
        key: its name, and its folder below the study's: ``<method>/<target>-<seed>[-lr<rate>]`` or
            ``<method>/upstream-<seed>``.
        target: the target task; none for an upstream run.
        recipe: the words of its ``mpt fit``, with :data:`PLACE` for the study's folder.
        needs: keys of the runs that must be finished before.
        fingerprint: digest of the recipe, its config file and those of its needs; a result is this cell's
            only if it carries the same.
        out: the study's folder.
    """

    key: str
    method: str
    stage: Literal["upstream", "downstream"]
    target: str | None
    seed: int
    learning_rate: float | None
    recipe: tuple[str, ...]
    needs: tuple[str, ...]
    fingerprint: str
    out: Path

    @property
    def folder(self) -> Path:
        """The run's folder."""
        return self.out / self.key

    @property
    def arguments(self) -> list[str]:
        """What follows ``mpt`` on the command line; downstream, ``mpt test`` with the same options comes
        after.
        """
        return [word.replace(PLACE, str(self.out)) for word in self.recipe]


def plan(study: Study, out: Path) -> list[Cell]:
    """Every run of the study: first all upstream runs, then method by method, target by target, seed by seed.

    Raises:
        UserError: an unknown partition, task or config file.
    """
    partition = load_partition(study.partition)
    targets = _part(study.targets, partition.target, "targets", study, partition)
    upstream: dict[tuple[str, int], Cell] = {}
    for method in study.methods:
        if method.upstream is not None:
            fixed = method.upstream.seed
            for seed in study.seeds if fixed is None else (fixed,):
                upstream[method.name, seed] = _upstream(study, method, method.upstream, seed, out, partition)
    cells = list(upstream.values())
    for method in study.methods:
        for target in targets:
            for seed in study.seeds:
                first = seed
                if method.upstream is not None and method.upstream.seed is not None:
                    first = method.upstream.seed
                cells += _downstream(study, method, target, seed, out, upstream.get((method.name, first)))
    return cells


def check_data(study: Study) -> None:
    """Read what the study will read, so that a wrong name or file is known before the first run.

    Raises:
        UserError: a task, draw or file that is not there, or is malformed.
    """
    partition = load_partition(study.partition)
    for method in study.methods:
        options = {**study.overrides, **method.downstream.overrides}
        for target in _part(study.targets, partition.target, "targets", study, partition):
            metric = options.get("data.metric")
            find_task(study.root, target, metric)
            if study.root != "synthetic":
                for seed in study.seeds:
                    load_fewshot(study.root, target, seed, options.get("data.k", study.k), metric)
        if method.upstream is not None:
            known = task_names(study.root)
            for source in _part(study.sources, partition.source, "sources", study, partition):
                if source not in known:
                    raise UserError(
                        f"{study.file}: the source task {source} is not in {study.root}; "
                        f"{nearest(source, known)}"
                    )


def _part(
    chosen: tuple[str, ...], all_tasks: tuple[str, ...], what: str, study: Study, partition: Partition
) -> tuple[str, ...]:
    for name in chosen:
        if name not in all_tasks:
            raise UserError(
                f"{study.file}: {what} names {name}, which is not among the {what} of the partition "
                f"{partition.name}; "
                f"{nearest(name, all_tasks)}"
            )
    return chosen or all_tasks


def _upstream(study: Study, method: Method, stage: Stage, seed: int, out: Path, partition: Partition) -> Cell:
    sources = _part(study.sources, partition.source, "sources", study, partition)
    data = (
        {"data.tasks": list(sources), "data.partition": None}
        if study.sources
        else {"data.partition": study.partition}
    )
    return _cell(study, method, stage, "upstream", sources, seed, None, data, {}, None, out)


def _downstream(
    study: Study, method: Method, target: str, seed: int, out: Path, start: Cell | None
) -> Iterator[Cell]:
    init = {}
    if start is not None:
        init = {
            "model.init": "mpt.initialisers.SavedPrompt",
            "model.init.path": f"{PLACE}/{start.key}/prompt",
        }
    for rate in method.downstream.learning_rates or (None,):
        last = init if rate is None else {**init, "model.optimizer.lr": rate}
        yield _cell(
            study,
            method,
            method.downstream,
            "downstream",
            (target,),
            seed,
            rate,
            {"data.task": target},
            last,
            start,
            out,
        )


def _cell(
    study: Study,
    method: Method,
    stage: Stage,
    kind: Literal["upstream", "downstream"],
    tasks: tuple[str, ...],
    seed: int,
    rate: float | None,
    data: Mapping[str, Any],
    last: Mapping[str, Any],
    start: Cell | None,
    out: Path,
) -> Cell:
    target = tasks[0] if kind == "downstream" else None
    key = f"{method.name}/{target or kind}-{seed}" + (f"-lr{rate:g}" if rate is not None else "")
    config, text = _config(stage.config, study)
    options: dict[str, Any] = {
        "config": config,
        "seed_everything": seed,
        "trainer.default_root_dir": f"{PLACE}/{key}",
        "trainer.enable_progress_bar": False,
        "model.backbone": study.backbone,
        "data.root": study.root,
        **data,
        "data.seed": seed,
        **({"data.k": study.k} if study.k is not None else {}),
        **(_tracking(study, method) if _is_tracked(text, {**study.overrides, **stage.overrides}) else {}),
    }
    # What the file says goes over what the study sets by itself; what spans the grid goes over everything.
    for name, value in {**study.overrides, **stage.overrides, **last}.items():
        options.pop(name, None)
        options[name] = value
    recipe = ("fit", *(f"--{name}={_word(value)}" for name, value in options.items()))
    # The config counts by its text, not by the path it was found at.
    content = [recipe[2:], text, tasks, start.fingerprint if start else None]
    fingerprint = hashlib.sha256(json.dumps(content).encode()).hexdigest()[:16]
    needs = (start.key,) if start else ()
    return Cell(key, method.name, kind, target, seed, rate, recipe, needs, fingerprint, out)


def _config(config: str, study: Study) -> tuple[str, str]:
    """The word after ``--config`` and the text of the file: one beside the study's, or as ``mpt fit`` finds
    it.
    """
    beside = Path(study.file).parent / config
    try:
        path = beside if beside.is_file() else find_config(config)
    except UserError as error:
        raise UserError(f"{study.file}: {error}") from error
    return str(beside) if path is beside else config, path.read_text(encoding="utf-8")


def _tracking(study: Study, method: Method) -> dict[str, Any]:
    return {"trainer.logger.group": study.name, "trainer.logger.job_type": method.name}


def _is_tracked(config: str, overrides: Mapping[str, Any]) -> bool:
    """Whether the run logs to W&B, which then wants a group and a kind."""
    content = yaml.safe_load(config)
    trainer = content.get("trainer") if isinstance(content, dict) else None
    logger = overrides.get("trainer.logger", trainer.get("logger") if isinstance(trainer, dict) else None)
    name = logger.get("class_path", "") if isinstance(logger, dict) else logger
    return isinstance(name, str) and name.rpartition(".")[2] in ("Tracker", "WandbLogger")


def _word(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
