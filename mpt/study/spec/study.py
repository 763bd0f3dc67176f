"""A study as a YAML file says it: which methods are compared, on which tasks, with which seeds."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Annotated, Any, ClassVar

from mpt.data.fewshot.missing import MISSING
from mpt.data.tasks.mixtures import is_task_file
from mpt.record.options import plain
from mpt.study.spec.methods import Method, MethodFile
from mpt.study.spec.options import Epochs, K, Names, Overrides, Seeds, StudyPart
from mpt.study.spec.references import refuse_growth
from mpt.study.spec.retrieve import EMBEDDING
from mpt.util.errors import UserError
from mpt.util.reading import read_text
from mpt.util.schema import Checked, Given, Text, Texts, checked, listed, one_of, shown, whole
from mpt.util.yaml_file import called, is_yaml, read_yaml

_NAME = re.compile(r"[A-Za-z0-9][\w.+-]*")


def _test_on(value: Any, validate: Callable[[Any], Any]) -> Any:
    """By the task that is learned on; those for all under an empty name."""
    return validate({"": value} if isinstance(value, list) else value)


def _side_by_side(value: Any, validate: Callable[[Any], Any]) -> Any:
    if value is False or value == "off":  # YAML's word for False
        return 1
    if value == "auto":
        return None
    if type(value) is not int or value < 1:
        raise ValueError(f"is auto, off, or a number of runs from 1 on, not {shown(value)}")
    return validate(value)


@dataclass(frozen=True)
class Variant(StudyPart):
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
    partition: Text = ""
    backbone: Text | None = None
    sources: Names = ()
    source_k: K | None = None
    target_k: K | None = None
    overrides: Overrides = field(default_factory=dict)
    epochs: Epochs | None = None

    HIDDEN: ClassVar = ("name",)

    @property
    def upstream(self) -> tuple[object, ...]:
        """What decides an upstream run, beside its method and seed."""
        return self.partition, self.backbone, self.sources, self.source_k, dict(self.overrides), self.epochs

    @property
    def downstream(self) -> tuple[object, ...]:
        """What decides a run that learns nothing upstream, beside its method, target and seed."""
        return self.backbone, self.target_k, dict(self.overrides)


@dataclass(frozen=True, kw_only=True)
class _Common(StudyPart):
    """What a study file says as the study has it; see :class:`Study`."""

    name: Text = ""
    backbone: Text
    root: Text
    seeds: Seeds
    baseline: Text = "PT"
    targets: Names = ()
    sources: Names = ()
    k: K | None = None
    source_k: K | None = None
    target_k: K | None = None
    missing: Annotated[str, one_of(MISSING)] = "error"
    workers: Annotated[int, whole(1, 10_000)] | None = None
    side_by_side: Annotated[
        int | None, Checked(_side_by_side, {"anyOf": [{"type": "integer", "minimum": 1}, {"enum": ["auto", "off"]}]})
    ] = None
    overrides: Overrides = field(default_factory=dict)
    learn_on_targets: bool = False
    library: Text | None = None
    test_on: Annotated[Mapping[str, Names], Checked(_test_on, {"anyOf": [{"type": "array"}, {"type": "object"}]})] = (
        field(default_factory=dict)
    )
    same_labels: Annotated[tuple[Names, ...], listed("lists", least=0)] = ()


@dataclass(frozen=True, kw_only=True)
class Study(_Common):
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
        own: of a user's own tasks, among targets, sources and ``test_on``, name to path.
        library: prompt library that methods retrieve from: a folder, the name of a shipped one, or ``hub:owner/name``.
        test_on: other tasks that what was learned on a target is tested on: of every target (a list), or by target.
        same_labels: label words that mean the same in different tasks of these.
    """

    partitions: tuple[str, ...]
    methods: tuple[Method, ...]
    file: str = ""
    variants: tuple[Variant, ...] = ()
    only: tuple[str, ...] = ()
    own: Mapping[str, str] = field(default_factory=dict)

    def reference(self, task: str) -> str:
        """A task as ``mpt fit`` is told of it: the path of a user's own, the name of any other."""
        return self.own.get(task, task)

    @property
    def has_several(self) -> bool:
        """Whether there are several settings, which folders, tables and figure then tell apart."""
        return len(self.variants or self.partitions) > 1

    def tested_on(self, target: str) -> tuple[str, ...]:
        """The other tasks that what was learned on a target is tested on."""
        tasks = (*self.test_on.get("", ()), *self.test_on.get(target, ()))
        return tuple(task for task in dict.fromkeys(tasks) if task != target)

    @property
    def shares_downstream(self) -> bool:
        """Whether what learns nothing upstream is the same run in every setting that has its target."""
        return all(variant.downstream == self.variants[0].downstream for variant in self.variants)

    @property
    def shares_upstream(self) -> bool:
        """Whether a method learns one upstream prompt for all settings, which differ in the targets' data alone."""
        return bool(self.variants) and all(v.upstream == self.variants[0].upstream for v in self.variants)


