"""Measures of transfer by a frozen model's answers: against their definitions, term by term."""

from __future__ import annotations

import math

import pytest
import torch
import yaml

from mpt.analysis.leep import leep, leep_of
from mpt.analysis.neurons import activities
from mpt.analysis.on_examples import _draw
from mpt.analysis.train_loss import mean_loss
from mpt.data.modules.few_shot import FewShotData
from mpt.data.tasks.task import Example, FewShot, Task
from mpt.util.errors import UserError


def draw(count: int = 5, labels: tuple[str, ...] = ("yes", "no")) -> FewShot:
    rows = [Example(f"text {number}", (labels[number % 2] if labels else "some words",)) for number in range(count)]
    return FewShot(Task("toy", "classification", "ACC", labels=labels), 13, 16, rows, rows[:1], rows[:1])


def test_leep_is_its_definition():
    generator = torch.Generator().manual_seed(1)
    shares = torch.rand(7, 3, generator=generator, dtype=torch.float64)
    shares /= shares.sum(1, keepdim=True)
    right = [0, 1, 1, 0, 2, 2, 1]
    total = 0.0
    for i in range(7):
        likelihood = 0.0
        for z in range(3):
            both = sum(float(shares[n, z]) for n in range(7) if right[n] == right[i]) / 7
            alone = sum(float(shares[n, z]) for n in range(7)) / 7
            likelihood += both / alone * float(shares[i, z])
        total += math.log(likelihood)
    assert leep_of(shares, torch.tensor(right)) == pytest.approx(total / 7)
    sure = torch.eye(3, dtype=torch.float64)[right]
    assert leep_of(sure, torch.tensor(right)) == pytest.approx(0), "what tells the label apart leaves nothing"
    never = torch.cat([shares, torch.zeros(7, 2, dtype=torch.float64)], dim=1)
    assert leep_of(never, torch.tensor(right)) == pytest.approx(total / 7), "labels that are never said change nothing"
    blind = torch.full((7, 3), 1 / 3, dtype=torch.float64)
    entropy = sum(right.count(label) / 7 * math.log(right.count(label) / 7) for label in range(3))
    assert leep_of(blind, torch.tensor(right)) == pytest.approx(entropy), "what does not is the labels' entropy"


@pytest.mark.parametrize("kind", ["t5", "llama"])
def test_losses_and_labels_are_those_of_each_example_alone(kind, load_backbone):
    backbone = load_backbone(kind)
    prompt = torch.randn(3, backbone.hidden_size, generator=torch.Generator().manual_seed(2))
    total, tokens, rows = 0.0, 0, []
    for one in draw().train:
        batch = backbone.encode([one.input], [one.targets[0]])
        with torch.no_grad():
            total += float(backbone.loss(prompt, batch)[0])
        tokens += int(batch.target_lengths.sum())
        rows.append(backbone.score(prompt, backbone.encode([one.input]), ["red", "blue", "green"])[0].softmax(0))
    assert mean_loss(backbone, prompt, draw()) == pytest.approx(total / tokens, rel=1e-5)
    right = torch.tensor([0, 1, 0, 1, 0])
    wanted = leep_of(torch.stack(rows).double(), right)
    assert leep(backbone, prompt, draw(), ["red", "blue", "green"]) == pytest.approx(wanted, rel=1e-4)
    assert math.isnan(leep(backbone, prompt, draw(), ())) and math.isnan(leep(backbone, prompt, draw(labels=()), ["a"]))


@pytest.mark.parametrize("prefix", [True, False])
def test_examples_are_read_as_the_targets_key_was_learned(prefix, tmp_path):
    said = {"task": "syn-age-post", "root": "synthetic", "seed": 13, "task_prefix": prefix}
    (tmp_path / "config.yaml").write_text(yaml.safe_dump({"data": {"class_path": "FewShotData", "init_args": said}}))
    data = FewShotData(**said)
    data.setup()
    batch = next(iter(data.train_dataloader()))
    inputs = [one.input for one in _draw(tmp_path / "prompt").train]
    assert all(one.startswith("[syn-age-post] ") == prefix for one in inputs)
    assert set(batch.inputs) <= set(inputs) and len(inputs) == len(data.fewshot.train)


def first_layer(backbone) -> tuple[torch.nn.Module, torch.nn.Module]:
    """Of the stack that says the answer: the norm before its feed-forward layer, what makes features."""
    if backbone.decoder_only:
        layer = backbone.model.model.layers[0]
        return layer.post_attention_layernorm, layer.mlp.gate_proj
    part = backbone.model.get_decoder().block[0].layer[-1]
    return part.layer_norm, part.DenseReluDense.wi


@pytest.mark.parametrize("kind", ["t5", "llama"])
def test_a_neuron_is_active_where_its_feature_is_above_nothing_as_the_answer_begins(kind, load_backbone):
    """Against the layer's own projection in a pass by hand: prompt and empty text, and the answer's first place."""
    backbone = load_backbone(kind)
    prompts = torch.randn(2, 3, backbone.hidden_size, generator=torch.Generator().manual_seed(3))
    found = activities(backbone, prompts)
    assert set(found.unique().tolist()) == {0.0, 1.0} and not torch.equal(*found)
    norm, features = first_layer(backbone)
    seen: list[torch.Tensor] = []
    hook = norm.register_forward_hook(lambda module, given, said: seen.append(said))
    ids = backbone.encode([""]).input_ids
    whole = torch.cat([prompts[0][None], backbone.model.get_input_embeddings()(ids)], dim=1)
    start = torch.tensor([[backbone.generation.decoder_start_token_id]]) if not backbone.decoder_only else None
    with torch.no_grad():
        backbone.model(inputs_embeds=whole, **({} if start is None else {"decoder_input_ids": start}))
        active = features(seen[0][0, -1]) > 0
    hook.remove()
    assert torch.equal(found[0, : len(active)], active.float())
    layers = backbone.config.num_hidden_layers if backbone.decoder_only else backbone.config.num_decoder_layers
    assert found.shape == (2, layers * len(active)), "the layers that say the answer, and no others"


def test_a_model_whose_activation_functions_are_its_own_is_told(load_backbone, monkeypatch):
    backbone = load_backbone("llama")
    own = type("OwnGelu", (torch.nn.Module,), {"forward": lambda self, given: torch.nn.functional.gelu(given)})
    for layer in backbone.model.model.layers:
        monkeypatch.setitem(layer.mlp._modules, "act_fn", own())
    with pytest.raises(UserError, match="activation functions are of a kind of its own"):
        activities(backbone, torch.zeros(1, 3, backbone.hidden_size))
