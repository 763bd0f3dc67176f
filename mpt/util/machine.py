"""This machine: its cores and GPUs."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any


def default_workers() -> int:
    """One worker a GPU where there are any, else one a core."""
    return len(gpu_names()) or cores()


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def free_memory() -> int | None:
    """Bytes that may still be taken here, by the machine and by the control group that this process is in; None where
    the system does not say.
    """
    found = []
    with suppress(OSError, ValueError, StopIteration):
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        found.append(1024 * int(next(line for line in lines if line.startswith("MemAvailable:")).split()[1]))
    with suppress(OSError, ValueError):
        group = Path("/sys/fs/cgroup")
        most, used = ((group / f"memory.{name}").read_text(encoding="ascii") for name in ("max", "current"))
        found.append(max(0, int(most) - int(used)))
    return min(found, default=None)


def free_on(device: Any) -> int | None:
    """Bytes that may still be taken on a torch device, as :func:`free_memory` for a CPU."""
    if device.type != "cuda":
        return free_memory()
    import torch

    return torch.cuda.mem_get_info(device)[0]


def gpu_names() -> Sequence[str]:
    """What ``CUDA_VISIBLE_DEVICES`` may name, without loading torch."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return [name for name in visible.split(",") if name.strip() not in ("", "-1")]
    return [str(number) for number in range(len(list(Path("/dev").glob("nvidia[0-9]*"))))]
