"""CUDA without CUDA: tensors that say they are on a GPU, and whose numbers the CPU computes.

Code that runs with them meets what a GPU would refuse: operands on two devices, arithmetic between unlike types under
``autocast("cuda")``, a dropout mask drawn again from the CPU's generator instead of the GPU's. Tensors of torch's
FakeTensorMode have no numbers, and a torch without CUDA can take no gradient of them (autograd asks CUDA for a stream,
and the process is aborted). These go on where numbers decide: past a loss that must be finite, to a generated text.

What no CPU can tell: whether CUDA has a kernel for a type, how it rounds, its fused attention (the plain one is taken
here), how much memory there is, and what several GPUs do.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple
from unittest import mock

import pytest
import torch
from support.autocast_in_name import autocast_in_name
from torch.nn.attention import SDPBackend
from torch.overrides import TorchFunctionMode
from torch.utils import _device
from torch.utils._python_dispatch import TorchDispatchMode

aten = torch.ops.aten
CUDA, CPU = torch.device("cuda", 0), torch.device("cpu")

IN_NAME = not torch.cuda.is_available()
ONLY_ON_A_GPU = pytest.mark.skipif(IN_NAME, reason="for a real GPU alone, and torch finds none here")


def on_a_gpu(*values: Any) -> Any:
    """A test's parameters that are for a real GPU alone."""
    return pytest.param(*values, marks=ONLY_ON_A_GPU)


_MOVE = {aten.copy_.default, aten._to_copy.default}
"""What takes numbers from one device to the other."""

_INDEXED = {aten.index.Tensor, aten.index_put.default, aten.index_put_.default, aten._index_put_impl_.default}
"""What takes an index on the CPU for a tensor on a GPU."""


class OnCuda(torch.Tensor):
    """A tensor on CUDA in name.

    To C++ it is on ``meta``, for which autograd needs no stream, with CUDA's dispatch keys, by which autocast goes.

    Attributes:
        held: its numbers, on the CPU.
    """

    held: torch.Tensor

    __torch_function__ = torch._C._disabled_torch_function_impl

    @staticmethod
    def __new__(cls, held: torch.Tensor) -> OnCuda:
        shape = torch.empty_strided(held.shape, held.stride(), dtype=held.dtype, device="meta")
        made = torch.Tensor._make_subclass(cls, shape, False, device_for_backend_keys=CUDA)
        made.held = held
        return made

    @property
    def device(self) -> torch.device:  # type: ignore[override]
        return CUDA

    is_cuda = True  # type: ignore[assignment]

    def __repr__(self) -> str:  # type: ignore[override]
        return f"{self.held!r} on cuda:0 in name"

    def __reduce_ex__(self, protocol: Any) -> Any:
        return self.held.__reduce_ex__(protocol)

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _run(func, args, kwargs or {})


@contextmanager
def cuda_in_name() -> Iterator[None]:
    """Let torch find one GPU, on which tensors are in name. What was made inside is of no use outside.

    Raises:
        AssertionError: at the end, if nothing was computed there.
    """
    before = torch._C._only_lift_cpu_tensors(), torch.__future__.get_swap_module_params_on_conversion()
    torch._C._set_only_lift_cpu_tensors(True)  # torch.tensor(…, device=…) makes its tensor on the CPU and moves it
    torch.__future__.set_swap_module_params_on_conversion(True)  # Module.to(…) else keeps the class of its parameters
    try:
        with mock.patch.multiple(torch.cuda, **_told()), autocast_in_name(_is_named), _Dispatch() as mode, _Functions():
            yield
            assert mode.ran, "nothing was computed on CUDA"
    finally:
        torch._C._set_only_lift_cpu_tensors(before[0])
        torch.__future__.set_swap_module_params_on_conversion(before[1])


# What each operator does --------------------------------------------------------------------------------------------


def _run(func: Any, args: Any, kwargs: Any) -> Any:
    """The CPU's result, on the device that the operands are on, or that is asked for.

    Raises:
        RuntimeError: they are on two devices. All must be on one, but for numbers (tensors without a dimension).
    """
    if func is aten._fused_sdp_choice.default:  # no fused kernel of CUDA's is here
        return SDPBackend.MATH.value
    met = _Met({}, [], [])
    own, more = _held(args, met), {key: _held(value, met) for key, value in kwargs.items()}
    if met.strangers and met.named and func not in _MOVE:
        places = args[1] if func in _INDEXED and isinstance(args[0], OnCuda) else ()
        if any(all(each is not place for place in places) for each in met.strangers):
            raise RuntimeError(f"{func}: expected all tensors to be on the same device, but found cuda:0 and cpu")
    found = _drawn(func, own, more) if torch.Tag.nondeterministic_seeded in func.tags else func(*own, **more)
    return found if (met.asked[0] if met.asked else CUDA if met.named else CPU) == CPU else _named(found, met)


