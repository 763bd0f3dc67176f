"""``mpt fit | validate | test | predict``."""

from __future__ import annotations

import gc
from functools import partial

from mpt.cli.fit_help import fit_help


def _run(word: str, arguments: list[str]) -> None:
    asks = arguments[:1] in (["-h"], ["--help"], [])
    if asks and len(arguments) < 2:
        print(fit_help(word), end="")
        return
    collects = gc.isenabled()
    gc.disable()  # five thousand modules make no garbage: looking for some takes a tenth of the time
    try:
        from mpt.fit.command import run_lightning, show_options
    finally:
        if collects:
            gc.enable()
    if asks:
        show_options(word, arguments[1])
    else:
        run_lightning([word, *arguments])


run_fit_command, run_validate_command, run_test_command, run_predict_command = (
    partial(_run, word) for word in ("fit", "validate", "test", "predict")
)
