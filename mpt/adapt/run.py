"""From a few examples to a prompt: a tuning from each of a few starts, a library's most similar prompts among them."""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import asdict, dataclass, replace
from numbers import Integral
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from torch import Tensor

from mpt.adapt.defaults import DEFAULTS
from mpt.adapt.examples import Examples
from mpt.adapt.foreign import foreign_words
from mpt.adapt.progress import TuningProgress
from mpt.adapt.result import AdaptResult, Together, TriedStart, ranked
from mpt.adapt.saving import save
from mpt.adapt.starts import Start, cut, given_start, more_starts, own_starts
from mpt.adapt.tuning import TuningJob, answers, early_prompts, tune
from mpt.backbone.device import few_threads
from mpt.backbone.loading import BackboneOptions
from mpt.backbone.memory import refuse_too_large
from mpt.backbone.model import FrozenBackbone
from mpt.data.modules.few_shot import FewShotData
from mpt.data.tasks.task import Example
from mpt.learn.targets import check_targets
from mpt.library.library import Library
from mpt.library.recipe import KeyRecipe
from mpt.metrics import by_name as metrics
from mpt.record.rows import Prediction
from mpt.use.answers.ensemble import ensemble
from mpt.use.answers.predictor import Answer
from mpt.util.errors import UserError
from mpt.util.files import at_work


@dataclass(frozen=True)
class AdaptOptions:
    """How the prompt is sought.

    Attributes:
        instruction: what is to be done, in words: a start of its own.
        starts: prompts that are tried as starts, such as a multi-task one; see
            :func:`mpt.use.answers.folders.prompt_folder`.
        free: whether an answer of a classification is what the model writes, and not the likeliest label.
        top: how many prompts of the library are tried.
        by: the similarity that they are ranked by; :class:`mpt.library.retrieval.Retrieval` says why it is not
            per_token, as in studies.
        exclude: tasks whose prompts are not tried.
        steps: of each tuning.
        every: steps between evaluations on dev.
        prompt_length, learning_rate, batch_size: of the tuning; those of the library's keys if not given, and without a
            library :data:`mpt.adapt.defaults.DEFAULTS`. The length has to be the library's, if there is one.
        seed: of the order of the batches, and without a library of the starts.
        ensemble: how many prompts answer together by their vote, the best on dev; where there are fewer starts, further
            ones are sampled from the vocabulary.
    """

    instruction: str | None = None
    starts: tuple[str, ...] = ()
    free: bool = False
    top: int = 3
    by: str = "centred"
    exclude: tuple[str, ...] = ()
    steps: int = 300
    every: int = 25
    prompt_length: int | None = None
    learning_rate: float | None = None
    batch_size: int | None = None
    seed: int = 13
    ensemble: int = 1

    def __post_init__(self) -> None:
        for name in ("top", "steps", "every", "ensemble", "prompt_length", "batch_size"):
            value = getattr(self, name)
            if value is not None and (isinstance(value, bool) or not isinstance(value, Integral) or value < 1):
                raise UserError(f"--{name.replace('_', '-')} must be a whole number of at least 1, not {value!r}")
        for name in ("starts", "exclude"):
            if isinstance(getattr(self, name), str):
                raise UserError(f"{name} must be a list of texts, not the text {getattr(self, name)!r}")
        if self.every > self.steps:
            raise UserError(f"--every {self.every} is more than the {self.steps} of --steps")


