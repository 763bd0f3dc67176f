"""Fixtures for all tests: small model folders, built once a session, and the backbones loaded from them."""

from __future__ import annotations

import contextlib
import gc
import os
import sys

# No test may reach out, and retries would make a missing network slow.
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("WANDB_MODE", "offline")
os.environ.setdefault("WANDB_SILENT", "true")
os.environ.setdefault("WANDB__SAVE_REQUIREMENTS", "false")  # it would read the metadata of every package, each run
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

from collections import Counter
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from support.cuda_in_name import cuda_in_name
from support.small_models import BUILDERS
from transformers.utils import logging as transformers_logging

import mpt.fit.command  # noqa: F401
from mpt.backbone.loading import BackboneOptions
from mpt.backbone.model import FrozenBackbone

torch.set_num_threads(1)
# A study's runs collect garbage between them; the libraries' million objects need not be looked at each time.
gc.collect()
gc.freeze()
transformers_logging.set_verbosity_error()
transformers_logging.disable_progress_bar()


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest files first, so that no worker is left with one at the end: by their tests' markers."""
    weights: Counter[Path] = Counter()
    for item in items:
        weights[item.path] += 10 * any(item.iter_markers("slow")) + any(item.iter_markers("long"))
    items.sort(key=lambda item: -weights[item.path])


ModelFolder = Callable[[str], Path]
LoadBackbone = Callable[..., FrozenBackbone]


@pytest.fixture(autouse=True)
def no_run_left() -> Iterator[None]:
    """End the W&B run that a test left: the next one's loggers would go on in it."""
    yield
    wandb = sys.modules.get("wandb")
    if wandb is not None and wandb.run is not None:
        with contextlib.suppress(Exception):  # its service has been torn down
            wandb.finish()
        wandb.run = None


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> ModelFolder:
    """Folder of a small random model by kind (t5, bart, bart_unscaled, gpt2, llama). Do not write into it."""

    @cache
    def folder(kind: str) -> Path:
        return BUILDERS[kind](tmp_path_factory.mktemp("models") / kind)

    return folder


@pytest.fixture(scope="session")
def load_backbone(model_folder: ModelFolder) -> LoadBackbone:
    """Frozen backbone by kind and options, in evaluation mode; shared, so leave it as it is."""

    @cache
    def load(kind: str, **options: Any) -> FrozenBackbone:
        chosen = BackboneOptions(**{"max_target_length": 12, **options})
        return FrozenBackbone(str(model_folder(kind)), chosen).eval()

    return load


@pytest.fixture
def cuda() -> Iterator[None]:
    """A GPU; one in name where there is none, which says what of a test's code would not run on one."""
    with contextlib.nullcontext() if torch.cuda.is_available() else cuda_in_name():
        yield
