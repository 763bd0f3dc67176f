"""A study as a YAML file says it: which methods are compared, on which tasks, with which seeds."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from mpt.data.fewshot.missing import MISSING
from mpt.data.tasks.task import Shots
from mpt.study.spec.retrieve import EMBEDDING, Retrieve, check_retrieve, read_retrieve
from mpt.util.errors import UserError
from mpt.util.keyed_yaml import Keys, flat, read_yaml

_GRID = (
    "config",
    "seed_everything",
    "data.seed",
    "data.task",
    "data.tasks",
    "data.partition",
    "trainer.default_root_dir",
    "ckpt_path",
    "weights_only",
)
"""Options that differ from run to run, so that no override may set them."""

_NAME = re.compile(r"[A-Za-z0-9][\w.+-]*")
_STEPS = "trainer.max_steps"


@dataclass(frozen=True)
class Stage:
    """One kind of run: a method's upstream, or its downstream.

    Attributes:
        config: experiment file, as for ``mpt fit --config``.
        overrides: dotted command-line option to value.
        learning_rates: downstream, the rates to choose from on dev; the config's own rate where there is
            none.
        seeds: upstream, those of its prompts, from each of which all seeds of the study start (``seed: 13`` is short
            for ``seeds: [13]``); where there are none, each seed of the study has its own prompt.
        epochs: upstream on a mixture, how long in place of steps: times that each of the pooled source examples is
            taken, on average.
    """

    config: str
    overrides: Mapping[str, Any] = field(default_factory=dict)
    learning_rates: tuple[float, ...] = ()
    seeds: tuple[int, ...] = ()
    epochs: float | None = None


@dataclass(frozen=True)
class Method:
    """A row of the table: learned upstream on the source tasks if it has such a stage, then on each target.

    Attributes:
        name: also the name of its folder.
        retrieve: what it takes from the study's library for each target, if anything: prompts to start from, or source
            tasks that its upstream stage learns on, target by target.
    """

    name: str
    downstream: Stage
    upstream: Stage | None = None
    retrieve: Retrieve | None = None


@dataclass(frozen=True)
class Variant:
    """One of the ``settings`` of a study: a column of the ARG table, and what differs in its runs.

    Attributes:
        name: also the name of its folders.
        partition: name or file of its partition.
        backbone: in place of the study's.
        sources: some of the partition's source tasks; as the study says if empty.
        source_k, target_k: in place of the study's.
        epochs: in place of those of the upstream stages that are so long as a number of epochs.
        overrides: options of every run of it, over those of the study and of the methods.
    """

    name: str
    partition: str
    backbone: str | None = None
    sources: tuple[str, ...] = ()
    source_k: Shots | None = None
    target_k: Shots | None = None
    overrides: Mapping[str, Any] = field(default_factory=dict)
    epochs: float | None = None

    @property
    def upstream(self) -> tuple[object, ...]:
        """What decides an upstream run, beside its method and seed."""
        return self.partition, self.backbone, self.sources, self.source_k, dict(self.overrides), self.epochs

    @property
    def downstream(self) -> tuple[object, ...]:
        """What decides a run that learns nothing upstream, beside its method, target and seed."""
        return self.backbone, self.target_k, dict(self.overrides)


@dataclass(frozen=True)
class Study:
    """What is compared.

    Attributes:
        name: also the default folder, ``runs/<name>``.
        backbone: as in ``--model.backbone``.
        root: as in ``--data.root``: a folder of CrossFit files, or ``synthetic``.
        partitions: name or file of each partition whose tasks are used: one, or a column of the ARG table each.
        seeds: each is a draw of the data and a seed of everything random.
        methods: in the order of the table.
        baseline: the method that relative gains are relative to.
        targets: some target or validation tasks of each partition; all its target tasks if empty.
        sources: some of the one partition's source tasks, or mixtures of any tasks; all of the partition's if empty.
        k: as in ``--data.k``, of source and target tasks.
        source_k, target_k: of either alone, in place of ``k``.
        missing: ``error`` if every task must be under the root, ``skip`` if those that are not are left out.
        workers: processes; chosen by the machine if not given.
        side_by_side: most downstream runs that a worker trains as rows of one batch, 1 if each is trained alone; chosen
            by machine and backbone if not given (``auto``).
        overrides: options of every run.
        file: where it was read from.
        variants: the columns of the ARG table where they differ in more than the partition.
        only: names of the settings that are looked at now; all if empty. Folders are the same either way.
        learn_on_targets: whether a mixture among the sources keeps those of its tasks that are targets, as SPoT's do.
        library: prompt library that methods retrieve from: a folder, the name of a shipped one, or ``hub:owner/name``.
    """

    name: str
    backbone: str
    root: str
    partitions: tuple[str, ...]
    seeds: tuple[int, ...]
    methods: tuple[Method, ...]
    baseline: str = "PT"
    targets: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    k: Shots | None = None
    source_k: Shots | None = None
    target_k: Shots | None = None
    missing: str = "error"
    workers: int | None = None
    side_by_side: int | None = None
    overrides: Mapping[str, Any] = field(default_factory=dict)
    file: str = ""
    variants: tuple[Variant, ...] = ()
    only: tuple[str, ...] = ()
    learn_on_targets: bool = False
    library: str | None = None

    @property
    def has_several(self) -> bool:
        """Whether there are several settings, which folders, tables and figure then tell apart."""
        return len(self.variants or self.partitions) > 1

    @property
    def shares_downstream(self) -> bool:
        """Whether what learns nothing upstream is the same run in every setting that has its target."""
        return all(variant.downstream == self.variants[0].downstream for variant in self.variants)

    @property
    def shares_upstream(self) -> bool:
        """Whether a method learns one upstream prompt for all settings, which differ in the targets' data alone."""
        return bool(self.variants) and all(v.upstream == self.variants[0].upstream for v in self.variants)


