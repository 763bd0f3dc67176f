"""What a report's page says, in which order; how it looks is up to Markdown and HTML."""

from __future__ import annotations

import math
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mpt.fit.configs import called_as, find_config
from mpt.present.markdown import Block, Figure, bullets, code
from mpt.study.report.contents import Report, Section, rival_of
from mpt.study.report.costs import READING as COSTS
from mpt.study.report.costs import costs_table
from mpt.study.report.ensembles import READING as ENSEMBLES_READING
from mpt.study.report.ensembles import ensemble_table
from mpt.study.report.figures import CAPACITY, GAINS, OVERVIEW, PACE, SCORES, TONGUES, VARIED
from mpt.study.report.languages import READING as LANGUAGES_READING
from mpt.study.report.languages import language_tables
from mpt.study.report.other_tasks import READING as ELSEWHERE_READING
from mpt.study.report.other_tasks import elsewhere_table
from mpt.study.report.retrieved import READING, retrieved_table, retrieves
from mpt.study.report.tables import arg_table, draw_table, pace_table, score_table, sure_table
from mpt.study.report.varied import READING as VARIED_READING
from mpt.study.report.varied import varied_table
from mpt.study.run.results import StudyFacts, planned_draws
from mpt.study.scores.significance import METHOD
from mpt.study.spec.settings import settings
from mpt.study.spec.study import load_study
from mpt.util.errors import UserError

WRITTEN_READING = (
    "The scores above are of the likeliest label, the one whose tokens and end have the highest likelihood. Here the "
    "same prompts, chosen by it on dev, are judged by the text that the model writes, greedily, as in Qin et al. "
    "(2023); a text that is no label is wrong."
)


def page(report: Report, out: Path, figures: Sequence[Figure]) -> list[Block]:
    """The report's page as blocks; its headings are those of one setting or of several."""
    facts = report.facts
    blocks: list[Block] = [f"# {facts.name}", _what(facts), *_cautions(facts)]
    if facts.has_several:
        blocks += ["## Average relative gain (%)", arg_table(report), _reading(report)]
        blocks += [_paper(report.sections), *_of(figures, OVERVIEW, None)]
        for section in report.sections:
            name = section.setting.name
            blocks += [f"## {name}", _about(section), score_table(facts, section)]
            blocks += _of(figures, GAINS, name)
            blocks += [*_varied(section, figures, 3), *_ensembles(section, 3), *_elsewhere(report, section, 3)]
            blocks += [*_written(report, section, 3), *_languages(section, figures, 3)]
            blocks += ["### How sure", sure_table(report, section)]
            blocks += ["### How fast", *_pace(facts, section, figures)] if report.records else []
            blocks += _costs(report, section, 3)
            blocks += _retrieved(report, section, 3)
            blocks += ["### Scores", *_of(figures, SCORES, name)] if _of(figures, SCORES, name) else []
            blocks += ["### Difference by draw (points)", draw_table(facts, section)]
        blocks += ["## How to read it", _sure_reading(report), _pace_reading(report), _costs_reading(report)]
    else:
        (section,) = report.sections
        name = section.setting.name
        blocks += [_about(section), "## Scores and average relative gain", score_table(facts, section)]
        blocks += [_reading(report), *_of(figures, GAINS, name), *_of(figures, SCORES, name)]
        blocks += [*_varied(section, figures, 2), *_ensembles(section, 2), *_elsewhere(report, section, 2)]
        blocks += [*_written(report, section, 2), *_languages(section, figures, 2)]
        blocks += ["## How sure", sure_table(report, section), _sure_reading(report), _paper([section])]
        if report.records:
            blocks += ["## How fast", *_pace(facts, section, figures), _pace_reading(report)]
        blocks += [*_costs(report, section, 2), _costs_reading(report)]
        blocks += _retrieved(report, section, 2)
        blocks += ["## Difference by draw (points)", draw_table(facts, section)]
    blocks.append(_undefined(report))
    if report.missing:
        blocks += ["## Missing", bullets([f"`{key}`: {reason}" for key, reason in report.missing])]
    return [*blocks, "## How to have it again", *_again(report, out)]


def _of(figures: Sequence[Figure], kind: str, setting: str | None) -> list[Block]:
    return [figure for figure in figures if (figure.kind, figure.setting) == (kind, setting)]


