"""``mpt predict PROMPT… FILE``; with ``--config``, Lightning's ``predict`` of one run."""

from __future__ import annotations

import argparse
import hashlib
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from mpt.cli.options import Parser, add_arithmetic, at_least
from mpt.util.errors import UserError
from mpt.util.places import expanded

if TYPE_CHECKING:
    from rich.console import Console

    from mpt.data.tables.rows import RowTable
    from mpt.data.tables.texts import TextTable
    from mpt.use.answers.predict_file import Predicted
    from mpt.use.answers.predictor import Predictor

_KINDS = {".csv": "csv", ".tsv": "tsv", ".jsonl": "json"}
"""What is written, by the suffix of --out."""

_SHOWN = 8


def run_predict_command(arguments: list[str]) -> None:
    """Answer the rows of a file by learned prompts, or hand on what is meant for Lightning."""
    asks = arguments[:1] in (["-h"], ["--help"], [])
    if arguments[1:] if asks else arguments[0].startswith("-"):
        from mpt.cli.fit import run_predict_command as run_of_a_fit

        run_of_a_fit(arguments)
        return
    parser = Parser(
        prog="mpt predict",
        usage="mpt predict PROMPT [PROMPT …] FILE [--out FILE] [option …]\n       mpt predict --config NAME [option …]",
        description="Answers to the rows of a file by a learned prompt. All columns are kept; prediction is new and, "
        "of a classification, probability and p_<label> for each label. Several prompts vote, or each row names its "
        "own by --prompt-column. With --config it is the predict of one run of mpt fit (mpt predict --help all).",
    )
    parser.add_argument(
        "paths", nargs="+", metavar="PROMPT … FILE", help="folders of prompts or runs, or LIBRARY:ENTRY; then the file"
    )
    parser.add_argument("--out", type=expanded, metavar="FILE", help=".csv, .tsv or .jsonl (default: standard output)")
    parser.add_argument(
        "--prompt-column",
        metavar="COLUMN",
        help="which prompt answers a row: its folder's name, or the name of its task",
    )
    parser.add_argument(
        "--ensemble",
        choices=("vote", "mean"),
        help="how several prompts answer as one: by majority, or by the mean of probabilities (default: vote)",
    )
    add_reading(parser)
    add_answering(parser)
    options = parser.parse_args(arguments)
    check_paths("predict", options)
    _predict(options)


def check_paths(command: str, options: argparse.Namespace) -> None:
    """Refuse a command line that names no prompt or no file."""
    if len(options.paths) < 2:
        taken = next((word for word in options.labels if Path(word).suffix and Path(word).is_file()), None)
        why = f"; --labels took {taken}, so name the file before it" if taken else ""
        raise UserError(f"mpt {command} {options.paths[0]}: a prompt's folder and a file are needed{why}")


def add_reading(parser: argparse.ArgumentParser) -> None:
    """How the file is read, as predict and evaluate have it."""
    files = parser.add_argument_group("file")
    files.add_argument(
        "--input",
        metavar="COLUMN",
        help="the texts' column: name, number, key of JSON objects, or a template: {subject}: {body}",
    )
    files.add_argument(
        "--header", action=argparse.BooleanOptionalAction, help="whether the first line names columns (default: seen)"
    )
    files.add_argument("--encoding", metavar="NAME", help="of the file, such as cp1252 (default: UTF-8)")


