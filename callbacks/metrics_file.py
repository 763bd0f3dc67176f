"""The run's numbers as a plain file beside its prompt."""

from pathlib import Path
from typing import Any

from pytorch_lightning import Callback, LightningModule, Trainer

from mpt.callbacks.writing import writes
from mpt.data.modules.steps import ends_step
from mpt.record.folder import METRICS
from mpt.record.rows import MetricsRow, read_metrics, write_metrics
from mpt.util.files import check_below


class MetricsFile(Callback):
    """Appends one JSON line per evaluation, ``{"step": …, "dev/score": …}``, to a file in the run's folder; where there
    is none, one line every ``log_every_n_steps`` with the training loss. What is evaluated without a fit is not in it.

    A resumed run drops the lines of steps it is about to repeat, and a test that comes to the same is not told twice,
    so the file reads as if nothing had happened.

    Args:
        name: file name under ``trainer.default_root_dir``.
    """

    def __init__(self, name: str = METRICS) -> None:
        self.name = check_below(name, "MetricsFile: name")

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        path = self._path(trainer)
        if writes(trainer) and path.exists():
            rows = read_metrics(path, cut_short=True)
            write_metrics(path, [row for row in rows if row.step <= trainer.global_step])

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        # A run that is not evaluated (multi-task training) would otherwise leave no trace of its loss.
        every = trainer.log_every_n_steps  # type: ignore[attr-defined]
        due = every and ends_step(trainer, batch_idx) and trainer.global_step % every == 0
        if due and not sum(trainer.num_val_batches):
            self._append(trainer)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        # An evaluation by itself (mpt validate) is no step of the run.
        if trainer.state.fn == "fit" and not trainer.sanity_checking:
            self._append(trainer)

    def on_test_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._append(trainer)

    def _path(self, trainer: Trainer) -> Path:
        return Path(trainer.default_root_dir) / self.name

    def _append(self, trainer: Trainer) -> None:
        if not writes(trainer):
            return
        row = MetricsRow.of({"step": trainer.global_step, **trainer.callback_metrics})
        path = self._path(trainer)
        if trainer.state.fn == "test" and path.exists():
            # A run that was killed after its training is resumed here, without a training that would see to this.
            kept = read_metrics(path, cut_short=True)
            write_metrics(path, kept if [last.line() for last in kept[-1:]] == [row.line()] else [*kept, row])
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a", encoding="utf-8") as file:
            file.write(row.line() + "\n")
