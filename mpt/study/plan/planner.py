"""What all runs of a study share, and how each is made from it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any, Literal

import yaml

from mpt.data.tasks.partitions import load_partition
from mpt.data.tasks.task import Shots
from mpt.fit.configs import find_config
from mpt.study.plan.epochs import steps_of_epochs
from mpt.study.plan.fingerprints import draw_digest, sources_digest, weights_digest
from mpt.study.plan.library import Start, StudyLibrary
from mpt.study.plan.planned_run import PLACE, PlannedRun
from mpt.study.plan.source_draws import complain, lacking
from mpt.study.plan.start_options import start_options
from mpt.study.spec.methods import Method, Stage
from mpt.study.spec.settings import Setting
from mpt.study.spec.study import Study
from mpt.util.errors import UserError


class Planner:
    """What all cells of a study share."""

    def __init__(self, study: Study, out: Path, places: list[Setting], absent: frozenset[str]) -> None:
        self.study = study
        self.out = out
        self.settings = places
        self.absent = absent
        self.weights: dict[str, str | None] = {}
        # A file is looked for and read once, not for each of thousands of runs.
        self.config = cache(lambda name: _config(name, study))

    def alone(self) -> Iterator[tuple[str | None, Setting, list[str]]]:
        """Where a method that learns nothing upstream runs: the partition in its cells, a setting whose options they
        have, and the targets.
        """
        if self.study.shares_downstream:
            targets = dict.fromkeys(target for setting in self.settings for target in setting.targets)
            yield None, self.settings[0], list(targets)
            return
        for setting in self.settings:
            yield setting.name, setting, list(setting.targets)

    def upstream(self, method: Method, stage: Stage, setting: Setting, seed: int) -> PlannedRun:
        data: dict[str, Any] = {"data.partition": setting.given}
        if self.study.sources or setting.sources != load_partition(setting.given).source:
            # By name: what is learned on must not change with what is in the folder when the run starts.
            data = {"data.tasks": list(setting.sources), "data.partition": None}
        partition = setting.name if self.study.has_several and not self.study.shares_upstream else None
        options = self.options(method, stage, setting, partition, f"upstream-{seed}", seed, data, setting.source_k)
        there = tuple(task for task in setting.sources if task not in self.absent)
        if stage.epochs is not None:
            text = self.config(stage.config)[1]
            where = f"{self.study.file}: methods.{method.name}.upstream"
            epochs = stage.epochs if setting.epochs is None else setting.epochs
            steps = steps_of_epochs(epochs, text, options, self.study.root, there, where)
            options |= _last("trainer.max_steps", steps, options)
        read = None
        if there == setting.sources:
            read = [*setting.sources, sources_digest(self.study.root, setting.sources, options.get("data.k"))]
        return self.cell(method, stage, "upstream", partition, None, seed, None, options, read, None)

    def check_sources(self, library_of_study: StudyLibrary) -> None:
        """Complain of all draws that upstream runs read and that are not there.

        Raises:
            UserError: see :func:`mpt.study.plan.source_draws.complain`.
        """
        found: dict[str, str] = {}
        for method in self.study.methods:
            if (stage := method.upstream) is None:
                continue
            for setting in self.settings:
                options = self.options(method, stage, setting, None, "", 0, {}, setting.source_k)
                tasks = setting.sources
                if method.retrieve is not None:
                    tasks = library_of_study.tasks(method.retrieve, setting, setting.backbone or self.study.backbone)
                there = [task for task in tasks if task not in self.absent]
                found |= lacking(_config(stage.config, self.study)[1], options, there)
        complain(found, self.study.root, self.study.file)

    def downstream(
        self,
        method: Method,
        setting: Setting,
        partition: str | None,
        target: str,
        seed: int,
        start: PlannedRun | None,
        retrieved: Start | None = None,
    ) -> Iterator[PlannedRun]:
        """A run for each learning rate.

        Args:
            start: the run that it needs, whose prompt it starts from unless it is ``retrieved``.
        """
        stage = method.downstream
        rank = None if retrieved is None else retrieved.rank
        own = start.seed if start is not None and method.upstream is not None else None
        is_one_of_several = method.upstream is not None and len(method.upstream.seeds) > 1
        for rate in stage.learning_rates or (None,):
            name = f"{target}-{seed}" + (f"-up{own}" if is_one_of_several else "")
            name += f"-rank{rank}" if rank is not None else ""
            name += f"-lr{rate:g}" if rate is not None else ""
            data = {"data.task": target}
            options = self.options(method, stage, setting, partition, name, seed, data, setting.target_k)
            init: Mapping[str, Any] = {} if retrieved is None else retrieved.options
            if start is not None and retrieved is None:
                init = self.start(method, start)
            for option, value in init.items():
                options |= _last(option, value, options)
            if rate is not None:
                options |= _last("model.optimizer.lr", rate, options)
            read = self.draw(target, seed, options.get("data.k"), options.get("data.metric"))
            cell = self.cell(method, stage, "downstream", partition, target, seed, rate, options, read, start, rank)
            yield replace(cell, upstream_seed=own)

    def start(self, method: Method, start: PlannedRun) -> Mapping[str, str]:
        """The options by which a downstream run starts from what its upstream run learned."""
        assert method.upstream is not None
        texts = self.config(method.upstream.config)[1], self.config(method.downstream.config)[1]
        return start_options(f"{PLACE}/{start.key}", *texts, f"{self.study.file}: methods.{method.name}")

    def draw(self, target: str, seed: int, k: Shots | None, metric: str | None) -> list[str] | None:
        """What a run reads of a target; none if that is not there."""
        return None if target in self.absent else [draw_digest(self.study.root, target, seed, k, metric)]

    def given(self, stage: Stage, setting: Setting, option: str) -> Any:
        """What a stage's runs have for an option of the model, by the study or by the config."""
        given = {**self.study.overrides, **stage.overrides, **setting.overrides}
        content = yaml.safe_load(self.config(stage.config)[1])
        model = content.get("model") if isinstance(content, dict) else None
        name = option.removeprefix("model.")
        return given.get(option, (model.get("init_args") or {}).get(name) if isinstance(model, dict) else None)

    def options(
        self,
        method: Method,
        stage: Stage,
        setting: Setting,
        partition: str | None,
        name: str,
        seed: int,
        data: Mapping[str, Any],
        k: Shots | None,
    ) -> dict[str, Any]:
        """The options of a run by name: the study's own, and over them those of its file."""
        study = self.study
        key = "/".join(part for part in (method.name, partition, name) if part)
        given = {**study.overrides, **stage.overrides, **setting.overrides}
        config, text = self.config(stage.config)
        options: dict[str, Any] = {
            "config": config,
            "seed_everything": seed,
            "trainer.default_root_dir": f"{PLACE}/{key}",
            "trainer.enable_progress_bar": False,
            "model.backbone": setting.backbone or study.backbone,
            "data.root": study.root,
            **data,
            "data.seed": seed,
        }
        if k is not None:
            options["data.k"] = k
        if _is_tracked(text, given):
            options |= {"trainer.logger.group": study.name, "trainer.logger.job_type": method.name}
            if partition is not None:
                options["trainer.logger.name"] = key  # of itself it would be the last two parts, without the method
        for option, value in given.items():
            options |= _last(option, value, options)
        return options

    def cell(
        self,
        method: Method,
        stage: Stage,
        kind: Literal["upstream", "downstream"],
        partition: str | None,
        target: str | None,
        seed: int,
        rate: float | None,
        options: Mapping[str, Any],
        read: list[str] | None,
        start: PlannedRun | None,
        rank: int | None = None,
    ) -> PlannedRun:
        recipe = ("fit", *(f"--{name}={_word(value)}" for name, value in options.items()))
        # The config counts by its text, not by the path it was found at.
        backbone = options["model.backbone"]
        weights = self.weights[backbone] = self.weights.get(backbone) or weights_digest(backbone)
        content = [recipe[2:], self.config(stage.config)[1], read, weights]
        content.append(start.fingerprint if start else None)
        known = read is not None and not (start is not None and not start.fingerprint)
        return PlannedRun(
            key=options["trainer.default_root_dir"].removeprefix(f"{PLACE}/"),
            method=method.name,
            stage=kind,
            target=target,
            seed=seed,
            learning_rate=rate,
            recipe=recipe,
            needs=(start.key,) if start else (),
            fingerprint=hashlib.sha256(json.dumps(content).encode()).hexdigest()[:16] if known else "",
            out=self.out,
            partition=partition,
            rank=rank,
        )


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
    logger = overrides.get("trainer.logger", _logger(config))
    name = logger.get("class_path", "") if isinstance(logger, dict) else logger
    return isinstance(name, str) and name.rpartition(".")[2] in ("Tracker", "WandbLogger")


@cache
def _logger(config: str) -> Any:
    """The logger that a config's text asks for."""
    content = yaml.safe_load(config)
    trainer = content.get("trainer") if isinstance(content, dict) else None
    return trainer.get("logger") if isinstance(trainer, dict) else None


def _word(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
