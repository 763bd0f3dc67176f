"""Whether arithmetic is reduced, and full precision that gives everything back."""

from __future__ import annotations

import pytest
import torch

from mpt.learn.meta.full_precision import full_precision, is_reduced

CPU = torch.device("cpu")


@pytest.fixture
def precision():
    """Sets the precision of float32 products for one test."""
    before = torch.get_float32_matmul_precision()
    yield torch.set_float32_matmul_precision
    torch.set_float32_matmul_precision(before)


@pytest.mark.parametrize(("name", "reduced"), [("highest", False), ("high", True), ("medium", True)])
def test_tf32_is_reduced_and_put_back(precision, name, reduced):
    precision(name)
    assert is_reduced(CPU) is reduced
    with full_precision(CPU):
        assert torch.get_float32_matmul_precision() == "highest"
        assert not is_reduced(CPU)
    assert torch.get_float32_matmul_precision() == name


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_autocast_is_reduced_and_put_back(dtype):
    a = torch.rand(3, 3)
    with torch.autocast("cpu", dtype):
        assert is_reduced(CPU)
        with full_precision(CPU):
            assert not is_reduced(CPU)
            assert (a @ a).dtype == torch.float32
        assert is_reduced(CPU)
        assert (a @ a).dtype == torch.get_autocast_dtype("cpu") == dtype
    assert not is_reduced(CPU)


def test_torchs_newer_switch_counts_too_and_is_put_back():
    matmul = torch.backends.cuda.matmul
    before = matmul.fp32_precision
    matmul.fp32_precision = "tf32"  # torch.get_float32_matmul_precision raises from here on
    try:
        assert is_reduced(CPU)
        with full_precision(CPU):
            assert not is_reduced(CPU)
        assert matmul.fp32_precision == "tf32"
    finally:
        matmul.fp32_precision = before
    assert not is_reduced(CPU)


def test_an_error_puts_both_back(precision):
    precision("medium")
    with torch.autocast("cpu", torch.bfloat16):
        with pytest.raises(RuntimeError, match="inside"), full_precision(CPU):
            raise RuntimeError("inside")
        assert torch.is_autocast_enabled("cpu")
    assert torch.get_float32_matmul_precision() == "medium"


def test_autocast_that_is_switched_off_is_not_reduced():
    with torch.autocast("cpu", torch.bfloat16, enabled=False):
        assert not is_reduced(CPU)
