"""Small random Hugging Face model folders with byte-level tokenizers, so that no test needs a download.

Weights are drawn wide: with the libraries' narrow defaults attention hardly matters, and a test would not
notice a wrong mask or position.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors
from transformers import (
    AutoConfig,
    AutoModelForSeq2SeqLM,
    BartConfig,
    BartForConditionalGeneration,
    BertConfig,
    BertModel,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
)

SPECIAL = ["<pad>", "</s>", "<unk>", "<s>"]
PAD, EOS, _, BOS = range(4)
VOCABULARY = len(SPECIAL) + 256
WIDTH = 32
POSITIONS = 700


def byte_tokenizer(closing: bool, **special: str) -> PreTrainedTokenizerFast:
    """One token per UTF-8 byte; ``closing`` appends end-of-sequence, as encoder-decoder tokenizers do."""
    words = SPECIAL + sorted(pre_tokenizers.ByteLevel.alphabet())
    ids = {word: i for i, word in enumerate(words)}
    core = Tokenizer(models.BPE(vocab=ids, merges=[], unk_token="<unk>"))
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    if closing:
        core.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", EOS)])
    return PreTrainedTokenizerFast(tokenizer_object=core, eos_token="</s>", unk_token="<unk>", **special)


def _save(folder: Path, model: Any, tokenizer: Any) -> Path:
    model.save_pretrained(folder)
    if tokenizer is not None:
        tokenizer.save_pretrained(folder)
    return folder


def t5(folder: Path, seed: int = 0, **changes: Any) -> Path:
    return t5_of_kind("t5", folder, seed, **changes)


def t5_of_kind(kind: str, folder: Path, seed: int = 0, **changes: Any) -> Path:
    """A t5, mt5 or umt5."""
    torch.manual_seed(seed)
    shape = {
        "d_model": WIDTH,
        "d_kv": 8,
        "d_ff": 64,
        "num_layers": 2,
        "num_heads": 4,
        "vocab_size": VOCABULARY,
    }
    ids = {"decoder_start_token_id": PAD, "pad_token_id": PAD, "eos_token_id": EOS, "initializer_factor": 2.0}
    model = AutoModelForSeq2SeqLM.from_config(AutoConfig.for_model(kind, **{**shape, **ids, **changes}))
    return _save(folder, model, byte_tokenizer(True, pad_token="<pad>"))


def bart(folder: Path, seed: int = 0, scale_embedding: bool = True, **changes: Any) -> Path:
    torch.manual_seed(seed)
    config = BartConfig(
        **{
            "vocab_size": VOCABULARY,
            "d_model": WIDTH,
            "encoder_layers": 2,
            "decoder_layers": 2,
            "encoder_attention_heads": 4,
            "decoder_attention_heads": 4,
            "encoder_ffn_dim": 64,
            "decoder_ffn_dim": 64,
            "max_position_embeddings": POSITIONS,
            "pad_token_id": PAD,
            "eos_token_id": EOS,
            "bos_token_id": BOS,
            "decoder_start_token_id": EOS,
            "forced_eos_token_id": EOS,
            "scale_embedding": scale_embedding,
            "init_std": 0.3,
            **changes,
        }
    )
    model = BartForConditionalGeneration(config)
    return _save(folder, model, byte_tokenizer(True, pad_token="<pad>", bos_token="<s>"))


def bart_unscaled(folder: Path, seed: int = 0) -> Path:
    return bart(folder, seed, scale_embedding=False)


def gpt2(folder: Path, seed: int = 0, **changes: Any) -> Path:
    torch.manual_seed(seed)
    config = GPT2Config(
        **{
            "vocab_size": VOCABULARY,
            "n_embd": WIDTH,
            "n_layer": 2,
            "n_head": 4,
            "n_positions": POSITIONS,
            "bos_token_id": EOS,
            "eos_token_id": EOS,
            "initializer_range": 0.3,
            **changes,
        }
    )
    return _save(folder, GPT2LMHeadModel(config), byte_tokenizer(False))


def llama(folder: Path, seed: int = 0, **changes: Any) -> Path:
    torch.manual_seed(seed)
    config = LlamaConfig(
        **{
            "vocab_size": VOCABULARY,
            "hidden_size": WIDTH,
            "intermediate_size": 64,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "max_position_embeddings": POSITIONS,
            "bos_token_id": BOS,
            "eos_token_id": EOS,
            "initializer_range": 0.3,
            **changes,
        }
    )
    return _save(folder, LlamaForCausalLM(config), byte_tokenizer(False, bos_token="<s>"))


def bert(folder: Path) -> Path:
    """An encoder-only model, which generates no text."""
    config = BertConfig(
        vocab_size=VOCABULARY,
        hidden_size=WIDTH,
        intermediate_size=64,
        num_hidden_layers=1,
        num_attention_heads=4,
    )
    return _save(folder, BertModel(config), byte_tokenizer(True, pad_token="<pad>"))


BUILDERS: dict[str, Callable[[Path], Path]] = {
    "t5": t5,
    "bart": bart,
    "bart_unscaled": bart_unscaled,
    "gpt2": gpt2,
    "llama": llama,
}
ENCODER_DECODERS = ["t5", "bart", "bart_unscaled"]
DECODER_ONLY = ["gpt2", "llama"]
