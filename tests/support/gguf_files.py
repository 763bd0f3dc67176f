"""GGUF files of small random Llamas, written as llama.cpp's converter writes them."""

from __future__ import annotations

from pathlib import Path

import gguf
import numpy as np
import torch
from gguf import GGMLQuantizationType, GGUFWriter
from support.small_models import BOS, EOS, SPECIAL, llama
from tokenizers import pre_tokenizers
from transformers import LlamaForCausalLM

MERGED = "he"
"""The one token of two bytes: such a file must name a merge. The plain folder's tokenizer has none."""

WORDS = [*SPECIAL, *sorted(pre_tokenizers.ByteLevel.alphabet()), MERGED]

_NAMES = {
    "input_layernorm": "attn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "post_attention_layernorm": "ffn_norm",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}


def plain_llama(folder: Path, seed: int = 0) -> Path:
    """A Llama with fewer heads for keys than for queries, for :func:`write_gguf`."""
    return llama(folder, seed, vocab_size=len(WORDS), num_key_value_heads=2)


def write_gguf(
    file: Path,
    folder: Path,
    kind: GGMLQuantizationType = GGMLQuantizationType.F32,
    architecture: str = "llama",
    leave_out: str = "",
    extra: dict[str, np.ndarray] | None = None,
    parts: int = 1,
) -> Path:
    """Write the Llama of a folder as a GGUF file.

    Args:
        kind: of the matrices' numbers; vectors are float32.
        leave_out: name of a tensor to leave out.
        extra: tensors to write beside the model's.
        parts: how many files there are, as it says.
    """
    model = LlamaForCausalLM.from_pretrained(folder)
    config = model.config
    file.parent.mkdir(parents=True, exist_ok=True)
    writer = GGUFWriter(file, architecture)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_dimension_count(config.head_dim)
    writer.add_rope_freq_base(config.rope_parameters["rope_theta"])
    writer.add_vocab_size(config.vocab_size)
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list(WORDS)
    writer.add_token_types([gguf.TokenType.CONTROL if word in SPECIAL else gguf.TokenType.NORMAL for word in WORDS])
    writer.add_token_merges([" ".join(MERGED)])
    writer.add_bos_token_id(BOS)
    writer.add_eos_token_id(EOS)
    writer.add_unk_token_id(SPECIAL.index("<unk>"))
    if parts > 1:
        writer.add_uint16("split.count", parts)
    heads = {"q_proj": config.num_attention_heads, "k_proj": config.num_key_value_heads}
    for name, weight in model.state_dict().items():
        *_, module, _ = name.split(".")
        rows = _interleaved(weight, heads[module]) if module in heads else weight
        if (ours := _gguf_name(name)) != leave_out:
            _add(writer, ours, rows.numpy(), kind if rows.dim() == 2 else GGMLQuantizationType.F32)
    for name, values in (extra or {}).items():
        _add(writer, name, values, GGMLQuantizationType.F32)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return file


def _add(writer: GGUFWriter, name: str, values: np.ndarray, kind: GGMLQuantizationType) -> None:
    writer.add_tensor(name, gguf.quantize(values, kind), raw_dtype=kind)


def _interleaved(weight: torch.Tensor, heads: int) -> torch.Tensor:
    """llama.cpp rotates neighbours where transformers rotates halves."""
    return weight.view(heads, 2, -1, weight.shape[1]).swapaxes(1, 2).reshape(weight.shape)


def _gguf_name(name: str) -> str:
    fixed = {
        "model.embed_tokens.weight": "token_embd.weight",
        "model.norm.weight": "output_norm.weight",
        "lm_head.weight": "output.weight",
    }
    if name in fixed:
        return fixed[name]
    _, _, layer, *module, kind = name.split(".")
    return f"blk.{layer}.{_NAMES['.'.join(module)]}.{kind}"
