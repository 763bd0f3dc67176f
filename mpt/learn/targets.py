"""Outputs that a backbone can never give: those that are cut, and those that its tokenizer cannot write."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from mpt.backbone.encoding import Encoder
from mpt.data.modules.denoising import SENTINELS, joined, sentinel
from mpt.data.tasks.lookalikes import look
from mpt.data.tasks.outputs import Outputs
from mpt.data.tasks.task import Example
from mpt.metrics.by_name import is_right
from mpt.util.errors import UserError

_SHOWN = 5
_UNWRITABLE = "are none that the backbone's tokenizer can write, so that no answer can equal them"


def _too_long(limit: int) -> str:
    return f"longer than max_target_length={limit} tokens, so that they are cut and cannot be reached"


@dataclass
class Reach:
    """How many of a task's outputs a backbone cuts or cannot write.

    Attributes:
        name: the task's.
        limit: max_target_length.
        sizes: examples of each split.
        cut: of these, those none of whose outputs is short enough; in training, those whose output is cut.
        changed: those whose outputs come back changed, though none is cut.
        lengths: tokens that it takes for each example.
        spelt: outputs that come back changed, and as what.
        clash: two labels that are one target, if any are, and why.
    """

    name: str
    limit: int
    sizes: Counter[str] = field(default_factory=Counter)
    cut: Counter[str] = field(default_factory=Counter)
    changed: Counter[str] = field(default_factory=Counter)
    lengths: list[int] = field(default_factory=list)
    spelt: dict[str, str] = field(default_factory=dict)
    clash: str | None = None

    def told(self) -> list[str]:
        """A sentence on what is cut, and one on what cannot be written; none where all is well."""
        told = []
        if self.cut:
            whole, most = max(self.lengths), _share(self.lengths, 0.99)
            enough = f"{whole} tokens are enough for all" + (f", {most} for 99 %" if most < whole else "")
            told.append(f"{self._counted(self.cut)} of {self.name} are {_too_long(self.limit)}; {enough}")
        if self.changed:
            some = ", ".join(f"{_shown(gold, text)} as {_shown(text, gold)}" for gold, text in self._first())
            more = f" and {len(self.spelt) - _SHOWN} more" if len(self.spelt) > _SHOWN else ""
            told.append(f"{self._counted(self.changed)} of {self.name} {_UNWRITABLE}: it would write {some}{more}")
        return told

    def _first(self) -> list[tuple[str, str]]:
        return list(self.spelt.items())[:_SHOWN]

    def _counted(self, counts: Counter[str]) -> str:
        """``3 of 32 train and 142 of 1,552 test outputs``."""
        parts = [f"{counts[split]:,} of {self.sizes[split]:,} {split}" for split in self.sizes if counts[split]]
        return " and ".join([", ".join(parts[:-1]), parts[-1]] if parts[1:] else parts) + " outputs"


def check_targets(encode: Encoder, outputs: Iterable[Outputs]) -> list[str]:
    """What a run should know before it begins of outputs that it can never give, in sentences; none where all is well.

    Raises:
        UserError: two labels of a task that is learned by itself are one and the same target, so that they cannot be
            told apart.
    """
    told: list[str] = []
    sources: list[Reach] = []
    for one in outputs:
        found = reach(encode, one)
        if one.metric is None:
            sources.append(found)
        elif found.clash and "train" in one.splits:
            raise UserError(found.clash)
        else:
            told += found.told()
    return told + (sources[0].told() if len(sources) == 1 else _of_many(sources))


def check_sentinels(encode: Encoder, objectives: Iterable[str | None]) -> list[str]:
    """A sentence where spans of a text are hidden behind sentinels that the tokenizer lacks, as GPTs' do, or that it
    does not know behind a word.
    """
    first, read = sentinel(0), encode.tokenizer
    hidden = [name for name in objectives if name in SENTINELS]
    texts = [joined([*words, first]) for words in ([], ["a"], ["\u4e00"])] if hidden else []
    pieces = [read.convert_ids_to_tokens(read(text, add_special_tokens=False)["input_ids"]) for text in texts]
    if all(any(first in piece for piece in own) for own in pieces):
        return []
    return [
        f"the backbone's tokenizer has no token {first}, so that {hidden[0]} writes it letter by letter; "
        "prefix-lm needs none"
    ]


def _of_many(found: Sequence[Reach]) -> list[str]:
    """Of tasks that are learned together: a sentence for all, with those that it concerns most."""
    told = []
    if clashes := [one.clash for one in found if one.clash]:
        told.append(clashes[0] + (f" (and so on of {len(clashes) - 1} more)" if clashes[1:] else ""))
    if cut := _most([(one.cut, one) for one in found]):
        told.append(f"outputs are {_too_long(found[0].limit)}: {cut}")
    if changed := _most([(one.changed, one) for one in found]):
        told.append(f"outputs {_UNWRITABLE}: {changed}")
    return told


def _most(counts: Sequence[tuple[Counter[str], Reach]]) -> str:
    """``a 12 of 320, b 1 of 320 and fewer of 3 more tasks``."""
    shares = [(count.total() / one.sizes.total(), one.name, count, one) for count, one in counts if count]
    shares.sort(key=lambda share: (-share[0], share[1]))
    some = ", ".join(f"{name} {count.total():,} of {one.sizes.total():,}" for _, name, count, one in shares[:_SHOWN])
    return some + (f" and less of {len(shares) - _SHOWN} more" if len(shares) > _SHOWN else "")


def reach(encode: Encoder, outputs: Outputs) -> Reach:
    """What a backbone with this tokenizer and length can answer of a task's outputs."""
    found = Reach(outputs.name, encode.max_target_length)
    texts = {text for examples in outputs.splits.values() for example in examples for text in _texts(example)}
    spelt = _Spelt(encode, sorted(texts | set(outputs.label_words)))
    for split, examples in outputs.splits.items():
        found.sizes[split] += len(examples)
        for example in examples:
            wanted = _texts(example)
            if split == "train":
                wanted = wanted if outputs.drawn else wanted[:1]
                length = max(spelt.length(text) for text in wanted)
            else:
                length = min(spelt.length(text) for text in wanted)
            found.lengths.append(length)
            whole = [text for text in wanted if spelt.length(text) <= found.limit]
            if length > found.limit:
                found.cut[split] += 1
            elif not any(spelt.comes_back(text, outputs.metric) for text in whole):
                found.changed[split] += 1
                found.spelt |= {text: spelt.text(text) for text in whole}
    found.clash = _clash(outputs, spelt)
    return found


