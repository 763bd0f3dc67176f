"""LanguageModeling: from scratch and on, through the ordinary Trainer."""

import pytest
import torch
from pytorch_lightning import Trainer, seed_everything
from support.small_models import t5
from torch.optim import SGD, AdamW

from mpt.backbone.model import FrozenBackbone
from mpt.callbacks import KeepBest
from mpt.data.modules.corpus import TextFiles, WorldData
from mpt.learn.language_modeling import LanguageModeling, add_positional_heads, change_activation
from mpt.learn.schedules import WarmupLinear
from mpt.util.errors import UserError


def fit(folder, model, data, steps):
    seed_everything(0)
    trainer = Trainer(
        default_root_dir=folder, max_steps=steps, max_epochs=-1, accelerator="cpu", logger=False,
        enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False,
        callbacks=[KeepBest(monitor=None, folder="model")], limit_val_batches=0,
    )  # fmt: skip
    trainer.fit(model, data)
    return trainer


def weights(folder):
    from safetensors.torch import load_file

    return load_file(folder / "model" / "model.safetensors")


@pytest.mark.long
def test_pretraining_from_scratch_learns_and_repeats(tmp_path):
    def run(name):
        model = LanguageModeling(
            "mpt-tiny", from_scratch=True, positional_heads=4.0, optimizer=lambda p: AdamW(p, 2e-3)
        )
        trainer = fit(tmp_path / name, model, WorldData(batch_size=16, chunk=2), 30)
        return float(trainer.callback_metrics["train/loss"])

    assert run("a") < 5.5  # ln(1024) = 6.9 and more at the start
    run("b")
    a, b = weights(tmp_path / "a"), weights(tmp_path / "b")
    assert all(torch.equal(a[name], b[name]) for name in a)


def test_adaptation_goes_on_from_the_weights_of_any_t5(tmp_path, model_folder):
    text = tmp_path / "text.txt"
    text.write_text("some plain words of a text that is no task at all " * 5, encoding="utf-8")
    model = LanguageModeling(str(model_folder("t5")), optimizer=lambda p: SGD(p, 0.0))
    fit(tmp_path / "run", model, TextFiles([str(text)], window=8, batch_size=4), 1)
    from safetensors.torch import load_file

    before, after = load_file(model_folder("t5") / "model.safetensors"), weights(tmp_path / "run")
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_the_embeddings_have_their_own_rate():
    model = LanguageModeling("mpt-tiny", from_scratch=True, embedding_rate=8.0, optimizer=lambda p: SGD(p, 0.5))
    model.build(())
    optimizer = model.configure_optimizers()
    rates = {id(p): group["lr"] for group in optimizer.param_groups for p in group["params"]}
    table = model.backbone.model.get_input_embeddings().weight
    assert rates.pop(id(table)) == 4.0
    assert set(rates.values()) == {0.5}
    assert len(rates) + 1 == len(list(model.parameters()))


def test_positional_heads_look_back_ahead_and_away():
    model = LanguageModeling("mpt-tiny", from_scratch=True, positional_heads=30.0)
    model.build(())
    ids = torch.tensor([[5, 6, 7, 8, 9, 10]])
    encoder = model.backbone.model.get_encoder()
    encoder.config._attn_implementation = "eager"
    layer = encoder(input_ids=ids, output_attentions=True).attentions[0][0]
    assert layer[0].argmax(-1)[1:].tolist() == [0, 1, 2, 3, 4]
    assert layer[1].argmax(-1)[:-1].tolist() == [1, 2, 3, 4, 5]
    assert layer[2].diagonal().max() < 1e-3


def test_a_model_of_another_size_has_the_weights_of_that_size():
    width, feed_forward, layers, heads = 40, 112, 2, 4
    model = LanguageModeling(
        "mpt-tiny", from_scratch={"d_model": width, "d_kv": 10, "d_ff": feed_forward, "num_layers": layers}
    )
    model.build(())
    attention, rest = 4 * width * heads * 10, 2 * width * feed_forward
    encoder = layers * (attention + rest + 2 * width) + 32 * heads + width
    decoder = 2 * (2 * attention + rest + 3 * width) + 32 * heads + width
    assert sum(weight.numel() for weight in model.parameters()) == 1024 * width + encoder + decoder


