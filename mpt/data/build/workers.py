"""Many tasks, several at a time, each in a process of its own that may die without harm to the others."""

from __future__ import annotations

import multiprocessing
import traceback
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass

from mpt.data.build.build import BuildJob, Result, build
from mpt.data.build.hub import Fetch, Hub
from mpt.util.errors import UserError
from mpt.util.processes import end_with_parent, ignore_interrupts


@dataclass(frozen=True)
class BuildOutcome:
    """How the building of a task ended.

    Attributes:
        result: ``built``, ``there already`` or ``failed``.
        reason: why it failed.
        note: what else a user should know.
    """

    job: BuildJob
    result: str
    reason: str = ""
    note: str = ""


def build_all(jobs: Sequence[BuildJob], workers: int) -> Iterator[BuildOutcome]:
    """Build tasks and yield how it went as they finish; one that fails stops no other.

    Leaving the iterator early, as Ctrl-C does, ends the work at once: a task's folder is as it was, or finished.

    Args:
        workers: processes; with one, or one task, the work is done in this process.
    """
    workers = min(workers, len(jobs))
    if workers <= 1:
        fetch = Hub()
        for job in jobs:
            yield attempt(job, fetch)
        return
    left = {job.task.name: job for job in jobs}
    for outcome in _in_processes(jobs, workers):
        del left[outcome.job.task.name]
        yield outcome
    # A process that is killed, perhaps for lack of memory, takes all of its pool with it: those that were not
    # finished go alone, so that one of them cannot harm the others again.
    for job in left.values():
        yield next(_in_processes([job], 1), BuildOutcome(job, "failed", _DEAD))


_DEAD = "its process died, perhaps for lack of memory; try fewer --workers."


def _in_processes(jobs: Sequence[BuildJob], workers: int) -> Iterator[BuildOutcome]:
    """Outcomes, until all are there or a process died."""
    context = multiprocessing.get_context("spawn")  # a fork of a process with threads can hang
    pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_prepare)
    others, done = multiprocessing.active_children(), False
    try:
        with ignore_interrupts():
            futures: list[Future[BuildOutcome]] = [pool.submit(_work, job) for job in jobs]
        for future in as_completed(futures):
            yield future.result()
        done = True
    except BrokenProcessPool:
        return
    finally:
        if not done:
            for process in multiprocessing.active_children():
                if process not in others:
                    process.kill()
        pool.shutdown(cancel_futures=True)


_fetch: Fetch


def _prepare() -> None:
    global _fetch
    _fetch = Hub()
    end_with_parent()


def _work(job: BuildJob) -> BuildOutcome:
    return attempt(job, _fetch)


def attempt(job: BuildJob, fetch: Fetch, make: Callable[[BuildJob, Fetch], Result] = build) -> BuildOutcome:
    """Build one task, and say how it went."""
    try:
        result = make(job, fetch)
        return BuildOutcome(job, str(result), note=result.note)
    except UserError as error:
        return BuildOutcome(job, "failed", str(error))
    except OSError as error:
        return BuildOutcome(job, "failed", f"{error.strerror or error}: {error.filename or job.folder}.")
    except MemoryError:
        return BuildOutcome(job, "failed", "there is not enough memory; try fewer --workers.")
    except Exception as error:  # a fault of this package, which should not cost the other tasks
        traceback.print_exc()
        return BuildOutcome(job, "failed", f"{type(error).__name__}: {error}")
