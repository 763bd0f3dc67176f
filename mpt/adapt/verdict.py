"""What is said in the end: what was tried, what it is worth, and how to use it."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from mpt.adapt.examples import Examples
from mpt.adapt.result import AdaptResult, Together
from mpt.adapt.starts import SAMPLED
from mpt.adapt.usage import command, plain_lines
from mpt.backbone.model import FrozenBackbone
from mpt.record.folder import ENSEMBLE


def tell(terminal: Console, found: AdaptResult, examples: Examples, backbone: FrozenBackbone, out: Path) -> None:
    """Print the tunings, what follows from them, and how to use the prompt."""
    metric = examples.task.metric
    terminal.print(_table(found, metric))
    for sentence in verdict(found, examples):
        terminal.print(sentence)
    if found.together is not None:
        terminal.print(_vote(found.together, metric))
    if found.labels:
        terminal.print("an answer is the likeliest of the labels")
    terminal.print(f"\nthe prompt is in {out}; it answers the rows of a file by\n")
    terminal.print(Text(f"    {command(backbone, out)}"), soft_wrap=True)
    if found.together is not None:
        terminal.print(Text(f"    {command(backbone, out / ENSEMBLE)}  # by the vote"), soft_wrap=True)
    terminal.print("\nor, without mpt, by transformers and PEFT:\n")
    for line in plain_lines(backbone, out, found.labels, examples.template):
        terminal.print(Text(f"    {line}"), soft_wrap=True)


def _vote(together: Together, metric: str) -> str:
    dev = [one.tuned.dev_score for one in together.members]
    told = f"the vote of the {len(dev)} best on dev: {metric} {together.dev:.3f}; alone {_average(dev)}"
    if together.test is not None:
        vote, own = together.test
        told += f"; on test {vote:.3f}, alone {_average(own)}"
    return told


def _average(scores: list[float]) -> str:
    return f"{sum(scores) / len(scores):.3f} in the mean, {max(scores):.3f} at best"


def verdict(found: AdaptResult, examples: Examples) -> list[str]:
    """What the figures say, and what they do not."""
    metric, chosen, plain = examples.task.metric, found.chosen, found.plain
    best, base = chosen.tuned.dev_score, plain.tuned.dev_score
    many = sum(len(one.tuned.history) for one in found.tries)
    said = []
    if gained := chosen is not plain:
        how = "the tuning from" if chosen.tuned.best_step else "without any tuning"
        gain = f"from {SAMPLED} none came to an end"
        if plain.tuned.value is not None:
            relative = f" ({(best - base) / base:+.0%})" if base > 0 else ""
            gain = f"from {SAMPLED} {base:.3f}: a gain of {best - base:+.3f}{relative}"
        said.append(f"chosen on dev: {how} {chosen.start}, {metric} {best:.3f}; {gain}")
        if best == base:
            said.append("the dev scores are equal; the lower dev loss decided")
    else:
        said.append(
            f"chosen on dev: the tuning from {SAMPLED}, {metric} {base:.3f}"
            + (": no other start did better, so the gain is 0" if found.tries[1:] else ", the one start there was")
        )
    said += _against_chance(found, examples)
    one = f"; one example is {1 / len(examples.dev):.3f}" if metric in ("ACC", "EM") else ""
    starts = f"{len(found.tries)} start" + ("s" if found.tries[1:] else "")
    said.append(
        f"these dev figures are optimistic: the best of {many} evaluations ({starts}) on the same "
        f"{len(examples.dev)} examples was chosen{one}"
    )
    if found.test is not None:
        new, old = found.test
        said.append(
            f"on the {len(examples.test)} test examples, which chose nothing: {metric} {new:.3f}"
            + (f"; from {SAMPLED} {old:.3f}: {new - old:+.3f}" if gained and old is not None else "")
        )
    else:
        said.append("for a figure that is not, give examples that were kept apart by --test")
    if found.inputs_cut:
        said.append(f"{found.inputs_cut} inputs were longer than --max-input-length and were cut")
    for try_ in found.tries:
        if try_.tuned.ended:
            said.append(f"from {try_.start}: {try_.tuned.ended}")
    return said


def _against_chance(found: AdaptResult, examples: Examples) -> list[str]:
    """A word on a score that nobody should be glad of."""
    best, outputs = found.chosen.tuned.dev_score, Counter(row.output for row in examples.dev)
    if best <= 0:
        what = "answered anything right"
        if examples.task.metric == "Pearson-Correlation":
            what = "gave numbers that rise and fall with the right ones"
        return [f"no tuning {what} on dev: more --steps, another --rate or a larger backbone may"]
    label, count = outputs.most_common(1)[0]
    share = count / len(examples.dev)
    if examples.task.labels and examples.task.metric == "ACC" and best <= share:
        return [f"that is no better than answering {label!r} always ({share:.3f} on dev)"]
    return []


def _table(found: AdaptResult, metric: str) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column("start")
    retrieved = any(one.similarity is not None for one in found.tries)
    if retrieved:
        table.add_column("task")
        table.add_column("similarity", justify="right")
    for name in (f"{metric} at start", f"best {metric}", "at step", "dev loss"):
        table.add_column(name, justify="right")
    table.add_column("")
    for one in found.tries:
        tuned = one.tuned
        table.add_row(
            one.start,
            *([one.task, "" if one.similarity is None else f"{one.similarity:.4f}"] if retrieved else []),
            f"{one.first:.3f}",
            f"{tuned.dev_score:.3f}" if tuned.value is not None else "failed",
            "" if tuned.best_step is None else str(tuned.best_step),
            f"{tuned.dev_loss:.3f}",
            "chosen" if one is found.chosen else "",
        )
    return table
