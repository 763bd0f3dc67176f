"""The device to work on is one that is there, or one sentence says why not."""

from __future__ import annotations

import pytest
import torch

from mpt.backbone.device import arithmetic_of, device_of
from mpt.util.errors import UserError


@pytest.mark.parametrize("name", ["mps", "xpu", "meta", "warp", "cpu:1", "cuda:", "cuda:-1", "cuda:x", ""])
def test_a_device_of_another_kind_is_refused(name):
    with pytest.raises(UserError, match=f"--device {name}: cpu or cuda is meant"):
        device_of(name)


@pytest.mark.parametrize("count", [0, 2])
def test_a_gpu_is_taken_if_it_is_there(count, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: count > 0)
    monkeypatch.setattr("torch.cuda.device_count", lambda: count)
    assert device_of("cpu") == torch.device("cpu")
    assert device_of(None).type == ("cuda" if count else "cpu")
    if count:
        assert device_of("cuda") == torch.device("cuda") and device_of("cuda:1") == torch.device("cuda:1")
    with pytest.raises(UserError, match="cuda:0 to cuda:1" if count else "no GPU here"):
        device_of("cuda:2")


@pytest.mark.parametrize(
    ("machine", "known", "fast"),
    [
        ("x86_64", (), False),  # AVX-512 without AVX512_BF16: oneDNN says yes, and computes in float32
        ("x86_64", ("avx512_bf16",), True),
        ("AMD64", ("amx_tile",), True),
        ("aarch64", (), True),  # what oneDNN says is so
    ],
)
def test_a_cpu_without_bfloat16_computes_in_float32(machine, known, fast, monkeypatch):
    monkeypatch.setattr("platform.machine", lambda: machine)
    monkeypatch.setattr("torch.backends.mkldnn.is_available", lambda: True)
    monkeypatch.setattr("torch.ops.mkldnn._is_mkldnn_bf16_supported", lambda: True)
    for kind in ("avx512_bf16", "amx_tile"):
        monkeypatch.setattr(f"torch.cpu._is_{kind}_supported", lambda kind=kind: kind in known, raising=False)
    assert arithmetic_of("bf16-mixed", torch.device("cpu")) is (torch.bfloat16 if fast else None)
    assert arithmetic_of("bf16-mixed", torch.device("cuda")) is torch.bfloat16
    assert arithmetic_of("32", torch.device("cpu")) is None
