"""``mpt adapt TRAIN --out DIR``."""

from __future__ import annotations

import argparse
import time

from mpt.adapt.defaults import DEFAULTS
from mpt.cli.options import Parser, above_zero, add_model, at_least, part, seed
from mpt.util.errors import UserError
from mpt.util.files import refuse_full
from mpt.util.names import refuse_unwritable
from mpt.util.places import expanded


def run_adapt_command(arguments: list[str]) -> None:
    """Find the best prompt for one task of a few examples, with a prompt library's help if there is one."""
    parser = Parser(
        prog="mpt adapt",
        description="The best prompt for a new task from one small file: prompts are tuned side by side from a few "
        "starts (sampled vocabulary, label words, an instruction, the most similar prompts of a library as in SPoT), "
        "and the best on dev is saved.",
    )
    parser.add_argument(
        "train",
        type=expanded,
        metavar="TRAIN",
        help="examples: .tsv as CrossFit's, .csv, or .jsonl; or a .yaml file of your own task",
    )
    parser.add_argument(
        "--library",
        metavar="WHERE",
        help="a folder, the name of a shipped library, hub:owner/name, or none (default: english for smollm2-135m, "
        "else none)",
    )
    parser.add_argument("--out", required=True, type=expanded, metavar="DIR", help="the prompt's folder; PEFT loads it")
    parser.add_argument(
        "--backbone",
        metavar="NAME",
        help="hub name, folder, GGUF file, mpt-tiny or smollm2-135m (default: the library's, else mpt-tiny)",
    )
    files = parser.add_argument_group("examples")
    files.add_argument(
        "--dev", type=expanded, metavar="FILE", help="examples to choose on (default: a part of TRAIN, split by label)"
    )
    files.add_argument(
        "--test", type=expanded, metavar="FILE", help="examples kept apart, on which the chosen prompt is scored once"
    )
    files.add_argument(
        "--dev-share",
        type=float,
        metavar="SHARE",
        default=argparse.SUPPRESS,
        help="without --dev: its share of TRAIN (default: 0.5)",
    )
    told = "name of the input's column, its number from 1, or a key of JSON objects (ticket.body)"
    files.add_argument("--input", metavar="COLUMN", help=told)
    files.add_argument("--output", metavar="COLUMN", help="likewise of the output")
    files.add_argument(
        "--header",
        action=argparse.BooleanOptionalAction,
        help="whether the first line names the columns (default: seen)",
    )
    files.add_argument("--encoding", metavar="NAME", help="of the files, such as cp1252 or utf-16 (default: UTF-8)")
    files.add_argument("--labels", nargs="+", default=[], metavar="LABEL", help="the label words of a classification")
    files.add_argument(
        "--free",
        action="store_true",
        help="of a classification: count what the model writes as its answer (default: the likeliest label)",
    )
    files.add_argument("--free-text", action="store_true", help="the outputs are no labels, whatever they look like")
    files.add_argument(
        "--metric",
        metavar="NAME",
        help="one of CrossFit's (default: ACC for labels, Pearson-Correlation for many different numbers, EM for short "
        "outputs, else Rouge-L)",
    )
    search, count = parser.add_argument_group("search and tuning"), at_least(1)
    search.add_argument("--instruction", metavar="TEXT", help="what is to be done, in words: one more start")
    search.add_argument(
        "--start",
        nargs="+",
        default=[],
        dest="starts",
        metavar="PROMPT",
        help="prompts that are tried as starts, such as a multi-task one: folders of prompts or runs, or LIBRARY:ENTRY",
    )
    unasked = argparse.SUPPRESS
    search.add_argument(
        "--top", type=count, default=unasked, metavar="K", help="prompts of the library to try (default: 3)"
    )
    search.add_argument(
        "--by",
        metavar="NAME",
        default=unasked,
        help="similarity: centred (default: finds like tasks most often), per_token (SPoT's choice, and the default of "
        "studies), average_token, subspace",
    )
    search.add_argument("--exclude", nargs="+", default=[], metavar="TASK", help="tasks whose prompts are not tried")
    search.add_argument("--steps", type=count, default=300, help="of each tuning (default: 300; more for large models)")
    search.add_argument("--every", type=count, default=25, help="steps between evaluations on dev (default: 25)")
    for name, kind, what in (
        ("prompt_length", count, "rows of the prompt"),
        ("learning_rate", above_zero, "learning rate of Adafactor"),
        ("batch_size", count, "examples a step"),
    ):
        told = f"{what} (default: the library's, else {getattr(DEFAULTS, name)})"
        option = "--rate" if name == "learning_rate" else f"--{name.replace('_', '-')}"
        search.add_argument(option, type=kind, metavar="N", dest=name, help=told)
    search.add_argument(
        "--seed",
        type=seed,
        metavar="N",
        default=13,
        help="of split, order and, without a library, own starts (default: 13)",
    )
    search.add_argument(
        "--ensemble",
        type=count,
        default=1,
        metavar="N",
        help="the N best on dev also answer together, by their vote (default: 1)",
    )
    add_model(parser.add_argument_group("backbone"))
    options = parser.parse_args(arguments)
    # The prompt's facts and its card have the names of the files and the instruction, and not where it lies.
    refuse_unwritable([word for word in arguments if expanded(word.partition("=")[2] or word) != options.out])
    _adapt(options)


