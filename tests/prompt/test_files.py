"""Prompt folders: bit for bit, in one step, and clear about what does not fit."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, PeftModel, PromptTuningConfig, get_peft_model
from safetensors.torch import load_file, save_file
from support.small_models import WIDTH
from transformers import (
    AutoModelForCausalLM,
    AutoModelForSeq2SeqLM,
    BartConfig,
    BloomConfig,
    CTRLConfig,
    FalconMambaConfig,
    GPT2Config,
    GPTJConfig,
    LlamaConfig,
    MambaConfig,
    MptConfig,
    ProphetNetConfig,
    Qwen3Config,
    T5Config,
    T5GemmaConfig,
    XGLMConfig,
)

from mpt.prompt.files import StoredPrompt, backbone_facts, check_fits, load_prompt, save_prompt
from mpt.prompt.soft import SoftPrompt
from mpt.util.errors import UserError

FILES = ["adapter_config.json", "adapter_model.safetensors", "mpt.json"]


def saved(folder: Path, rows: int = 4, width: int = 3, **facts: object) -> Path:
    weight = torch.arange(rows * width, dtype=torch.float32).view(rows, width)
    return save_prompt(folder, weight, "some/model", False, facts)


def edit(path: Path, **changes: object) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def test_a_prompt_comes_back_bit_for_bit_with_its_facts(tmp_path):
    weight = torch.randn(7, 5) * torch.logspace(-30, 30, 5)
    weight[0, 0], weight[1, 1] = float("-0.0"), 1e-45
    facts = {
        "task": "superglue-cb",
        "seed": 13,
        "step": 50,
        "dev/score": 0.5,
        "fingerprint": "abc",
        "text": "süß",
    }
    folder = save_prompt(tmp_path / "deep" / "prompt", SoftPrompt(weight).weight, "t5-small", False, facts)
    stored = load_prompt(str(folder))
    assert stored.weight.numpy().tobytes() == weight.numpy().tobytes()
    assert not stored.weight.requires_grad
    assert stored.backbone == "t5-small"
    assert stored.facts == {"prompt_length": 7, "hidden_size": 5, "backbone": "t5-small", **facts}


def test_a_transposed_view_is_saved_as_it_reads(tmp_path):
    weight = torch.arange(6.0).view(2, 3).T
    assert torch.equal(load_prompt(save_prompt(tmp_path / "p", weight, "m", True, {})).weight, weight)


def test_the_folder_holds_plain_data_only(tmp_path):
    folder = saved(tmp_path / "prompt")
    assert sorted(path.name for path in folder.iterdir()) == FILES
    assert list(load_file(folder / "adapter_model.safetensors")) == ["prompt_embeddings"]
    for name in ("adapter_config.json", "mpt.json"):
        assert isinstance(json.loads((folder / name).read_text()), dict)


@pytest.mark.parametrize(("decoder_only", "kind"), [(True, "CAUSAL_LM"), (False, "SEQ_2_SEQ_LM")])
def test_peft_reads_the_configuration(decoder_only, kind, tmp_path):
    save_prompt(tmp_path / "p", torch.zeros(4, 3), "some/model", decoder_only, {})
    config = PromptTuningConfig.from_pretrained(tmp_path / "p")
    assert (config.task_type, config.num_virtual_tokens, config.token_dim) == (kind, 4, 3)
    assert config.base_model_name_or_path == "some/model"


@pytest.mark.parametrize(("kind", "task"), [("t5", "SEQ_2_SEQ_LM"), ("bart", "SEQ_2_SEQ_LM"), ("gpt2", "CAUSAL_LM")])
def test_a_folder_that_peft_wrote_is_read(kind, task, model_folder, tmp_path):
    task = "CAUSAL_LM" if kind == "gpt2" else "SEQ_2_SEQ_LM"
    auto = AutoModelForCausalLM if task == "CAUSAL_LM" else AutoModelForSeq2SeqLM
    model = get_peft_model(
        auto.from_pretrained(model_folder(kind)), PromptTuningConfig(task_type=task, num_virtual_tokens=6)
    )
    model.save_pretrained(tmp_path)
    # Encoder-decoder models get twice the rows in PEFT, and read the first half.
    rows = load_file(tmp_path / "adapter_model.safetensors")["prompt_embeddings"]
    assert len(rows) == (6 if kind == "gpt2" else 12)
    stored = load_prompt(tmp_path)
    assert torch.equal(stored.weight, model.get_prompt_embedding_to_save("default")[:6])
    assert stored.weight.shape == (6, WIDTH)
    assert stored.facts == {}
    check_fits(stored, tmp_path, WIDTH, str(model_folder(kind)), "any weights")


def test_a_lora_folder_is_refused(model_folder, tmp_path):
    model = AutoModelForCausalLM.from_pretrained(model_folder("gpt2"))
    get_peft_model(model, LoraConfig(task_type="CAUSAL_LM", fan_in_fan_out=True)).save_pretrained(tmp_path)
    with pytest.raises(UserError, match=r"peft_type LORA, but only PROMPT_TUNING"):
        load_prompt(tmp_path)


# Replacing in one step --------------------------------------------------------------------------------------


@pytest.mark.parametrize("stage", ["safetensors.torch.save_file", "mpt.prompt.files.write_json"])
def test_a_failure_in_the_middle_keeps_the_old_folder(stage, tmp_path, monkeypatch):
    folder = saved(tmp_path / "prompt", note="old")
    before = {path.name: path.read_bytes() for path in folder.iterdir()}

    def fail(*_: object) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr(stage, fail)
    with pytest.raises(OSError, match="no space"):
        saved(folder, rows=9, note="new")
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert [path.name for path in tmp_path.iterdir()] == ["prompt"], "nothing is left beside it"
    monkeypatch.undo()
    saved(folder, rows=9, note="new")
    assert load_prompt(folder).facts["note"] == "new"
    assert [path.name for path in tmp_path.iterdir()] == ["prompt"]


# What does not fit ------------------------------------------------------------------------------------------


def test_fitting_prompts_pass():
    weight = torch.zeros(4, 3)
    check_fits(StoredPrompt(weight, "a/t5", {"fingerprint": "f"}), "p", 3, "another/name", "f")
    check_fits(StoredPrompt(weight, "hub/t5-small"), "p", 3, "models/t5-small", "f")
    check_fits(StoredPrompt(weight, ""), "p", 3, "models/t5-small", "f")


@pytest.mark.parametrize(
    ("stored", "both"),
    [
        (StoredPrompt(torch.zeros(4, 3), "a/t5"), ["size 3", "size 8", "a/t5", "b/t5"]),
        (StoredPrompt(torch.zeros(4, 8), "a/t5", {"fingerprint": "f00"}), ["f00", "ba5", "a/t5", "b/t5"]),
        (StoredPrompt(torch.zeros(4, 8), "a/bart"), ["a/bart", "b/t5"]),
    ],
)
def test_what_does_not_fit_is_named_on_both_sides(stored, both):
    with pytest.raises(UserError) as refusal:
        check_fits(stored, "some/prompt", 8, "b/t5", "ba5")
    assert all(part in str(refusal.value) for part in ["some/prompt", *both])


def test_a_missing_folder(tmp_path):
    with pytest.raises(UserError, match="nowhere: no such folder"):
        load_prompt(tmp_path / "nowhere")


@pytest.mark.parametrize("name", FILES[:2])
def test_missing_files_are_named(name, tmp_path):
    folder = saved(tmp_path / "p")
    (folder / name).unlink()
    with pytest.raises(UserError, match=f"{name} is missing"):
        load_prompt(folder)


@pytest.mark.parametrize("name", ["adapter_config.json", "mpt.json"])
@pytest.mark.parametrize("content", [b'{"peft_type": "PROM', b"[1, 2]", b"\xff\xfe\x00"])
def test_corrupted_json_is_named(name, content, tmp_path):
    folder = saved(tmp_path / "p")
    (folder / name).write_bytes(content)
    with pytest.raises(UserError, match=f"{name} (cannot be read: not valid JSON|holds no JSON object)"):
        load_prompt(folder)


@pytest.mark.parametrize("content", [b"", b"not tensors at all", b"\x80\x04pickle"])
def test_corrupted_tensors_are_named(content, tmp_path):
    folder = saved(tmp_path / "p")
    (folder / "adapter_model.safetensors").write_bytes(content)
    with pytest.raises(UserError, match=r"adapter_model\.safetensors is not a readable safetensors file"):
        load_prompt(folder)


def test_half_of_the_tensors_are_noticed(tmp_path):
    path = saved(tmp_path / "p") / "adapter_model.safetensors"
    path.write_bytes(path.read_bytes()[:-8])
    with pytest.raises(UserError, match="not a readable safetensors file"):
        load_prompt(tmp_path / "p")


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_a_prompt_that_is_not_finite_is_refused(value, tmp_path):
    folder = saved(tmp_path / "p")
    weight = load_file(folder / "adapter_model.safetensors")["prompt_embeddings"]
    weight[0, 0] = value
    save_file({"prompt_embeddings": weight}, folder / "adapter_model.safetensors")
    with pytest.raises(UserError, match="holds numbers that are not finite"):
        load_prompt(folder)


def test_another_tensor_is_named(tmp_path):
    folder = saved(tmp_path / "p")
    save_file({"lora_A": torch.zeros(2)}, folder / "adapter_model.safetensors")
    with pytest.raises(UserError, match=r"holds \['lora_A'\], not prompt_embeddings"):
        load_prompt(folder)


@pytest.mark.parametrize("changes", [{"num_virtual_tokens": 5}, {"token_dim": 8}, {"num_virtual_tokens": None}])
def test_files_that_contradict_one_another_are_named_on_both_sides(changes, tmp_path):
    folder = saved(tmp_path / "p")
    edit(folder / "adapter_config.json", **changes)
    length, width = changes.get("num_virtual_tokens", 4), changes.get("token_dim", 3)
    held = r"holds \[4, 3\] but " if length else ""
    with pytest.raises(UserError, match=rf"{held}adapter_config\.json says \[{length}, {width}\]"):
        load_prompt(folder)


def test_half_precision_folders_are_read_as_float32(tmp_path):
    folder = saved(tmp_path / "p")
    weight = torch.randn(4, 3).bfloat16()
    save_file({"prompt_embeddings": weight}, folder / "adapter_model.safetensors")
    assert torch.equal(load_prompt(folder).weight, weight.float())


def test_a_home_folder_is_found(tmp_path, monkeypatch):
    saved(tmp_path / "p")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert load_prompt("~/p").weight.shape == (4, 3)


# What PEFT asks for ---------------------------------------------------------------------------------------------

IDS = {"pad_token_id": 0, "eos_token_id": 1, "bos_token_id": 2}
SIZES = {"vocab_size": 64, "hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2,
         "num_key_value_heads": 2, "head_dim": 8, **IDS}  # fmt: skip
FEW = {"vocab_size": 64, **IDS}
FAMILIES: dict[str, Any] = {
    "mpt": lambda: MptConfig(d_model=16, n_heads=2, n_layers=1, **FEW),
    "xglm": lambda: XGLMConfig(d_model=16, ffn_dim=16, num_layers=1, attention_heads=2, **FEW),
    "mamba": lambda: MambaConfig(hidden_size=16, state_size=4, num_hidden_layers=1, **FEW),
    "falcon_mamba": lambda: FalconMambaConfig(hidden_size=16, state_size=4, num_hidden_layers=1, **FEW),
    "prophetnet": lambda: ProphetNetConfig(
        hidden_size=16, encoder_ffn_dim=16, decoder_ffn_dim=16, num_encoder_layers=1, num_decoder_layers=1,
        num_encoder_attention_heads=2, num_decoder_attention_heads=2, **FEW
    ),
    "t5gemma": lambda: T5GemmaConfig(
        encoder={**SIZES, "query_pre_attn_scalar": 8}, decoder={**SIZES, "query_pre_attn_scalar": 8}, **FEW
    ),
    # These it could load before, by other names each.
    "gpt2": lambda: GPT2Config(n_embd=16, n_layer=1, n_head=2, **FEW),
    "gptj": lambda: GPTJConfig(n_embd=16, n_layer=1, n_head=2, rotary_dim=4, **FEW),
    "bloom": lambda: BloomConfig(hidden_size=16, n_layer=1, n_head=2, **FEW),
    "ctrl": lambda: CTRLConfig(n_embd=16, dff=16, n_layer=1, n_head=2, **FEW),
    "llama": lambda: LlamaConfig(**SIZES),
    "qwen3": lambda: Qwen3Config(**SIZES),
    "t5": lambda: T5Config(d_model=16, d_kv=8, d_ff=16, num_layers=1, num_heads=2, **FEW),
    "bart": lambda: BartConfig(
        d_model=16, encoder_layers=1, decoder_layers=1, encoder_ffn_dim=16, decoder_ffn_dim=16,
        encoder_attention_heads=2, decoder_attention_heads=2, **FEW
    ),
}  # fmt: skip


@pytest.mark.parametrize("family", FAMILIES)
def test_peft_loads_a_prompt_of_any_family(family, tmp_path):
    config = FAMILIES[family]()
    decoder_only = not config.is_encoder_decoder
    model = (AutoModelForCausalLM if decoder_only else AutoModelForSeq2SeqLM).from_config(config)
    weight = torch.randn(3, 16)
    folder = save_prompt(tmp_path / "p", weight, "some/model", decoder_only, backbone_facts(config))
    assert torch.equal(PeftModel.from_pretrained(model, folder).get_prompt(1)[0], weight)
    if family in ("mpt", "mamba"):  # without what it asks for, and so that this test can fail
        with pytest.raises(ValueError, match="Please specify"):
            PeftModel.from_pretrained(model, save_prompt(tmp_path / "q", weight, "some/model", decoder_only, {}))


def test_the_backbones_commit_is_recorded(tmp_path):
    hub, cached, local = GPT2Config(), GPT2Config(), GPT2Config()
    hub._commit_hash = "0123abc"
    cached.name_or_path = str(tmp_path / "models--some--model" / "snapshots" / "4567def")
    local.name_or_path = str(tmp_path / "my" / "model")
    for config, commit in ((hub, "0123abc"), (cached, "4567def"), (local, None)):
        folder = save_prompt(tmp_path / "p", torch.zeros(2, 3), "some/model", True, backbone_facts(config))
        assert load_prompt(folder).facts.get("revision") == commit
        assert PromptTuningConfig.from_pretrained(folder).revision == commit


@pytest.mark.parametrize("name", ["adapter_config.json", "adapter_model.safetensors", "mpt.json"])
def test_a_link_out_of_a_prompts_folder_is_not_followed(name, tmp_path):
    save_prompt(tmp_path / "prompt", torch.zeros(2, 3), "model", False, {"secret": 1})
    elsewhere = tmp_path / "elsewhere"
    (tmp_path / "prompt" / name).rename(elsewhere)
    (tmp_path / "prompt" / name).symlink_to(elsewhere)
    with pytest.raises(UserError, match=f"{name} leads out of its folder by a link"):
        load_prompt(tmp_path / "prompt")
