"""What a sweep logs to W&B: a trial's ARG, into the agent's run if there is an agent; the table of a whole sweep."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mpt.sweep.file import OBJECTIVE
from mpt.sweep.sampling import Values
from mpt.sweep.trial import TrialOutcome, TrialSetup
from mpt.util.errors import one_line
from mpt.util.wandb_runs import start_job, start_run, tracking_mode

_AGENT = ("WANDB_RUN_ID", "WANDB_SWEEP_ID", "WANDB_SWEEP_PARAM_PATH", "WANDB_SERVICE")
"""How an agent tells the one process it started which run to be."""


class TrialRun:
    """The W&B run of a trial; whatever a logger, its network or its disk may raise becomes a sentence.

    Offline unless ``WANDB_MODE`` says otherwise or an agent started this process, which has an account.

    Attributes:
        trouble: why nothing is logged; empty if all is well.
    """

    def __init__(self, bench: TrialSetup, values: Values) -> None:
        self.trouble = ""
        self.run: Any = None
        by_agent = "WANDB_SWEEP_ID" in os.environ
        mode = tracking_mode("online" if by_agent else "offline")
        config: dict[str, Any] = {
            "study": bench.study.name,
            "method": bench.method.name,
            "seeds": list(bench.study.seeds),
        }
        options: dict[str, Any] = {"project": "mpt", "name": bench.name(values)}
        if by_agent:
            options = {}  # the sweep has a project, and the agent's values are the config already
        else:
            config |= values
        try:
            folder = bench.out / "trials"
            folder.mkdir(parents=True, exist_ok=True)
            self.run = start_run(
                mode=mode,
                dir=str(folder),
                group=bench.study.name,
                job_type="trial",
                config=config,
                **options,
            )
        except Exception as error:
            self._failed(error)

    def log(self, outcome: TrialOutcome) -> None:
        """Log the objective, if there is one, and end the run."""
        if self.run is None:
            return
        try:
            if not outcome.trouble:
                gains = {f"gain/{task}": gain for task, gain in outcome.gains.items()}
                self.run.log({OBJECTIVE: outcome.arg, f"{OBJECTIVE}_std": outcome.std, **gains})
            self.run.finish(exit_code=1 if outcome.trouble else 0)
        except Exception as error:
            self._failed(error)

    def _failed(self, error: Exception) -> None:
        self.trouble = one_line(error)


@contextmanager
def without_agent() -> Iterator[None]:
    """An environment in which processes that are started know of no agent: their runs are not the trial's."""
    kept = {name: os.environ.pop(name) for name in _AGENT if name in os.environ}
    try:
        yield
    finally:
        os.environ.update(kept)


def log_sweep(
    name: str, bench: TrialSetup, columns: Sequence[str], rows: list[list[Any]], best: TrialOutcome, figure: Path
) -> str:
    """Log the trials as a table, the best setting and the heatmap, if there is one; why not, if that failed."""
    try:
        import wandb

        group = bench.study.name
        run = start_job(figure.parent, group, f"{group}/{name}", "sweep", {"best": dict(best.values)})
        content: dict[str, Any] = {"trials": wandb.Table(columns=list(columns), data=rows), OBJECTIVE: best.arg}
        if figure.is_file():
            content["heatmap"] = wandb.Image(str(figure))
        run.log(content)
        run.finish()
    except Exception as error:
        return one_line(error)
    return ""
