"""Accumulated gradients are lost between a checkpoint and the run that goes on from it."""

from __future__ import annotations

from pytorch_lightning import Trainer

from mpt.util.errors import UserError


def check_eval_interval(trainer: Trainer, accumulated: int, where: str) -> None:
    """Refuse to evaluate, and save, in the middle of a step: a resumed run would finish it with half its gradient.

    Args:
        accumulated: batches of an optimiser step.
        where: ``model`` or ``trainer``, whose option says so.

    Raises:
        UserError: the interval is no multiple of it.
    """
    every = trainer.val_check_interval
    if isinstance(every, int) and every % accumulated:
        raise UserError(
            f"trainer.val_check_interval {every} counts batches and would evaluate in the middle of a step; "
            f"make it a multiple of {where}.accumulate_grad_batches {accumulated}"
        )
