"""What ``torch.autocast("cuda")`` does to tensors that are on CUDA in name.

Torch's own kernels of autocast ask C++ for the device. These ask Python, and go by torch's own lists of operators.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch._C import DispatchKey, DispatchKeySet, _ExcludeDispatchKeyGuard
from torch.utils._pytree import tree_leaves, tree_map

LISTS = Path(torch.__file__).parent / "include" / "ATen" / "autocast_mode.h"
KEY = "AutocastCUDA"


def _operators(name: str) -> list[str]:
    """The operators of one of torch's lists, as ``operator`` or ``operator.overload``."""
    body = re.search(rf"#define {name}\(_\)(.*?)\n\n", LISTS.read_text(encoding="utf-8") + "\n\n", re.DOTALL)
    assert body is not None, f"{LISTS} has no {name}"
    return [".".join(re.split(r",\s*", found)) for found in re.findall(r"\b_\(\s*([\w, ]+?)\)", body[1])]


@contextmanager
def autocast_in_name(is_ours: Callable[[Any], bool]) -> Iterator[None]:
    """Replace torch's kernels, and put them back afterwards."""
    library = torch.library.Library("aten", "IMPL")

    def cast(args: Any, to: torch.dtype) -> Any:
        def one(value: Any) -> Any:
            fits = is_ours(value) and value.is_floating_point() and value.dtype not in (to, torch.float64)
            return value.to(to) if fits else value

        return tree_map(one, args)

    def low(args: Any, kwargs: Any) -> tuple[Any, Any]:
        return cast((args, kwargs), torch.get_autocast_dtype("cuda"))

    def full(args: Any, kwargs: Any) -> tuple[Any, Any]:
        return cast((args, kwargs), torch.float32)

    def told(args: Any, kwargs: Any) -> tuple[Any, Any]:
        """Computes in float32, unless the caller says in what."""
        reduced = is_ours(args[0]) and args[0].dtype in (torch.float16, torch.bfloat16)
        kwargs = {
            **kwargs,
            "dtype": next((each for each in args if isinstance(each, torch.dtype)), kwargs.get("dtype")),
        }
        args = tuple(each for each in args if each is not None and not isinstance(each, torch.dtype))
        return args, {**kwargs, "dtype": torch.float32} if reduced and kwargs["dtype"] is None else kwargs

    def widest(args: Any, kwargs: Any) -> tuple[Any, Any]:
        types = {each.dtype for each in tree_leaves((args, kwargs)) if is_ours(each) and each.is_floating_point()}
        return cast((args, kwargs), torch.float32) if len(types) > 1 else (args, kwargs)

    lists = {
        "AT_FORALL_LOWER_PRECISION_FP": low,
        "AT_FORALL_FP32": full,
        "AT_FORALL_FP32_SET_OPT_DTYPE": told,
        "AT_FORALL_PROMOTE": widest,
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that these stand where others stood
        for name, policy in lists.items():
            for operator in _operators(name):
                packet, _, overload = operator.partition(".")
                call = getattr(getattr(torch.ops.aten, packet), overload or "default")
                library.impl(call.name(), _kernel(call, policy), KEY, allow_override=True)
    try:
        yield
    finally:
        library._destroy()


def _kernel(call: Any, policy: Any) -> Any:
    def kernel(*args: Any, **kwargs: Any) -> Any:
        with _ExcludeDispatchKeyGuard(DispatchKeySet(getattr(DispatchKey, KEY))):
            args, kwargs = policy(args, kwargs)
            return call(*args, **kwargs)

    return kernel
