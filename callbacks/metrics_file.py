"""The run's numbers as a plain file beside its prompt."""

import json
from pathlib import Path
from typing import Any

from pytorch_lightning import Callback, LightningModule, Trainer

from mpt.data.modules.steps import batches_per_step
from mpt.util.files import check_below, write_text


class MetricsFile(Callback):
    """Appends one JSON line per evaluation, ``{"step": …, "dev/score": …}``, to a file in the run's folder; where there
    is none, one line every ``log_every_n_steps`` with the training loss.

    A resumed run drops the lines of steps it is about to repeat, and a test that comes to the same is not told twice,
    so the file reads as if nothing had happened.

    Args:
        name: file name under ``trainer.default_root_dir``.
    """

    def __init__(self, name: str = "metrics.jsonl") -> None:
        self.name = check_below(name, "MetricsFile: name")

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        path = self._path(trainer)
        if trainer.is_global_zero and path.exists():
            kept = [line for line in _whole(path) if json.loads(line)["step"] <= trainer.global_step]
            write_text(path, "".join(f"{line}\n" for line in kept))

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        # A run that is not evaluated (multi-task training) would otherwise leave no trace of its loss.
        completed = (batch_idx + 1) % batches_per_step(trainer) == 0
        every = trainer.log_every_n_steps  # type: ignore[attr-defined]
        if every and not sum(trainer.num_val_batches) and completed and not trainer.global_step % every:
            self._append(trainer)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if not trainer.sanity_checking:
            self._append(trainer)

    def on_test_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._append(trainer)

    def _path(self, trainer: Trainer) -> Path:
        return Path(trainer.default_root_dir) / self.name

    def _append(self, trainer: Trainer) -> None:
        if not trainer.is_global_zero:
            return
        row: dict[str, Any] = {"step": trainer.global_step}
        # Lightning keeps float32, which is not worth printing past its seventh digit.
        row |= {name: float(f"{float(value):.7g}") for name, value in trainer.callback_metrics.items()}
        line, path = json.dumps(row), self._path(trainer)
        if trainer.state.fn == "test" and path.exists():
            # A run that was killed after its training is resumed here, without a training that would see to this.
            kept = _whole(path)
            write_text(path, "".join(f"{line}\n" for line in (kept if kept[-1:] == [line] else [*kept, line])))
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a", encoding="utf-8") as file:
            file.write(line + "\n")


def _whole(path: Path) -> list[str]:
    """The lines of a file but for one that a kill cut short."""
    return [line for line in path.read_text(encoding="utf-8").splitlines() if line.endswith("}")]
