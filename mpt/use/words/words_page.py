"""Prompts in words as tables, a figure and a page."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import chain
from pathlib import Path

from mpt.present.bars import Bar, Chart, draw_bars
from mpt.present.csv_text import csv_text
from mpt.present.figure_style import BASELINE, COLOURS, new_figure, save
from mpt.present.html import html_page
from mpt.present.markdown import Block, Figure, markdown
from mpt.present.table import Table, TableCell
from mpt.use.words.words import COSINE, Neighbours
from mpt.use.words.words_of_prompts import CHANCE, LEARNED, NUMBERS, START, SaidByPrompt, average, groups
from mpt.util.files import write_text

FIGURE, PAGE, HTML, ROWS, SUMMARY = "words.png", "words.md", "words.html", "words.csv", "summary.csv"

_READING = (
    "Special tokens and rows that no token uses are left out. Nearest is the {value} of a row's nearest token; alike "
    "the mean cosine of a row's tokens with each other; forms of one word the share of the rows with two tokens or "
    "more that begin alike (equal in small letters, or three letters or more in common that are four fifths of the "
    "shorter); row with a label the share of the rows with a label word among their tokens; labels found the share of "
    "the label words that any row has; from the start the mean Euclidean distance of a row from its start. Random "
    "directions, as long as the prompt's rows, tell what there is by chance (of label words, among as many directions "
    "as it has rows)."
)
_HEAD = ("nearest", "alike", "forms of one word (%)", "row with a label (%)", "labels found (%)", "from the start")


def rows_table(prompt: SaidByPrompt) -> Table:
    """Each row's nearest tokens, and those of its start."""
    learned, start = prompt.near[LEARNED], prompt.near.get(START)
    head = ["row", "nearest tokens", "labels", *(["at the start"] if start else []), "forms", "alike"]
    lines: list[list[TableCell]] = []
    for i in range(len(learned.tokens)):
        line: list[TableCell] = [str(i + 1), _told(learned, i), ", ".join(learned.labels[i])]
        line += [", ".join(start.tokens[i])] if start else []
        line += [str(learned.forms[i]), f"{float(learned.alike[i]):.2f}"]
        lines.append([*line, f"{float(prompt.moved[i]):.2f}"] if prompt.moved is not None else line)
    head += ["from the start"] if prompt.moved is not None else []
    return Table(head, lines, texts=4 if start else 3)


def summary_table(prompts: Sequence[SaidByPrompt]) -> Table:
    """Starts, what was learned from them, and random directions; means over the prompts and their deviation."""
    lines: list[list[TableCell]] = []
    for init, of, own in groups(prompts):
        cells = [_number(name, *average(own, of, name)) for name in NUMBERS]
        lines.append([f"{init}: {of}" if init and of != CHANCE else of, str(len(own)), *cells])
    rules = frozenset(i for i, line in enumerate(lines) if i and str(line[0]).endswith((START, CHANCE)))
    return Table(["", "prompts", *_HEAD], lines, rules=rules)


def write_page(prompts: Sequence[SaidByPrompt], by: str, folder: Path, command: str) -> list[str]:
    """Write the page as Markdown and as HTML, its figure, and both tables as CSV; the files' names."""
    single = prompts[0] if len(prompts) == 1 else None
    title = f"{single.task or single.name}: nearest tokens" if single else f"{len(prompts)} prompts: nearest tokens"
    about = "nearest tokens of each row, darker where they are nearer" if single else "label words and forms by start"
    (_draw_tokens(folder / FIGURE, single, title, by) if single else _draw_shares(folder / FIGURE, prompts, title))
    value = "cosine" if by == COSINE else "Euclidean distance"
    blocks: list[Block] = [
        f"# {title}",
        f"Each row of a prompt by its nearest vocabulary tokens, by {value} (Lester et al. 2021, section 7).",
        summary_table(prompts),
        _READING.format(value=value),
        Figure(FIGURE, FIGURE, None, about),
    ]
    for prompt in prompts if len(prompts) <= 30 else []:
        blocks += [f"## {' '.join(part for part in (prompt.task, prompt.init) if part) or prompt.name}"]
        blocks += [f"Label words: {', '.join(prompt.labels)}." if prompt.labels else "", rows_table(prompt)]
    blocks += ["## How to have it again", f"```\n{command}\n```"]
    texts = {
        HTML: html_page(blocks, folder),
        PAGE: markdown(blocks if single else [*blocks[:5], *blocks[-2:]]),
        ROWS: csv_text(["prompt", "task", "init", "of", "row", "tokens", "values", "labels", "forms", "alike", "moved"],
                       chain.from_iterable(map(_rows, prompts)), ".4f"),
        SUMMARY: csv_text(["prompt", "task", "init", "of", *NUMBERS],
                          [[one.name, one.task, one.init, of, *one.numbers(of).values()]
                           for one in prompts for of in one.near], ".4f"),
    }  # fmt: skip
    for name, text in texts.items():
        write_text(folder / name, text)
    return [*texts, FIGURE]


