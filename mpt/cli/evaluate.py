"""``mpt evaluate PROMPT… FILE``."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from mpt.cli.options import Parser
from mpt.cli.predict import (
    add_answering,
    add_reading,
    check_paths,
    check_votes,
    facts_of,
    labelled_rows,
    named_prompts,
    open_prompts,
    usual_input,
    usual_inputs,
)
from mpt.metrics.by_name import METRICS
from mpt.util.errors import UserError
from mpt.util.places import expanded
from mpt.util.yaml_file import is_yaml

if TYPE_CHECKING:
    from rich.console import Console

    from mpt.use.answers.evaluation import Evaluation


def run_evaluate_command(arguments: list[str]) -> None:
    """Say what the answers of a learned prompt to labelled rows are worth."""
    parser = Parser(
        prog="mpt evaluate",
        usage="mpt evaluate PROMPT [PROMPT …] FILE [--out FILE] [option …]",
        description="How good a learned prompt is on labelled rows: the task's metric with its 95 % interval, a report "
        "for each label, which labels are taken for which. Several prompts answer as one.",
    )
    parser.add_argument(
        "paths", nargs="+", metavar="PROMPT … FILE", help="folders of prompts or runs, or LIBRARY:ENTRY; then the file"
    )
    parser.add_argument("--out", type=expanded, metavar="FILE", help=".json: all of it as a file")
    parser.add_argument("--metric", metavar="NAME", help="one of CrossFit's (default: the prompt's)")
    parser.add_argument("--ensemble", choices=("vote", "mean"), help="how several prompts answer (default: vote)")
    add_reading(parser)
    add_answering(parser)
    options = parser.parse_args(arguments)
    check_paths("evaluate", options)
    if options.metric is not None and options.metric not in METRICS:
        raise UserError(f"There is no metric {options.metric!r}; --metric is one of {', '.join(METRICS)}.")
    if options.out is not None and (options.out.suffix.lower() != ".json" or options.out.exists()):
        why = "exists; name another file" if options.out.exists() else "must end in .json"
        raise UserError(f"--out {options.out} {why}")
    _evaluate(options)


def _evaluate(options: argparse.Namespace) -> None:
    folders, name = named_prompts(options.paths)
    path, usual = expanded(name), usual_inputs(facts_of(folders))
    shared = None if options.input or is_yaml(path) else usual_input(folders, usual)
    check_votes(folders, options)
    files = [path] if options.calibrate is None else [path, options.calibrate]
    said = [option for option in ("input", "output", "header", "encoding") if getattr(options, option) is not None]
    if said and all(map(is_yaml, files)):
        raise UserError(f"--{said[0]} is of a table; {name} says itself how its tables are read")
    table = labelled_rows(path, options, shared)
    from mpt.present.terminal import console
    from mpt.use.answers.answering import all_together, check_together
    from mpt.use.answers.evaluation import evaluate
    from mpt.use.answers.gold import spelt_as_known
    from mpt.util.files import write_json, writing_to
    from mpt.util.quiet import quiet_libraries

    quiet_libraries()
    terminal = console()
    for sentence in table.told:
        terminal.print(f"{table.file.name}: {sentence}")
    predictor = open_prompts(folders, options, terminal, usual)
    prompts = predictor.prompts
    check_together(prompts, options.ensemble)
    metric = options.metric or prompts[0].metric
    if metric is None:
        raise UserError(f"prompt {folders[0]} does not say its task's metric; give --metric")
    known = tuple(options.labels) or prompts[0].known_labels
    rows, told = spelt_as_known(table.rows, known, table.file)
    for sentence in told:
        terminal.print(sentence)
    answers = all_together(predictor, [row.input for row in rows], options.ensemble or "vote")
    try:
        found = evaluate(rows, answers, metric, known, pieces=predictor.backbone.pieces)
    except ValueError as error:  # a metric of numbers, and texts
        raise UserError(f"{name}: {str(error).rstrip('.')}; give another --metric") from error
    _show(terminal, found)
    if options.out is not None:
        with writing_to(options.out.parent):
            write_json(options.out, found.as_json())
        terminal.print(f"written to {options.out}")


def _show(terminal: Console, found: Evaluation) -> None:
    from mpt.present.table import Table, TableCell
    from mpt.present.terminal import print_table

    low, high = found.interval
    if found.labels:
        head = ["label", "precision", "recall", "F1", "examples", "answers"]
        cells: list[list[TableCell]] = [
            [one.label, *map(_share, (one.precision, one.recall, one.f1)), str(one.examples), str(one.answers)]
            for one in found.labels
        ]
        print_table(terminal, Table(head, cells), "by label")
        names = [one.label for one in found.labels]
        counts: list[list[TableCell]] = [
            [name, *map(str, row)] for name, row in zip(names, found.confusion, strict=True)
        ]
        print_table(terminal, Table(["right label, answered as", *names], counts), "which is taken for which")
        terminal.print(f"{found.off_label} of {found.examples} answers are no label")
    if found.not_numbers:
        terminal.print(f"{found.not_numbers} of {found.examples} answers are no number")
    if found.calibration_error is not None:
        terminal.print(f"expected calibration error of the probabilities: {found.calibration_error:.3f}")
    terminal.print(
        f"{found.metric} {found.score:.3f} on {found.examples} examples, 95 % interval {low:.3f} to {high:.3f}",
    )


def _share(value: float) -> str:
    return "" if value != value else f"{value:.3f}"
