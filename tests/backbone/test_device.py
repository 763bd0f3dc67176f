"""The device to work on is one that is there, or one sentence says why not."""

from __future__ import annotations

import pytest
import torch

from mpt.backbone.device import device_of
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
