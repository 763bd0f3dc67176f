"""Rows as one sequence: what padded rows say, and the same loss, gradient and answer for every way to group them."""

from __future__ import annotations

import pytest
import torch
from support.architectures import DECODER_ONLY, build
from support.plain_generation import by_transformers
from support.small_models import t5
from transformers import AutoModelForCausalLM
from transformers.models.llama import modeling_llama

from mpt.backbone import one_sequence
from mpt.backbone.loading import BackboneOptions
from mpt.backbone.model import FrozenBackbone
from mpt.backbone.one_sequence import Tokens
from mpt.backbone.rows import Rows, Weighed

READS = (
    "llama",
    "qwen3",
    "phi",
    "gpt_neox",
    "olmo",
    "stablelm",
    "cohere",
    "gptj",
    "gpt2",
    "opt",
    "xglm",
    "gemma3_text",
)
PADDED = ("mamba", "mamba2", "qwen3_next", "falcon_h1", "bloom", "mpt")
P = 5


def loaded(tmp_path, family: str, **options) -> FrozenBackbone:
    shape = DECODER_ONLY[family]
    folder = build(tmp_path, family, {**shape, "sliding_window": 64} if "sliding_window" in shape else shape)
    return FrozenBackbone(str(folder), BackboneOptions(max_target_length=6, **options)).eval()


def batch_of(backbone: FrozenBackbone, lengths: list[int]):
    texts = ["".join(chr(97 + (7 * n + i * i) % 23) for i in range(n)) for n in lengths]
    return backbone.encode(texts, [f"yes {'no ' * (n % 4)}" for n in lengths])


def rows_of(backbone: FrozenBackbone, prompt, batch) -> Rows:
    return Rows.of(prompt, None, batch, backbone.model.get_input_embeddings())


def by_padding(backbone: FrozenBackbone, prompt, batch) -> tuple[torch.Tensor, torch.Tensor]:
    leaf = prompt.clone().requires_grad_()
    losses = backbone.layout.losses(
        Rows.of(leaf, None, batch, backbone.model.get_input_embeddings()), Weighed(batch.labels)
    )
    return losses.detach(), torch.autograd.grad(losses.sum(), leaf)[0]


def prompts(backbone: FrozenBackbone, *shape: int) -> torch.Tensor:
    draw = torch.randn(*shape, backbone.hidden_size, generator=torch.Generator().manual_seed(3))
    return draw * backbone.embeddings.std()


@pytest.mark.long
@pytest.mark.parametrize("family", READS)
@pytest.mark.parametrize("lengths", [[0], [12], [1, 0, 17, 3, 9], [3] * 64], ids=["empty", "one", "ragged", "many"])
def test_it_says_what_padded_rows_say(family, lengths, tmp_path):
    backbone = loaded(tmp_path, family)
    assert backbone.one_sequence is not None and "each prompt read once" in backbone.reading
    batch = batch_of(backbone, lengths)
    for prompt in (prompts(backbone, P), prompts(backbone, len(lengths), P)):
        leaf = prompt.clone().requires_grad_()
        losses = backbone.loss(leaf, batch)
        gradient = torch.autograd.grad(losses.sum(), leaf)[0]
        expected, theirs = by_padding(backbone, prompt, batch)
        torch.testing.assert_close(losses.detach(), expected, rtol=1e-5, atol=1e-5)
        assert (gradient - theirs).norm() <= 1e-5 * theirs.norm()
        answers = backbone.answer(prompt, batch)
        torch.testing.assert_close(answers.losses, expected, rtol=1e-5, atol=1e-5)
        assert answers.texts == by_transformers(backbone, prompt, batch)


@pytest.mark.long
@pytest.mark.parametrize("family", PADDED)
def test_where_layers_tell_no_rows_apart_they_are_padded(family, tmp_path):
    backbone = loaded(tmp_path, family)
    assert backbone.one_sequence is None and backbone.reading.startswith("rows are padded (")