def load_study(path: Path) -> Study:
    """Read a study's YAML file; ``${...}`` refers to its other keys, ``variables`` is free for such use.

    Raises:
        UserError: the file is not YAML, or a key or value in it is wrong; names the file, the key and what
            is right.
    """
    keys = Keys(read_yaml(path, "a study"), str(path), "")
    keys.take("variables", dict, {})
    methods = keys.take("methods", dict)
    partitions, variants = _settings(keys)
    study = Study(
        name=keys.take("name", str, path.stem),
        backbone=keys.take("backbone", str),
        root=keys.take("root", str),
        partitions=partitions,
        variants=variants,
        seeds=keys.several("seeds", int),
        methods=tuple(m for name, value in methods.items() for m in _methods(str(path), str(name), value)),
        baseline=keys.take("baseline", str, "PT"),
        targets=keys.several("targets", str),
        sources=keys.several("sources", str),
        k=_shots(keys, "k"),
        source_k=_shots(keys, "source_k"),
        target_k=_shots(keys, "target_k"),
        missing=keys.take("missing", str, "error"),
        workers=keys.take("workers", int, None),
        side_by_side=_side_by_side(keys),
        overrides=_overrides(keys),
        file=str(path),
        learn_on_targets=keys.take("learn_on_targets", bool, False),
        library=keys.take("library", str, None),
    )
    keys.end()
    _check(study)
    return study


