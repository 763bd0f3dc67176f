"""The model card of one prompt: ``README.md`` in its folder, as the Hugging Face hub reads it."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

import yaml

from mpt.record.rows import dev_score

_HUB_NAME = re.compile(r"[\w.-]+(/[\w.-]+)?")


def prompt_card(config: Mapping[str, Any], facts: Mapping[str, Any], where: str = "") -> str:
    """The card, by what the folder says of itself; the licence is its owner's to say.

    Args:
        config: content of ``adapter_config.json``.
        facts: content of ``mpt.json``, whose texts may be a stranger's.
        where: ``owner/name``, if the prompt is on the hub.
    """
    backbone, task = _plain(config.get("base_model_name_or_path")), _plain(facts.get("task"))
    metric, scores = _plain(facts.get("metric")) or "score", _scores(facts)
    on_hub = base_on_hub(config)
    head: dict[str, Any] = {"base_model": backbone} if on_hub else {}
    head |= {"library_name": "peft", "tags": ["prompt-tuning", "mpt"]}
    if task and scores:
        values = [{"type": metric, "value": value, "name": f"{split} {metric}"} for split, value in scores.items()]
        kind = "text-classification" if facts.get("labels") else "text-generation"
        result = {"task": {"type": kind}, "dataset": {"name": task, "type": task}, "metrics": values}
        head["model-index"] = [{"name": where.rpartition("/")[2] or task, "results": [result]}]
    # A path of somebody's machine says nothing to others but its last part.
    name = backbone if on_hub else re.split(r"[/\\]", backbone.rstrip("/\\"))[-1]
    seq2seq = config.get("task_type") == "SEQ_2_SEQ_LM"
    told = [
        f"{config.get('num_virtual_tokens')} soft prompt tokens for {_code(name or 'an unnamed model')}, whose weights "
        "stay as they are" + (f", learned on the task {_code(task)}." if task else "."),
        "\n".join(f"- {split}: {_code(metric)} {value:.4f}" for split, value in scores.items()),
        "The dev figure chose this prompt among others, so it is optimistic." if "dev" in scores else "",
        f"With mpt:\n\n```bash\nmpt predict {f'hub:{where}' if where else 'FOLDER'} FILE\n```",
        f"With PEFT:\n\n```python\n{_peft(on_hub, seq2seq, where or 'FOLDER')}\n```",
        f"Before each text stands {_code(facts['input_prefix'])}: mpt puts it there, with PEFT you do."
        if _plain(facts.get("input_prefix"))
        else "",
        f"Each text was made as {_code(made)}: mpt makes it of the columns, with PEFT you do."
        if set(made := _plain(facts.get("template"))) & set("{}")
        else "",
        "PEFT pads a batch between prompt and text where it pads on the left: answer one text at a time.",
    ]
    title = f"# {where.rpartition('/')[2] or 'Soft prompt'}"
    front = yaml.safe_dump(head, sort_keys=False, allow_unicode=True, width=1000)
    return f"---\n{front}---\n\n" + "\n\n".join([title, *filter(None, told)]) + "\n"


def base_on_hub(config: Mapping[str, Any]) -> bool:
    """Whether a prompt's model was loaded from the hub by its name: then its commit is known."""
    name = str(config.get("base_model_name_or_path"))
    return bool(config.get("revision")) and _HUB_NAME.fullmatch(name) is not None


def _peft(on_hub: bool, seq2seq: bool, where: str) -> str:
    kind = "Seq2SeqLM" if seq2seq else "CausalLM"
    if on_hub:
        return f"from peft import AutoPeftModelFor{kind}\n\nmodel = AutoPeftModelFor{kind}.from_pretrained({where!r})"
    return (
        f"from peft import PeftModel\nfrom transformers import AutoModelFor{kind}\n\n"
        f'model = PeftModel.from_pretrained(AutoModelFor{kind}.from_pretrained("MODEL"), {where!r})'
    )


def _scores(facts: Mapping[str, Any]) -> dict[str, float]:
    known = {"dev": dev_score(facts), "test": facts.get("test_score")}
    return {name: float(value) for name, value in known.items() if type(value) in (int, float) and math.isfinite(value)}


def _plain(text: object) -> str:
    """One line of signs that can be printed."""
    line = " ".join(text.split()) if isinstance(text, str) else ""
    return "".join(sign if sign.isprintable() else "\N{REPLACEMENT CHARACTER}" for sign in line)


def _code(text: str) -> str:
    """A text as it is, whatever Markdown or HTML it looks like: a code span with a longer fence than any in it."""
    fence = "`" * (1 + max(map(len, re.findall("`+", text)), default=0))
    return f"{fence} {text} {fence}" if "`" in text else f"{fence}{text}{fence}"
