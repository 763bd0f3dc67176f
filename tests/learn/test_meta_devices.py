"""Meta-learning on two processes with gloo, started as a user starts it: the episodes are shared, the prompt is one."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from support.meta_toy import episodes, examples, last_checkpoint, learner, meta_fit, write_callbacks
from support.paths import TESTS
from support.small_models import t5
from support.toy import Mpt, json_lines

from mpt.learn.divergence import EXPLODED
from mpt.learn.meta import MAML, FoMAML
from mpt.util.errors import UserError

TWO = {"trainer__strategy": "ddp", "trainer__devices": 2}


def start(words: list[object], folder: Path) -> subprocess.CompletedProcess[str]:
    """``mpt`` in a process of its own, which starts the second by itself."""
    found = {"OMP_NUM_THREADS": "1", "WANDB_MODE": "offline", "PYTHONPATH": str(TESTS)}
    command = [sys.executable, "-m", "mpt", *map(str, words)]
    return subprocess.run(
        command, env={**os.environ, **found}, cwd=folder, capture_output=True, text=True, timeout=200, check=False
    )


@pytest.mark.long
def test_two_processes_learn_what_one_learns_and_write_once(root, model_folder, capsys, tmp_path, monkeypatch):
    """Dropout is on, rates are learned along, meta-batches are accumulated, and each process validates on a task."""
    monkeypatch.chdir(tmp_path)
    callbacks = write_callbacks(tmp_path / "callbacks.yaml", monitor="dev/score")
    changes = {
        "data__meta_batch_size": 4,
        "data__validation": "[ag_news,superglue-cb]",
        "model__accumulate_grad_batches": 2,
        "model__learn_inner_lr": "token",
        "model__inner_lr_lr": 0.1,
        "trainer__max_steps": 4,
        "trainer__val_check_interval": 4,
    }

    def words(folder, **more):
        known = meta_fit(model_folder("t5"), root, tmp_path / folder, **changes, **more)
        return ["fit", "--config", "maml", "--config", callbacks, *known]

    alone = Mpt(capsys)(*words("one"), "--trainer.logger=false")
    assert alone.code == 0, alone.err
    ended = start(words("two", **TWO), tmp_path)
    assert ended.returncode == 0, ended.stderr
    assert "Starting with 2 processes" in ended.stderr and ended.stdout.count("run folder: ") == 1

    one, two = (last_checkpoint(tmp_path / folder) for folder in ("one", "two"))
    assert set(one) == set(two) == {"prompt.weight", "log_inner_lr"}
    # 4 steps of 2 meta-batches of 4 episodes, each of 1 inner step on 2 rows and a query of 2
    assert examples(tmp_path / "one") == examples(tmp_path / "two") == 4 * 2 * 4 * (1 * 2 + 2)
    for name in one:
        assert torch.equal(one[name], two[name])
    first, second = (json_lines(tmp_path / folder / "metrics.jsonl") for folder in ("one", "two"))
    assert [row["step"] for row in first] == [row["step"] for row in second] == [2, 4]
    for row, other in zip(first, second, strict=True):
        known = [name for name in row if name.startswith("dev/")]
        assert sorted(known) == ["dev/ag_news", "dev/loss", "dev/score", "dev/superglue-cb"]
        assert [row[name] for name in known] == pytest.approx([other[name] for name in known])
    files = {path.name for path in (tmp_path / "two").iterdir()}
    assert files == {"config.yaml", "last.ckpt", "metrics.jsonl", "prompt", "wandb"}
    assert len(list((tmp_path / "two" / "wandb").glob("offline-run-*"))) == 1


@pytest.mark.slow
def test_an_explosion_on_one_device_stops_both_with_its_sentence(root, tmp_path):
    """At an inner rate at which one of the two episodes carries the prompt too far, and the other does not."""
    still = t5(tmp_path / "t5", dropout_rate=0.0)
    module = learner(still, FoMAML(1.0))
    module.seed = 13
    module.prepare()
    module.eval()
    begun, paths = module.prompt.weight.detach(), {}
    for episode in next(iter(episodes(root).train_dataloader())).episodes:
        (text,) = episode.support
        adapted = module.algorithm.adapt(module._loss, begun, [module.backbone.encode(text.inputs, text.targets)])
        paths[(adapted - begun).norm().item()] = episode.task
    assert max(paths) > 1.05 * min(paths)
    rate = EXPLODED * begun.norm().item() / math.prod(paths) ** 0.5

    changes = {"model__algorithm": "FoMAML", "model__algorithm__inner_lr": rate, "data__meta_batch_size": 2}
    ended = start(["fit", "--config", "maml", *meta_fit(still, root, tmp_path / "run", **changes | TWO)], tmp_path)
    assert ended.returncode == 2, ended.stderr
    (told,) = [line for line in ended.stderr.splitlines() if line.startswith("mpt: error: ")]
    assert f"task {paths[max(paths)]} exploded at step 0" in told and f"inner rate {rate:g}" in told
    assert "Traceback" not in ended.stderr and "Starting with 2 processes" in ended.stderr
    assert not (tmp_path / "run" / "prompt").exists()


def test_fewer_validation_tasks_than_devices_are_refused(root, model_folder):
    module, data = learner(model_folder("t5"), MAML()), episodes(root, validation=["ag_news"])
    data.setup()
    module.trainer = SimpleNamespace(precision="32-true", datamodule=data, world_size=2)
    with pytest.raises(UserError, match=r"--data.validation names 1 of the 2 tasks"):
        module.setup("fit")


def test_only_what_is_learned_is_ddps(model_folder):
    for kind in ("t5", "gpt2"):
        module = learner(model_folder(kind), MAML(), learn_inner_lr="scalar")
        module.prepare()
        names = {name for name, _ in [*module.named_parameters(), *module.named_buffers()]}
        assert names - set(module._ddp_params_and_buffers_to_ignore) == {"prompt.weight", "log_inner_lr"}
