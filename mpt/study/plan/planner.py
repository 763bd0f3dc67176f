"""What all runs of a study share, and how each is made from it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from itertools import chain, product
from pathlib import Path
from typing import Any, Literal

from mpt.data.tasks.partitions import load_partition
from mpt.data.tasks.task import Shots
from mpt.fit.configs import find_config
from mpt.fit.resolve import ResolvedRun, resolve_run
from mpt.record.folder import PROMPT
from mpt.record.options import as_words, plain
from mpt.record.rows import DEV_SCORE
from mpt.study.plan.epochs import steps_of_epochs
from mpt.study.plan.fingerprints import beside_digests, draw_digest, sources_digest, weights_digest
from mpt.study.plan.kinds import check_kinds, check_lengths
from mpt.study.plan.library import RetrievedStart, StudyLibrary
from mpt.study.plan.planned_run import PLACE, PlannedRun
from mpt.study.plan.source_draws import complain, lacking
from mpt.study.spec.methods import Method, Stage
from mpt.study.spec.settings import Setting
from mpt.study.spec.study import Study
from mpt.util.errors import UserError
from mpt.util.reading import read_text

_APART = 1000
"""Between the seeds of an ensemble's prompts, the first of which has the draw's own."""

_ON_WANDB = ("trainer.logger.group", "trainer.logger.job_type", "trainer.logger.name")
"""What a run is called on W&B, by which the same run of two studies would differ."""

_WHOLE = ("FineTuning", "LanguageModeling")
"""Learners of every weight, whose downstream runs start from their model."""


@dataclass(frozen=True)
class RunContext:
    """The method, stage, setting, target, seed and rate of a run that is being planned.

    Attributes:
        partition: as in :class:`PlannedRun`, and likewise the others.
    """

    method: Method
    kind: Literal["upstream", "downstream", "test"]
    setting: Setting
    partition: str | None = None
    target: str | None = None
    seed: int = 0
    rate: float | None = None
    rank: int | None = None
    upstream_seed: int | None = None
    trained_on: str | None = None

    @property
    def stage(self) -> Stage:
        """The stage of its method that it is a run of."""
        stage = self.method.upstream if self.kind == "upstream" else self.method.downstream
        assert stage is not None
        return stage


class Planner:
    """What all runs of a study share."""

    def __init__(self, study: Study, out: Path, places: list[Setting], absent: frozenset[str]) -> None:
        self.study = study
        self.out = out
        self.settings = places
        self.absent = absent
        self.weights: dict[str, str | None] = {}
        # A file is looked for and read once, not for each of thousands of runs.
        self.config = cache(lambda name: _config(name, study))

    def alone(self) -> Iterator[tuple[str | None, Setting, list[str]]]:
        """The settings and targets on which a method that learns nothing upstream runs.

        Yields:
            The partition in its runs, a setting whose options they have, and the targets.
        """
        if self.study.shares_downstream:
            targets = dict.fromkeys(target for setting in self.settings for target in setting.targets)
            yield None, self.settings[0], list(targets)
            return
        for setting in self.settings:
            yield setting.name, setting, list(setting.targets)

    def upstream(self, method: Method, setting: Setting, seed: int) -> PlannedRun:
        """The run that learns a method's prompt on a setting's source tasks."""
        study = self.study
        data: dict[str, Any] = {"data.partition": setting.given}
        if study.sources or setting.sources != load_partition(setting.given).source:
            # By name: what is learned on must not change with what is in the folder when the run starts.
            data = {"data.tasks": [*map(study.reference, setting.sources)], "data.partition": None}
        assert method.upstream is not None
        if self.resolved(method.upstream, {}).class_name("data") == "CombinedData":
            data = {}  # which names what it learns on by itself
        partition = setting.name if study.has_several and not study.shares_upstream else None
        context = RunContext(method, "upstream", setting, partition, seed=seed)
        options = self.options(context, f"upstream-{seed}", data, setting.source_k)
        there = tuple(study.reference(task) for task in setting.sources if task not in self.absent)
        if context.stage.epochs is not None:
            epochs = context.stage.epochs if setting.epochs is None else setting.epochs
            where = f"{study.file}: methods.{method.name}.upstream"
            steps = steps_of_epochs(epochs, self.resolved(context.stage, options), there, where)
            _put(options, "trainer.max_steps", steps)
        read = None
        if len(there) == len(setting.sources):
            k = self.shots(self.resolved(context.stage, options))
            read = [*setting.sources, sources_digest(study.root, there, k)]
        return self.run(context, options, read)

    def check_sources(self, library_of_study: StudyLibrary) -> None:
        """Complain of all draws that upstream runs read and that are not there."""
        found: dict[str, str] = {}
        for method in self.study.methods:
            if method.upstream is None:
                continue
            for setting in self.settings:
                options = self.options(RunContext(method, "upstream", setting), "", {}, setting.source_k)
                tasks = setting.sources
                if method.retrieve is not None:
                    tasks = library_of_study.tasks(method.retrieve, setting, setting.backbone or self.study.backbone)
                there = [task for task in tasks if task not in self.absent and task not in self.study.own]
                found |= lacking(self.resolved(method.upstream, options), there)
        complain(found, self.study.root, self.study.file)

    def check_choices(self) -> None:
        """Complain of a choice among rates or retrieved prompts for which no dev score is kept."""
        for method in self.study.methods:
            stage, retrieve = method.downstream, method.retrieve
            tried = retrieve is not None and retrieve.use == "best" and retrieve.top_k != 1
            if not tried and len(stage.learning_rates) < 2:
                continue
            for setting in self.settings:
                keeper = self.resolved(stage, self.given(stage, setting)).callback("KeepBest")
                monitor = None if keeper is None else keeper.given.get("callback.monitor", DEV_SCORE)
                if monitor is None or str(monitor).endswith("loss"):
                    what = "prompts that are retrieved" if tried else "learning_rates"
                    raise UserError(
                        f"{self.study.file}: methods.{method.name} chooses among {what} by the best dev score, and "
                        f"KeepBest of {stage.config} keeps none (monitor {monitor}); set that to {DEV_SCORE}, or "
                        "leave one to choose"
                    )

    def downstream(
        self, context: RunContext, start: PlannedRun | None, retrieved: RetrievedStart | None = None
    ) -> Iterator[PlannedRun]:
        """A run for each learning rate, of each prompt of an ensemble.

        Args:
            context: with the target.
            start: the run that it needs, whose prompt it starts from unless it is ``retrieved``.
        """
        method, setting, target, seed = context.method, context.setting, context.target, context.seed
        assert target is not None
        rank = None if retrieved is None else retrieved.rank
        own = start.seed if start is not None and method.upstream is not None else None
        is_one_of_several = method.upstream is not None and len(method.upstream.seeds) > 1
        # It takes the place of what the file says of a start, whole: another initialiser has other options.
        init: Mapping[str, Any] = {} if retrieved is None else retrieved.options
        if start is not None and retrieved is None:
            init = self.start(method, start)
        members = range(method.ensemble) if method.ensemble else (None,)
        for member, rate in product(members, method.downstream.learning_rates or (None,)):
            name = f"{target}-{seed}" + (f"-up{own}" if is_one_of_several else "")
            name += f"-rank{rank}" if rank is not None else ""
            name += f"-member{member}" if member is not None else ""
            name += f"-lr{rate:g}" if rate is not None else ""
            options = self.options(context, name, {"data.task": self.study.reference(target)}, setting.target_k)
            options = {option: value for option, value in options.items() if root_of(option) not in init}
            own_start = [("seed_everything", seed + _APART * member)] if member else []
            rates = [] if rate is None else [("model.optimizer.lr", rate)]
            for option, value in [*own_start, *init.items(), *rates]:
                _put(options, option, value)
            resolved = self.resolved(method.downstream, options)
            if start is not None and retrieved is None:
                check_lengths(start.resolved, resolved, f"{self.study.file}: methods.{method.name}")
            read = self.draw(target, seed, resolved)
            yield self.run(replace(context, rate=rate, rank=rank, upstream_seed=own), options, read, start)

    def start(self, method: Method, start: PlannedRun) -> Mapping[str, str]:
        """The options by which a downstream run starts from what its upstream run learned."""
        then = self.resolved(method.downstream, {})
        return start_options(f"{PLACE}/{start.key}", start.resolved, then, f"{self.study.file}: methods.{method.name}")

    def draw(self, target: str, seed: int, run: ResolvedRun) -> list[str] | None:
        """What a run reads of a target; none if that is not there."""
        if target in self.absent:
            return None
        target = self.study.reference(target)
        return [draw_digest(self.study.root, target, seed, self.shots(run), run.said("data.metric"))]

    def shots(self, run: ResolvedRun) -> Shots | None:
        """The ``data.k`` that is given for a run.

        Raises:
            UserError: it is none.
        """
        k = run.said("data.k")
        if k is None or k == "all" or (type(k) is int and k > 0):
            return k
        raise UserError(f"{self.study.file}: data.k must be a whole number above 0, or all, not {k!r:.100}")

    def given(self, stage: Stage, setting: Setting) -> dict[str, Any]:
        """The options that the study's file gives to all runs of a stage in a setting."""
        options: dict[str, Any] = {}
        said = (self.study.overrides, stage.overrides, setting.overrides)
        for name, value in chain(*(part.items() for part in said)):
            if name in options:
                options[name] = value
            else:
                _put(options, name, value)
        return options

    def resolved(self, stage: Stage, options: Mapping[str, Any]) -> ResolvedRun:
        """A stage's run with some options, those that are counted with of their kind."""
        run = resolve_run(self.config(stage.config)[1], options)
        check_kinds(run, f"{self.study.file}, config {stage.config}")
        return run

    def options(self, context: RunContext, name: str, data: Mapping[str, Any], k: Shots | None) -> dict[str, Any]:
        """The options of a run by name: the study's own, and over them those of its file."""
        study, stage, setting = self.study, context.stage, context.setting
        key = "/".join(part for part in (context.method.name, context.partition, name) if part)
        given = self.given(stage, setting)
        options: dict[str, Any] = {
            "config": self.config(stage.config)[0],
            "seed_everything": context.seed,
            "trainer.default_root_dir": f"{PLACE}/{key}",
            "trainer.enable_progress_bar": False,
            "model.backbone": setting.backbone or study.backbone,
            "data.root": study.root,
            **data,
            "data.seed": context.seed,
        }
        if k is not None:
            size = "source_k" if context.kind == "upstream" else "target_k"
            own = next((variant for variant in study.variants if variant.name == setting.name), None)
            # A stage may differ from what the study says of all.
            for who, part, over in (("settings say", own, given), ("the study says", study, study.overrides)):
                if getattr(part, size, None) is not None and any(plain(option) == "data.k" for option in over):
                    raise UserError(f"{study.file}: overrides say data.k, which {who} by {size}; leave out one")
            options["data.k"] = k
        if self.resolved(stage, given).class_name("trainer.logger") in ("Tracker", "WandbLogger"):
            options |= {"trainer.logger.group": study.name, "trainer.logger.job_type": context.method.name}
            if context.partition is not None:
                options["trainer.logger.name"] = key  # of itself it would be the last two parts, without the method
        for option, value in given.items():
            _put(options, option, value)
        return options

    def run(
        self, context: RunContext, options: Mapping[str, Any], read: list[str] | None, start: PlannedRun | None = None
    ) -> PlannedRun:
        """A run with its fingerprint.

        Args:
            read: digests of the data that it reads; none if they are not there.
            start: the run that it needs.
        """
        config = self.config(context.stage.config)[1]
        said = self.resolved(context.stage, options)
        backbone = said["model.backbone"]
        weights = self.weights[backbone] = self.weights.get(backbone) or weights_digest(backbone)
        # The config counts by its text, not by the path it was found at, which is the first option; and a user's own
        # tasks by their names and what is read of them.
        named = {name: self._by_name(value) for name, value in options.items() if name not in _ON_WANDB}
        if read is not None:
            read = [*read, *beside_digests(self.study.root, said, self.shots(said))]
        content = [as_words(named)[1:], config, read, weights, start.fingerprint if start else None]
        known = read is not None and not (start is not None and not start.fingerprint)
        return PlannedRun(
            key=options["trainer.default_root_dir"].removeprefix(f"{PLACE}/"),
            method=context.method.name,
            stage=context.kind,
            target=context.target,
            seed=context.seed,
            learning_rate=context.rate,
            options=options,
            config=config,
            needs=(start.key,) if start else (),
            fingerprint=hashlib.sha256(json.dumps(content).encode()).hexdigest()[:16] if known else "",
            out=self.out,
            partition=context.partition,
            rank=context.rank,
            upstream_seed=context.upstream_seed,
            trained_on=context.trained_on,
        )

    def _by_name(self, value: Any) -> Any:
        """An option's value with the names of a user's own tasks in place of their paths."""
        if isinstance(value, list):
            return [self._by_name(one) for one in value]
        return next((name for name, path in self.study.own.items() if path == value), value)


