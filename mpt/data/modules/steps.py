"""How many batches make a step, and which end one."""

from __future__ import annotations

import pytorch_lightning as pl


def batches_per_step(trainer: pl.Trainer) -> int:
    """Training batches that one optimiser step takes.

    Under Lightning's manual optimisation the trainer's own number must be 1; a module that accumulates by itself
    says so by an attribute ``accumulate_grad_batches``.
    """
    module = getattr(trainer, "lightning_module", None)
    return trainer.accumulate_grad_batches * getattr(module, "accumulate_grad_batches", 1)


def ends_step(trainer: pl.Trainer, batch: int) -> bool:
    """Whether an optimiser step was taken after the training batch of that number, counted from 0."""
    return (batch + 1) % batches_per_step(trainer) == 0