class _Met(NamedTuple):
    """What an operator's arguments hold: tensors on CUDA by what they hold, tensors on the CPU, and devices."""

    named: dict[int, OnCuda]
    strangers: list[torch.Tensor]
    asked: list[torch.device]


def _held(value: Any, met: _Met) -> Any:
    if isinstance(value, OnCuda):
        met.named[id(value.held)] = value
        return value.held
    if isinstance(value, torch.Tensor):
        if value.dim():
            met.strangers.append(value)
    elif isinstance(value, list | tuple):
        return type(value)([_held(each, met) for each in value])
    elif isinstance(value, torch.device):
        met.asked.append(value)
        return CPU
    return value


def _named(value: Any, met: _Met) -> Any:
    if isinstance(value, torch.Tensor):
        return met.named[id(value)] if id(value) in met.named else OnCuda(value)
    return type(value)([_named(each, met) for each in value]) if isinstance(value, list | tuple) else value


def _is_named(value: Any) -> bool:
    return isinstance(value, OnCuda)


# What makes and moves tensors ---------------------------------------------------------------------------------------


class _Dispatch(TorchDispatchMode):
    """Catches operators none of whose operands is one of ours, but which say where."""

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # to be skipped, it would be imported: seconds

    ran = False

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        ours = OnCuda in types or any(_is_ours(each) for each in (*args, *kwargs.values()))
        self.ran = self.ran or ours
        return _run(func, args, kwargs) if ours else func(*args, **kwargs)


class _Functions(TorchFunctionMode):
    """Catches what C++ does before any operator: it asks for the current device, or reads a tensor's memory."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func is torch.Tensor.cuda:
            func, args, kwargs = torch.Tensor.to, (args[0], CUDA), {}
        if func is torch.Tensor.to:
            if isinstance(args[0], OnCuda) and len(args) == 2 and _is_cuda(args[1]):
                return args[0]
            args = tuple(CUDA if _is_cuda(each) else each for each in args)
        if _is_cuda(kwargs.get("device")):
            kwargs = {**kwargs, "device": CUDA}
        if func is torch.Tensor.tolist and isinstance(args[0], OnCuda):
            return args[0].held.tolist()
        return func(*args, **kwargs)


def _is_ours(value: Any) -> bool:
    if isinstance(value, torch.device):
        # C++ passes on the device that it takes ours to be on; but transformers loads a model over a skeleton there.
        return value.type == "cuda" or (value.type == "meta" and _device.CURRENT_DEVICE is None)
    return isinstance(value, OnCuda)


def _is_cuda(value: Any) -> bool:
    return (isinstance(value, str) and value == "cuda") or (isinstance(value, torch.device) and value.type == "cuda")


# What torch tells of the device -------------------------------------------------------------------------------------


class _Generator:
    """The GPU's random generator, apart from the CPU's."""

    def __init__(self) -> None:
        self.state = torch.Generator().get_state()

    def get(self, *_: Any) -> torch.Tensor:
        return self.state.clone()

    def set(self, state: torch.Tensor, *_: Any) -> None:
        self.state = state.clone()

    def seed(self, seed: int) -> None:
        self.state = torch.Generator().manual_seed(seed).get_state()


_generator = _Generator()


def _drawn(func: Any, args: Any, kwargs: Any) -> Any:
    """What an operator draws from the GPU's generator."""
    cpus = torch.default_generator.get_state()
    torch.default_generator.set_state(_generator.state)
    try:
        return func(*args, **kwargs)
    finally:
        _generator.state = torch.default_generator.get_state()
        torch.default_generator.set_state(cpus)


def _told() -> dict[str, Any]:
    def nothing(*_: Any, **__: Any) -> None:
        return None

    return {
        **dict.fromkeys(("_lazy_init", "set_device", "synchronize", "empty_cache", "reset_peak_memory_stats"), nothing),
        "memory_allocated": lambda *_: 0,
        "max_memory_allocated": lambda *_: 10**9,
        "mem_get_info": lambda *_: (10**11, 10**11),
        "is_available": lambda: True,
        "device_count": lambda: 1,
        "current_device": lambda: 0,
        "get_device_capability": lambda *_: (8, 0),
        "get_device_name": lambda *_: "in name",
        "is_bf16_supported": lambda *_, **__: True,
        "get_rng_state": _generator.get,
        "set_rng_state": _generator.set,
        **dict.fromkeys(("manual_seed", "manual_seed_all"), _generator.seed),
    }