class _Spelt:
    """Texts as the tokenizer writes them: each once, however many examples have it."""

    def __init__(self, encode: Encoder, texts: Sequence[str]) -> None:
        self.encode = encode
        self.ids = dict(zip(texts, encode.target_ids(texts), strict=True)) if texts else {}
        self._texts = dict(zip(texts, encode.decode(list(self.ids.values())), strict=True)) if texts else {}

    def length(self, text: str) -> int:
        return len(self.ids[text])

    def text(self, text: str) -> str:
        return self._texts[text]

    def comes_back(self, text: str, metric: str | None) -> bool:
        back = self._texts[text]
        return back == text.strip() or (metric is not None and is_right(metric, back, text))


def _texts(example: Example) -> list[str]:
    """The outputs that count in a score: blank ones only where there are no others."""
    return [text for text in example.targets if text.strip()] or list(example.targets[:1])


def _clash(outputs: Outputs, spelt: _Spelt) -> str | None:
    encode = spelt.encode
    for other, label, enough in encode.clashes(outputs.label_words):
        same = is_right(outputs.metric, label, other) if outputs.metric is not None else label.strip() == other.strip()
        if same:
            continue
        names = f"the labels {_shown(other, label)} and {_shown(label, other)} of {outputs.name} are one and the same"
        if enough is not None:
            limit = encode.max_target_length
            return f"{names} when they are cut to max_target_length={limit} tokens; raise it to {enough}"
        back = spelt.text(label)
        told = f"{back!r} for both" if back else "nothing for either"
        return f"{names} to the backbone's tokenizer, which writes {told}; give them words that it knows"
    return None


def _shown(text: str, other: str) -> str:
    """The text in quotes; with signs that do not show, or look like others, as escapes where the two look alike."""
    text, other = text.strip(), other.strip()
    return ascii(text) if text != other and look(text) == look(other) else repr(text)


def _share(lengths: Sequence[int], share: float) -> int:
    """The length that at least this share of them does not pass."""
    return sorted(lengths)[math.ceil(share * len(lengths)) - 1]