def _check(study: Study) -> None:
    where = study.file
    if not _NAME.fullmatch(study.name):
        raise UserError(f"{where}: name {study.name!r} is used as a folder; use letters, digits and . _ + -")
    if not study.seeds:
        raise UserError(f"{where}: seeds is empty; give at least one, for example [13, 21]")
    if not study.methods:
        raise UserError(f"{where}: methods is empty; give at least {study.baseline}")
    names = [method.name for method in study.methods]
    for kind, folders in (("method", names), ("setting", [variant.name for variant in study.variants])):
        for name in folders:
            if not _NAME.fullmatch(name) or name in ("report", EMBEDDING):
                raise UserError(
                    f"{where}: {kind} {name!r} is used as a folder; use another name, of letters, digits and . _ + -"
                )
    if twice := [name for name in names if names.count(name) > 1]:
        raise UserError(f"{where}: two methods are named {twice[0]}, one of them by its vary; rename one")
    if study.baseline not in names:
        raise UserError(
            f"{where}: the baseline {study.baseline} is not among the methods ({', '.join(names)}); relative "
            "gains need it: "
            "add it, or set baseline to one of them"
        )
    if len(study.partitions) > 1 and study.sources:
        raise UserError(
            f"{where}: sources chooses among the tasks of one partition, and this study has several; leave it out, "
            "give one partition, or say it in the settings that it is for"
        )
    counted = any(method.upstream and method.upstream.epochs is not None for method in study.methods)
    for variant in study.variants:
        if variant.epochs is not None and not counted:
            raise UserError(
                f"{where}: settings.{variant.name}: epochs is in place of those of upstream stages that have epochs, "
                "and none has; give them to one"
            )
    for method in study.methods:
        if method.retrieve is not None and study.library is None:
            raise UserError(
                f"{where}: methods.{method.name} retrieves, but the study names no library; give library: a folder "
                "that mpt library made or the name of a shipped one"
            )
    if study.missing not in MISSING:
        raise UserError(f"{where}: missing is one of {', '.join(MISSING)}, not {study.missing!r}")
    if study.workers is not None and study.workers < 1:
        raise UserError(f"{where}: workers must be at least 1, not {study.workers}")


def _shots(keys: Keys, name: str) -> Shots | None:
    if keys.left.get(name) == "all":
        return keys.take(name, str)
    if isinstance(keys.left.get(name), str):
        raise UserError(f"{keys.where}: {name} must be a whole number or the word all, not {keys.left[name]!r}")
    k = keys.take(name, int, None)
    if k is not None and k < 1:
        raise UserError(f"{keys.where}: {name} must be at least 1, or all, not {k}")
    return k


def _side_by_side(keys: Keys) -> int | None:
    given = keys.left.get("side_by_side")
    if given is False or given == "off":  # YAML's word for False
        keys.left["side_by_side"] = 1
    elif given == "auto":
        keys.left["side_by_side"] = None
    elif isinstance(given, (str, bool)) or (isinstance(given, int) and given < 1):
        raise UserError(f"{keys.where}: side_by_side is auto, off, or a number of runs from 1 on, not {given!r}")
    return keys.take("side_by_side", int, None)


def _settings(keys: Keys) -> tuple[tuple[str, ...], tuple[Variant, ...]]:
    """The one ``partition``, the list ``partitions``, or ``settings``: the partitions, and what else differs."""
    one = keys.take("partition", str, None)
    several = keys.take("partitions", list, None)
    settings = keys.below("settings", None)
    if settings is not None:
        if several is not None:
            raise UserError(f"{keys.where}: give partitions or settings, not both; a setting names its own partition")
        variants = tuple(_variant(settings, name, one) for name in list(settings.left))
        if not variants:
            raise UserError(f"{keys.where}: settings is empty; give at least one, or a partition in its place")
        return tuple(dict.fromkeys(variant.partition for variant in variants)), variants
    if one is None and several is None:
        keys.end_if_misspelt("partition", "partitions", "settings")
        raise UserError(f"{keys.where}: the key partition is missing; give it one, or give partitions a list")
    if several is None:
        return (one,), ()
    if one is not None:
        raise UserError(f"{keys.where}: give partition (one) or partitions (a list), not both")
    if not several:
        raise UserError(f"{keys.where}: partitions is empty; give at least one")
    return keys.typed("partitions", several, str), ()