@pytest.mark.long
@pytest.mark.parametrize("family", [*READS, *PADDED])
def test_rounding_does_not_decide_how_rows_are_read(family, tmp_path):
    backbone = loaded(tmp_path, family, dtype="bfloat16")
    assert (backbone.one_sequence is not None) == (family in READS)
    batch, prompt = batch_of(backbone, [1, 0, 17, 3, 9]), prompts(backbone, P)
    expected, _ = by_padding(backbone, prompt, batch)
    torch.testing.assert_close(backbone.loss(prompt, batch), expected, rtol=0.02, atol=0)


@pytest.mark.parametrize("family", ["mistral", "gemma2", "cohere2"])
def test_what_a_layer_does_not_look_back_to_is_seen_in_spite_of_rounding(family, tmp_path):
    # The trial's rows are longer than these layers look back, which their own mask says and ours does not.
    backbone = FrozenBackbone(str(build(tmp_path, family, DECODER_ONLY[family])), BackboneOptions("bfloat16"))
    assert backbone.one_sequence is None and "does not tell rows" in backbone.reading


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_reader_whose_rows_see_each_other_is_refused_and_weights_are_left_as_they_were(dtype, tmp_path, monkeypatch):
    folder = build(tmp_path, "llama", DECODER_ONLY["llama"])
    theirs = AutoModelForCausalLM.from_pretrained(folder, dtype=getattr(torch, dtype))
    with monkeypatch.context() as patch:
        patch.setattr(Tokens, "sees", lambda self, keys: keys.positions <= self.positions[:, None])
        backbone = FrozenBackbone(str(folder), BackboneOptions(dtype))
    assert backbone.one_sequence is None and "does not tell rows" in backbone.reading
    ours = dict(backbone.model.named_parameters())
    assert all(torch.equal(ours[name], weight) for name, weight in theirs.named_parameters())
    assert {weight.dtype for weight in ours.values()} == {getattr(torch, dtype)}


def test_a_prompt_that_rows_share_is_one_for_each_of_them(tmp_path):
    backbone = loaded(tmp_path, "llama")
    batch, owners = batch_of(backbone, [4, 9, 2, 30, 1]), torch.tensor([1, 0, 1, 2, 0])
    some = prompts(backbone, 3, P)
    gradients = []
    for reader in (backbone.one_sequence, None):
        backbone.one_sequence = reader
        leaf = some.clone().requires_grad_()
        losses = backbone.loss(leaf, batch, owners)
        torch.testing.assert_close(losses, backbone.loss(leaf[owners], batch))
        gradients.append(torch.autograd.grad(losses.sum(), leaf)[0])
        assert backbone.answer(some, batch, owners).texts == by_transformers(backbone, some[owners], batch)
    assert (gradients[0] - gradients[1]).norm() <= 1e-5 * gradients[1].norm()


@pytest.mark.parametrize("family", ["t5", "llama"])
def test_without_owners_each_prompt_is_that_of_the_next_rows(family, tmp_path):
    folder = t5(tmp_path / "t5", dropout_rate=0.0) if family == "t5" else build(tmp_path, family, DECODER_ONLY[family])
    backbone = FrozenBackbone(str(folder), BackboneOptions(max_target_length=6)).eval()
    batch, some = batch_of(backbone, [4, 9, 2, 30, 1, 7]), prompts(backbone, 3, P)
    each = some.repeat_interleave(2, 0)
    torch.testing.assert_close(backbone.loss(some, batch), backbone.loss(each, batch))
    assert backbone.answer(some, batch).texts == backbone.answer(each, batch).texts
    with pytest.raises(ValueError, match="equally many rows"):
        backbone.loss(prompts(backbone, 4, P), batch)


