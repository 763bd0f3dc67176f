"""Whether the options of runs can be parsed, before any is done."""

from __future__ import annotations

from collections.abc import Sequence

from mpt.study.plan.planned_run import PlannedRun
from mpt.util.errors import UserError


def check(runs: Sequence[PlannedRun]) -> str | None:
    """Parse the options of some runs without doing them: what is wrong with the first that cannot be parsed."""
    from mpt.backbone.loading import resolve
    from mpt.fit.parse import parse_run

    backbones = set()
    for run in runs:
        try:
            backbones.add(parse_run(run.arguments)["model.backbone"])
        except UserError as error:
            return f"{run.key}: {error}"
    for backbone in sorted(backbones):
        try:
            resolve(backbone)
        except UserError as error:
            return str(error)
    return None