def adapt(
    examples: Examples,
    library: Library | None,
    backbone_name: str | None,
    options: BackboneOptions,
    choices: AdaptOptions,
    out: Path,
    terminal: Console,
    device: torch.device,
    autocast: torch.dtype | None = None,
) -> tuple[AdaptResult, FrozenBackbone]:
    """Find the best prompt for a task and write it to a folder.

    The starts are sampled vocabulary and, for a classification, its label words; an instruction and a library's prompts
    are more. So a library adds to what dev chooses from and takes nothing away. The backbone is the library's, or
    mpt-tiny, if none is named.

    A run that was stopped goes on where it was, if it is started with the same files and options again; its state lies
    beside ``out`` in a hidden folder until then.

    Raises:
        UserError: the library has no prompt of this backbone, or a number makes no sense.
    """
    if choices.free and not examples.task.labels:
        raise UserError("--free is of labels, in whose place the model writes, and the outputs are none; leave it out")
    recipe = _own_recipe(backbone_name, choices, options) if library is None else library.recipe
    length = _length(library, recipe, choices)
    if library is not None:
        options = _as_the_librarys(library, options)
    backbone = FrozenBackbone(backbone_name or recipe.backbone, options)
    terminal.print(f"backbone {backbone.name}: {backbone.reading}", markup=False)
    for sentence in foreign_words(backbone, [row.input for row in examples.train]):
        terminal.print(sentence, markup=False)
    backbone.check_lengths(length)
    refuse_too_large(backbone, length, recipe.batch_size, device)
    few_threads(backbone)
    if library is not None:
        _check_backbone(library, backbone)
    starts = own_starts(backbone, length, recipe.seed, examples.task.labels, choices.instruction)
    starts += [given_start(backbone, length, name) for name in choices.starts]
    if twice := next((one.name for one in starts if [other.name for other in starts].count(one.name) > 1), None):
        raise UserError(f"--start {twice} is named twice; name each start once")
    if choices.instruction and (more := cut(backbone, length, choices.instruction)):
        terminal.print(
            f"the instruction has {length + more} tokens, of which the prompt's {length} rows hold the first {length}"
        )
    for sentence in check_targets(backbone.encode, examples.data(1, choices.seed).outputs()):
        terminal.print(sentence, markup=False)
    work = out.with_name(f".{out.name}.adapting")
    with at_work(work, f"another mpt adapt is at work on {out}; wait for it, or name another --out"):
        try:
            backbone.to(device)
            adaptation = _Adaptation(examples, library, recipe, starts, backbone, choices, terminal, autocast)
            found = adaptation.search(work)
            how: dict[str, Any] = {"seed": choices.seed, "steps": choices.steps, "learning_rate": adaptation.rate}
            how["library"] = library.folder.name if library is not None else None
            save(found, examples, backbone, recipe, how, out)
        except UserError:
            shutil.rmtree(work, ignore_errors=True)  # the same command would fail again
            raise
        shutil.rmtree(work, ignore_errors=True)
    return found, backbone


def _own_recipe(backbone: str | None, choices: AdaptOptions, options: BackboneOptions) -> KeyRecipe:
    """How the task's key is made without a library: by the tuning from sampled vocabulary itself."""
    return replace(
        DEFAULTS,
        backbone=backbone or DEFAULTS.backbone,
        prompt_length=choices.prompt_length or DEFAULTS.prompt_length,
        learning_rate=choices.learning_rate or DEFAULTS.learning_rate,
        batch_size=choices.batch_size or DEFAULTS.batch_size,
        seed=choices.seed,
        chat_template=options.chat_template,
    )


def _as_the_librarys(library: Library, options: BackboneOptions) -> BackboneOptions:
    """The options, with turns of a chat if the library's prompts were learned on such."""
    if options.chat_template and not library.recipe.chat_template:
        raise UserError(
            f"--chat-template: the prompts of the library {library.folder} were learned without; leave out either"
        )
    return replace(options, chat_template=library.recipe.chat_template)


def _length(library: Library | None, recipe: KeyRecipe, choices: AdaptOptions) -> int:
    length = choices.prompt_length or recipe.prompt_length
    if library is not None and length != recipe.prompt_length:
        raise UserError(
            f"--prompt-length {length}: the prompts of the library {library.folder} have {recipe.prompt_length} rows; "
            "leave out either --prompt-length or --library"
        )
    return length


def _check_backbone(library: Library, backbone: FrozenBackbone) -> None:
    entries = library.entries()
    if not entries:
        raise UserError(f"the library {library.folder} is empty; mpt library learn fills it")
    if not any(entry.fingerprint == backbone.fingerprint for entry in entries):
        others = ", ".join(sorted({entry.backbone for entry in entries})[:3])
        raise UserError(
            f"the library {library.folder} has no prompt of backbone {backbone.name} (weights {backbone.fingerprint}); "
            f"its prompts were learned on {others}: name that by --backbone, or leave out --library, which tunes from "
            "starts of the task's own"
        )


