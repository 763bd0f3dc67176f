"""What the model answered, beside the metric it earned."""

from pathlib import Path
from typing import Any

from pytorch_lightning import Callback, LightningModule, Trainer

from mpt.callbacks.writing import writes
from mpt.record.folder import PREDICTIONS
from mpt.record.rows import write_predictions
from mpt.util.files import check_below


class PredictionsFile(Callback):
    """Writes a line for each example after test and predict, and says where.

    Args:
        name: file name under ``trainer.default_root_dir``.
    """

    def __init__(self, name: str = PREDICTIONS) -> None:
        self.name = check_below(name, "PredictionsFile: name")

    def on_test_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if not writes(trainer):
            return
        path = Path(trainer.default_root_dir) / self.name
        rows: Any = pl_module.outputs
        write_predictions(path, rows)
        scored = pl_module.score_outputs()  # type: ignore[operator]
        result = f"{scored[0]} {scored[1]:.4f} on " if scored else ""
        print(f"{result}{len(rows)} examples; predictions in {path}")

    on_predict_end = on_test_end
