"""Lines that use a prompt: by ``mpt predict``, and by transformers and PEFT alone."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

from mpt.backbone.encoding import IGNORED
from mpt.backbone.model import FrozenBackbone
from mpt.backbone.source import GGUF, resolve
from mpt.data.tables.own_file import ColumnText


def command(backbone: FrozenBackbone, out: Path) -> str:
    """What answers the rows of a file by the prompt."""
    dtype = backbone.options.dtype
    more = "" if dtype == "float32" else f" --dtype {dtype}"
    return f"mpt predict {shlex.quote(str(out))} FILE{more}"


def plain_lines(backbone: FrozenBackbone, out: Path, labels: tuple[str, ...] = (), template: str = "") -> list[str]:
    """Lines of Python that use the prompt without mpt, and answer what :func:`command` answers.

    One text at a time, so that nothing depends on how a tokenizer pads, nor on PEFT, which pads between the prompt and
    the text. Not by PEFT's own ``generate``: its repetition penalty counts the input of a decoder-only model too.

    Args:
        backbone: as it was when the prompt was tuned.
        out: the prompt's folder.
        labels: of which the likeliest is the answer; what the model writes is, if there are none. Their token ids are
            told, for how a target is tokenised depends on what stands before it.
        template: that inputs were made by, if they are more than a column's cell.
    """
    options, encode = backbone.options, backbone.encode
    name = backbone.config.name_or_path if backbone.name.endswith(GGUF) else resolve(backbone.name)
    kind = "AutoModelForCausalLM" if backbone.decoder_only else "AutoModelForSeq2SeqLM"
    at = f", revision={options.revision!r}" if options.revision and not Path(name).is_dir() else ""
    longest = encode.max_input_length
    kept = len(encode.tail) if backbone.decoder_only else 1  # its end of sequence
    cut = f"ids if len(ids) <= {longest} else ids[:{longest - kept}] + ids[-{kept}:]" if kept else f"ids[:{longest}]"
    read = "text"
    if (chat := encode.chat) is not None:
        text = "text.strip()" if chat.trims_input else "text"
        read = f"{chat.head!r} + {text} + {chat.tail!r}, add_special_tokens=False"
    made = ColumnText.of(template or "text")
    told = "" if made.is_cell else f"  # made as {template!r}"
    used = f"{kind}, AutoTokenizer" if labels else f"{kind}, AutoTokenizer, GenerationConfig"
    return [
        f"import torch; from peft import PeftModel; from transformers import {used}",
        # The type is said even of float32: without it transformers loads what the weights are stored in.
        f"tokenizer, model = AutoTokenizer.from_pretrained({name!r}{at}), "
        f"{kind}.from_pretrained({name!r}, dtype={options.dtype!r}{at}).requires_grad_(False)",
        f"prompt = PeftModel.from_pretrained(model, {str(out)!r}).eval().get_prompt(1)",
        *(_told_labels(backbone, labels) if labels else _settings(backbone)),
        f"for text in [{json.dumps(made.filled_with('your text'), ensure_ascii=False)}]:{told}",
        f'    ids = tokenizer({read})["input_ids"]',
        f"    ids = torch.tensor([{cut}], dtype=torch.long)",
        "    words = model.get_input_embeddings()(ids)",
        "    row = torch.cat([prompt.to(words.dtype), words], dim=1)",
        *(_likeliest(backbone.decoder_only) if labels else _WRITTEN),
    ]


_WRITTEN = (
    "    ids = model.generate(inputs_embeds=row, attention_mask=torch.ones(row.shape[:2]).long())[0]",
    "    print(tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False).strip())",
)


def _settings(backbone: FrozenBackbone) -> list[str]:
    """In place of the checkpoint's own settings, which may ask for beams, sampling or a penalty."""
    known = backbone.generation.to_diff_dict()
    told = ", ".join(f"{name}={value!r}" for name, value in known.items() if name != "transformers_version")
    return [f"model.generation_config = GenerationConfig({told})"]


def _told_labels(backbone: FrozenBackbone, labels: tuple[str, ...]) -> list[str]:
    rows = backbone.encode.labels(labels).tolist()
    ids = {label: [one for one in row if one != IGNORED] for label, row in zip(labels, rows, strict=True)}
    return [f"labels = {ids!r}  # the tokens of each and of its end"]


def _likeliest(decoder_only: bool) -> tuple[str, ...]:
    """The first of equals, as ``max`` has it."""
    read = (
        "model(inputs_embeds=torch.cat([row, model.get_input_embeddings()(own[:, :-1])], dim=1))"
        ".logits[:, -own.shape[1]:]"
        if decoder_only
        else "model(inputs_embeds=row, labels=own).logits"
    )
    return (
        "    scores = {}",
        "    for label, own in labels.items():",
        "        own = torch.tensor([own])",
        f"        logits = {read}",
        "        scores[label] = logits.float().log_softmax(-1).gather(2, own.unsqueeze(2)).sum().item()",
        "    print(max(scores, key=scores.get))",
    )
