"""A study's folder as its readers see it: what was planned, what came out of each run."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from mpt.data.tasks.task import Shots
from mpt.study.plan.library import changed_library
from mpt.study.plan.planned_run import PlannedRun
from mpt.study.spec.settings import Setting
from mpt.study.spec.study import Study
from mpt.util.errors import UserError, one_line
from mpt.util.files import inside, links_below, refuse_links, write_json

STUDY, RESULT, FAILED, STARTED, LOG = "study.json", "result.json", "failed.json", "started.json", "log.txt"
REPORT, SCORES, ARG, PAGE = "report", "scores.csv", "arg.csv", "report.md"


@dataclass(frozen=True)
class RunRecord:
    """One planned run and what is known of it.

    Attributes:
        result: the content of its ``result.json``, with what is under its ``environment`` (versions, commit, device,
            host) beside the rest; none until it is finished.
        failure: why it failed, if it did.
        partition: the one it belongs to; none if it belongs to all that have its target.
        upstream_seed: as in :class:`mpt.study.plan.planned_run.PlannedRun`; none in folders from before it was told.
    """

    key: str
    method: str
    stage: str
    target: str | None
    seed: int
    learning_rate: float | None
    result: dict[str, Any] | None = None
    failure: str | None = None
    partition: str | None = None
    upstream_seed: int | None = None


@dataclass(frozen=True)
class StudyFacts:
    """What a report says about a study beside its numbers.

    Attributes:
        oracles: the methods that tune from every prompt of the library that may be retrieved, one by one: the best of
            these runs on test is an oracle's (:mod:`mpt.study.scores.oracle`).
    """

    name: str
    file: str
    backbone: str
    root: str
    settings: list[Setting]
    baseline: str
    methods: list[str]
    seeds: list[int]
    k: Shots | None = None
    oracles: list[str] = field(default_factory=list)

    @property
    def has_several(self) -> bool:
        """Whether there are several partitions."""
        return len(self.settings) > 1

    @property
    def is_crowded(self) -> bool:
        """Whether there are more methods than colours can tell apart, as in a search."""
        return len(self.methods) > 9


def write_study(study: Study, places: Sequence[Setting], cells: Sequence[PlannedRun], out: Path) -> None:
    """Write what was planned into the study's folder."""
    facts = StudyFacts(
        name=study.name,
        file=study.file,
        backbone=study.backbone,
        root=study.root,
        settings=list(places),
        baseline=study.baseline,
        methods=[method.name for method in study.methods],
        seeds=list(study.seeds),
        k=study.k,
        oracles=[method.name for method in study.methods if method.retrieve is not None and method.retrieve.tries_all],
    )
    runs = [{"key": cell.key, **cell.known} for cell in cells]
    write_json(out / STUDY, {**asdict(facts), "runs": runs})


def read_study(out: Path) -> tuple[StudyFacts, list[RunRecord]]:
    """What was planned in a study's folder, and the state of each run.

    Raises:
        UserError: the folder holds no study.
    """
    if not (out / STUDY).is_file():
        raise UserError(f"{out} is no study's folder: it holds no {STUDY}; mpt study run makes one")
    refuse_strange(out)
    content = read_json(out / STUDY)
    if "settings" not in content:
        raise UserError(f"{out / STUDY} is of an earlier version; delete it, and mpt study run writes it anew")
    try:
        for run in content["runs"]:
            if not inside(out, out / run["key"]):
                raise UserError(f"{out / STUDY}: the run {run['key']} would lie outside of the study's folder")
        content["settings"] = [Setting(**setting) for setting in content["settings"]]
        records = [
            RunRecord(**run, result=_result(out / run["key"], run["stage"]), failure=_failure(out / run["key"]))
            for run in content.pop("runs")
        ]
        return StudyFacts(**content), records
    except (KeyError, TypeError) as error:
        raise UserError(
            f"{out / STUDY} is not as mpt study run writes it ({one_line(error)}); delete it, and mpt study run writes "
            "it anew"
        ) from error


def refuse_strange(out: Path) -> None:
    """Refuse a study's folder with links out of it: what is read, shown, written or removed is its own.

    Raises:
        UserError: it has one.
    """
    refuse_links(out, links_below(out, skip="wandb"), f"study {out}")  # W&B links to its log; none of us reads that


def several_upstream(runs: Iterable[PlannedRun | RunRecord]) -> list[str]:
    """Methods with runs from several upstream prompts for each of their seeds, by order of appearance."""
    found: dict[str, dict[int, set[int | None]]] = {}
    for run in runs:
        if run.stage == "downstream":
            found.setdefault(run.method, {}).setdefault(run.seed, set()).add(run.upstream_seed)
    return [method for method, by_seed in found.items() if any(len(own) > 1 for own in by_seed.values())]


def begun_with(study: Study, out: Path) -> dict[str, Setting]:
    """The settings by name that the study of a folder began with; none if it has not, or had another data folder."""
    if not (out / STUDY).is_file():
        return {}
    facts, _ = read_study(out)
    return {setting.name: setting for setting in facts.settings} if facts.root == study.root else {}


def is_finished(cell: PlannedRun) -> bool:
    """Whether a run has its result.

    Raises:
        UserError: it is that of another configuration.
    """
    path = cell.folder / RESULT
    if not path.is_file():
        return False
    stored = read_json(path)
    if stored["fingerprint"] != cell.fingerprint:
        raise UserError(
            f"the finished run {cell.folder} is not today's {cell.key}: {difference(cell, stored)}; "
            "give another --out, or delete that folder to have the run done again"
        )
    return True


def difference(cell: PlannedRun, stored: Mapping[str, Any]) -> str:
    """In what a run differs from the one of that name that was recorded."""
    old, new = stored["recipe"][2:], list(cell.recipe[2:])
    if old != new:
        gone = [word for word in old if word not in new]
        come = [word for word in new if word not in old]
        if changed := changed_library(gone, new):
            return f"the library {changed} has changed since"
        return (
            f"it was done with {' '.join(gone) or 'fewer options'}, and the study now says {' '.join(come) or 'less'}"
        )
    return "its config file, its data, its backbone or the upstream run it started from has changed since"


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object that this package wrote.

    Raises:
        UserError: it is not what was written.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, OSError, RecursionError) as error:
        raise UserError(f"{path} cannot be read: {error}") from error
    if not isinstance(content, dict):
        raise UserError(f"{path} holds no JSON object; delete it, and the same command writes it anew")
    return content


_RESULT = {"seconds": float, "versions": dict, "device": str}
_JUDGED = {"metric": str, "score": float, "dev_score": float}
"""What a report cannot do without, of each run and of one that is judged."""


def _result(folder: Path, stage: str) -> dict[str, Any] | None:
    path = folder / RESULT
    if not path.is_file():
        return None
    content = read_json(path)
    content = {**content.pop("environment", {}), **content}  # device and versions once stood among the rest
    for name, kind in {**_RESULT, **(_JUDGED if stage == "downstream" else {})}.items():
        value = content.get(name)
        is_kind = isinstance(value, int | float) and math.isfinite(value) if kind is float else isinstance(value, kind)
        if not is_kind and (name, value) != ("dev_score", None):
            raise UserError(
                f"{path} has {name} {value!r}, which mpt study run does not write; delete its folder to have the run "
                "done again"
            )
    return content


def _failure(folder: Path) -> str | None:
    if (folder / RESULT).is_file() or not (folder / FAILED).is_file():
        return None
    return str(read_json(folder / FAILED).get("reason", "it does not say why"))
