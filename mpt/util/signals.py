"""Signals that end a command: an exception that cleans up on its way, and an exit code that says so."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING, Any

from mpt.util.errors import causes

if TYPE_CHECKING:
    from pytorch_lightning import Trainer


class Terminated(SystemExit):
    """SIGTERM or SIGHUP came; the code is 128 and its number."""


@contextmanager
def stopped_by_signals() -> Iterator[None]:
    """Let SIGTERM, and SIGHUP where it is not ignored (nohup), raise :class:`Terminated` in the block, the first time.

    Without it, a process would end where it is, or, while Lightning trains, at the end of a batch and with code 0.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    come: list[int] = []

    def terminate(number: int, frame: FrameType | None) -> None:
        come.append(number)
        if come.count(signal.SIGTERM) == 1:
            raise Terminated(128 + come[0])

    def hang_up(number: int, frame: FrameType | None) -> None:
        come.append(number)
        signal.raise_signal(signal.SIGTERM)  # which Lightning takes to the processes of other devices

    handlers = {signal.SIGTERM: terminate}
    if not sys.platform.startswith("win") and signal.getsignal(signal.SIGHUP) == signal.SIG_DFL:
        handlers[signal.SIGHUP] = hang_up
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler if handler is not None else signal.SIG_DFL)


def tell_devices(trainer: Trainer) -> None:
    """Let SIGTERM reach the other devices' processes without the broadcast in Lightning's own handler, which never ends
    while they are at another one.
    """
    connector: Any = trainer._signal_connector

    def handle(number: int, frame: FrameType | None) -> None:
        if not connector.received_sigterm and trainer.strategy.launcher is not None:
            trainer.strategy.launcher.kill(number)
        connector.received_sigterm = True

    connector._sigterm_notifier_fn = handle


def signal_behind(end: BaseException) -> signal.Signals | None:
    """The signal for which a process ends; None if it ends for another reason.

    Lightning turns Ctrl-C into an exit with code 1, and SIGTERM into one without a code.
    """
    lightning = sys.modules.get("pytorch_lightning.utilities.exceptions")
    for cause in causes(end):
        if isinstance(cause, Terminated):
            return signal.Signals(int(cause.code or 0) - 128)
        if lightning is not None and isinstance(cause, lightning.SIGTERMException):
            return signal.SIGTERM
        if isinstance(cause, KeyboardInterrupt):
            return signal.SIGINT
    return None