def test_rows_of_other_prompts_share_a_sequence_only_where_it_is_short(tmp_path, monkeypatch):
    backbone = loaded(tmp_path, "llama")
    one, lengths, owners = backbone.one_sequence, [4, 9, 2, 30, 1, 7, 3], torch.tensor([1, 0, 1, 2, 0, 3, 3])
    batch, some = batch_of(backbone, lengths), prompts(backbone, 4, P)
    answers, sizes = Weighed(batch.labels), (batch.input_mask.sum(1) + batch.target_lengths).tolist()
    expected = backbone.layout.losses(rows_of(backbone, some[owners], batch), answers)
    for least in (1, 60, 10_000):
        monkeypatch.setattr("mpt.backbone.one_sequence._LEAST", {False: least, True: least})
        groups = one.groups(Rows(some, owners, batch), answers)
        assert sorted(row for group in groups for row in group) == list(range(7))
        held = [{int(owners[row]) for row in group} for group in groups]
        tokens = [sum(sizes[row] for row in group) + P * len(own) for group, own in zip(groups, held, strict=True)]
        assert all(len(own) == 1 or count <= least for own, count in zip(held, tokens, strict=True))
        assert len(groups) == {1: 4, 10_000: 1}.get(least, len(groups)) and len(held) < 4 + (least == 1)
        torch.testing.assert_close(backbone.loss(some, batch, owners), expected, rtol=1e-5, atol=1e-5)
        told = backbone.answer(some, batch, owners)
        torch.testing.assert_close(told.losses, expected, rtol=1e-5, atol=1e-5)
        assert told.texts == by_transformers(backbone, some[owners], batch)
    assert max(map(len, one.groups(Rows(some, owners, batch), answers, most=20))) <= 2


def test_rows_are_shared_out_in_order_and_each_is_in_one_sequence(tmp_path, monkeypatch):
    backbone = loaded(tmp_path, "llama")
    one, lengths = backbone.one_sequence, [40, 1, 7, 300, 0, 12, 90, 3]
    backbone.encode.max_input_length = 300
    batch, prompt = batch_of(backbone, lengths), prompts(backbone, P)
    expected, theirs = by_padding(backbone, prompt, batch)
    for least in (1, 30, 100, 10_000):
        monkeypatch.setattr("mpt.backbone.one_sequence._LEAST", {False: least, True: least})
        one._even = 1.0
        groups = one.groups(rows_of(backbone, prompt, batch), Weighed(batch.labels))
        assert [row for group in groups for row in group] == list(range(len(lengths)))
        assert (len(groups) == 1) == (least == 10_000)
        leaf = prompt.clone().requires_grad_()
        losses = backbone.loss(leaf, batch)
        torch.testing.assert_close(losses.detach(), expected, rtol=1e-5, atol=1e-5)
        assert (torch.autograd.grad(losses.sum(), leaf)[0] - theirs).norm() <= 1e-5 * theirs.norm()
        assert backbone.answer(prompt, batch).texts == by_transformers(backbone, prompt, batch)


@pytest.mark.long
@pytest.mark.parametrize("family", ["mistral", "gemma2", "gemma3_text", "gpt_oss", "phi3", "olmo3", "llama4_text"])
def test_no_row_is_longer_than_a_layer_looks_back(family, tmp_path):
    """Rows together may be, where the layer looks back as far as its mask; llama4's counts the sequence itself."""
    backbone = loaded(tmp_path, family)
    assert backbone.one_sequence is not None
    for lengths in ([9, 12, 10] * 4, [3, 60]):
        batch, prompt = batch_of(backbone, lengths), prompts(backbone, P)
        groups = backbone.one_sequence.groups(rows_of(backbone, prompt, batch), Weighed(batch.labels), 6)
        sizes = batch.input_mask.sum(1) + batch.target_lengths
        assert (groups is None) == (max(lengths) == 60)
        longest = max((P + int(sizes[group].sum()) for group in groups or []), default=None)
        assert longest is None or (longest > 64) == (family != "llama4_text")
        expected, theirs = by_padding(backbone, prompt, batch)
        leaf = prompt.clone().requires_grad_()
        losses = backbone.loss(leaf, batch)
        torch.testing.assert_close(losses.detach(), expected, rtol=1e-5, atol=1e-5)
        assert (torch.autograd.grad(losses.sum(), leaf)[0] - theirs).norm() <= 1e-5 * theirs.norm()
        assert backbone.answer(prompt, batch).texts == by_transformers(backbone, prompt, batch)