def _adapt(options: argparse.Namespace) -> None:
    # All that can be wrong is looked at first, before torch is imported, which takes seconds.
    from mpt.adapt.defaults import library_of
    from mpt.adapt.examples import ExampleFiles, read_examples
    from mpt.library.pooling import MEASURES

    out = options.out
    begin = time.monotonic()
    if options.every > options.steps:
        raise UserError(f"--every {options.every} is more than the {options.steps} of --steps")
    refuse_full(out, "--out")
    if options.dev and "dev_share" in options:
        raise UserError("--dev-share is of TRAIN where there is no --dev; leave one of them out")
    if "by" in options and options.by not in MEASURES:
        raise UserError(f"there is no similarity {options.by!r}; --by is one of {', '.join(MEASURES)}")
    examples = read_examples(part(ExampleFiles, options))
    library = library_of(options.library, options.backbone, options.prompt_length)
    if library is not None:
        library.check_excluded(options.exclude)
    elif asked := next((name for name in ("exclude", "top", "by") if getattr(options, name, None)), None):
        why = f"none is searched: {_no_library(options)}"
        raise UserError(f"--{asked} speaks of a library's prompts, and {why}")
    from mpt.adapt.run import AdaptOptions, adapt
    from mpt.adapt.verdict import tell
    from mpt.backbone.device import arithmetic_of, device_of
    from mpt.backbone.loading import BackboneOptions
    from mpt.present.terminal import console
    from mpt.util.quiet import quiet_libraries

    quiet_libraries()
    terminal = console()
    for sentence in examples.told:
        terminal.print(sentence)
    if library is not None:
        terminal.print(
            f"library {options.library or library.folder.name}: {len(library.entries())} prompts "
            f"for {library.recipe.backbone}"
        )
    choices, limits = part(AdaptOptions, options), part(BackboneOptions, options)
    device = device_of(options.device)
    arithmetic = arithmetic_of(options.precision, device)
    found, backbone = adapt(examples, library, options.backbone, limits, choices, out, terminal, device, arithmetic)
    tell(terminal, found, examples, backbone, out)
    terminal.print(f"{time.monotonic() - begin:.0f} s")


def _no_library(options: argparse.Namespace) -> str:
    """What to do for one to be searched."""
    from mpt.library.library import shipped_for

    if options.library is None and (shipped := shipped_for(options.backbone)) is not None:
        return f"the prompts of the library {shipped} have another --prompt-length; leave that out"
    return "give --library too"