def _varied(section: Section, figures: Sequence[Figure], level: int) -> list[Block]:
    if not section.varied:
        return []
    head = f"{'#' * level} Against {section.varied[0].option}"
    return [head, varied_table(section.varied), VARIED_READING, *_of(figures, VARIED, section.setting.name)]


def _ensembles(section: Section, level: int) -> list[Block]:
    if not section.ensembles:
        return []
    return [f"{'#' * level} Prompts alone and together", ensemble_table(section.ensembles), ENSEMBLES_READING]


def _elsewhere(report: Report, section: Section, level: int) -> list[Block]:
    table = elsewhere_table(report, section)
    return [] if table is None else [f"{'#' * level} On other tasks", table, ELSEWHERE_READING]


def _languages(section: Section, figures: Sequence[Figure], level: int) -> list[Block]:
    tables = language_tables(section)
    if not tables:
        return []
    each = [block for task, table in tables for block in (f"{'#' * (level + 1)} {task}", table)]
    drawn = [figure for kind in (TONGUES, CAPACITY) for figure in _of(figures, kind, section.setting.name)]
    return [f"{'#' * level} In other languages", *each, LANGUAGES_READING, *drawn]


def _written(report: Report, section: Section, level: int) -> list[Block]:
    written = report.written
    if written is None or section.written is None:
        return []
    (own,) = [one for one in written.sections if one.setting == section.setting]
    head = f"{'#' * level} By what the model writes"
    return [head, WRITTEN_READING, score_table(report.facts, own), sure_table(written, own)]


def _retrieved(report: Report, section: Section, level: int) -> list[Block]:
    table = retrieved_table(report, section)
    return [] if table is None else [f"{'#' * level} What was retrieved", READING, table]


def _costs(report: Report, section: Section, level: int) -> list[Block]:
    table = costs_table(report.costs, section.setting.name)
    return [f"{'#' * level} What it cost upstream", table] if table.rows else []


def _costs_reading(report: Report) -> str:
    return f"What it cost upstream: {COSTS}" if report.costs else ""


def _what(facts: StudyFacts) -> str:
    places = dict.fromkeys((one.given, tuple(one.targets)) for one in facts.settings)
    where = ", ".join(f"{given} ({len(tasks)} target{'' if len(tasks) == 1 else 's'})" for given, tasks in places)
    parts = [f"{', '.join(facts.methods)} on the partition{'s' if len(places) > 1 else ''} {where}"]
    backbones = ", ".join(dict.fromkeys(one.backbone or facts.backbone for one in facts.settings))
    parts += [f"backbone {backbones}", f"data {facts.root}"] if facts.root else [f"scores of {facts.file}"]
    parts += [f"k = {facts.k}"] if facts.k is not None else []
    return f"{', '.join(parts)}, draws {', '.join(map(str, facts.seeds))}."


def _cautions(facts: StudyFacts) -> list[Block]:
    """What is left out, and what the numbers cannot say."""
    blocks: list[Block] = [sentence for setting in facts.settings if (sentence := setting.left_out(facts.root))]
    if facts.is_synthetic:
        blocks.append(
            "**All tasks here are synthetic**: made by the package from a made-up world, with the few-shot "
            "protocol of CrossFit. The numbers show how the methods compare on these tasks, and say nothing about "
            "natural language."
        )
    elif Path(facts.backbone).name == "mpt-tiny":
        blocks.append(
            "**mpt-tiny is not a pre-trained English model**: it has read nothing but the package's made-up "
            "world. On other texts the numbers show that everything runs, and nothing else."
        )
    return blocks


def _about(section: Section) -> str:
    """What a setting has of its own, beside its partition."""
    setting = section.setting
    parts = [setting.given] if setting.name != Path(setting.given).stem else []
    parts += [f"backbone {setting.backbone}"] if setting.backbone else []
    parts += [f"k = {setting.source_k} of the source tasks"] if setting.source_k is not None else []
    parts += [f"k = {setting.target_k} of the target tasks"] if setting.target_k is not None else []
    parts += [f"upstream epochs {setting.epochs:g}"] if setting.epochs is not None else []
    parts += [f"`{name}={value}`" for name, value in setting.overrides.items()]
    return f"This setting: {', '.join(parts)}." if parts else ""


