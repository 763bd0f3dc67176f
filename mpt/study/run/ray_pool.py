"""Workers on a Ray cluster: actors that do the same runs in the same folders, which all nodes must see.

Ray, the extra ``ray``, is imported here alone.
"""

from __future__ import annotations

import contextlib
import logging
import os
import platform
import socket
import time
from collections.abc import Iterator, Mapping, Sequence
from math import floor
from pathlib import Path
from typing import Any

from mpt.study.plan.planned_run import PlannedRun
from mpt.study.run.claims import Failures, group_at_work
from mpt.study.run.worker import answer, prepare
from mpt.util.distribution import install
from mpt.util.errors import UserError

_PASSED_ON = ("WANDB_", "HF_", "TRANSFORMERS_", "MPT_")
"""Beginnings of the names of environment variables that a worker has from the process that started the study."""


class Cluster:
    """A connection to a Ray cluster.

    Args:
        address: of the cluster's head, as ``host:port``; if empty, what ``RAY_ADDRESS`` says, else the cluster that
            runs on this machine, else one that is started here and ends with this process.
        share: GPUs a run takes, at most 1; if none is given, 1 where the cluster has any, else 0.
        out: the study's folder, which the nodes must see as this machine does.

    Raises:
        UserError: Ray is not installed; there is no such cluster; it has no place for a run.
    """

    def __init__(self, address: str, share: float | None, out: Path) -> None:
        try:
            import ray
        except ImportError as error:
            raise UserError(f"--ray needs Ray ({error}): {install('ray')}") from error
        self.ray: Any = ray
        self.out = out
        _check_reachable(address or os.environ.get("RAY_ADDRESS", ""))
        try:
            ray.init(address=address or None, log_to_driver=False, logging_level=logging.ERROR, configure_logging=False)
        except (ConnectionError, ValueError, RuntimeError) as error:
            raise UserError(f"no Ray cluster answers at {address or 'this machine'} ({_first_line(error)})") from error
        nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        if share is None:
            share = 1.0 if any(node.get("GPU") for node in nodes) else 0.0
        self.share = share
        self.nodes = [
            (cpus, places) for node in nodes if (cpus := node.get("CPU", 0)) and (places := _places(node, share))
        ]
        if not self.nodes:
            what = f"{share:g} of a GPU" if share else "a core"
            raise UserError(f"no node of the Ray cluster has {what} to give; see --gpus-per-run and ray status")

    def places(self) -> int:
        """How many runs it can do at once."""
        return sum(places for _, places in self.nodes)

    def make_workers(self, workers: int, past: Failures, most_threads: int | None = None) -> RayPool:
        """That many workers, each with a share of the cores and at most so many threads."""
        cores = min(max(1, floor(cpus / places)) for cpus, places in self.nodes)
        if not self.share and workers < self.places():
            total = sum(cpus for cpus, _ in self.nodes)
            cores = max(1, floor(min(total / workers, *(cpus for cpus, _ in self.nodes))))
        return RayPool(self, workers, cores, past, min(cores, most_threads or cores))

    def leave(self) -> None:
        """Let go of the cluster, or end it if it was started here."""
        self.ray.shutdown()


