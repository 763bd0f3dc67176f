"""``mpt export tokens``: the checkpoint, read by transformers alone, answers each row by its own prompt as mpt does."""

from __future__ import annotations

import pytest
import torch
from support.exported import client, prompts_of, requests_of
from support.small_models import BOS, BUILDERS, EOS, VOCABULARY, byte_tokenizer
from support.toy import Mpt
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

from mpt.backbone.model import FrozenBackbone
from mpt.prompt.files import load_prompt


def build(kind, folder):
    """A small model; Gemma scales its embeddings, and its output layer and GPT-2's are tied to them."""
    if kind in BUILDERS:
        return BUILDERS[kind](folder)
    torch.manual_seed(0)
    sizes = {
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "head_dim": 8,
    }
    ids = {"vocab_size": VOCABULARY, "bos_token_id": BOS, "eos_token_id": EOS, "pad_token_id": 0}
    config = AutoConfig.for_model(kind, **sizes, **ids, num_key_value_heads=2, initializer_range=0.3)
    AutoModelForCausalLM.from_config(config).save_pretrained(folder)
    byte_tokenizer(False, bos_token="<s>").save_pretrained(folder)
    return folder


@pytest.mark.long
@pytest.mark.parametrize("kind", ["llama", "gpt2", "qwen2", "gemma"])
def test_ragged_texts_behind_prompts_of_unlike_lengths_answer_in_one_padded_batch_as_alone(kind, capsys, tmp_path):
    backbone = FrozenBackbone(str(build(kind, tmp_path / "model")))
    prompts = prompts_of(backbone, tmp_path)
    ended = Mpt(capsys)("export", "tokens", *prompts, tmp_path / "out")
    assert ended.code == 0, ended.err
    names, texts, alone = map(list, zip(*requests_of(prompts), strict=True))
    served = client(tmp_path / "out").PromptedModel(tmp_path / "out")
    assert served(names, texts) == alone and len(set(alone)) > 10
    # Not because transformers is told to leave them out: the output layer itself never chooses them.
    served.model.generation_config.suppress_tokens = None
    assert served(names, texts) == alone
    ids = [token for name in served.prompts for token in served.prompts[name]["ids"]]
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "out")
    assert tokenizer.convert_ids_to_tokens(ids[:2]) == ["<one-0>", "<seven-0>"] and len(ids) == 28
    with torch.no_grad():
        logits = served.model(input_ids=torch.tensor([served.ids("twenty", "a text")])).logits[0]
        read = served.model.get_input_embeddings()(torch.tensor(ids))
    assert (logits[:, ids].max(1).values < logits[:, :VOCABULARY].max(1).values).all()
    assert logits.softmax(-1)[:, ids].max() <= 1 / VOCABULARY
    torch.testing.assert_close(read, torch.cat([load_prompt(folder).weight for folder in prompts]))


def test_an_encoder_decoder_is_refused(capsys, tmp_path):
    ended = Mpt(capsys)("export", "tokens", "synthetic", tmp_path / "out")
    assert ended.code == 2 and "export tokens is for decoder-only models" in ended.err
    assert not (tmp_path / "out").exists()
