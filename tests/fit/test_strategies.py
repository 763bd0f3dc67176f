"""Strategies that split a model are refused, by name and as objects; others are left alone."""

from __future__ import annotations

import pytest
from pytorch_lightning.strategies import DDPStrategy, FSDPStrategy, ModelParallelStrategy, StrategyRegistry

from mpt.fit.strategies import refuse_splitting
from mpt.util.errors import UserError


def test_every_one_of_lightnings_that_splits_a_model():
    named = [name for name in StrategyRegistry.available_strategies() if "fsdp" in name or "deepspeed" in name]
    assert len(named) > 5
    for strategy in (*named, FSDPStrategy(), ModelParallelStrategy()):
        with pytest.raises(UserError, match=r"shares a model's weights out over devices.*; use ddp"):
            refuse_splitting(strategy)


def test_others():
    others = [name for name in StrategyRegistry.available_strategies() if "fsdp" not in name and "deep" not in name]
    for strategy in ("auto", *others, DDPStrategy()):
        refuse_splitting(strategy)
