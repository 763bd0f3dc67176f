"""``mpt prompt words | import``."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from mpt.cli.options import Parser, at_least, run_action
from mpt.util.errors import UserError
from mpt.util.files import refuse_full
from mpt.util.made_files import filling
from mpt.util.places import expanded

_USAGE = """usage: mpt prompt ACTION …

What a learned prompt is, and prompts that another program learned.

  words PROMPT …     the vocabulary tokens nearest to each of its rows: label words and forms of one word among them,
                     before and after training; of several prompts the means by their starts
  import FILE OUT    a prompt folder of a .npy file, as google-research/prompt-tuning saves prompts

`mpt prompt ACTION --help` tells more.
"""


def run_prompt_command(arguments: list[str]) -> None:
    """Look at prompts, or take one from another program."""
    run_action("prompt", _USAGE, {"words": _words, "import": _import}, arguments)


def _words(words: Sequence[str]) -> None:
    parser = Parser(
        prog="mpt prompt words",
        description="The vocabulary tokens nearest to each row of a prompt (Lester et al. 2021, section 7).",
    )
    parser.add_argument("prompts", metavar="PROMPT", nargs="+", help="folder of a prompt or a run, or LIBRARY:ENTRY")
    parser.add_argument("--by", choices=("cosine", "euclid"), default="cosine", help="nearness (default: cosine)")
    parser.add_argument(
        "--top", type=at_least(1, 100), default=5, metavar="N", help="tokens of a row, up to 100 (default: 5)"
    )
    parser.add_argument(
        "--start",
        metavar="PROMPT",
        help="the prompt that it was learned from (default: made again from the config in its run's folder)",
    )
    parser.add_argument(
        "--labels", nargs="+", default=[], metavar="WORD", help="label words (default: those known of its task)"
    )
    parser.add_argument("--backbone", metavar="NAME", help="if it is not where the prompt's folder names it")
    parser.add_argument("--out", type=expanded, help="folder for a page (Markdown and HTML), its figure and CSV tables")
    options = parser.parse_args(list(words))
    if options.start is not None and len(options.prompts) > 1:
        raise UserError("--start is the start of one prompt; give one, or leave it out")

    from mpt.prompt.files import is_prompt, read_prompt
    from mpt.use.answers.folders import prompt_folder

    if options.out is not None and is_prompt(options.out):
        raise UserError(f"--out {options.out} is a prompt's folder, which holds nothing else; name another")
    folders = [prompt_folder(prompt) for prompt in options.prompts]
    start = None if options.start is None else prompt_folder(options.start)
    for folder in folders:  # what is none is told of before torch is imported
        read_prompt(folder)
    from mpt.present.terminal import console, print_table
    from mpt.use.words.words_of_prompts import START, PromptReader
    from mpt.use.words.words_page import rows_table, summary_table, write_page

    terminal = console()
    reader = PromptReader(options.by, options.top, options.backbone)
    found = [reader.read(folder, start, options.labels) for folder in folders]
    if len(found) == 1:
        print_table(terminal, rows_table(found[0]), f"{options.prompts[0]}: nearest tokens by {options.by}")
    print_table(terminal, summary_table(found), f"means over rows, by {options.by}")
    if unknown := sum(START not in one.near for one in found):
        which = "its start is" if len(found) == 1 else f"the starts of {unknown} are"
        terminal.print(f"{which} not known; --start PROMPT names it", markup=False)
    if options.out is not None:
        with filling(options.out) as fresh:
            files = write_page(found, options.by, fresh, shlex.join(["mpt", "prompt", "words", *words]))
        terminal.print(f"in {options.out}: {', '.join(files)}", markup=False)


def _import(words: Sequence[str]) -> None:
    parser = Parser(
        prog="mpt prompt import",
        description="A prompt folder of a .npy file that holds a prompt's rows, [length, hidden size], and nothing "
        "else. What PEFT wrote needs no import.",
    )
    parser.add_argument("file", type=expanded, metavar="FILE", help="a .npy file; nothing in it is unpickled")
    parser.add_argument("out", type=expanded, metavar="OUT", help="a new folder")
    parser.add_argument("--backbone", required=True, metavar="NAME", help="the model that it was learned on")
    parser.add_argument("--revision", metavar="NAME", help="branch, tag or commit of a hub model")
    options = parser.parse_args(list(words))
    refuse_full(options.out, "OUT")

    from mpt.prompt.numpy_file import import_numpy, read_numpy

    read_numpy(options.file)  # what is none is told of before torch is imported
    from mpt.backbone.vocabulary import bare_model
    from mpt.util.quiet import quiet_libraries

    quiet_libraries()
    model = bare_model(options.backbone, options.revision)
    width = model.get_input_embeddings().weight.shape[1]
    length, width = import_numpy(options.file, options.out, options.backbone, model.config, width)
    print(f"{options.out}: a prompt of {length} rows of {width} for {options.backbone}")
