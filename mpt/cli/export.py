"""``mpt export ENGINE PROMPT… OUT``."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from mpt.cli.options import Parser, run_action
from mpt.util.files import refuse_full, writing_to
from mpt.util.places import expanded

_USAGE = """usage: mpt export ENGINE PROMPT… OUT

Prompts for engines that serve models. PROMPT is a prompt folder, NAME=FOLDER to call it otherwise, or a library: a
folder, the name of one that ships with the package, or hub:owner/name. OUT is a new folder.

  ctranslate2   T5 kinds: one model in which each prompt is tokens of its own, so that the rows of a batch carry
                different prompts
  tokens        decoder-only models: a plain checkpoint in which each prompt is tokens of its own, for any engine
  vllm          decoder-only models: the embeddings that a vLLM server of the plain backbone is sent in place of tokens

Each writes README.md, prompts.json and client.py, a client in a few lines. `mpt export ENGINE --help` tells more.
"""


def run_export_command(arguments: list[str]) -> None:
    """Write prompts in the form that an engine takes."""
    run_action("export", _USAGE, {engine: partial(_export, engine) for engine in _ABOUT}, arguments)


_ABOUT = {
    "ctranslate2": "Prompts of a T5 as further rows of the source vocabulary of one CTranslate2 model.",
    "tokens": "Prompts of a decoder-only model as tokens of a plain checkpoint, which every engine batches.",
    "vllm": "Prompts of a decoder-only model as embeddings, which vllm serve --enable-prompt-embeds takes.",
}


def _export(engine: str, rest: list[str]) -> None:
    parser = Parser(prog=f"mpt export {engine}", description=_ABOUT[engine])
    parser.add_argument("prompts", nargs="+", metavar="PROMPT", help="a prompt folder, NAME=FOLDER, or a library")
    parser.add_argument("out", type=expanded, metavar="OUT", help="a new folder")
    parser.add_argument("--backbone", metavar="NAME", help="where the backbone lies, if not where the prompts say")
    options = parser.parse_args(rest)
    refuse_full(options.out, "OUT")
    from mpt.use.export.export_prompts import backbone_of, read_prompts
    from mpt.util.quiet import quiet_libraries

    quiet_libraries()
    prompts = read_prompts(options.prompts)
    backbone = backbone_of(prompts, options.backbone)
    with writing_to(options.out.parent, "OUT"):
        told = _engine(engine)(prompts, backbone, options.out)
    print(f"{options.out}: {len(prompts)} prompts of {backbone.name} for {engine}", *told, sep="\n")


def _engine(name: str) -> Callable[..., list[str]]:
    from mpt.use.export.export_ctranslate2 import export_ctranslate2
    from mpt.use.export.export_tokens import export_tokens
    from mpt.use.export.export_vllm import export_vllm

    return {"ctranslate2": export_ctranslate2, "tokens": export_tokens, "vllm": export_vllm}[name]