def add_answering(parser: argparse.ArgumentParser) -> None:
    """How prompts answer, as predict and evaluate have it."""
    how = parser.add_argument_group("answers")
    how.add_argument("--labels", nargs="+", default=[], metavar="LABEL", help="in place of those the prompt knows")
    how.add_argument("--free", action="store_true", help="the answer is what the model writes, not the likeliest label")
    how.add_argument(
        "--per-token",
        action="store_true",
        help="weigh a label by the mean log-likelihood of its tokens (default: the sum, which tuning raises)",
    )
    how.add_argument(
        "--calibrate",
        type=expanded,
        metavar="DEV",
        help="labelled examples, on which a temperature for the probabilities is found",
    )
    how.add_argument(
        "--contextual", action="store_true", help="divide by the probabilities of inputs that say nothing (Zhao et al.)"
    )
    how.add_argument("--output", metavar="COLUMN", help="of DEV, and of the file to evaluate: the labels' column")
    model = parser.add_argument_group("backbone")
    model.add_argument("--backbone", metavar="NAME", help="where the prompts' model is now (default: as they name it)")
    for name, what in (("input", "tokens read of a text"), ("target", "tokens of an answer")):
        told = f"{what} (default: as the prompt was learned, else {512 if name == 'input' else 64})"
        model.add_argument(f"--max-{name}-length", type=at_least(1), metavar="N", help=told)
    told = "the backbone's matrices in 8 or 4 bits (default: as the prompt was learned)"
    model.add_argument("--quantization", choices=("int8", "nf4"), help=told)
    add_arithmetic(model)


def open_prompts(
    folders: Sequence[str], options: argparse.Namespace, terminal: Console, usual: Sequence[str | None]
) -> Predictor:
    """The prompts, by the options of :func:`add_answering`, calibrated.

    Args:
        usual: see :func:`usual_inputs`.
    """
    from mpt.backbone.device import few_threads
    from mpt.data.tables.own_file import is_template
    from mpt.use.answers.calibrating import calibrate
    from mpt.use.answers.opening import open_predictor

    if options.free and options.per_token:
        raise UserError("--per-token weighs labels, which --free does without; leave out one of them")
    names = ["labels", "free", "per_token", "device", "max_input_length", "max_target_length"]
    names += ["dtype", "precision", "quantization"]
    dev = None
    if options.calibrate is not None:
        read = {made: labelled_rows(options.calibrate, options, made, "dev").rows for made in dict.fromkeys(usual)}
        dev = [read[made] for made in usual]
    predictor = open_predictor(folders, options.backbone, **{name: getattr(options, name) for name in names})
    if options.per_token and not any(prompt.labels for prompt in predictor.prompts):
        raise UserError("--per-token weighs labels, and no prompt knows any; give them by --labels, or leave it out")
    few_threads(predictor.backbone)
    terminal.print(f"backbone {predictor.backbone.name}: {predictor.backbone.reading}")
    if dev is not None or options.contextual:
        forms = [options.input if is_template(options.input) else made for made in usual]
        for sentence in calibrate(predictor, dev, forms if options.contextual else None, options.calibrate or Path()):
            terminal.print(sentence)
    return predictor


def check_votes(folders: Sequence[str], options: argparse.Namespace) -> None:
    """Refuse a way to vote where there are no votes."""
    if options.ensemble and (getattr(options, "prompt_column", None) is not None or len(folders) < 2):
        raise UserError("--ensemble is for several prompts that all answer each row; name them, and no --prompt-column")


def named_prompts(paths: Sequence[str]) -> tuple[list[str], str]:
    """The prompts that the command line names, those in a folder of several too, and the file."""
    from mpt.use.answers.folders import prompts_in

    return [prompt for named in paths[:-1] for prompt in prompts_in(named)], paths[-1]


def usual_inputs(facts: Sequence[Mapping[str, Any]]) -> list[str | None]:
    """What each prompt's inputs were made of, if its folder says it: a column, or a template over columns."""
    found = [each.get("template") for each in facts]
    return [made if isinstance(made, str) else None for made in found]


