"""Text batches."""

import pickle

import torch
from pytorch_lightning.utilities import move_data_to_device

from mpt.data.modules.batch import Episode, EpisodeBatch, TextBatch, collate
from mpt.data.tasks.task import Example


def test_rows_become_columns_in_their_order():
    batch = collate([("copa", Example("a", ("b", "c"))), ("rte", Example("d", ("e",)))])
    assert batch == TextBatch(["a", "d"], ["b", "e"], [("b", "c"), ("e",)], ["copa", "rte"])
    assert len(batch) == 2


def test_lightning_and_loader_workers_can_pass_it_on():
    batch = collate([("copa", Example("a", ("b",)))])
    assert move_data_to_device(batch, torch.device("meta")) is batch
    assert pickle.loads(pickle.dumps(batch)) == batch


def test_lightning_and_loader_workers_can_pass_episodes_on():
    batch = collate([("copa", Example("a", ("b",)))])
    episodes = EpisodeBatch([Episode("copa", 3, [batch, batch], batch)], size=2)
    assert move_data_to_device(episodes, torch.device("meta")) is episodes
    assert pickle.loads(pickle.dumps(episodes)) == episodes
    assert len(episodes) == 1