def _rows(prompt: SaidByPrompt) -> list[list[object]]:
    lines: list[list[object]] = []
    for of, near in prompt.near.items():
        for i, tokens in enumerate(near.tokens if of != CHANCE else []):
            values = " ".join(f"{value:.4f}" for value in near.values[i].tolist())
            moved = float(prompt.moved[i]) if prompt.moved is not None and of == LEARNED else None
            own = [
                i + 1,
                " ".join(tokens),
                values,
                " ".join(near.labels[i]),
                near.forms[i],
                float(near.alike[i]),
                moved,
            ]
            lines.append([prompt.name, prompt.task, prompt.init, of, *own])
    return lines


def _told(near: Neighbours, row: int) -> str:
    return ", ".join(
        f"{text} {value:.2f}" for text, value in zip(near.tokens[row], near.values[row].tolist(), strict=True)
    )


def _number(name: str, mean: float, std: float) -> str:
    """Shares in percent."""
    if math.isnan(mean):
        return ""
    scale, digits = (1, 2) if name in ("nearest", "alike", "moved") else (100, 0)
    told = f"{scale * mean:.{digits}f}"
    return told if math.isnan(std) else f"{told} ± {scale * std:.{digits}f}"


def _draw_tokens(path: Path, prompt: SaidByPrompt, title: str, by: str) -> None:
    """A line for each row: its tokens, the nearer the darker, label words framed."""
    from matplotlib.colors import LinearSegmentedColormap
    from matplotlib.patches import Rectangle

    near = prompt.near[LEARNED]
    values = near.values if by == COSINE else -near.values
    count, width = values.shape
    longest = max(len(text) for row in near.tokens for text in row)
    figure = new_figure(1.6 + width * max(0.7, 0.09 * min(longest, 20)), 1.2 + 0.24 * count)
    axes = figure.subplots()
    low, high = float(values.min()), float(values.max())
    shades = LinearSegmentedColormap.from_list("white-blue", ["#ffffff", "#56B4E9", "#0072B2"])
    picture = axes.imshow(values.numpy(), cmap=shades, vmin=low, vmax=high, aspect="auto")
    for i, row in enumerate(near.tokens):
        for j, text in enumerate(row):
            dark = float(values[i, j]) > low + 0.75 * (high - low)
            colour = "white" if dark else "black"
            axes.text(j, i, text[:20], ha="center", va="center", fontsize=8, color=colour, parse_math=False)
            if any(text.casefold() == label.casefold() for label in prompt.labels):
                axes.add_patch(
                    Rectangle((j - 0.47, i - 0.44), 0.94, 0.88, fill=False, edgecolor="black", linewidth=1.5)
                )
    axes.set_xticks(range(width), [str(j + 1) for j in range(width)])
    axes.set_yticks(range(count), [str(i + 1) for i in range(count)], fontsize=7)
    axes.tick_params(length=0)
    axes.set_xlabel("nearest tokens, from the nearest on" + ("; framed: label words" if prompt.labels else ""))
    axes.set_ylabel("row of the prompt")
    axes.set_title(title, fontsize=11)
    bar = figure.colorbar(picture, ax=axes, label=by if by == COSINE else "Euclidean distance", shrink=0.9)
    if by != COSINE:
        bar.ax.yaxis.set_major_formatter(lambda value, _: f"{-value:g}")
    save(figure, path)


def _draw_shares(path: Path, prompts: Sequence[SaidByPrompt], title: str) -> None:
    """Bars of the shares in percent, for each start before and after, and by chance."""
    shares = dict(zip(NUMBERS[2:5], ("forms of one word", "row with a label", "labels found"), strict=True))
    bars, colours = {}, {}
    for place, (init, of, own) in enumerate(groups(prompts)):
        name = f"{init}: {of}" if init and of != CHANCE else of
        found = [average(own, of, number) for number in shares]
        bars[name] = [Bar(100 * mean, 100 * std, note="") for mean, std in found]
        colours[name] = BASELINE if of == CHANCE else COLOURS[place % len(COLOURS)]
    draw_bars(path, Chart(title, "share (%), mean and deviation over prompts", list(shares.values()), bars), colours)
