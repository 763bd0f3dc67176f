"""Prompts of a T5 as further rows of the source vocabulary of one CTranslate2 model.

The rows of a batch carry different prompts, of unlike lengths too, by beginning with their prompts' tokens: the encoder
of a T5 reads a prompt's rows as it reads words.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from mpt.backbone.model import FrozenBackbone
from mpt.use.export.export_prompts import ExportedPrompt, differences, write_client, write_index
from mpt.util.distribution import install
from mpt.util.errors import UserError
from mpt.util.files import new_folder

KINDS = ("t5", "mt5", "umt5")
"""Model types, as configurations call them. T5 1.1, T5 adapted to language modelling and Flan-T5 are of the first."""

_NEAR = 1e-3
"""Relative to a log-likelihood of one nat or more: what float32 leaves open."""


def export_ctranslate2(prompts: Sequence[ExportedPrompt], backbone: FrozenBackbone, out: Path) -> list[str]:
    """Write the model, its tokenizer, ``prompts.json``, ``client.py`` and ``README.md``.

    Returns:
        Sentences on where the answers differ from mpt's.

    Raises:
        UserError: CTranslate2 is not installed, or does not compute what the backbone computes.
    """
    name, kind = backbone.name, backbone.config.model_type
    if kind not in KINDS:
        way = "; mpt export tokens and mpt export vllm are for decoder-only models" if backbone.decoder_only else ""
        raise UserError(
            f"backbone {name}: CTranslate2 is given prompts of the kinds {', '.join(KINDS)}, not of {kind}{way}"
        )
    try:
        import ctranslate2
    except ImportError as error:
        raise UserError(f"export ctranslate2 needs the package ctranslate2: {install('serve')}") from error
    told = [
        *differences(prompts),
        "In float32 the answers are mpt's; with another compute_type, such as int8, they are nearly so.",
    ]
    with new_folder(out) as fresh:
        _specification(prompts, backbone).save(str(fresh))
        backbone.tokenizer.save_pretrained(fresh / "tokenizer")
        ends = backbone.tokenizer.convert_ids_to_tokens(backbone.generation.eos_token_id)
        write_index(fresh, prompts, [{"tokens": one.tokens} for one in prompts], end_tokens=ends)
        title = f"{len(prompts)} prompts in a CTranslate2 model"
        write_client(fresh, "mpt.use.export.client_ctranslate2", title, told)
        _check(ctranslate2.Translator(str(fresh), compute_type="float32", intra_threads=1), prompts, backbone)
    return told


def _specification(prompts: Sequence[ExportedPrompt], backbone: FrozenBackbone) -> Any:
    from ctranslate2.converters.transformers import T5Loader, UMT5Loader
    from ctranslate2.specs.model_spec import OPTIONAL

    model, config, encode = backbone.model, backbone.config, backbone.encode
    table = model.get_input_embeddings().weight
    spec = (UMT5Loader() if config.model_type == "umt5" else T5Loader()).get_model_spec(model)
    # CTranslate2 goes by tie_word_embeddings, which transformers 5 has true for all T5: this is what the model does.
    scaled = {"t5": "scale_decoder_outputs", "umt5": "tie_word_embeddings"}.get(config.model_type, "")
    spec.decoder.scale_outputs = config.d_model**-0.5 if getattr(config, scaled, False) else OPTIONAL
    spec.encoder.embeddings[0].weight = torch.cat([table, *(one.stored.weight.to(table) for one in prompts)]).detach()
    spec.config.unk_token = encode.tokenizer.unk_token
    spec.config.bos_token = encode.tokenizer.pad_token
    spec.config.eos_token = encode.tokenizer.eos_token
    spec.config.decoder_start_token = encode.tokenizer.convert_ids_to_tokens(backbone.generation.decoder_start_token_id)
    spec.config.layer_norm_epsilon = config.layer_norm_epsilon
    words = _words(encode.tokenizer, len(table))
    own = [token for one in prompts for token in one.tokens]
    if both := set(words) & set(own):
        raise UserError(f"{min(both)} is a token of {backbone.name} already; call its prompt otherwise: NAME=FOLDER")
    spec.register_source_vocabulary(words + own)
    spec.register_target_vocabulary(words)
    with torch.no_grad():
        spec.validate()
    spec.optimize(quantization=None)
    return spec


def _words(tokenizer: Any, rows: int) -> list[str]:
    """The token of each row of the embedding table; rows beyond the tokenizer's are named, and never read."""
    known = {number: token for token, number in tokenizer.get_vocab().items()}
    return [known.get(row, f"<row {row}>") for row in range(rows)]


def _check(translator: Any, prompts: Sequence[ExportedPrompt], backbone: FrozenBackbone) -> None:
    """Refuse a model that weighs an answer otherwise than the backbone does, behind the first prompt and the last."""
    text, encode = prompts[0].name, backbone.encode
    batch = encode([text], [text])
    assert batch.labels is not None
    read, written = (encode.tokenizer.convert_ids_to_tokens(ids[0].tolist()) for ids in (batch.input_ids, batch.labels))
    for one in (prompts[0], prompts[-1]):
        (scored,) = translator.score_batch([one.tokens + read], [written[:-1]])
        theirs, ours = sum(scored.log_probs), -float(backbone.loss(one.stored.weight, batch))
        if not math.isclose(theirs, ours, rel_tol=_NEAR, abs_tol=_NEAR):
            raise UserError(
                f"CTranslate2 does not compute what {backbone.name} computes (behind prompt {one.name} an answer has "
                f"the log-likelihood {theirs:.4f}, not {ours:.4f}), so nothing was exported"
            )
