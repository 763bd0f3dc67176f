"""Which processes of which runs write to the run's folder."""

from __future__ import annotations

from pytorch_lightning import Trainer


def writes(trainer: Trainer) -> bool:
    """Whether this process does: that of the first device, and not for a trial (``trainer.fast_dev_run``)."""
    return trainer.is_global_zero and not is_trial(trainer)


def is_trial(trainer: Trainer) -> bool:
    """Whether a run is one of Lightning's trials of a few batches, which keep nothing."""
    return bool(getattr(trainer, "fast_dev_run", False))
