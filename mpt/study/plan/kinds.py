"""That the options which a plan counts with are of their kind, before anything is counted, and that a prompt has the
length that is asked for, before it is learned; the rest is mpt fit's.
"""

from __future__ import annotations

from typing import Any

from mpt.fit.resolve import ResolvedRun
from mpt.util.errors import UserError
from mpt.util.schema import shown


def _whole(least: int) -> Any:
    return lambda value: type(value) is int and value >= least


def _all(kind: type) -> Any:
    return lambda value: isinstance(value, list | tuple) and all(type(one) is kind for one in value)


def _interval(value: Any) -> bool:
    return not isinstance(value, int | float) or (not isinstance(value, bool) and value > 0)


_KINDS: dict[str, tuple[Any, str]] = {
    "trainer.max_steps": (_whole(-1), "a whole number from -1 on"),
    "trainer.val_check_interval": (_interval, "above 0"),
    "trainer.accumulate_grad_batches": (_whole(1), "a whole number from 1 on"),
    "data.batch_size": (_whole(1), "a whole number from 1 on"),
    "data.limit": (lambda value: type(value) is int, "a whole number"),
    "data.test_examples": (_whole(1), "a whole number from 1 on"),
    "data.seeds": (_all(int), "a list of whole numbers"),
    "data.splits": (_all(str), "a list of splits"),
    "data.support_splits": (_all(str), "a list of splits"),
    "data.query_splits": (_all(str), "a list of splits"),
    "data.metric": (lambda value: isinstance(value, str), "the name of a metric"),
    "model.backbone": (lambda value: isinstance(value, str), "the name of a model"),
    "model.backbone_options.max_target_length": (_whole(1), "a whole number from 1 on"),
}


def check_kinds(run: ResolvedRun, where: str) -> None:
    """Raises:
    UserError: one is of another kind; names ``where`` it is said.
    """
    for name, (is_right, told) in _KINDS.items():
        value = run.said(name)
        if value is not None and not is_right(value):
            raise UserError(f"{where}: {name} must be {told}, not {shown(value)}")


def check_lengths(upstream: ResolvedRun, downstream: ResolvedRun, where: str) -> None:
    """Raises:
    UserError: a downstream run that starts from an upstream one's prompt has another length; names ``where``.
    """
    name = "model.prompt_length"
    if downstream.said("model.init.path") is None or upstream.class_name("model") == "SubPromptTuning":
        return  # the former starts from something else, the latter's prompt has rows before those that it learns
    if upstream.said(name) == downstream.said(name):
        return  # without the seconds that it takes to ask a class for its default
    first, then = upstream.get(name), downstream.get(name)
    if type(first) is int and type(then) is int and first != then:
        raise UserError(
            f"{where}: upstream learns a prompt of length {first}, and downstream starts from it with length {then}; "
            f"set {name} to the same in both stages"
        )
