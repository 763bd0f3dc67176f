"""Tiny random models of many families: what transformers makes of one shape, saved like any checkpoint."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from support.small_models import BOS, EOS, PAD, POSITIONS, VOCABULARY, byte_tokenizer
from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForSeq2SeqLM

IDS = {"vocab_size": VOCABULARY, "pad_token_id": PAD, "eos_token_id": EOS, "bos_token_id": BOS}
TODAYS = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "max_position_embeddings": POSITIONS,
}
OLDER = {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": POSITIONS}
WINDOW = {**TODAYS, "sliding_window": 24}
MIXED = {**WINDOW, "layer_types": ["sliding_attention", "full_attention"]}
GEMMA = {**MIXED, "query_pre_attn_scalar": 8}
LINEAR = {f"linear_{name}": 2 for name in ("num_key_heads", "num_value_heads")} | {
    f"linear_{name}": 8 for name in ("key_head_dim", "value_head_dim")
}
LINEAR = {**TODAYS, **LINEAR, "layer_types": ["linear_attention", "full_attention"]}
EXPERTS = {"num_experts": 2, "num_experts_per_tok": 1, "moe_intermediate_size": 16}
LOCAL_EXPERTS = {"num_local_experts": 2, "num_experts_per_tok": 1}
MAMBA2 = {"mamba_n_heads": 8, "mamba_d_head": 8, "mamba_d_state": 8, "mamba_chunk_size": 16}
BY_LAYER = {"hidden_size_per_layer_input": 8, "vocab_size_per_layer_input": VOCABULARY, "num_kv_shared_layers": 0}

DECODER_ONLY: dict[str, dict[str, Any]] = {
    # Windows: a prompt can fall out of them.
    "mistral": WINDOW,
    "gemma2": GEMMA,
    "gemma3_text": GEMMA,
    "gpt_oss": {**MIXED, **LOCAL_EXPERTS},
    "phi3": WINDOW,
    "qwen2": {**WINDOW, "use_sliding_window": True, "max_window_layers": 0},
    "olmo3": MIXED,
    "cohere2": MIXED,
    "exaone4": MIXED,
    "llama4_text": {**TODAYS, **LOCAL_EXPERTS, "intermediate_size_mlp": 64, "attention_chunk_size": 64},
    "gpt_neo": {"hidden_size": 32, "num_layers": 2, "num_heads": 4, "attention_types": [[["global", "local"], 1]]},
    # Layers that read in order.
    "qwen3_5_text": LINEAR,
    "qwen3_next": {**LINEAR, **EXPERTS, "shared_expert_intermediate_size": 16},
    "lfm2": {**TODAYS, "layer_types": ["conv", "full_attention"]},
    "mamba": {"hidden_size": 32, "num_hidden_layers": 2, "state_size": 8},
    "mamba2": {**TODAYS, "num_heads": 8, "head_dim": 8, "n_groups": 2, "state_size": 8, "chunk_size": 16},
    "falcon_h1": {**TODAYS, **MAMBA2, "mamba_d_ssm": 64},
    "granitemoehybrid": {
        **{**TODAYS, **MAMBA2, **LOCAL_EXPERTS},
        "layer_types": ["mamba", "attention"],
        "shared_intermediate_size": 16,
    },
    # Positions of several kinds.
    "llama": TODAYS,
    "qwen3": TODAYS,
    "phi": TODAYS,
    "gpt_neox": TODAYS,
    "olmo": TODAYS,
    "stablelm": TODAYS,
    "cohere": TODAYS,
    "gptj": {**OLDER, "rotary_dim": 4},
    "gpt2": OLDER,
    "opt": {**TODAYS, "ffn_dim": 64, "word_embed_proj_dim": 32},
    "bloom": {"hidden_size": 32, "n_layer": 2, "n_head": 4},
    "mpt": {"d_model": 32, "n_layers": 2, "n_heads": 4, "max_seq_len": POSITIONS},
    "xglm": {"d_model": 32, "ffn_dim": 64, "num_layers": 2, "attention_heads": 4},
    "ctrl": {**OLDER, "dff": 64},
}
UNFIT: dict[str, tuple[dict[str, Any], str]] = {
    "rwkv": ({"hidden_size": 32, "num_hidden_layers": 2, "attention_hidden_size": 32}, "leave padding out"),
    "recurrent_gemma": (
        {**TODAYS, "lru_width": 32, "attention_window_size": 24, "block_types": ["recurrent", "attention"]},
        "leave padding out",
    ),
    "gemma3n_text": (
        {**MIXED, **BY_LAYER, "laurel_rank": 4, "altup_num_inputs": 2, "activation_sparsity_pattern": [0.0, 0.0]},
        "more of a token than its input embedding",
    ),
    "gemma4_text": ({**MIXED, **BY_LAYER}, "cannot work with a prompt"),
    "openai-gpt": (OLDER, "cannot work with a prompt"),
}
"""Shape, and what their refusal says."""

_BARTS = {
    "d_model": 32,
    "max_position_embeddings": POSITIONS,
    "decoder_start_token_id": EOS,
    **{f"{side}_{name}": value for side in ("encoder", "decoder") for name, value in (("layers", 2), ("ffn_dim", 64))},
    **{f"{side}_attention_heads": 4 for side in ("encoder", "decoder")},
}
_T5S = {"d_model": 32, "d_kv": 8, "d_ff": 64, "num_layers": 2, "num_heads": 4, "decoder_start_token_id": PAD}
_HALF = {**IDS, **TODAYS, "query_pre_attn_scalar": 8}
_SIDES = {f"max_{side}_position_embeddings": POSITIONS for side in ("encoder", "decoder")}

ENCODER_DECODER: dict[str, dict[str, Any]] = {
    "mbart": _BARTS,
    "m2m_100": _BARTS,
    "marian": _BARTS,
    "pegasus": _BARTS,
    "led": {**_BARTS, **_SIDES, "attention_window": 8},
    "umt5": _T5S,
    "longt5": _T5S,
    "t5gemma": {"encoder": _HALF, "decoder": _HALF},
}


def build(folder: Path, family: str, shape: dict[str, Any]) -> Path:
    """Write a model of the family with weights drawn wide, so that a wrong mask or position shows."""
    config = AutoConfig.for_model(family, **{**IDS, **shape})
    torch.manual_seed(0)
    auto = AutoModelForSeq2SeqLM if config.is_encoder_decoder else AutoModelForCausalLM
    model = auto.from_config(config)
    rng = torch.Generator().manual_seed(0)
    for weight in model.parameters():
        if weight.dim() >= 2:
            weight.data.normal_(0, 0.3, generator=rng)
        elif weight.numel() > 1 and weight.abs().max() == 0:
            weight.data.normal_(1, 0.2, generator=rng)
    model.save_pretrained(folder)
    byte_tokenizer(config.is_encoder_decoder, pad_token="<pad>", bos_token="<s>").save_pretrained(folder)
    return folder