@dataclass(frozen=True, kw_only=True)
class StudyFile(_Common):
    """What a study file may say."""

    partition: Text | None = None
    partitions: Texts | None = None
    settings: dict[str, Variant] | None = None
    methods: dict[str, MethodFile]
    variables: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def prepared(cls, content: dict[Any, Any]) -> Any:
        content = super().prepared(content)
        for key in {"settings", "methods"} & content.keys():
            if isinstance(content[key], dict):
                named = {str(name): value for name, value in content[key].items()}
                if len(named) < len(content[key]):
                    raise ValueError(f": {key} has two of one name, a number and a text; rename one")
                content[key] = named
        if isinstance(settings := content.get("settings"), dict):
            for name, given in settings.items():
                if given is None or isinstance(given, dict):
                    settings[name] = Given(given or {}, name=name)
        return content

    def __post_init__(self) -> None:
        if self.settings is None and self.partition is None and self.partitions is None:
            raise ValueError(": the key partition is missing; give it one, or give partitions a list")
        if self.partitions is not None and self.partition is not None:
            raise ValueError(": give partition (one) or partitions (a list), not both")
        if self.partitions is not None and self.settings is not None:
            raise ValueError(": give partitions or settings, not both; a setting names its own partition")
        if self.settings is not None and not self.settings:
            raise ValueError(": settings is empty; give at least one, or a partition in its place")
        for name, setting in (self.settings or {}).items():
            if not (setting.partition or self.partition):
                raise ValueError(
                    f": settings.{name} has no key partition; give it there, or once for all settings above them"
                )

    def study(self, path: Path) -> Study:
        given = self.settings.values() if self.settings else ()
        variants = tuple(replace(one, partition=one.partition or str(self.partition)) for one in given)
        several = tuple(dict.fromkeys(one.partition for one in variants)) or self.partitions or (str(self.partition),)
        said = {one.name: getattr(self, one.name) for one in fields(_Common)}
        own: dict[str, str] = {}
        said["targets"] = _named(self.targets, path, own, all_yaml=True)
        said["sources"] = _named(self.sources, path, own)
        said["test_on"] = {
            called(target): _named(tasks, path, own, all_yaml=True) for target, tasks in self.test_on.items()
        }
        if twice := [task for tasks in self.test_on.values() for task in tasks if task in own]:
            raise ValueError(f": test_on names {twice[0]}, and {own[twice[0]]} is called so too; rename it")
        variants = tuple(replace(one, sources=_named(one.sources, path, own)) for one in variants)
        return Study(
            **{**said, "name": self.name or path.stem},
            partitions=several,
            variants=variants,
            methods=tuple(one for name, method in self.methods.items() for one in method.methods(name)),
            file=str(path),
            own=own,
        )


def _named(tasks: Names, study: Path, own: dict[str, str], all_yaml: bool = False) -> Names:
    """The tasks by name; the paths of a user's own, which are relative to the study's file, are added to ``own``.

    Args:
        all_yaml: whether every YAML file is a task's, and none a mixture's.
    """
    found = []
    for task in tasks:
        path = str(study.parent / task)
        if is_yaml(task) and (all_yaml or is_task_file(path)):
            if own.setdefault(called(task), path) != path:
                raise ValueError(f": {own[called(task)]} and {path} are both called {called(task)}; rename one")
            task = called(task)
        found.append(task)
    return tuple(found)


def load_study(path: Path) -> Study:
    """Read a study's YAML file; ``${...}`` refers to its other keys, ``variables`` is free for such use.

    Raises:
        UserError: the file is not YAML, or a key or value in it is wrong; names the file, the key and what
            is right.
    """
    where = f"The study file {path}"
    text = read_text(path, "study file")
    content, lines = read_yaml(text, where, merges=True)
    try:
        study = checked(_resolved(content, where) if "${" in text else content, lines, where, StudyFile).study(path)
    except ValueError as error:
        raise UserError(f"{where}{error}.") from None
    if mistake := _mistake(study):
        raise UserError(f"{where}: {mistake}.")
    return study


def _resolved(content: Any, where: str) -> Any:
    import yaml
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    refuse_growth(content, where)
    try:
        return OmegaConf.to_container(OmegaConf.create(content), resolve=True)
    except yaml.YAMLError:
        raise UserError(f"{where} is no mapping of keys to values.") from None
    except OmegaConfBaseException as error:
        raise UserError(f"{where}: {str(error).splitlines()[0]}") from error


def _mistake(study: Study) -> str | None:
    """What is wrong with how the parts of a study go together."""
    names = [method.name for method in study.methods]
    folders = [("name", study.name), *(("method", name) for name in names)]
    for kind, name in [*folders, *(("setting", variant.name) for variant in study.variants)]:
        if not _NAME.fullmatch(name) or (kind != "name" and name in ("report", EMBEDDING)):
            return f"{kind} {name!r} is used as a folder; use another name, of letters, digits and . _ + -"
    if twice := [name for name in names if names.count(name) > 1]:
        return f"two methods are named {twice[0]}, one of them by its vary; rename one"
    if study.baseline not in names:
        return (
            f"the baseline {study.baseline} is not among the methods ({', '.join(names)}); relative gains need it: add "
            "it, or set baseline to one of them"
        )
    if len(study.partitions) > 1 and study.sources:
        return (
            "sources chooses among the tasks of one partition, and this study has several; leave it out, give one "
            "partition, or say it in the settings that it is for"
        )
    counted = any(method.upstream and method.upstream.epochs is not None for method in study.methods)
    for variant in study.variants:
        if variant.epochs is not None and not counted:
            return (
                f"settings.{variant.name}: epochs is in place of those of upstream stages that have epochs, and none "
                "has; give them to one"
            )
    for variant, method in itertools.product(study.variants, study.methods):
        if both := next((name for name in method.varied if plain(name) in map(plain, variant.overrides)), None):
            return f"settings.{variant.name} sets {both}, by which the methods {method.family}-… differ; leave one out"
    for method in study.methods:
        if method.retrieve is not None and study.library is None:
            return (
                f"methods.{method.name} retrieves, but the study names no library; give library: a folder that mpt "
                "library made or the name of a shipped one"
            )
    return None
