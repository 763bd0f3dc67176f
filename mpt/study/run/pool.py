"""Worker processes on this machine: started once, given one unit of runs after another, replaced when they die."""

from __future__ import annotations

import contextlib
import multiprocessing
from collections.abc import Sequence
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any

from mpt.study.plan.planned_run import PlannedRun
from mpt.study.run.claims import Failures
from mpt.study.run.worker import work
from mpt.util.machine import cores, gpu_names
from mpt.util.processes import ignore_interrupts


class Worker:
    """A worker's process and the runs that it is doing.

    Attributes:
        unit: the runs it is at; empty while it waits for work or checks options.
    """

    def __init__(self, threads: int, device: str | None, past: Failures) -> None:
        context = multiprocessing.get_context("spawn")  # a fork after torch's threads started can hang
        self.connection: Connection
        self.connection, theirs = context.Pipe()
        self.process: BaseProcess = context.Process(target=work, args=(theirs, threads, device, past), daemon=True)
        with ignore_interrupts():
            self.process.start()
        theirs.close()  # so that the death of the worker closes the pipe
        self.device = device
        self.past = past
        self.unit: tuple[PlannedRun, ...] = ()

    def send(self, word: str, content: Any) -> None:
        """Give it work."""
        self.unit = content if word == "run" else ()
        with contextlib.suppress(BrokenPipeError):  # it is dead, which receive() will tell
            self.connection.send((word, content))

    @property
    def idle(self) -> bool:
        """Whether it can be given work."""
        return not self.unit

    def death_reason(self) -> str:
        """Why it is dead."""
        self.process.join(timeout=5)
        return f"its process died ({_signal(self.process.exitcode)})"

    def stop(self) -> None:
        """End it now. Whatever it was writing is written atomically, so nothing is half done."""
        self.process.kill()
        self.process.join()
        self.connection.close()


class ProcessPool:
    """Several workers sharing this machine's cores, or its GPUs one by one.

    Args:
        workers: number of processes.
        past: failures of runs that are to be tried again.
        most_threads: that each may use; its share of the cores if not given.
    """

    retries = 1
    """One over which two processes died would most likely kill the next one too."""

    def __init__(self, workers: int, past: Failures, most_threads: int | None = None) -> None:
        gpus = gpu_names()
        self.threads = max(1, min(cores() // workers, most_threads or cores()))
        self.workers = [Worker(self.threads, gpus[i % len(gpus)] if gpus else None, past) for i in range(workers)]

    def receive(self, seconds: float | None = None) -> list[tuple[Worker, tuple[str, Any] | None]]:
        """Wait, at most so many seconds, until some worker says something or dies (None), and what."""
        news: list[tuple[Worker, tuple[str, Any] | None]] = []
        ready = wait([worker.connection for worker in self.workers], seconds)
        for worker in self.workers:
            if worker.connection in ready:
                try:
                    news.append((worker, worker.connection.recv()))
                except (EOFError, ConnectionResetError):
                    news.append((worker, None))
        return news

    def check(self, runs: Sequence[PlannedRun]) -> str | None:
        """Have the options of some runs parsed: what is wrong with them."""
        self.workers[0].send("check", runs)
        for _, message in self.receive():
            if message is None:
                return "a worker process ended before its first run; the lines above may say why"
            return message[1]
        return None

    def replace(self, worker: Worker) -> Worker:
        """A new worker in the place of a dead one."""
        worker.stop()
        fresh = Worker(self.threads, worker.device, worker.past)
        self.workers[self.workers.index(worker)] = fresh
        return fresh

    def close(self, patient: bool) -> None:
        """End all workers: politely, which lets loggers send what they hold, or at once."""
        if patient:
            for worker in self.workers:
                with contextlib.suppress(BrokenPipeError):
                    worker.connection.send(None)
            for worker in self.workers:
                worker.process.join(timeout=10)
        for worker in self.workers:
            worker.stop()


def _signal(code: int | None) -> str:
    if code is not None and code < 0:
        return f"signal {-code}" + (", perhaps for lack of memory" if code == -9 else "")
    return f"exit code {code}"
