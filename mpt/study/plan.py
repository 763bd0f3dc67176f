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
from mpt.data.fewshot import task_names
from mpt.data.partitions import load_partition
from mpt.data.tasks import nearest
from mpt.errors import UserError
from mpt.study.inputs import draw_digest, sources_digest, weights_digest
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
        fingerprint: digest of the recipe and of what it reads: config file, data, backbone, and the runs it
            needs; a result is this cell's only if it carries the same.
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

    Reads the data too, so that a wrong name or a malformed file is known before the first run.

    Raises:
        UserError: an unknown partition, task or config file; a draw that is not there or is malformed.
    """
    planner = _Planner(study, out)
    upstream: dict[tuple[str, int], Cell] = {}
    for method in study.methods:
        if method.upstream is not None:
            for seed in study.seeds if method.upstream.seed is None else (method.upstream.seed,):
                upstream[method.name, seed] = planner.upstream(method, method.upstream, seed)
    cells = list(upstream.values())
    for method in study.methods:
        for target in planner.targets:
            for seed in study.seeds:
                first = seed
                if method.upstream is not None and method.upstream.seed is not None:
                    first = method.upstream.seed
                cells += planner.downstream(method, target, seed, upstream.get((method.name, first)))
    return cells


class _Planner:
    """What all cells of a study share."""

    def __init__(self, study: Study, out: Path) -> None:
        self.study = study
        self.out = out
        self.partition = load_partition(study.partition)
        self.targets = self._part("targets", study.targets, self.partition.target)
        self.sources = self._part("sources", study.sources, self.partition.source)
        self.weights = weights_digest(study.backbone)

    def upstream(self, method: Method, stage: Stage, seed: int) -> Cell:
        known = task_names(self.study.root)
        for source in self.sources:
            if source not in known:
                raise UserError(
                    f"{self.study.file}: the source task {source} is not in {self.study.root}; {nearest(source, known)}"
                )
        data: dict[str, Any] = {"data.partition": self.study.partition}
        if self.study.sources:
            data = {"data.tasks": list(self.sources), "data.partition": None}
        options = self._options(method, stage, f"{method.name}/upstream-{seed}", seed, data)
        return self._cell(method, stage, "upstream", None, seed, None, options, None)

    def downstream(self, method: Method, target: str, seed: int, start: Cell | None) -> Iterator[Cell]:
        stage = method.downstream
        for rate in stage.learning_rates or (None,):
            key = f"{method.name}/{target}-{seed}" + (f"-lr{rate:g}" if rate is not None else "")
            options = self._options(method, stage, key, seed, {"data.task": target})
            if start is not None:
                options |= _last("model.init", "mpt.initialisers.SavedPrompt", options)
                options |= _last("model.init.path", f"{PLACE}/{start.key}/prompt", options)
            if rate is not None:
                options |= _last("model.optimizer.lr", rate, options)
            yield self._cell(method, stage, "downstream", target, seed, rate, options, start)

    def _options(self, method: Method, stage: Stage, key: str, seed: int, data: Mapping[str, Any]) -> dict[str, Any]:
        """The options of a run by name: the study's own, and over them those of its file."""
        study = self.study
        given = {**study.overrides, **stage.overrides}
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
        }
        if study.k is not None:
            options["data.k"] = study.k
        if _is_tracked(text, given):
            options |= {"trainer.logger.group": study.name, "trainer.logger.job_type": method.name}
        for name, value in given.items():
            options |= _last(name, value, options)
        return options

    def _cell(
        self,
        method: Method,
        stage: Stage,
        kind: Literal["upstream", "downstream"],
        target: str | None,
        seed: int,
        rate: float | None,
        options: Mapping[str, Any],
        start: Cell | None,
    ) -> Cell:
        root = self.study.root
        if target is None:
            data = [*self.sources, sources_digest(root, self.sources)]
        else:
            data = [draw_digest(root, target, seed, options.get("data.k"), options.get("data.metric"))]
        recipe = ("fit", *(f"--{name}={_word(value)}" for name, value in options.items()))
        # The config counts by its text, not by the path it was found at.
        content = [recipe[2:], _config(stage.config, self.study)[1], data, self.weights]
        content.append(start.fingerprint if start else None)
        return Cell(
            key=options["trainer.default_root_dir"].removeprefix(f"{PLACE}/"),
            method=method.name,
            stage=kind,
            target=target,
            seed=seed,
            learning_rate=rate,
            recipe=recipe,
            needs=(start.key,) if start else (),
            fingerprint=hashlib.sha256(json.dumps(content).encode()).hexdigest()[:16],
            out=self.out,
        )

    def _part(self, what: str, chosen: tuple[str, ...], all_tasks: tuple[str, ...]) -> tuple[str, ...]:
        for name in chosen:
            if name not in all_tasks:
                raise UserError(
                    f"{self.study.file}: {what} names {name}, which is not among the {what} of the partition "
                    f"{self.partition.name}; {nearest(name, all_tasks)}"
                )
        return chosen or all_tasks


def _last(name: str, value: Any, options: dict[str, Any]) -> dict[str, Any]:
    """The option as the last word: it goes over an earlier one, however that is spelt."""
    options.pop(name, None)
    return {name: value}


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


def _is_tracked(config: str, overrides: Mapping[str, Any]) -> bool:
    """Whether the run logs to W&B, which then wants a group and a kind."""
    content = yaml.safe_load(config)
    trainer = content.get("trainer") if isinstance(content, dict) else None
    logger = overrides.get("trainer.logger", trainer.get("logger") if isinstance(trainer, dict) else None)
    name = logger.get("class_path", "") if isinstance(logger, dict) else logger
    return isinstance(name, str) and name.rpartition(".")[2] in ("Tracker", "WandbLogger")


def _word(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