def usual_input(folders: Sequence[str], usual: Sequence[str | None]) -> str | None:
    """What the inputs of prompts that answer together were made of.

    Args:
        usual: of each, see :func:`usual_inputs`.

    Raises:
        UserError: templates that differ, so that no text of a row would be right for all.
    """
    from mpt.data.tables.own_file import is_template

    made = [text if is_template(text) else None for text in usual]
    if other := next((at for at, text in enumerate(made) if text != made[0]), 0):
        said = [f"{folders[at]} had {f'examples {made[at]!r}' if made[at] else 'a column alone'}" for at in (0, other)]
        raise UserError(
            f"{' and '.join(said)}: prompts that answer together read the same text; say it by --input, or use them "
            "one after the other"
        )
    return next(filter(None, usual), None)


def facts_of(folders: Sequence[str]) -> list[dict[str, Any]]:
    """What each prompt's ``mpt.json`` says; a folder that is no prompt is told before torch is imported."""
    from mpt.prompt.files import read_prompt
    from mpt.use.answers.folders import prompt_folder

    return [read_prompt(prompt_folder(folder))[2] for folder in folders]


def labelled_rows(
    path: Path, options: argparse.Namespace, usual: str | None = None, split: Literal["dev", "test"] = "test"
) -> RowTable:
    """Examples: a split of a user's own task, or the rows of a table.

    Args:
        usual: see :func:`usual_input`.
        split: of a user's own task.
    """
    from mpt.data.tables.labelled import labelled
    from mpt.data.tables.own_file import is_template
    from mpt.data.tables.own_task import read_own_task
    from mpt.data.tables.rows import RowTable, column_names, read_rows
    from mpt.data.tables.texts import open_texts
    from mpt.util.yaml_file import is_yaml

    if is_yaml(path):
        own = read_own_task(path)
        if not (rows := own.rows(split)):
            raise UserError(
                f"--calibrate {path}: the task has no table for {split}, and a prompt is too sure of what it has "
                "learned on; name labelled examples of others"
            )
        told = f"its {len(rows)} {split} examples are read"
        return RowTable(path, [*own.told, *([told] if split == "test" else [])], rows)
    column = options.input
    numbered = column is None and (usual or "").isdecimal()
    if is_template(column or usual) or numbered:  # as mpt predict reads such a file
        return labelled(open_texts(path, column, options.header, options.encoding, usual), options.output)
    if column is None and usual and usual in column_names(path, options.encoding):
        column = usual
    return read_rows(path, column, options.output, options.header, options.encoding)


def _predict(options: argparse.Namespace) -> None:
    # All that can be wrong is looked at first, before torch is imported, which takes seconds.
    from mpt.data.tables.texts import open_texts
    from mpt.util.yaml_file import is_yaml

    folders, name = named_prompts(options.paths)
    path, out = expanded(name), options.out
    if out is not None:
        if out.suffix.lower() not in _KINDS:
            raise UserError(f"--out {out}: the suffix says what is written; .csv, .tsv or .jsonl are possible")
        if out.exists():
            raise UserError(f"--out {out} exists; name another file, or remove it")
    if options.output is not None and options.calibrate is None:
        raise UserError("--output is the labels' column of what --calibrate names, and it names nothing; leave it out")
    if is_yaml(path):
        raise UserError(f"{path} says what a task is; name a table of texts: the prompt knows how the task reads it")
    check_votes(folders, options)
    owners, facts = None, facts_of(folders)
    usual = usual_inputs(facts)
    if options.prompt_column is None:
        shared = None if options.input else usual_input(folders, usual)
        table = open_texts(path, options.input, options.header, options.encoding, shared)
    else:
        table, owners = _chosen_by_row(path, folders, options, facts)
    table, rows = table.looked_through()  # whatever is wrong with a row is told now, not after hours
    begin = time.monotonic()
    from mpt.backbone.device import device_words
    from mpt.present.progress import CountProgress
    from mpt.present.terminal import console
    from mpt.use.answers.answer_rows import AnswerRows
    from mpt.use.answers.answering import answering, check_together
    from mpt.use.answers.predict_file import predict_file, predict_rows
    from mpt.util.output import data_output
    from mpt.util.quiet import quiet_libraries

    quiet_libraries()
    terminal = console(stderr=True)
    for sentence in table.told:
        terminal.print(f"{path.name}: {sentence}")
    predictor = open_prompts(folders, options, terminal, usual)
    if owners is None:
        check_together(predictor.prompts, options.ensemble)
    labels = list(dict.fromkeys(label for prompt in predictor.prompts for label in prompt.labels))
    kind = _KINDS[out.suffix.lower()] if out else "csv" if table.kind == "text" else table.kind
    columns = AnswerRows(table, kind, labels, bool(labels))
    answer = answering(predictor, owners, options.ensemble)
    with CountProgress(terminal, "rows", rows, f" on {device_words(predictor.rows.device)}") as progress:
        if out is None:
            done, before = predict_rows(columns, answer, data_output(), progress.told), 0
        else:
            digest = _digest(options, predictor, table)
            done, before = predict_file(columns, answer, out, digest, progress.told)
    _tell(terminal, done, before, predictor, out, time.monotonic() - begin)