@pytest.mark.parametrize(
    ("sizes", "said"),
    [
        ({"d_modell": 40}, "has no size 'd_modell'; did you mean d_model"),
        ({"d_model": 0}, "d_model must be a whole number of at least 1, not 0"),
        ({"decoder_start_token_id": 9}, "has no size 'decoder_start_token_id'"),
        ({"relative_attention_num_buckets": 3}, "cannot work with a prompt.*give sizes that fit each other"),
        ({"use_cache": 1}, "has no size 'use_cache'"),
    ],
)
def test_a_size_that_cannot_be_is_refused(sizes, said):
    with pytest.raises(UserError, match=said):
        LanguageModeling("mpt-tiny", from_scratch=sizes).build(())


def test_positional_heads_need_a_t5_from_scratch(model_folder):
    with pytest.raises(UserError, match="from_scratch"):
        LanguageModeling("mpt-tiny", positional_heads=1.0)
    with pytest.raises(UserError, match="T5"):
        add_positional_heads(torch.nn.Linear(1, 1), 1.0)


def test_another_activation_changes_what_the_layers_do_and_no_weight(model_folder):
    """Against a model whose configuration said so from the start."""
    from transformers import T5ForConditionalGeneration

    model = T5ForConditionalGeneration.from_pretrained(model_folder("t5")).eval()
    expected = T5ForConditionalGeneration.from_pretrained(
        model_folder("t5"), feed_forward_proj="gelu_new", dense_act_fn="gelu_new"
    ).eval()
    before = {name: weight.clone() for name, weight in model.state_dict().items()}
    ids = torch.tensor([[5, 6, 7, 8]])

    def logits(one):
        return one(input_ids=ids, decoder_input_ids=ids).logits

    relu = logits(model)
    change_activation(model, "gelu_new")
    assert all(torch.equal(before[name], weight) for name, weight in model.state_dict().items())
    assert torch.equal(logits(model), logits(expected)) and not torch.equal(logits(model), relu)
    acts = {type(layer.act).__name__ for layer in model.modules() if hasattr(layer, "act")}
    assert acts == {"NewGELUActivation"}
    assert model.config.dense_act_fn == model.config.feed_forward_proj == "gelu_new" and not model.config.is_gated_act


def test_a_model_trained_with_another_activation_is_saved_with_it(tmp_path, model_folder):
    text = tmp_path / "text.txt"
    text.write_text("some plain words of a text that is no task at all " * 5, encoding="utf-8")
    model = LanguageModeling(str(model_folder("t5")), activation="gelu_new", optimizer=lambda p: SGD(p, 0.01))
    fit(tmp_path / "run", model, TextFiles([str(text)], window=8, batch_size=4), 1)
    saved = FrozenBackbone(str(tmp_path / "run" / "model"))
    batch = saved.encode(["that small dog"], ["no"])
    assert saved.config.dense_act_fn == "gelu_new"
    torch.testing.assert_close(saved.eval().loss(None, batch), model.backbone.eval().loss(None, batch))


def test_an_activation_that_cannot_be_is_refused(model_folder, tmp_path):
    with pytest.raises(UserError, match=r"model.activation.*gelu_old.*did you mean.*gelu"):
        LanguageModeling(str(model_folder("t5")), activation="gelu_old").build(())
    with pytest.raises(UserError, match=r"model.activation needs a T5"):
        LanguageModeling(str(model_folder("bart")), activation="gelu_new").build(())
    gated = t5(tmp_path / "gated", feed_forward_proj="gated-gelu")
    with pytest.raises(UserError, match=r"model.activation needs a T5.*not gated"):
        LanguageModeling(str(gated), activation="relu").build(())


def test_the_rate_rises_and_falls_linearly():
    optimizer = SGD([torch.zeros(1, requires_grad=True)], 1.0)
    schedule = WarmupLinear(optimizer, total=100, warmup=10, floor=0.05)
    rates = []
    for _ in range(101):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    assert rates[0] == pytest.approx(0.1)
    assert rates[9] == pytest.approx(1.0)
    assert rates[55] == pytest.approx(0.5)
    assert rates[100] == 0.05