@dataclass(frozen=True)
class _Adaptation:
    examples: Examples
    library: Library | None
    recipe: KeyRecipe
    starts: list[Start]
    backbone: FrozenBackbone
    choices: AdaptOptions
    terminal: Console
    autocast: torch.dtype | None

    @property
    def labels(self) -> tuple[str, ...]:
        """What may be answered."""
        return () if self.choices.free else self.examples.task.labels

    @property
    def rate(self) -> float:
        return self.choices.learning_rate or self.recipe.learning_rate

    def search(self, work: Path) -> AdaptResult:
        key, starts = None, self.starts
        if self.library is not None:
            key = self._key()
            starts = [*starts, *self._retrieved(self.library, key)]
        missing = max(0, self.choices.ensemble - len(starts))
        starts = [*starts, *more_starts(self.backbone, len(starts[0].prompt), self.recipe.seed, missing)]
        data = self.examples.data(self.choices.batch_size or self.recipe.batch_size, self.choices.seed)
        tries = self._tune(data, starts, work)
        found = AdaptResult(tries, ranked(tries)[0], tries[0].tuned.key if key is None else key, labels=self.labels)
        if self.choices.ensemble > 1:
            found.together = Together(ranked(tries)[: self.choices.ensemble])
        self._score(found, data)
        return found

    def _key(self) -> Tensor:
        recipe = self.recipe
        data = self.examples.data(recipe.batch_size, self.choices.seed)
        job = TuningJob(self.examples.task.name, data, self.starts[0].prompt, recipe.learning_rate)
        with TuningProgress(self.terminal, "the task's key") as bar:
            return early_prompts(self.backbone, [job], recipe.key_steps, autocast=self.autocast, stepped=bar.stepped)[0]

    def _retrieved(self, library: Library, key: Tensor) -> list[Start]:
        choices, fingerprint = self.choices, self.backbone.fingerprint
        hits = library.search(key, choices.top, choices.by, fingerprint=fingerprint, exclude_tasks=choices.exclude)
        if not hits:
            raise UserError(f"no prompt of the library {library.folder} is left after --exclude")
        return [Start.of(hit, library.value(hit.entry)) for hit in hits]

    def _tune(self, data: FewShotData, starts: list[Start], work: Path) -> list[TriedStart]:
        steps, every = self.choices.steps, self.choices.every
        jobs = [TuningJob(start.name, data, start.prompt, self.rate, self.labels) for start in starts]
        state = work / f"{self._digest(starts)}.pt"
        own_key = self.library is None and steps >= self.recipe.key_steps
        with TuningProgress(self.terminal, "tuning") as bar:
            tuned = tune(
                self.backbone,
                jobs,
                steps=steps,
                every=every,
                key_steps=self.recipe.key_steps if own_key else None,
                key_needed=False,
                from_start=True,
                state=state,
                told=bar.told,
                stepped=bar.stepped,
                autocast=self.autocast,
            )
        return [
            TriedStart(start.name, start.task, start.similarity, result, start.made)
            for start, result in zip(starts, tuned, strict=True)
        ]

    def _digest(self, starts: list[Start]) -> str:
        """Names what a state belongs to: another task's or other options' would go on as nonsense."""
        rows = [[(row.input, row.example.targets) for row in part] for part in (self.examples.train, self.examples.dev)]
        options, backbone = asdict(self.choices), self.backbone
        known = [rows, self.examples.task.metric, options, self.rate, asdict(backbone.options), backbone.fingerprint]
        known += [str(self.autocast)]
        digest = hashlib.sha256(json.dumps(known).encode())
        for start in starts:
            digest.update(start.name.encode() + start.prompt.contiguous().numpy().tobytes())
        return digest.hexdigest()[:16]

    def _score(self, found: AdaptResult, data: FewShotData) -> None:
        chosen, plain = found.chosen.tuned.value, found.plain.tuned.value
        assert chosen is not None
        dev, test = ([row.example for row in part] for part in (self.examples.dev, self.examples.test))
        _, found.outputs["dev"] = self._answers([chosen], data, dev)[0]
        if test:
            (best, outputs), *rest = self._answers([chosen] if plain is None else [chosen, plain], data, test)
            found.test, found.outputs["test"] = (best, rest[0][0] if rest else None), outputs
        if found.together is not None:
            found.together.dev, _ = self._vote(found.together, data, dev)
            found.together.test = self._vote(found.together, data, test) if test else None
        found.inputs_cut = self.backbone.encode.inputs_cut

    def _answers(
        self, prompts: list[Tensor], data: FewShotData, rows: list[Example]
    ) -> list[tuple[float, list[Prediction]]]:
        return answers(self.backbone, prompts, data, rows, self.labels, self.autocast)

    def _vote(self, together: Together, data: FewShotData, rows: list[Example]) -> tuple[float, list[float]]:
        """The score of the members' vote on examples, and each one's own."""
        weights = [one.tuned.value for one in together.members if one.tuned.value is not None]
        own = self._answers(weights, data, rows)
        told = ensemble([[Answer(row.prediction) for row in outputs] for _, outputs in own])
        references = [row.targets for row in rows]
        score = metrics.score(self.examples.task.metric, [one.text for one in told], references, self.backbone.pieces)
        return score, [score for score, _ in own]
