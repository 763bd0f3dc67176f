"""A Lightning data module of unlabelled text in several languages, of which every row learns one of several tasks."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from torch.utils.data import DataLoader

from mpt.data.fewshot.files import load_pool
from mpt.data.modules.batch import TextBatch
from mpt.data.modules.denoising import OBJECTIVES, DenoisingObjective
from mpt.data.modules.streams import MixtureSampler, Placed
from mpt.data.modules.text_data import TextData
from mpt.data.modules.unlabelled import TextRows, check_objective, documents
from mpt.data.tasks.outputs import Outputs
from mpt.data.tasks.task import Example, Shots, is_text
from mpt.util.errors import UserError
from mpt.util.stable_random import StableRandom


@dataclass(frozen=True)
class CombinedRows(TextRows):
    """Rows of text, each of which learns one of the objectives, by its place; its task is ``language/objective``.

    Attributes:
        objectives: all that are learned.
    """

    objectives: tuple[DenoisingObjective, ...] = field(kw_only=True)

    def row(self, number: int, place: int) -> tuple[str, Example]:
        objective = StableRandom("combined", self.seed, place).pick(self.objectives)
        language, example = self.cut(number, place, objective)
        return f"{language}/{objective}", example


class CombinedData(TextData):
    """Every combination of a language and a task without labels: what factorised prompts learn (Vu et al. 2022).

    Every row of a batch is drawn by itself: a language, a document of it, an objective, all alike.

    Args:
        languages: Name of a task of unlabelled text in root for each language, such as ``th: xquad-text-th``.
        objectives: What is learned of each, see :mod:`mpt.data.modules.denoising`; all seven unless given.
        root: Folder with one folder of files per task.
        seeds: Draws whose train documents are pooled.
        k: Size of the draws, as in the file names; needed only where a folder holds several sizes.
        window: Words of text in an example.
        batch_size: Rows of a batch, over all devices.
        num_workers: Processes that load batches beside the training process.
        seed: Seeds the training batches.
    """

    def __init__(
        self,
        languages: dict[str, str],
        root: str,
        objectives: list[DenoisingObjective] | None = None,
        seeds: list[int] = [13],  # noqa: B006 (read only)
        k: Shots | None = None,
        window: int = 60,
        batch_size: int = 32,
        num_workers: int = 0,
        seed: int = 13,
    ) -> None:
        super().__init__(batch_size, batch_size, num_workers, seed, False, "first")
        if not languages or objectives == []:
            raise UserError(
                "CombinedData needs a language and an objective, or more: --data.languages, --data.objectives"
            )
        if (wrong := next((name for name in languages if "/" in name or not name), None)) is not None:
            raise UserError(f"--data.languages: {wrong!r} names no language; give a code such as th")
        self.objectives: tuple[DenoisingObjective, ...] = tuple(objectives or OBJECTIVES)  # type: ignore[arg-type]
        for objective in self.objectives:
            check_objective(objective, window)
        self.languages, self.root, self.seeds, self.k, self.window = languages, root, tuple(seeds), k, window
        self.pools: dict[str, list[Example]] = {}

    def setup(self, stage: str | None = None) -> None:
        if not self.pools:
            self.pools = {language: self._pool(task) for language, task in self.languages.items()}
            self.task_names = tuple(
                f"{language}/{objective}" for language in self.pools for objective in self.objectives
            )

    def outputs(self) -> list[Outputs]:
        return []

    def train_dataloader(self) -> DataLoader[TextBatch]:
        self.setup()
        self._check_interval(())
        rows = [(language, example) for language, pool in self.pools.items() for example in pool]
        sizes = [len(pool) for pool in self.pools.values()]
        rates = np.full(len(sizes), 1 / len(sizes))
        sampler = MixtureSampler(sizes, rates, self.batch_size, self.seed, **self._place())
        made = CombinedRows(rows, list(self.pools), self.seed, window=self.window, objectives=self.objectives)
        return self._loader(made, Placed(sampler))

    def val_dataloader(self) -> list[DataLoader[TextBatch]]:
        """Nothing validates."""
        return []

    def _pool(self, task: str) -> list[Example]:
        pool = load_pool(self.root, task, self.seeds, ["train"], self.k)
        if not is_text(pool) or not (pool := documents(pool)):
            raise UserError(f"--data.languages: {task} in {self.root} is no unlabelled text of two words or more")
        return pool