def _reading(report: Report) -> str:
    facts = report.facts
    start = " and the retrieved prompt" if retrieves(report) else ""
    oracle = ", but for the oracle, which nobody can have: the best of its starts on test" if facts.oracles else ""
    chosen = (
        f" The learning rate{start}, where there was a choice, and the step are those of the best dev score; the test "
        f"set was used once{oracle}."
        if report.records
        else ""
    )
    by_row = "column here, of a row in a setting's own table" if facts.has_several else "row"
    shared = f" Bold is the best of a {'column' if facts.is_crowded else by_row}."
    if facts.has_several and any(one.stage == "downstream" and one.partition is None for one in report.records):
        shared += (
            " A method that learns nothing upstream has one run for each target and draw, which counts in every "
            "setting that has the target."
        )
    base = facts.baseline
    return (
        f"Test scores are in percent (correlations times 100), means over the draws.{chosen} ARG is the mean over the "
        f"targets of the relative gain, (mean score - {base}'s mean score) / {base}'s mean score, in percent (Qin et "
        f"al. 2023, section 4.2); the mean difference in points, mean score - {base}'s, needs no denominator. After ± "
        "stands the sample standard deviation over the draws (for ARG: of the mean over the targets of a draw's score "
        f"- {base}'s of the same draw, over {base}'s mean), and a 95 % interval is made so that in 95 of 100 such "
        "studies it holds the value that ever more draws and targets like these would give."
        f"{shared}{_incomplete(report)} The CSV files hold ARG in percent and scores in fractions."
    )


def _incomplete(report: Report) -> str:
    """What the figures of methods with missing scores are of."""
    places = [section.places for section in report.sections]
    counts = {method: sum(len(own.get(method, ())) for own in places) for method in report.facts.methods}
    most = max(counts.values(), default=0)
    if not (less := [f"{method} ({count} of {most})" for method, count in counts.items() if 0 < count < most]):
        return ""
    return (
        f" Methods with fewer scores than others are compared with {report.facts.baseline} on the targets and draws "
        f"that they have, and are in bold only where they have as many: {', '.join(less)}."
    )


def _sure_reading(report: Report) -> str:
    facts = report.facts
    counts = {
        other: sum(row.other == other and not math.isnan(row.arg.p) for s in report.sections for row in s.comparisons)
        for other in (facts.baseline, report.rival)
    }
    told = " and ".join(
        f"{count} comparison{'s' if count > 1 else ''} with {other}" for other, count in counts.items() if count
    )
    apart, among = ("each group by itself, ", "in a group") if all(counts.values()) else ("", "among them")
    sentences = [f"How sure: {METHOD}"]
    if told:
        sentences.append(
            f"p is two-sided, for no difference in ARG; p (Holm) is corrected for the {told} in this report, "
            f"{apart}so that the chance of a single false alarm {among} stays below the level that is chosen."
        )
    every = [*report.sections, *(report.written.sections if report.written is not None else [])]
    for why in dict.fromkeys(row.arg.why for s in every for row in s.comparisons if row.arg.why):
        sentences.append(f"Where there is neither interval nor p: {why}.")
    pairs = {(row.method, row.other): row.left_out for s in every for row in s.comparisons if row.left_out}
    for (method, other), seeds in pairs.items():
        sentences.append(
            f"{method} and {other} are compared by the upstream seeds that both have; without "
            f"{', '.join(map(str, seeds))}."
        )
    if once := _learned_once(report):
        sentences.append(
            f"{', '.join(once)} learned upstream with one seed: what is said of {'it' if len(once) == 1 else 'them'} "
            f"is said of {'this prompt' if len(once) == 1 else 'these prompts'}, not of the method, which may find a "
            "better or a worse one with another seed (`upstream: seeds: […]` in a study makes it a factor of the test)."
        )
    return " ".join(sentences)


def _learned_once(report: Report) -> list[str]:
    """Methods whose one upstream prompt serves all draws."""
    seeds: dict[str, set[int]] = {}
    for record in report.records:
        if record.stage == "upstream" and record.method in report.facts.methods:
            seeds.setdefault(record.method, set()).add(record.seed)
    return [method for method, found in seeds.items() if len(found) == 1]


def _paper(sections: Sequence[Section]) -> str:
    stated = [row for section in sections for row in section.stated.values()]
    if not stated:
        return ""
    tables = sorted({row.table for row in stated})
    return (
        f"Qin et al.: ARG as stated in table{'s' if len(tables) > 1 else ''} {', '.join(map(str, tables))} of Qin "
        "et al. (2023), Learning to Initialize, measured with "
        f"{', '.join(dict.fromkeys(row.backbone for row in stated))} on all targets of the partition. It compares "
        "with ours as far as backbone, data and steps are the same."
    )


