"""Whether the options of runs can be parsed, before any is done."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from mpt.study.plan.planned_run import PlannedRun
from mpt.util.errors import UserError


def check(cells: Sequence[PlannedRun]) -> str | None:
    """Parse the options of some runs without doing them: what is wrong with the first that cannot be
    parsed.
    """
    from mpt.backbone.loading import resolve
    from mpt.fit.command import RunCLI, run_lightning

    class Parsed(Exception):
        pass

    class ParseOnly(RunCLI):
        def before_instantiate_classes(self) -> None:
            raise Parsed

    for cell in cells:
        try:
            logging.disable()  # "Seed set to 13"
            run_lightning(cell.arguments, ParseOnly)
        except Parsed:
            continue
        except UserError as error:
            return f"{cell.key}: {error}"
        finally:
            logging.disable(logging.NOTSET)
    for option in dict.fromkeys(word for cell in cells for word in cell.arguments):
        if option.startswith("--model.backbone="):
            try:
                resolve(option.partition("=")[2])
            except UserError as error:
                return str(error)
    return None
