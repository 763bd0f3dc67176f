"""Which of Lightning's strategies a run may take."""

from __future__ import annotations

from mpt.util.errors import UserError

_SPLITTING = ("fsdp", "deepspeed", "modelparallel")


def refuse_splitting(strategy: object) -> None:
    """Refuse a strategy that shares a model's weights out over devices.

    Args:
        strategy: as ``trainer.strategy`` says it: a name or an object.

    Raises:
        UserError: it is one.
    """
    name = strategy if isinstance(strategy, str) else type(strategy).__name__
    if name.lower().replace("_", "").startswith(_SPLITTING):
        raise UserError(
            f"trainer.strategy {name} shares a model's weights out over devices, and mpt's learners need them whole on "
            "each; use ddp, and for a model that is too large for one device backbone_options dtype bfloat16, "
            "gradient_checkpointing, or quantization int8"
        )