def test_candidates_may_together_be_longer_than_a_layer_looks_back(tmp_path):
    backbone = loaded(tmp_path, "gemma3_text")
    batch, prompt = batch_of(backbone, [12, 3]), prompts(backbone, P)
    options = [f"{letter} is it" for letter in "abcdefghijklmnopqrst"]
    weighed = backbone._candidates(batch, options)
    assert weighed.labels.shape[1] * len(options) > 64
    assert backbone.one_sequence.groups(rows_of(backbone, prompt, batch), weighed) is not None
    padded = -backbone.layout.losses(rows_of(backbone, prompt, batch), weighed).view(2, -1)
    torch.testing.assert_close(backbone.score(prompt, batch, options), padded, rtol=1e-5, atol=1e-5)


def test_candidates_are_answers_to_one_reading_of_the_input(tmp_path):
    backbone = loaded(tmp_path, "llama")
    batch, prompt = batch_of(backbone, [3, 0, 11]), prompts(backbone, P)
    options = ["yes", "no", "a longer answer"]
    scores = backbone.score(prompt, batch, options)
    for column, text in enumerate(options):
        targets = backbone.encode.labels([text] * 3)
        padded = backbone.layout.losses(
            Rows.of(prompt, None, batch, backbone.model.get_input_embeddings()), Weighed(targets)
        )
        torch.testing.assert_close(scores[:, column], -padded, rtol=1e-5, atol=1e-5)


def test_dropout_and_checkpointing_leave_it_the_same_function_twice(tmp_path):
    plain, saving = (loaded(tmp_path / str(on), "llama", gradient_checkpointing=on) for on in (False, True))
    saving.model.load_state_dict(plain.model.state_dict())
    batch, found = batch_of(plain, [4, 9, 2]), []
    for backbone in (plain, plain, saving):
        leaf = prompts(backbone, P).requires_grad_()
        with backbone.in_mode(training=True):
            torch.manual_seed(0)
            found.append(torch.autograd.grad(backbone.loss(leaf, batch).sum(), leaf)[0])
    assert torch.equal(found[0], found[1])
    torch.testing.assert_close(found[0], found[2], rtol=1e-5, atol=1e-6)


def attention_of(*backbones: FrozenBackbone) -> list[str]:
    """The implementation of attention at each pass from now on."""
    seen: list[str] = []
    for backbone in backbones:
        backbone.model.register_forward_pre_hook(lambda model, _: seen.append(model.config._attn_implementation))
    return seen


def loss_and_gradient(backbone: FrozenBackbone, prompt, batch) -> list[torch.Tensor]:
    leaf = prompt.clone().requires_grad_()
    losses = backbone.loss(leaf, batch)
    return [losses.detach(), torch.autograd.grad(losses.sum(), leaf)[0]]


@pytest.mark.parametrize("family", ["llama", "qwen3", "gpt2", "gemma3_text"])
@pytest.mark.parametrize("how", ["autocast", "weights"])
def test_in_bfloat16_attention_is_by_plain_products_which_say_the_same(family, how, tmp_path):
    dtype = "bfloat16" if how == "weights" else "float32"
    chosen, told = loaded(tmp_path, family, dtype=dtype), loaded(tmp_path, family, dtype=dtype, attention="sdpa")
    batch, prompt = batch_of(chosen, [1, 0, 17, 3, 9]), prompts(chosen, P)
    exact = loss_and_gradient(loaded(tmp_path, family), prompt, batch)
    off, by = [], attention_of(chosen, told)
    for backbone in (chosen, told):
        with torch.autocast("cpu", torch.bfloat16, enabled=how == "autocast"):
            found = loss_and_gradient(backbone, prompt, batch)
        torch.testing.assert_close(found[0], exact[0], rtol=0.02, atol=0)
        off.append(float((found[1] - exact[1]).norm() / exact[1].norm()))
    assert off[0] <= min(0.15, 2 * off[1])  # as near to float32 as the fused kernel
    assert by == ["eager", "sdpa"]


def test_long_sequences_and_checkpointed_ones_keep_the_fused_kernel(tmp_path, monkeypatch):
    monkeypatch.setattr(one_sequence, "_PLAIN", 40**2)
    backbone, saving = loaded(tmp_path / "one", "llama"), loaded(tmp_path / "two", "llama", gradient_checkpointing=True)
    by = attention_of(backbone, saving)
    with torch.autocast("cpu", torch.bfloat16):
        for texts in ([5], [50]):
            backbone.loss(prompts(backbone, P), batch_of(backbone, texts))
        saving.loss(prompts(saving, P), batch_of(saving, [3]))
    assert by == ["eager", "sdpa", "sdpa"]


