"""A study's folder as its readers see it: what was planned, what came out of each run."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from itertools import chain
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from mpt.data.fewshot.files import SYNTHETIC
from mpt.data.synthetic.draw import synthetic_tasks
from mpt.data.tasks.task import Shots
from mpt.record.folder import RESULT, RunFolder
from mpt.record.options import from_words
from mpt.record.result import JUDGED, REPORTED, RunIdentity, RunResult
from mpt.study.plan.library import changed_library
from mpt.study.plan.planned_run import PlannedRun
from mpt.study.spec.retrieve import EMBEDDING
from mpt.study.spec.settings import Setting, settings
from mpt.study.spec.study import Study
from mpt.util.errors import UserError
from mpt.util.files import inside, is_folder_name, links_below, refuse_links, write_json
from mpt.util.reading import read_json
from mpt.util.schema import STRICT, adapter, sentence

STUDY = "study.json"
REPORT, SCORES, ARG, PAGE = "report", "scores.csv", "arg.csv", "report.md"
_NOT_IN_ROWS = ("recipe", "arguments", "environment", "fingerprint")


@dataclass(frozen=True)
class RunRecord(RunIdentity):
    """One planned run and what is known of it.

    Attributes:
        result: none until it is finished.
        failure: why it failed, if it did.
    """

    key: str
    result: RunResult | None = None
    failure: str | None = None

    @property
    def source(self) -> str | list[str] | None:
        """What it took from a library, if it is finished and took something."""
        return self.result.source if self.result is not None else None

    @property
    def options(self) -> dict[str, str]:
        """The options of its command line, if it is finished."""
        return from_words(self.result.recipe if self.result is not None else ())


def read_record(out: Path, key: str, identity: Mapping[str, Any], needed: Sequence[str] = ()) -> RunRecord:
    """What is known of a run in a study's folder.

    Args:
        needed: what its result must have beside the score of a run that is judged.
    """
    folder = RunFolder(out / key)
    needed = (*needed, *(JUDGED if identity["stage"] != "upstream" else ()))
    failure = folder.failure()
    return RunRecord(
        key=key, **identity, result=folder.result(needed, identity), failure=failure.reason if failure else None
    )


@dataclass(frozen=True)
class StudyFacts:
    """What a report says about a study beside its numbers.

    Attributes:
        oracles: the methods that tune from every prompt of the library that may be retrieved, one by one: the best of
            these runs on test is an oracle's (:mod:`mpt.study.scores.oracle`).
        ensembles: the methods that answer by a vote of several prompts, and how many these are.
        varied: method, its family, option and value, of each method that is one of several by the value of one option.
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
    varied: list[tuple[str, str, str, float]] = field(default_factory=list)
    ensembles: dict[str, int] = field(default_factory=dict)

    __pydantic_config__ = STRICT

    @property
    def has_several(self) -> bool:
        """Whether there are several partitions."""
        return len(self.settings) > 1

    @property
    def is_synthetic(self) -> bool:
        """Whether all targets are tasks of the embedded suite, and none a user's own."""
        targets = {target for setting in self.settings for target in setting.targets}
        return self.root == SYNTHETIC and targets <= synthetic_tasks().keys()

    @property
    def is_crowded(self) -> bool:
        """Whether there are more methods than colours can tell apart, as in a search."""
        return len(self.methods) > 9


@dataclass(frozen=True, kw_only=True)
class _ToldRun(RunIdentity):
    key: str

    __pydantic_config__ = STRICT


@dataclass(frozen=True, kw_only=True)
class _StudyFile(StudyFacts):
    """What a study's file holds."""

    runs: list[_ToldRun]