def _pace(facts: StudyFacts, section: Section, figures: Sequence[Figure]) -> list[Block]:
    table = pace_table(facts, section)
    if table is None:
        return ["The runs have left no evaluations to read this from."]
    return [table, *_of(figures, PACE, section.setting.name)]


def _pace_reading(report: Report) -> str:
    baseline = report.facts.baseline
    if not any(section.convergence.reached for section in report.sections):
        return ""
    return (
        f"How fast: the goal on a target with a seed is the dev score of the prompt that {baseline} ends with. A "
        "column holds the first evaluated step by which at least half of a method's runs (a target with a seed "
        "each) have that share of the goal; > stands before the last step where fewer than half ever have. "
        "Nothing is evaluated before the first interval is over, so that is the least there can be. The curves are "
        "the mean over targets and seeds of the best dev score so far, and its deviation over seeds."
    )


def _undefined(report: Report) -> str:
    told = []
    for one, how in ((report, ""), (report.written, " by what is written")):
        sections = one.sections if one is not None else []
        if found := dict.fromkeys(target for section in sections for row in section.gains for target in row.undefined):
            told.append(
                f"The mean score of {report.facts.baseline}{how} is zero or less on {', '.join(found)}: no relative "
                "gain is defined there, and ARG leaves it out. The mean difference in points has it."
            )
    return " ".join(told)


def _device(facts: Mapping[str, Any]) -> str:
    """``cpu (32-true)``; results of earlier versions do not tell the precision."""
    return facts["device"] + (f" ({facts['precision']})" if "precision" in facts else "")


def _changes(facts: StudyFacts) -> list[str]:
    """What was said on the command line over the study's file: root, backbone, and some of its settings alone."""
    try:
        study = load_study(find_config(facts.file, "studies"))
        places = [setting.name for setting in settings(study, strict=False)]
    except UserError:  # it is elsewhere by now
        return ["--root", facts.root, "--backbone", facts.backbone]
    own = [setting.name for setting in facts.settings]
    return [
        *(["--root", facts.root] if facts.root != study.root else []),
        *(["--backbone", facts.backbone] if facts.backbone != study.backbone else []),
        *(["--settings", *own] if own != places else []),
    ]


def _again(report: Report, out: Path) -> list[Block]:
    against = ["--against", report.rival] if report.rival is not None else []
    if not report.records:
        scores = ["--scores", report.facts.file, "--baseline", report.facts.baseline, *against, "--out", str(out)]
        return [code(shlex.join(["mpt", "study", "report", *scores]))]
    results = [record.result for record in report.records if record.result is not None]
    made_with = [result.environment for result in results]
    seconds = sum(result.seconds for result in results)
    versions: dict[str, set[str]] = {}
    for facts in made_with:
        for name, version in facts["versions"].items():
            versions.setdefault(name, set()).add(version)
    told = ", ".join(f"{name} {' and '.join(sorted(found))}" for name, found in versions.items())
    commits = sorted({facts["commit"] for facts in made_with if facts.get("commit")})
    if commits:
        told += f"; commit{'s' if len(commits) > 1 else ''} {', '.join(commits)}"
    devices = ", ".join(sorted({_device(facts) for facts in made_with})) or "none yet"
    commands = [["mpt", "study", "run", called_as(report.facts.file), *_changes(report.facts), "--out", str(out)]]
    draws, rival = planned_draws(out), rival_of(report.facts, None)
    some = ["--seeds", *map(str, report.facts.seeds)] if report.facts.seeds != draws else []
    if some or report.rival != rival:
        commands.append(["mpt", "study", "report", str(out), *some, *(against if report.rival != rival else [])])
    return [
        code("\n".join(map(shlex.join, commands))),
        (
            f"{len(results)} of {len(report.records)} runs are finished, {seconds:.0f} s of computing in all, "
            f"on: {devices}. Versions: {told or 'none yet'}."
        ),
        (
            "Each score's run is the folder named in `scores.csv`, beside this one: `result.json` (the score, and the "
            "arguments of the `mpt fit` that made it), `config.yaml`, `metrics.jsonl` (every evaluation), "
            "`predictions.jsonl`, `prompt/`, `log.txt`."
        ),
    ]
