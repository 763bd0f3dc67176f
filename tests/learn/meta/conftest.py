"""Fixtures of the meta-learning tests: learn2learn, and small backbones tame enough for ten inner steps."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import pytest
from support.learn2learn_wheel import learn2learn as learn2learn_imported
from support.meta_episode import Episode, episode_of
from support.small_models import bart, gpt2, llama, t5

from mpt.backbone.loading import BackboneOptions
from mpt.backbone.model import FrozenBackbone

# T5 is drawn less wide than for the other tests, whose attention saturates: there the first inner step at any rate
# that matters is chaotic, and no two ways of rounding agree on the tenth. "t5" has ReLU, "t5_gated" the smooth gated
# activation of T5 1.1, whose gradient a float32 difference can follow.
BUILDERS: dict[str, tuple[Callable[..., Any], dict[str, Any]]] = {
    "t5": (t5, {"initializer_factor": 1.3}),
    "t5_gated": (t5, {"initializer_factor": 1.3, "feed_forward_proj": "gated-gelu"}),
    "bart": (bart, {}),
    "gpt2": (gpt2, {}),
    "llama": (llama, {}),
}


@pytest.fixture(scope="session")
def episode(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Episode]:
    """Episode on a small model by kind (t5, t5_gated, bart, gpt2, llama); with ``training`` its dropout is on.

    The backbone is shared, so leave it as it is; ``fresh`` or backbone options load one of your own.
    """
    folder = cache(lambda kind: BUILDERS[kind][0](tmp_path_factory.mktemp("meta") / kind, **BUILDERS[kind][1]))

    def load(kind: str, training: bool, **options: Any) -> Episode:
        backbone = FrozenBackbone(str(folder(kind)), BackboneOptions(max_target_length=12, **options))
        return episode_of(backbone.train(training))

    shared = cache(load)

    def episode(kind: str, training: bool = False, fresh: bool = False, **options: Any) -> Episode:
        return load(kind, training, **options) if fresh or options else shared(kind, training)

    return episode


@pytest.fixture(scope="module")
def learn2learn(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[type]:
    """learn2learn's MAML for one module; ``pytest -p no:cacheprovider`` installs it each time."""
    store = getattr(request.config, "cache", None)
    with learn2learn_imported(store.mkdir("learn2learn") if store else tmp_path_factory.mktemp("cache")) as maml:
        yield maml