def write_study(study: Study, places: Sequence[Setting], runs: Sequence[PlannedRun], out: Path) -> None:
    """Write what was planned into the study's folder; of settings that are not looked at now, what was there stays."""
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
        ensembles={method.name: method.ensemble for method in study.methods if method.ensemble},
        varied=[
            (one.name, one.family, *next(iter(one.varied.items()))) for one in study.methods if len(one.varied) == 1
        ],
    )
    content = {**asdict(facts), "runs": [_told(run) for run in runs]}
    if study.only and (out / STUDY).is_file():
        before = _read(out)
        names = [setting.name for setting in settings(replace(study, only=()), strict=False)]
        now = {setting.name: setting for setting in places}
        others = {one.name: one for one in before.settings if one.name in names and one.name not in now}
        told = {**others, **now}
        content["settings"] = [asdict(told[name]) for name in names if name in told]
        planned = {run.key for run in runs}
        known = [run for run in before.runs if run.key in planned or _is_of(run, study, list(others.values()))]
        content["runs"] = list({run["key"]: run for run in (*map(_told, known), *content["runs"])}.values())
    write_json(out / STUDY, content)


_MEMBER = re.compile(r"-member(\d+)(?=-lr|$)")


def member_of(key: str) -> int | None:
    """Which prompt of an ensemble a run tunes, by its key; None if it is of none."""
    match = _MEMBER.search(key)
    return int(match[1]) if match else None


def _is_of(run: _ToldRun, study: Study, others: Sequence[Setting]) -> bool:
    """Whether a run of earlier is one of the study as its file is now, in settings that are not looked at now."""
    targets = {target for setting in others for target in setting.targets}
    if run.partition not in (None, *(setting.name for setting in others)):
        return False
    if run.partition is None and run.target is not None and not {run.target, run.trained_on} & targets:
        return False
    if run.method == EMBEDDING:
        above = [method.upstream.seeds for method in study.methods if method.retrieve and method.upstream]
        return any(method.retrieve for method in study.methods) and run.seed in {*study.seeds, *chain(*above)}
    method = next((method for method in study.methods if method.name == run.method), None)
    if method is None:
        return False
    learned = (method.upstream.seeds or study.seeds) if method.upstream is not None else ()
    if run.stage == "upstream":
        return run.seed in learned
    if run.trained_on is not None and run.target not in study.tested_on(run.trained_on):
        return False
    if member_of(run.key) not in (range(method.ensemble) if method.ensemble else (None,)):
        return False
    rates = method.downstream.learning_rates or (None,)
    return run.seed in study.seeds and run.learning_rate in rates and run.upstream_seed in (None, *learned)


def _told(run: PlannedRun | _ToldRun) -> dict[str, Any]:
    return {"key": run.key, **run.identity}


def read_study(out: Path) -> tuple[StudyFacts, list[RunRecord]]:
    """What was planned in a study's folder, and the state of each run.

    Raises:
        UserError: the folder holds no study.
    """
    if not (out / STUDY).is_file():
        raise UserError(f"{out} is no study's folder: it holds no {STUDY}; mpt study run makes one")
    refuse_strange(out)
    found = _read(out)
    return _facts(found), [read_record(out, run.key, run.identity, REPORTED) for run in found.runs]


def planned_draws(out: Path) -> list[int]:
    """The draws of a study's folder, without a look at its runs."""
    return _read(out).seeds


def runs_outside(out: Path) -> Counter[int]:
    """How many finished runs of each seed lie in a study's folder that its file does not plan any more."""
    planned = {run.key for run in _read(out).runs}
    # <method>/<run> or <method>/<setting>/<run>
    found = [path for depth in ("*/*", "*/*/*") for path in out.glob(f"{depth}/{RESULT}")]
    strange = [path for path in found if path.parent.relative_to(out).as_posix() not in planned]
    return Counter(seed for path in strange if type(seed := _seed(path)) is int)


def _seed(path: Path) -> Any:
    """Of a result that nobody asks for, damaged or not."""
    try:
        return read_json(path).get("seed")
    except UserError:
        return None


def _facts(found: _StudyFile) -> StudyFacts:
    return StudyFacts(**{part.name: getattr(found, part.name) for part in fields(StudyFacts)})


