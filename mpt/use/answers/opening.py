"""From prompts' folders to a predictor: which backbone, how much it reads, which labels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from mpt.backbone.device import PRECISIONS, arithmetic_of, device_of
from mpt.backbone.encoding import Encoder
from mpt.backbone.loading import BackboneOptions
from mpt.backbone.memory import refuse_too_large
from mpt.backbone.model import FrozenBackbone
from mpt.data.tables.own_file import ColumnText
from mpt.metrics.by_name import METRICS
from mpt.prompt.files import StoredPrompt, check_fits, load_prompt
from mpt.use.answers.folders import prompt_folder, prompt_names
from mpt.use.answers.predictor import Predictor, UsedPrompt
from mpt.util.errors import UserError
from mpt.util.reading import is_writable

_REMEMBERED = ("max_input_length", "max_target_length", "chat_template", "quantization")
"""Options of a backbone that a prompt's folder knows, for with others it was not learned."""


def open_predictor(
    folders: Sequence[Path | str],
    backbone: str | None = None,
    *,
    labels: Sequence[str] = (),
    free: bool = False,
    per_token: bool = False,
    device: str | None = None,
    precision: str = "32",
    **options: Any,
) -> Predictor:
    """Load some prompts and the backbone that they were learned on.

    Args:
        folders: of prompts, see :func:`mpt.use.answers.folders.prompt_folder`.
        backbone: where it is now; as the first folder names it if not given.
        labels: of all prompts, in place of what their folders say.
        free: let the model write the answers, whatever labels there are.
        per_token: see :class:`Predictor`.
        device: see :func:`mpt.backbone.device.device_of`.
        precision: see :func:`mpt.backbone.device.arithmetic_of`.
        options: of :class:`mpt.backbone.loading.BackboneOptions`, in place of what the folders say.

    Raises:
        UserError: a folder holds no prompt; the prompts are of several backbones, or learned with unlike options.
    """
    if isinstance(labels, str):
        raise UserError(f"labels must be a list of texts, not the text {labels!r}")
    if precision not in PRECISIONS:
        raise UserError(f"precision must be one of {', '.join(PRECISIONS)}, not {precision!r}")
    labels = [label.strip() for label in labels]
    if not _is_labels(labels):
        raise UserError(f"--labels must name two labels or more that differ, not {', '.join(map(repr, labels))}")
    if labels and free:
        raise UserError("--labels and --free contradict one another: give one")
    names = prompt_names(folders)
    stored = {str(folder): load_prompt(prompt_folder(folder)) for folder in folders}
    for folder, one in stored.items():
        _check_facts(folder, one.facts)
    known = {name: value for name, value in options.items() if value is not None}
    for name in _REMEMBERED:
        if name not in known and (value := _agreed(stored, name)) is not None:
            known[name] = value
    first = next(iter(stored.values()))
    if backbone is None:  # elsewhere the commit may have another name; the weights are compared below
        known.setdefault("revision", first.facts.get("revision"))
    where = backbone or first.backbone
    if not where:
        raise UserError(f"prompt {folders[0]} does not say which model it was learned on; name it by --backbone")
    loaded = FrozenBackbone(where, BackboneOptions(**known))
    for folder, one in stored.items():
        check_fits(one, folder, loaded.hidden_size, loaded.name, loaded.fingerprint)
        loaded.check_lengths(len(one.weight))
    refuse_too_large(loaded, max(len(one.weight) for one in stored.values()))
    loaded.to(place := device_of(device))
    prompts = [_used(name, one, tuple(labels), free) for name, one in zip(names, stored.values(), strict=True)]
    for prompt in prompts:
        _check_apart(prompt, loaded.encode)
    return Predictor(loaded, prompts, per_token, arithmetic_of(precision, place))


def _agreed(stored: dict[str, StoredPrompt], name: str) -> Any:
    """What all folders say of an option; None where none says anything.

    One that we wrote and that says nothing of a chat template was learned without; one that says nothing of its lengths
    is read with the usual ones.
    """
    said = {folder: one.facts[name] for folder, one in stored.items() if one.facts.get(name) is not None}
    if name == "chat_template":
        said |= {folder: False for folder, one in stored.items() if "fingerprint" in one.facts and folder not in said}
    silent = {folder: getattr(BackboneOptions(), name) for folder in stored if folder not in said}
    if said and name in ("max_input_length", "max_target_length"):
        said |= silent
    if len(set(said.values())) > 1:
        one, its = next(iter(said.items()))
        other, others = next((folder, value) for folder, value in said.items() if value != its)
        option = f"--{name.replace('_', '-')}"
        way = "" if name == "chat_template" else f"say by {option} what holds for all, or "
        with_others = f"says nothing of it, and {others} is usual" if other in silent else f"with {others}"
        raise UserError(
            f"prompt {one} was learned with {option} {its}, but {other} {with_others}; {way}use them one after the "
            "other"
        )
    return next(iter(said.values()), None)


def _check_apart(prompt: UsedPrompt, encode: Encoder) -> None:
    """Refuse labels of which no likelihood can tell two from one another."""
    for other, label, enough in encode.clashes(prompt.labels):
        way = "give words that its tokenizer knows" if enough is None else f"raise it to {enough}"
        raise UserError(
            f"prompt {prompt.name}: the labels {other!r} and {label!r} are one and the same in --max-target-length "
            f"{encode.max_target_length} tokens of the backbone; {way}, or let it write by --free"
        )


def _check_facts(folder: str, facts: dict[str, Any]) -> None:
    """Refuse what another program, or a hand, wrote amiss."""
    for name, (is_right, right) in _FACTS.items():
        if facts.get(name) is not None and not is_right(facts[name]):
            raise UserError(f"prompt {folder}: {name} in mpt.json must be {right}, not {facts[name]!r:.100}")


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 < value < 2**31


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and is_writable(value)


def _is_labels(value: Any) -> bool:
    """None at all, or two or more that differ."""
    if not isinstance(value, list) or not all(_is_text(label) and label.strip() for label in value):
        return False
    return len({label.strip() for label in value}) == len(value) != 1


def _is_template(value: Any) -> bool:
    try:
        return _is_text(value) and bool(ColumnText.of(value).columns)
    except ValueError:
        return False


_FACTS: dict[str, tuple[Callable[[Any], bool], str]] = {
    "max_input_length": (_is_count, "a whole number above 0"),
    "max_target_length": (_is_count, "a whole number above 0"),
    "chat_template": (lambda value: isinstance(value, bool), "true or false"),
    "quantization": (lambda value: value in ("int8", "nf4"), "int8 or nf4"),
    "labels": (_is_labels, "a list of different texts, two or more"),
    "task": (_is_text, "a text"),
    "template": (_is_template, "a column, or a template such as {a}: {b}"),
    "input_prefix": (_is_text, "a text"),
    "metric": (lambda value: _is_text(value) and value in METRICS, f"one of {', '.join(METRICS)}"),
    "revision": (_is_text, "a text"),
}


def _used(name: str, stored: StoredPrompt, labels: tuple[str, ...], free: bool) -> UsedPrompt:
    facts = stored.facts
    known = labels or tuple(facts.get("labels") or ())
    written = free or (not labels and facts.get("answers") == "free")
    return UsedPrompt(
        name,
        stored.weight,
        () if written else known,
        known,
        facts.get("task") or "",
        facts.get("metric"),
        facts.get("input_prefix") or "",
    )
