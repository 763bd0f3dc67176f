"""Whether the options of runs can be parsed, before any is done."""

from __future__ import annotations

import contextlib
import io
import logging
import re
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
        said = io.StringIO()
        try:
            logging.disable()  # "Seed set to 13"
            with contextlib.redirect_stderr(said), contextlib.redirect_stdout(said):
                run_lightning(cell.arguments, ParseOnly)
        except Parsed:
            continue
        except SystemExit:
            return f"the options of {cell.key} do not fit its config: {parser_error(said.getvalue())}"
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


def parser_error(text: str) -> str:
    """The reason in what jsonargparse prints before it exits: its innermost sentence, with the option it is
    about.
    """
    lines = [" ".join(line.split()) for line in text.partition("error: ")[2].splitlines() if line.strip()]
    keys = [match[1] for line in lines if (match := re.search(r'Parser key "([^"]+)"', line))]
    known = (
        "not accepted",
        "Got value",
        "Unrecognized arguments",
        "is required",
        "not found",
        "Unable to import",
    )
    reason = next((line.removeprefix("- ") for line in lines if any(word in line for word in known)), None)
    if reason is None:
        return " ".join(lines)[:300] or "the parser gave no reason"
    return f"{'.'.join(keys)}: {reason}" if keys else reason