def _read(out: Path) -> _StudyFile:
    """What a study's file says, checked."""
    path = out / STUDY
    content = read_json(path, "delete it, and mpt study run writes it anew")
    if "settings" not in content:
        raise UserError(f"{path} is of an earlier version; delete it, and mpt study run writes it anew")
    try:
        # From JSON, in which a tuple is a list.
        found: _StudyFile = adapter(_StudyFile).validate_json(json.dumps(content))
        if mistake := _mistake(found, out):
            raise UserError(f"{path}: {mistake}; delete it, and mpt study run writes it anew")
        return found
    except ValidationError as error:
        told = sentence(error, f"{path} is not as mpt study run writes it", {}).removesuffix(".")
        raise UserError(f"{told}; delete it, and mpt study run writes it anew") from error


def _mistake(found: _StudyFile, out: Path) -> str | None:
    """What cannot be in a study's file though each part is of its kind."""
    names = [*found.methods, EMBEDDING]
    for run in found.runs:
        if not inside(out, out / run.key):
            return f"the run {run.key} would lie outside of the study's folder"
        if run.method not in names:
            return f"the run {run.key} is of the method {run.method}, which is none of the study's"
    if not found.seeds:
        return "it has no seeds"
    if not found.settings:
        return "it has no settings"
    if found.baseline not in names:
        return f"the baseline {found.baseline} is none of the methods"
    if odd := [name for name, size in found.ensembles.items() if not 2 <= size <= len(found.runs)]:
        return f"the ensemble {odd[0]} has {found.ensembles[odd[0]]} members"
    if wrong := [setting.name for setting in found.settings if not is_folder_name(setting.name)]:
        return f"the setting {wrong[0]!r} cannot be a folder's name"
    return None


def study_results(folder: Path | str) -> list[dict[str, Any]]:
    """A row per planned run: what it is (method, target, seed, …), its scores, or why it failed.

    ``pandas.DataFrame(study_results(folder))`` makes a frame of them. Of a run that is not finished the scores are
    left out.

    Raises:
        UserError: the folder holds no study.
    """
    rows = []
    for record in read_study(Path(folder))[1]:
        row = asdict(record)
        result = row.pop("result") or {}
        rows.append({**row, **{name: value for name, value in result.items() if name not in _NOT_IN_ROWS}})
    return rows


def refuse_strange(out: Path) -> None:
    """Refuse a study's folder with links out of it: what is read, shown, written or removed is its own."""
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
    refuse_strange(out)
    found = _read(out)
    return {setting.name: setting for setting in found.settings} if found.root == study.root else {}


def is_finished(run: PlannedRun) -> bool:
    """Whether a run has its result; that of another configuration is refused."""
    stored = run.files.result()
    if stored is None:
        if run.folder.exists() and not run.folder.is_dir():
            raise UserError(f"{run.folder} is no folder, and a run's has to be there; move it away")
        return False
    if stored.fingerprint != run.fingerprint:
        raise UserError(
            f"the finished run {run.folder} is not today's {run.key}: {difference(run, stored.recipe)}; "
            "give another --out, or delete that folder to have the run done again"
        )
    return True


def difference(run: PlannedRun, recipe: Sequence[str]) -> str:
    """In what a run differs from the one of that name that was recorded."""
    if not recipe:
        return "it does not say what it was done with"
    old, new = list(recipe[2:]), list(run.recipe[2:])
    if old != new:
        if sorted(old) == sorted(new):
            return "its options are in another order, in which a later one may undo an earlier one; put back the order"
        gone = [word for word in old if word not in new]
        come = [word for word in new if word not in old]
        if changed := changed_library(gone, new):
            return f"the library {changed} has changed since"
        return (
            f"it was done with {' '.join(gone) or 'fewer options'}, and the study now says {' '.join(come) or 'less'}"
        )
    return "its config file, its data, its backbone or the upstream run it started from has changed since"