def start_options(folder: str, upstream: ResolvedRun, downstream: ResolvedRun, where: str) -> dict[str, str]:
    """How a downstream run starts from what an upstream one learned: from its prompt, behind parts of it, or from its
    whole model.

    Args:
        folder: of the upstream run.
        where: what to name in a complaint.
    """
    first, then = upstream.class_name("model"), downstream.class_name("model")
    if (first in _WHOLE) != (then in _WHOLE):
        raise UserError(
            f"{where}: upstream learns by {first or 'an unknown class'} and downstream by {then or 'an unknown class'}"
            ", but both must learn a prompt (prompt_tuning, spot) or both the whole model (fine_tuning, "
            "fine_tuning_mixture)"
        )
    if (keeper := upstream.callback("KeepBest")) is None:
        raise UserError(
            f"{where}: upstream keeps nothing that downstream could start from; its trainer.callbacks need "
            "mpt.callbacks.KeepBest"
        )
    kept = f"{folder}/{keeper.get('callback.folder') or PROMPT}"
    if then in _WHOLE:
        return {"model.start": kept}
    if then == "SubPromptTuning":
        return {"model.before": kept}
    return {"model.init": "mpt.prompt.initialisers.SavedPrompt", "model.init.path": kept}


def _put(options: dict[str, Any], name: str, value: Any) -> None:
    """Add an option as the last word: it goes over an earlier one, however that is spelt."""
    for earlier in [option for option in options if plain(option) == plain(name)]:
        del options[earlier]
    options[name] = value


def root_of(option: str) -> str:
    """The option that it belongs to: ``model.init`` of ``model.init.text``."""
    return ".".join(plain(option).split(".")[:2])


def _config(config: str, study: Study) -> tuple[str, str]:
    """The word after ``--config`` and the text of the file: one beside the study's, or as ``mpt fit`` finds
    it.
    """
    try:
        path = find_config(config, beside=study.file)
    except UserError as error:
        raise UserError(f"{study.file}: {error}") from error
    is_beside = path == Path(study.file).parent / config
    return str(path) if is_beside else config, read_text(path, "config")
