"""What learning in one language leaves of the others: their tasks, answered along the way."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

import torch
from pytorch_lightning import Callback, LightningModule, Trainer
from torch import Tensor

from mpt.backbone.translator import Translator
from mpt.callbacks.writing import writes
from mpt.data.modules.batch import TextBatch, join
from mpt.data.modules.few_shot import FewShotData
from mpt.metrics import by_name as metrics
from mpt.metrics.generation import ascii_share, empty_share, language_confidence
from mpt.record.folder import LANGUAGES
from mpt.record.language_answers import LanguageAnswer, read_answers, write_answers
from mpt.record.rows import Prediction
from mpt.util.errors import UserError

_CODE = re.compile(r"[a-z]{2,3}(-[A-Za-z]+)?")


class OtherLanguages(Callback):
    """Has tasks in other languages answered too, at every evaluation and at test, without learning on them.

    Of each, on its dev examples or its test examples, four measures are logged and so stand in ``metrics.jsonl``, as in
    the tables of Vu et al. (2022): the task's metric, ``LID_<its language>`` and ``LID_<language learned in>`` (how
    sure CLD3 is of either), ``ASCII``; and ``empty``, the share of answers without a letter, which the others leave
    out. The first answers of each evaluation are kept in ``languages.jsonl``. What is best on dev is chosen without
    them.

    Args:
        tasks: Names of tasks in the data's root, and the language of each by CLD3's code: ``xquad-questions-th: th``. A
            language of another name, as a made-up one, has no LID.
        learned: Language of the task that is learned.
        examples: How many dev examples of each are answered at an evaluation.
        test_examples: How many test examples; all if null.
        shown: How many answers to each are kept.
        recombine: Whether a task is answered with its language's sub-prompt in the place of the rows that stand before
            what is learned (Vu et al.'s recombination), from the prompt that :class:`mpt.learn.SubPromptTuning` took
            these of.
        back: What translates the answers to a task before they are measured, by its name: TRANS-TEST, where the task's
            inputs were translated into the language learned in (``mpt data translate --only inputs``).
        least_bytes: Answers of fewer bytes are in no language, see :func:`mpt.metrics.generation.named`.
        kept: Whether a task that is answered so is answered once more behind the rows that what is learned stood behind
            (Vu et al.'s ablation), and measured as ``<task>/kept``.
    """

    def __init__(
        self,
        tasks: dict[str, str],
        learned: str = "en",
        examples: int = 64,
        test_examples: int | None = None,
        shown: int = 3,
        recombine: bool = False,
        back: dict[str, Translator] | None = None,
        least_bytes: int = 0,
        kept: bool = False,
    ) -> None:
        if not tasks:
            raise UserError("OtherLanguages: tasks names no task; give some, each with its language")
        for name, least, value in (("examples", 1, examples), ("test_examples", 1, test_examples), ("shown", 0, shown)):
            if value is not None and value < least:
                raise UserError(f"OtherLanguages: {name} must be at least {least}, not {value}")
        self.tasks, self.learned, self.shown, self.least_bytes = tasks, learned, shown, least_bytes
        self.examples, self.test_examples = examples, test_examples
        if kept and not recombine:
            raise UserError("OtherLanguages: kept goes with recombine, without which all is answered so")
        self.recombine, self.kept, self.back = recombine, kept, back or {}
        if unknown := sorted({*self.back} - {*tasks}):
            raise UserError(f"OtherLanguages: back names {unknown[0]}, which is none of tasks: {', '.join(tasks)}")
        self._read: dict[tuple[str, str], tuple[str, TextBatch]] = {}

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Read what is asked, so that what cannot be is told before anything is learned."""
        self._check(pl_module)
        for task in self.tasks:
            self._rows(trainer, task, "dev")
        for translate in self.back.values():
            translate([])

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._leave_out(trainer, lambda row: row.step > trainer.global_step)

    def on_test_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._leave_out(trainer, lambda row: row.split == "test")

    def _leave_out(self, trainer: Trainer, repeated: Callable[[LanguageAnswer], bool]) -> None:
        """Leave out what a run that goes on is about to repeat, and what a kill cut."""
        path = self._path(trainer)
        if writes(trainer) and path.exists():
            write_answers(path, [row for row in read_answers(path, cut_short=True) if not repeated(row)])

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.state.fn == "fit" and not trainer.sanity_checking:
            self._answer(trainer, pl_module, "dev")

    def on_test_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._answer(trainer, pl_module, "test")

    def _answer(self, trainer: Trainer, learner: Any, split: Literal["dev", "test"]) -> None:
        self._check(learner)
        for name, task, language, prompt in self._asked(learner):
            metric, text = self._rows(trainer, task, split)
            rows: list[Prediction] = []
            for part in text.parts(trainer.datamodule.eval_batch_size):  # type: ignore[attr-defined]
                with trainer.precision_plugin.forward_context(), torch.no_grad():
                    said = learner.written(part, prompt)
                if task in self.back:
                    said = self.back[task](said)
                rows += map(Prediction, part.inputs, part.references, said)
            said, golds = [row.prediction for row in rows], [row.references for row in rows]
            measures = {metric: metrics.score(metric, said, golds, learner.backbone.pieces)}
            for code in filter(_CODE.fullmatch, dict.fromkeys((language, self.learned))):
                measures[f"LID_{code}"] = language_confidence(said, code, self.least_bytes)
            measures |= {"ASCII": ascii_share(said), "empty": empty_share(said)}
            for measure, value in measures.items():
                learner.log(f"{split}/{name}/{measure}", value, batch_size=len(rows))
            if writes(trainer):
                self._keep(trainer, name, language, split, rows[: self.shown])

    def _asked(self, learner: Any) -> Iterator[tuple[str, str, str, Tensor | None]]:
        """Each task, under which name its answers are measured, its language, and behind which prompt if not as
        learned.
        """
        for task, language in self.tasks.items():
            yield task, task, language, learner.behind(f"language/{language}") if self.recombine else None
            if self.kept:
                yield f"{task}/kept", task, language, None

    def _check(self, learner: object) -> None:
        if self.recombine and not hasattr(learner, "behind"):
            raise UserError(f"OtherLanguages: recombine goes with SubPromptTuning, not with {type(learner).__name__}")

    def _rows(self, trainer: Any, task: str, split: Literal["dev", "test"]) -> tuple[str, TextBatch]:
        if (task, split) not in self._read:
            own = trainer.datamodule
            if not isinstance(own, FewShotData):
                raise UserError(f"OtherLanguages goes with FewShotData, not with {type(own).__name__}")
            data = FewShotData(
                task,
                own.root,
                own.seed,
                own.k,
                own.metric,
                task_prefix=own.task_prefix,
                test_examples=self.test_examples,
                test_choice="spread",
            )
            data.setup()
            assert data.task is not None
            if split == "dev":
                text = next(join(list(data.val_dataloader())).parts(self.examples))
            else:
                text = join(list(data.test_dataloader()))
            self._read[task, split] = data.task.metric, text
        return self._read[task, split]

    def _keep(self, trainer: Trainer, task: str, language: str, split: str, rows: list[Prediction]) -> None:
        place = (trainer.global_step, split, task, language)
        with self._path(trainer).open("a", encoding="utf-8") as file:
            for row in rows:
                file.write(LanguageAnswer(*place, row.input, list(row.references), row.prediction).line() + "\n")

    def _path(self, trainer: Trainer) -> Path:
        return Path(trainer.default_root_dir) / LANGUAGES