def _variant(settings: Keys, name: str, partition: str | None) -> Variant:
    own = settings.below(name, {})  # nothing after the colon: as the study says
    assert own is not None
    chosen = own.take("partition", str, partition)
    if chosen is None:
        own.end_if_misspelt("partition")
        raise UserError(f"{own.where}: the key partition is missing; give it here, or once for all settings above them")
    variant = Variant(
        name=name,
        partition=chosen,
        backbone=own.take("backbone", str, None),
        sources=own.several("sources", str),
        source_k=_shots(own, "source_k"),
        target_k=_shots(own, "target_k"),
        overrides=_overrides(own),
        epochs=_epochs(own),
    )
    own.end()
    return variant


def _methods(file: str, name: str, value: Any) -> Iterator[Method]:
    """The one method, or one for each combination of the values that its upstream varies."""
    keys = Keys(value, file, f"methods.{name}")
    below = keys.below("downstream")
    assert below is not None
    downstream = _stage(below, "downstream")
    retrieve = read_retrieve(keys)
    given = keys.below("upstream", None)
    vary = _vary(given) if given is not None else {}
    upstream = _stage(given, "upstream") if given is not None else None
    keys.end()
    check_retrieve(keys, retrieve, upstream)
    if upstream is None:
        yield Method(name, downstream, None, retrieve)
        return
    for values in itertools.product(*vary.values()):
        own = {**upstream.overrides, **dict(zip(vary, values, strict=True))}
        epochs = own.pop("epochs", upstream.epochs)
        varied = replace(upstream, overrides=own, epochs=epochs)
        check_retrieve(keys, retrieve, varied)
        yield Method("-".join([name, *(format(value, "g") for value in values)]), downstream, varied, retrieve)


def _vary(keys: Keys) -> dict[str, tuple[float, ...]]:
    """Options of an upstream stage, or its ``epochs``, to the numbers that they are given in turn."""
    below = keys.below("vary", {})
    assert below is not None
    found: dict[str, tuple[float, ...]] = {}
    for name in list(below.left):
        # A whole number stays one: the option may be a count.
        values = below.several(name, float)
        found[name] = tuple(int(value) if value.is_integer() and value >= 1 else value for value in values)
        if not values:
            raise UserError(f"{below.where}: {name} is empty; give the numbers to try")
        if name in _GRID:
            raise UserError(f"{below.where}: vary must not set {name}, which the study sets itself for each run")
    return found


def _stage(keys: Keys, kind: str) -> Stage:
    if kind == "upstream" and "learning_rates" in keys.left:
        raise UserError(
            f"{keys.where}: learning_rates is for the downstream stage, whose dev scores choose among "
            "them; upstream, "
            "give one rate in overrides (model.optimizer.lr)"
        )
    stage = Stage(
        config=keys.take("config", str),
        overrides=_overrides(keys),
        learning_rates=keys.several("learning_rates", float) if kind == "downstream" else (),
        seeds=_upstream_seeds(keys) if kind == "upstream" else (),
        epochs=_epochs(keys) if kind == "upstream" else None,
    )
    keys.end()
    if stage.epochs is not None and _STEPS in stage.overrides:
        raise UserError(f"{keys.where}: give epochs or {_STEPS}, not both")
    return stage


def _upstream_seeds(keys: Keys) -> tuple[int, ...]:
    several = "seeds" in keys.left
    one, seeds = keys.take("seed", int, None), keys.several("seeds", int)
    if several and one is not None:
        raise UserError(f"{keys.where}: give seed (one) or seeds (a list), not both")
    if several and not seeds:
        raise UserError(
            f"{keys.where}: seeds is empty; give at least one, or leave it out: each seed of the study then has its own"
        )
    return seeds if one is None else (one,)


def _epochs(keys: Keys) -> float | None:
    epochs = keys.take("epochs", float, None)
    if epochs is not None and epochs <= 0:
        raise UserError(f"{keys.where}: epochs must be above 0, not {epochs:g}")
    return epochs


def _overrides(keys: Keys) -> dict[str, Any]:
    options = flat(keys.take("overrides", dict, {}))
    for name in options:
        if name in _GRID:
            raise UserError(f"{keys.where}: overrides must not set {name}, which the study sets itself for each run")
    return options