def test_float32_and_padded_rows_are_as_before_after_bfloat16(tmp_path):
    backbone = loaded(tmp_path, "llama")
    batch, prompt = batch_of(backbone, [1, 0, 17, 3, 9]), prompts(backbone, P)
    before = [*loss_and_gradient(backbone, prompt, batch), backbone.log_probabilities(prompt, batch)]
    with torch.autocast("cpu", torch.bfloat16):
        backbone.answer(prompt, batch)
    after = [*loss_and_gradient(backbone, prompt, batch), backbone.log_probabilities(prompt, batch)]
    assert all(torch.equal(one, other) for one, other in zip(before, after, strict=True))


def test_a_model_that_says_otherwise_by_plain_products_keeps_its_attention(tmp_path, monkeypatch):
    plain = modeling_llama.eager_attention_forward

    def capped(*args, **kwargs):
        out, weights = plain(*args, **kwargs)
        return 0.9 * out, weights

    monkeypatch.setattr(modeling_llama, "eager_attention_forward", capped)
    backbone = loaded(tmp_path, "llama")
    assert backbone.one_sequence is not None and not backbone.one_sequence.chooses
    by = attention_of(backbone)
    with torch.autocast("cpu", torch.bfloat16):
        backbone.loss(prompts(backbone, P), batch_of(backbone, [1, 0, 17]))
    assert by == ["sdpa"]


def test_a_backbone_made_where_gradients_are_off_is_like_any_other(model_folder):
    with torch.no_grad():
        backbone = FrozenBackbone(str(model_folder("llama")))
    assert backbone.one_sequence is not None


@pytest.mark.parametrize("family", ["llama", "gpt2"])
@pytest.mark.parametrize("number", [1, 2])
def test_what_all_inputs_begin_with_is_read_once_for_each_prompt(family, number, model_folder):
    """A long head, rows of one more token to many, and one that is the head alone: each as by itself."""
    backbone = FrozenBackbone(str(model_folder(family)), BackboneOptions(max_target_length=6)).eval()
    head = "this stands before every text of a task and is long "
    texts = [head + rest for rest in ("a", "good film", "no", "")] + [head + "good film and more"] * 2
    targets = ["yes", "no", "not at all", "yes", "no", "yes"]
    prompts = torch.randn(number, 4, backbone.hidden_size, generator=torch.Generator().manual_seed(3))
    owners = torch.tensor([0, 1, 0, 1, 1, 0]) % number
    leaf, alone = (prompts.clone().requires_grad_() for _ in range(2))
    batch = backbone.encode(texts, targets)
    rows = backbone._rows(leaf, batch, owners)
    shared = rows.behind_common_prefix(backbone.model.get_input_embeddings())
    least = min(len(backbone.encode([text]).input_ids[0]) for text in texts)
    assert shared.prompt_length > 4 + least // 2 and shared.batch.input_mask.sum() < batch.input_mask.sum() / 2
    assert torch.equal(shared.lengths, rows.lengths)

    losses = backbone.loss(leaf, batch, owners)
    losses.sum().backward()
    answers = backbone.answer(prompts, batch, owners)
    scores = backbone.score(prompts, batch, ["yes", "no", "not at all"], owners)
    for row, owner in enumerate(owners.tolist()):
        one = backbone.encode(texts[row : row + 1], targets[row : row + 1])
        loss = backbone.loss(alone[owner], one)[0]
        loss.backward()
        torch.testing.assert_close(losses[row], loss, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(answers.losses[row], loss, rtol=1e-4, atol=1e-5)
        assert answers.texts[row] == backbone.answer(prompts[owner], one).texts[0]
        by_itself = backbone.score(prompts[owner], one, ["yes", "no", "not at all"])[0]
        torch.testing.assert_close(scores[row], by_itself, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(leaf.grad, alone.grad, rtol=1e-3, atol=1e-5)