def _chosen_by_row(
    path: Path, folders: Sequence[str], options: argparse.Namespace, facts: Sequence[Mapping[str, Any]]
) -> tuple[TextTable, dict[str, int]]:
    """A table whose rows say which prompt answers them, each read as that one's examples were; and their numbers."""
    from mpt.data.tables.texts import open_texts
    from mpt.use.answers.folders import numbers_by_name, prompt_names

    tasks = [each.get("task") for each in facts]
    owners = numbers_by_name(prompt_names(folders), [task if isinstance(task, str) else None for task in tasks])
    header, tables, told = options.header, [], []
    for usual in usual_inputs(facts):
        table = open_texts(path, options.input, header, options.encoding, usual)
        header = table.header if table.kind in ("csv", "tsv") else header
        tables.append(table)
        told += table.told
    inputs = {name: tables[at].input for name, at in owners.items()}
    chosen = tables[0].chosen_by(options.prompt_column, inputs)
    return replace(chosen, told=list(dict.fromkeys(told))), owners


def _digest(options: argparse.Namespace, predictor: Predictor, table: TextTable) -> str:
    """Names the work: other prompts, options or texts would not go on with it."""
    known = {name: str(value) for name, value in vars(options).items() if name not in ("paths", "device", "out")}
    about = table.file.stat()
    known |= {
        "file": f"{table.file.resolve()} {about.st_size} {about.st_mtime_ns}",
        "options": str(predictor.backbone.options),
    }
    known["inputs"] = str([table.input, *table.inputs.items()])
    known["prompts"] = str([(one.name, one.labels, one.prefix, one.calibration) for one in predictor.prompts])
    digest = hashlib.sha256(json.dumps(known, sort_keys=True).encode() + predictor.backbone.fingerprint.encode())
    for prompt in predictor.prompts:
        digest.update(prompt.weight.contiguous().numpy().tobytes())
    return digest.hexdigest()


def _tell(
    terminal: Console, done: Predicted, before: int, predictor: Predictor, out: Path | None, seconds: float
) -> None:
    from mpt.present.terminal import duration

    common = ", ".join(f"{text!r} {count:,}" for text, count in done.counts.most_common(_SHOWN))
    least = "at least " if done.uncounted else ""
    more = f" and {least}{len(done.counts) - _SHOWN:,} others" if len(done.counts) > _SHOWN else ""
    terminal.print(f"{done.rows:,} rows in {duration(seconds)}: {common}{more}")
    if before:
        terminal.print(f"{before:,} of them were done before it was stopped")
    if done.blank:
        terminal.print(f"{done.blank:,} row{'s have' if done.blank > 1 else ' has'} no text, and no prediction")
    if cut := predictor.backbone.encode.inputs_cut:
        terminal.print(f"{cut:,} texts were longer than --max-input-length and were cut")
    if out is not None:
        terminal.print(f"written to {out}")
