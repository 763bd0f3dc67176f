"""Every figure of a report: which there are, and what is in each."""

from __future__ import annotations

import math
from pathlib import Path

from mpt.present.bars import NOTHING, UNDEFINED, Bar, Chart, draw_bars
from mpt.present.figure_style import COLOURS, colours
from mpt.present.markdown import Figure
from mpt.study.report.contents import Report, Section
from mpt.study.report.curves import draw_convergence
from mpt.study.report.language_curves import draw_languages
from mpt.study.report.tables import PAPER
from mpt.study.report.varied import draw_capacity, draw_varied
from mpt.study.run.results import StudyFacts
from mpt.study.scores.gains import target_gains
from mpt.study.scores.scores import target_scores

MANY = 7
"""Curves of so many methods can be told apart beside the baseline's."""

OVERVIEW, GAINS, SCORES, PACE = "arg.png", "relative_gain.png", "scores.png", "convergence.png"
VARIED, TONGUES, CAPACITY = "varied.png", "languages.png", "capacity.png"
KINDS = (OVERVIEW, GAINS, SCORES, PACE, VARIED, TONGUES, CAPACITY)


def draw_all(report: Report, folder: Path) -> list[Figure]:
    """Draw every figure that there are numbers for."""
    facts = report.facts
    painted = {"ARG": COLOURS[0]} | colours(facts.methods, facts.baseline)
    drawn: list[Figure] = []
    if (
        facts.has_several
        and not facts.is_crowded
        and any(row.draws for section in report.sections for row in section.gains)
    ):
        draw_bars(folder / OVERVIEW, _args(report), painted)
        drawn.append(Figure(OVERVIEW, OVERVIEW, None, f"average relative gain over {facts.baseline} in every setting"))
    for section in report.sections:
        name = section.setting.name
        place = f"{name}/" if facts.has_several else ""
        if any(row.draws for row in section.gains):
            draw_bars(folder / place / GAINS, _gains(facts, section), painted)
            about = f"relative gain over {facts.baseline} per target, {name}"
            drawn.append(Figure(place + GAINS, GAINS, name, about))
        if section.scores and not facts.is_crowded:
            draw_bars(folder / place / SCORES, _scores(facts, section), painted)
            drawn.append(Figure(place + SCORES, SCORES, name, f"test scores per target, {name}"))
        if section.varied:
            option = section.varied[0].option
            title = _title(facts, section, f"test score against {option}")
            draw_varied(folder / place / VARIED, section.varied, title, _spread(facts))
            drawn.append(Figure(place + VARIED, VARIED, name, f"test score against {option}, {name}"))
        if section.convergence.points:
            shown = _shown(facts, section)
            title = _title(facts, section, f"how fast{f', the best {MANY}' if facts.is_crowded else ''}")
            own = colours(shown, facts.baseline)
            draw_convergence(folder / place / PACE, section.convergence, shown, facts.baseline, own, title)
            drawn.append(Figure(place + PACE, PACE, name, f"dev score against steps, {name}"))
        if section.languages:
            shown = [method for method in _shown(facts, section) if method in {row.method for row in section.languages}]
            title = _title(facts, section, "answers in other languages, on dev")
            own = colours(shown, facts.baseline)
            draw_languages(folder / place / TONGUES, section.languages, shown, facts.baseline, own, title)
            drawn.append(Figure(place + TONGUES, TONGUES, name, f"answers in other languages against steps, {name}"))
        if section.capacity:
            option = section.varied[0].option
            title = _title(facts, section, f"answers in other languages against {option}{_spread(facts)}")
            draw_capacity(folder / place / CAPACITY, section.capacity, title)
            drawn.append(
                Figure(place + CAPACITY, CAPACITY, name, f"answers in other languages against {option}, {name}")
            )
    return drawn


def figure_files(report: Report) -> set[str]:
    """All figures that a report of these settings may have."""
    places = ["", *(f"{section.setting.name}/" for section in report.sections)]
    return {f"{place}{kind}" for place in places for kind in KINDS}