def _check_reachable(address: str) -> None:
    """Where no one listens, Ray would wait for minutes."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not (host and port.isdigit()):
        return  # a word such as auto, which Ray looks up
    try:
        socket.create_connection((host, int(port)), timeout=10).close()
    except OSError as error:
        raise UserError(
            f"no Ray cluster answers at {address} ({error.strerror or error}); start one there with ray start --head"
        ) from error


@contextlib.contextmanager
def on_ray(address: str, share: float | None, out: Path) -> Iterator[Cluster]:
    """A connection to a cluster, and its end: see :class:`Cluster`."""
    cluster = Cluster(address, share, out)
    try:
        yield cluster
    finally:
        cluster.leave()


def _places(node: Mapping[str, float], share: float) -> int:
    cpus = floor(node.get("CPU", 0))
    return min(cpus, floor(node.get("GPU", 0) / share + 1e-6)) if share else cpus


class Runner:
    """A Ray actor on a node: a process that does one unit of runs after another.

    Args:
        folder: where relative paths start.
        variables: of the environment.
        threads: that torch may use.
        past: failures of runs that are to be tried again.
    """

    def __init__(self, folder: str, variables: Mapping[str, str], threads: int, past: Failures) -> None:
        self.folder, self.threads, self.past = folder, threads, past
        os.environ.update(variables)

    def ready(self, out: Path, name: str) -> str | None:
        """Load what takes seconds; why it cannot work here, if so."""
        with contextlib.suppress(OSError):
            os.chdir(self.folder)
        if group_at_work(out) != name:
            return (
                f"the node {platform.node()} does not see {out} as the machine does that starts the study; a study on "
                "Ray needs an --out that all nodes share, under the same path"
            )
        prepare(self.threads, None)
        return None

    def answer(self, word: str, content: Any) -> tuple[str, Any]:
        """As :func:`mpt.study.run.worker.work` answers."""
        return answer(word, content, self.past)


class RayWorker:
    """One actor and what it is doing.

    Attributes:
        unit: the runs it is at.
        coming: what it will say next; none while nothing is asked of it.
        is_ready: whether it has a node and has loaded what it needs.
    """

    def __init__(self, pool: RayPool) -> None:
        self.actor = pool.new_actor()
        self.unit: tuple[PlannedRun, ...] = ()
        self.is_ready = False
        self.coming: Any = self.actor.ready.remote(pool.cluster.out, group_at_work(pool.cluster.out))
        self.error = ""

    @property
    def idle(self) -> bool:
        """Whether it can be given work."""
        return self.coming is None

    def send(self, word: str, content: Any) -> None:
        """Give it work."""
        self.unit = content if word == "run" else ()
        self.coming = self.actor.answer.remote(word, content)

    def death_reason(self) -> str:
        """Why it is dead."""
        return f"its worker on the Ray cluster died again and again ({self.error})"


class RayPool:
    """Several actors on a cluster, with the interface of :class:`mpt.study.run.pool.ProcessPool`.

    One that is lost with its node, or by itself, is replaced by another as soon as there is room; a run that is lost
    with it is done again, twice at most, from where it was.
    """

    retries = 2

    def __init__(self, cluster: Cluster, workers: int, cores: int, past: Failures, threads: int) -> None:
        self.cluster, self.cores, self.past, self.threads = cluster, cores, past, threads
        self.failed_starts = 0
        self.workers = [RayWorker(self) for _ in range(workers)]

    def new_actor(self) -> Any:
        """An actor that waits for its place."""
        variables = {name: value for name, value in os.environ.items() if name.startswith(_PASSED_ON)}
        kind = self.cluster.ray.remote(Runner)
        kind = kind.options(num_cpus=self.cores, num_gpus=self.cluster.share, max_restarts=0, max_task_retries=0)
        return kind.remote(os.getcwd(), variables, self.threads, self.past)

    def receive(self, seconds: float | None = None) -> list[tuple[RayWorker, tuple[str, Any] | None]]:
        """Wait, at most so many seconds, until some worker says something, dies (None) or has come to life."""
        ray = self.cluster.ray
        waiting = {worker.coming: worker for worker in self.workers if worker.coming is not None}
        if not waiting:
            time.sleep(seconds or 0)
            return []
        done, _ = ray.wait(list(waiting), num_returns=1, timeout=seconds)
        news: list[tuple[RayWorker, tuple[str, Any] | None]] = []
        for coming in done:
            worker = waiting[coming]
            worker.coming = None
            try:
                said = ray.get(coming)
            except ray.exceptions.RayError as error:
                self._died(worker, error)
                news.append((worker, None))
                continue
            if worker.is_ready:
                news.append((worker, said))
            elif said is not None:
                raise UserError(said)
            else:
                worker.is_ready = True
                self.failed_starts = 0
        return news

    def _died(self, worker: RayWorker, error: Exception) -> None:
        worker.error = f"{type(error).__name__}: {_first_line(error)}"
        if not worker.is_ready:
            self.failed_starts += 1
            if self.failed_starts > self.retries + len(self.workers):
                raise UserError(f"no worker comes to life on the Ray cluster: {_last_line(error)}")

    def check(self, runs: Sequence[PlannedRun]) -> str | None:
        """Have the options of some runs parsed: what is wrong with them."""
        asked: RayWorker | None = None
        for _ in range(10 * (self.retries + 1)):
            while asked is None:
                asked = next((worker for worker in self.workers if worker.idle), None)
                if asked is None:
                    self._replace_dead(self.receive())
            asked.send("check", runs)
            while asked in self.workers:
                for worker, message in self.receive():
                    if worker is asked and message is not None:
                        return message[1]
                    self._replace_dead([(worker, message)])
            asked = None
        raise UserError(f"workers on the Ray cluster die while they parse options: {self.workers[0].error}")

    def _replace_dead(self, news: Sequence[tuple[RayWorker, Any]]) -> None:
        for worker, message in news:
            if message is None:
                self.replace(worker)

    def replace(self, worker: RayWorker) -> RayWorker:
        """A new worker in the place of a dead one."""
        self._end(worker)
        fresh = RayWorker(self)
        self.workers[self.workers.index(worker)] = fresh
        return fresh

    def close(self, patient: bool) -> None:
        """End all workers at once: after a run its logger holds nothing back."""
        for worker in self.workers:
            self._end(worker)

    def _end(self, worker: RayWorker) -> None:
        with contextlib.suppress(Exception):  # it may be gone, and the cluster too
            self.cluster.ray.kill(worker.actor, no_restart=True)


def _first_line(error: BaseException) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)


def _last_line(error: BaseException) -> str:
    return [line.strip() for line in str(error).splitlines() if line.strip()][-1:][0] if str(error).strip() else ""
