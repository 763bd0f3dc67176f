"""Prompts that are exported together: what they are called, the backbone they share, what their files say of use."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from mpt.backbone.loading import BackboneOptions
from mpt.backbone.model import FrozenBackbone
from mpt.data.tables.own_file import is_template
from mpt.library.library import HUB, Library, shipped_libraries
from mpt.library.recipe import FILE
from mpt.prompt.files import StoredPrompt, check_fits, load_prompt
from mpt.use.answers.folders import prompt_folder, prompts_in
from mpt.util.errors import UserError
from mpt.util.files import write_json, write_text
from mpt.util.places import expanded


@dataclass(frozen=True)
class ExportedPrompt:
    """A prompt and its name in the export.

    Attributes:
        name: of letters, digits and ``. _ + -``, for tokens and files are named after it.
        where: it was read from.
        stored: what was read.
    """

    name: str
    where: str
    stored: StoredPrompt

    def fact(self, name: str, default: Any) -> Any:
        """What its ``mpt.json`` says, if it says something of that type."""
        said = self.stored.facts.get(name)
        return said if isinstance(said, type(default)) else default

    @property
    def max_input_length(self) -> int:
        """Tokens that are read of an input."""
        return self.fact("max_input_length", BackboneOptions.max_input_length)

    @property
    def max_target_length(self) -> int:
        """Tokens that are written at most."""
        return self.fact("max_target_length", BackboneOptions.max_target_length)

    @property
    def chats(self) -> bool:
        """Whether inputs are turns of a chat."""
        return self.fact("chat_template", False)

    @property
    def tokens(self) -> list[str]:
        """What its P rows are called where they are rows of a vocabulary."""
        return [f"<{self.name}-{row}>" for row in range(len(self.stored.weight))]

    def described(self) -> dict[str, Any]:
        """What a client has to know."""
        return {
            "task": self.stored.facts.get("task"),
            "labels": self.fact("labels", []),
            "max_input_length": self.max_input_length,
            "max_target_length": self.max_target_length,
            "input_prefix": self.fact("input_prefix", ""),
            "template": self.fact("template", ""),
        }


def read_prompts(words: Sequence[str]) -> list[ExportedPrompt]:
    """The prompts that a command names.

    Args:
        words: each a prompt as :func:`mpt.use.answers.folders.prompt_folder` takes it, the folder of several,
            ``NAME=PROMPT``, or a library: its folder, a shipped name or ``hub:owner/name``.

    Raises:
        UserError: one is neither, two have one name or differ in their backbones, or a name cannot be a token's.
    """
    found: list[ExportedPrompt] = []
    for word in words:
        if word.startswith(HUB) or (expanded(word) / FILE).is_file() or word in shipped_libraries():
            entries = Library.open(word).entries()
            if not entries:
                raise UserError(f"library {word} has no prompts")
            found += [ExportedPrompt(one.name, str(one.folder), load_prompt(one.folder)) for one in entries]
            continue
        name, given, folder = word.partition("=")
        if given and not expanded(word).exists():
            found.append(ExportedPrompt(name, folder, load_prompt(prompt_folder(folder))))
            continue
        for named in prompts_in(word):
            name = expanded(named.rpartition(":")[2]).resolve().name
            found.append(ExportedPrompt(name, named, load_prompt(prompt_folder(named))))
    for place, one in enumerate(found):
        if not re.fullmatch(r"[\w.+-]+", one.name):
            raise UserError(
                f"prompt {one.where}: {one.name!r} has signs that no token's name can have; give NAME={one.where}"
            )
        if one.name in (before.name for before in found[:place]):
            raise UserError(f"two prompts are called {one.name}; give one as NAME={one.where}")
        if one.chats != found[0].chats:
            raise UserError(
                f"of {one.name} and {found[0].name} one was learned with a chat template and one without; export them "
                "apart"
            )
        if _backbone_of(one) != _backbone_of(found[0]):
            raise UserError(
                f"prompt {one.name} was learned on {_told(one)} and {found[0].name} on {_told(found[0])}, but the "
                "prompts of one export share a backbone; export them apart"
            )
    return found


def _backbone_of(one: ExportedPrompt) -> tuple[object, object]:
    known = one.stored.facts.get("fingerprint")
    return one.stored.weight.shape[1], Path(one.stored.backbone).name if known is None else known


def _told(one: ExportedPrompt) -> str:
    return f"{one.stored.backbone or 'an unnamed model'} ({_backbone_of(one)[1]})"


def backbone_of(prompts: Sequence[ExportedPrompt], name: str | None) -> FrozenBackbone:
    """The backbone of the prompts, in float32.

    Args:
        name: if it is not where the prompts say.

    Raises:
        UserError: it cannot be loaded, or is another than the prompts'.
    """
    first = prompts[0].stored
    if not (name or first.backbone):
        raise UserError(f"prompt {prompts[0].where} does not say what it was learned on; give --backbone")
    options = BackboneOptions(
        max_input_length=max(one.max_input_length for one in prompts),
        max_target_length=max(one.max_target_length for one in prompts),
        chat_template=prompts[0].chats,
    )
    if name is None and isinstance(revision := first.facts.get("revision"), str):
        options = replace(options, revision=revision)
    backbone = FrozenBackbone(name or first.backbone, options)
    for one in prompts:
        check_fits(one.stored, one.where, backbone.hidden_size, backbone.name, backbone.fingerprint)
    return backbone


def refuse_encoder_decoder(backbone: FrozenBackbone, engine: str) -> None:
    """Refuse a backbone that an engine for decoder-only models does not take."""
    if not backbone.decoder_only:
        raise UserError(
            f"backbone {backbone.name} is an encoder-decoder, and export {engine} is for decoder-only models; for a T5 "
            "take mpt export ctranslate2"
        )


def reading(backbone: FrozenBackbone) -> dict[str, Any]:
    """How a client makes token ids of a text for a decoder-only backbone, and a text of what it writes."""
    encode, chat = backbone.encode, backbone.encode.chat
    return {
        "before": chat.head if chat else "",
        "after": chat.tail if chat else "",
        "strips": chat is not None and chat.trims_input,
        "special_tokens": chat is None,
        "kept_ids": encode.tail,
        "pad_id": encode.pad_id,
        "end_ids": backbone.generation.eos_token_id,
        "hidden_ids": [encode.end_id] if chat else [],
    }


def embedding_scale(table: nn.Module) -> float:
    """What a model multiplies the rows of its table of embeddings by as it reads them; 1 for most.

    Raises:
        UserError: it does something else with them.
    """
    weight: Tensor = table.weight  # type: ignore[assignment]
    with torch.no_grad():
        rows = weight[:256].float()
        read: Tensor = table(torch.arange(len(rows), device=weight.device)).float()
    scale = float((read * rows).sum() / (rows * rows).sum())
    if not torch.allclose(read, rows * scale, rtol=1e-3):
        raise UserError("this model does not read the rows of its embeddings as they are, so nothing was exported")
    return 1.0 if abs(scale - 1) < 1e-6 else scale


def differences(prompts: Sequence[ExportedPrompt]) -> list[str]:
    """Where what is served differs from what mpt answers by these prompts, a sentence each."""
    found = []
    facts = {one.name: one.stored.facts for one in prompts}
    if chosen := [name for name, known in facts.items() if known.get("labels") and known.get("answers") != "free"]:
        found.append(
            f"By {_some(chosen)} mpt chooses the likeliest of the labels; what is served writes freely, and may write "
            "what is no label."
        )
    if named := [one.name for one in prompts if one.described()["input_prefix"]]:
        found.append(
            f"By {_some(named)} an input is read behind a text that always stood before it, input_prefix in "
            "prompts.json: client.py puts it there, the engine does not."
        )
    if made := [one.name for one in prompts if is_template(one.described()["template"])]:
        found.append(
            f"By {_some(made)} an input is a text that several columns, or more words around one, make, as template in "
            "prompts.json says: give client.py that whole text."
        )
    cut = sorted({one.max_input_length for one in prompts})
    found.append(
        f"client.py cuts an input to {_or(cut)} tokens, as mpt does; the engine itself does not, or cuts elsewhere."
    )
    return found


def _some(names: list[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def _or(numbers: list[int]) -> str:
    return " or ".join(map(str, numbers)) if len(numbers) < 3 else f"{numbers[0]} to {numbers[-1]}"


def write_index(folder: Path, prompts: Sequence[ExportedPrompt], each: Sequence[dict[str, Any]], **common: Any) -> None:
    """Write ``prompts.json``, by which ``client.py`` asks for a prompt by its name.

    Args:
        each: what the engine needs of each prompt.
        common: what it needs for all of them.
    """
    listed = {one.name: {**own, **one.described()} for one, own in zip(prompts, each, strict=True)}
    write_json(folder / "prompts.json", {"backbone": prompts[0].stored.backbone, **common, "prompts": listed})


def write_client(folder: Path, module: str, title: str, sentences: Sequence[str]) -> None:
    """Copy a client, a module that knows nothing of this package, to ``client.py``, and write ``README.md``.

    Args:
        sentences: what a reader has to know.
    """
    spec = find_spec(module)
    assert spec is not None and spec.origin is not None
    write_text(folder / "client.py", Path(spec.origin).read_text(encoding="utf-8"))
    listed = "\n".join(f"- {one}" for one in sentences)
    usage = '```bash\npython client.py NAME "your text"\n```'
    write_text(
        folder / "README.md",
        f"# {title}\n\n`prompts.json` lists the prompts by name. `client.py` asks for an answer:\n\n{usage}\n\n"
        f"and is a few lines of Python to copy from.\n\n{listed}\n",
    )
