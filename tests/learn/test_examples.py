"""How many example passes a training counts, against the rows that its backbone was given a loss of."""

from __future__ import annotations

import pytest
import torch
from support.meta_toy import OPTIONS, RATE, episodes, fit, learner
from support.toy_study import SOURCES

from mpt.backbone.model import Backbone
from mpt.data.modules.few_shot import FewShotData
from mpt.data.modules.mixture import MixtureData
from mpt.learn import FineTuning, PromptTuning
from mpt.learn.meta import MAML, FoMAML, Reptile


@pytest.fixture
def read(monkeypatch) -> list[int]:
    """Rows of each batch that any backbone gives a loss of."""
    rows: list[int] = []
    plain = Backbone.loss

    def loss(self, prompt, batch):
        rows.append(len(batch))
        return plain(self, prompt, batch)

    monkeypatch.setattr(
        "mpt.backbone.model.check_ability", lambda backbone: None
    )  # reads rows as the backbone is loaded
    monkeypatch.setattr(Backbone, "loss", loss)
    return rows


@pytest.mark.parametrize("kind", [PromptTuning, FineTuning])
def test_prompt_and_fine_tuning_count_each_row_of_each_accumulated_batch(kind, read, root, model_folder, tmp_path):
    model = kind(str(model_folder("t5")), backbone_options=OPTIONS)
    data = FewShotData("emo", str(root), 13, batch_size=3)
    fit(model, data, tmp_path, max_steps=4, accumulate_grad_batches=2, limit_val_batches=0)
    assert model.examples == 4 * 2 * 3 == sum(read)


def test_a_mixture_counts_likewise_and_a_second_fit_begins_anew(read, root, model_folder, tmp_path):
    model = PromptTuning(str(model_folder("t5")), 4, backbone_options=OPTIONS)
    data = MixtureData(list(SOURCES), root=str(root), seeds=[13], batch_size=5)
    for steps in (3, 2):
        read.clear()
        fit(model, data, tmp_path, max_steps=steps)
        assert model.examples == steps * 5 == sum(read)


# Two support batches of 3 rows and a query of 4; 3 inner steps read 3 * 3 + 4.
@pytest.mark.long
@pytest.mark.parametrize(
    ("algorithm", "again"),
    [(FoMAML(RATE, 3), 0), (Reptile(RATE, 3), 0), (MAML(RATE, 3, "exact"), 9), (MAML(RATE, 3, "graph"), 0)],
    ids=["FoMAML", "Reptile", "MAML", "MAML through one graph"],
)
@pytest.mark.parametrize("side_by_side", [1, 2])
def test_a_meta_learner_counts_support_at_each_inner_step_and_query_once(
    algorithm, again, side_by_side, read, root, model_folder, tmp_path
):
    """``again``: support rows of an episode that products with the Hessian read a second time, which do not count."""
    model = learner(model_folder("t5"), algorithm, parallel_episodes=side_by_side, accumulate_grad_batches=2)
    data = episodes(root, batch_size=3, support_batches=2, query_batch_size=4)
    fit(model, data, tmp_path, max_steps=2, log_every_n_steps=0)
    assert model.examples == 2 * 2 * 2 * (3 * 3 + 4)
    assert sum(read) == model.examples + 2 * 2 * 2 * again


def test_a_resumed_run_tells_the_whole_and_one_of_an_earlier_version_nothing(root, model_folder, tmp_path):
    make = lambda: PromptTuning(str(model_folder("t5")), 4, backbone_options=OPTIONS)  # noqa: E731
    data = lambda: FewShotData("emo", str(root), 13, batch_size=3)  # noqa: E731
    trainer = fit(make(), data(), tmp_path, max_steps=2, limit_val_batches=0)
    trainer.save_checkpoint(tmp_path / "two.ckpt")
    resumed = make()
    fit(resumed, data(), tmp_path, max_steps=5, limit_val_batches=0, ckpt_path=tmp_path / "two.ckpt")
    content = torch.load(tmp_path / "two.ckpt", weights_only=False)
    assert resumed.examples == 5 * 3 and resumed.seconds_before == content["spent"]["seconds"] > 0

    del content["spent"]
    torch.save(content, tmp_path / "earlier.ckpt")
    fit(resumed, data(), tmp_path, max_steps=5, limit_val_batches=0, ckpt_path=tmp_path / "earlier.ckpt")
    assert resumed.examples is None and resumed.seconds_before == 0