def _shown(facts: StudyFacts, section: Section) -> list[str]:
    """The methods that curves are drawn of."""
    if not facts.is_crowded:
        return facts.methods
    best = sorted(section.gains, key=lambda row: -row.mean if not math.isnan(row.mean) else math.inf)[:MANY]
    return [facts.baseline, *(row.method for row in best)]


def _gains(facts: StudyFacts, section: Section) -> Chart:
    if facts.is_crowded:
        # Only the averages, a line each, the best above.
        rows = sorted(section.gains, key=lambda row: -row.mean if not math.isnan(row.mean) else math.inf)
        return Chart(
            _title(facts, section, "average relative gain"),
            f"ARG over {facts.baseline} (%){_spread(facts)}",
            [row.method for row in rows],
            {"ARG": [Bar(row.mean, row.std, note=UNDEFINED) for row in rows]},
        )
    gained = target_gains(section.scores, facts.baseline)
    averages = {row.method: row for row in section.gains}
    targets = [target for target in section.targets if any(target in values for values in gained.values())]
    bars = {}
    for method in facts.methods:
        if method == facts.baseline:
            continue
        own = gained.get(method, {})
        bars[method] = [Bar(*own[target], note=UNDEFINED) if target in own else Bar() for target in targets]
        row = averages.get(method)
        theirs = section.stated.get(method)
        beside = theirs.mean if theirs is not None else None
        average = (row.mean, row.std) if row is not None else (math.nan, math.nan)
        bars[method].append(Bar(*average, note=UNDEFINED if row is not None and targets else NOTHING, beside=beside))
    return Chart(
        _title(facts, section, "relative gain"),
        f"relative gain over {facts.baseline} (%){_spread(facts)}",
        [*targets, "average (ARG)"],
        bars,
        shaded=[len(targets)],
        beside=_beside([section]),
    )


def _scores(facts: StudyFacts, section: Section) -> Chart:
    scored = target_scores(section.scores)
    metric = {row.target: row.metric for row in section.scores}
    bars = {
        method: [Bar(*scored[method, target]) if (method, target) in scored else Bar() for target in section.targets]
        for method in facts.methods
    }
    names = [f"{target}\n({metric[target]})" if metric[target] else target for target in section.targets]
    return Chart(_title(facts, section, "test scores"), f"test score (%){_spread(facts)}", names, bars)


def _args(report: Report) -> Chart:
    facts = report.facts
    bars: dict[str, list[Bar]] = {method: [] for method in facts.methods if method != facts.baseline}
    for section in report.sections:
        found = {row.method: row for row in section.gains}
        for method, own in bars.items():
            theirs = section.stated.get(method)
            row = found.get(method)
            beside = theirs.mean if theirs is not None else None
            own.append(Bar(row.mean, row.std, note=UNDEFINED, beside=beside) if row is not None else Bar(beside=beside))
    return Chart(
        _title(facts, None, "average relative gain"),
        f"ARG over {facts.baseline} (%){_spread(facts)}",
        [section.setting.name for section in report.sections],
        bars,
        beside=_beside(report.sections),
    )


def _beside(sections: list[Section]) -> str:
    backbones = dict.fromkeys(row.backbone for section in sections for row in section.stated.values())
    return f"{PAPER} (2023), {', '.join(backbones)}"


def _spread(facts: StudyFacts) -> str:
    return ", mean and deviation over draws" if len(facts.seeds) > 1 else ""


def _title(facts: StudyFacts, section: Section | None, what: str) -> str:
    data = f"data in {Path(facts.root).name}" if facts.root else ""  # a file of scores alone says nothing of it
    kind = "synthetic tasks" if facts.is_synthetic else data
    settings = facts.settings if section is None else [section.setting]
    backbones = dict.fromkeys(Path(setting.backbone or facts.backbone).name for setting in settings)
    places = [section.setting.name] if section is not None else []
    told = ", ".join(part for part in (*places, *backbones, kind) if part)
    return f"{facts.name}: {what}" + (f"\n{told}" if told else "")
