"""A backbone's tokens and their embeddings, read without the rest of its weights where that can be."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch import Tensor, nn
from transformers import AutoConfig, AutoTokenizer
from transformers.utils import cached_file

from mpt.backbone.checks import check_tokenizer, model_class
from mpt.backbone.loading import BackboneOptions
from mpt.backbone.model import FrozenBackbone
from mpt.backbone.source import locate
from mpt.util.errors import UserError, one_line

_WEIGHTS = "model.safetensors"


@dataclass
class Vocabulary:
    """What an initialiser may look at of a backbone, and what a prompt's rows are compared with.

    Attributes:
        name: of the backbone.
        tokenizer: its own.
        embeddings: as :attr:`mpt.backbone.model.Backbone.embeddings` has them, ``[V, H]``, in float32.
        fingerprint: of the weights, as whoever asked for it knows it: it cannot be taken of one table.
    """

    name: str
    tokenizer: Any
    embeddings: Tensor
    fingerprint: str = ""

    @classmethod
    def load(cls, name: str, revision: str | None = None, fingerprint: str = "") -> Vocabulary:
        """Of a backbone by name. The whole model is loaded where its table is not among its files as it is used: where
        it is scaled, or not kept as safetensors.

        Raises:
            UserError: there is no such backbone, or it cannot be read.
        """
        source, common = locate(name, revision)
        with _told(name):
            model = _bare(source, common, name)
            tokenizer = AutoTokenizer.from_pretrained(source, **common)
            check_tokenizer(tokenizer, model, name)
            table = _table(source, common, model)
        if table is None:
            whole = FrozenBackbone(name, BackboneOptions(revision=revision))
            table, tokenizer = whole.embeddings, whole.tokenizer
        return cls(name, tokenizer, table[: len(tokenizer)].float(), fingerprint)


def bare_model(name: str, revision: str | None = None) -> Any:
    """The model of a backbone by its configuration alone: its shapes, without weights.

    Raises:
        UserError: there is no such backbone, or it cannot be read.
    """
    source, common = locate(name, revision)
    with _told(name):
        return _bare(source, common, name)


def config_and_tokenizer(name: str, revision: str | None = None) -> tuple[Any, Any]:
    """Of a backbone whose weights are left alone.

    Raises:
        UserError: there is no such backbone, or it cannot be read.
    """
    source, common = locate(name, revision)
    with _told(name):
        return AutoConfig.from_pretrained(source, **common), AutoTokenizer.from_pretrained(source, **common)


def _bare(source: str, common: Mapping[str, Any], name: str) -> Any:
    config = AutoConfig.from_pretrained(source, **common)
    with torch.device("meta"):
        return model_class(config, name).from_config(config)


@contextmanager
def _told(name: str) -> Iterator[None]:
    try:
        yield
    except UserError:
        raise
    except Exception as error:  # three libraries read these files, each with exceptions of its own
        raise UserError(f"backbone {name} could not be loaded: {one_line(error)}") from error


def _table(source: str, common: Mapping[str, Any], model: Any) -> Tensor | None:
    """The table of input embeddings as a safetensors file holds it; None if it must be taken from the model."""
    table = model.get_input_embeddings()
    if type(table) is not nn.Embedding:  # some scale what they give
        return None
    names = [name for name, weight in model.named_parameters(remove_duplicate=False) if weight is table.weight]
    found = _tensor(source, common, names)
    return found if found is not None and found.shape == table.weight.shape else None


def _tensor(source: str, common: Mapping[str, Any], names: list[str]) -> Tensor | None:
    """The first of some names that a checkpoint has, of whose files only the one that holds it is read."""
    index = _file(source, common, f"{_WEIGHTS}.index.json")
    file: str | None = _WEIGHTS
    if index is not None:
        parts = json.loads(index.read_text(encoding="utf-8"))["weight_map"]
        file = next((parts[name] for name in names if name in parts), None)
    path = None if file is None else _file(source, common, file)
    if path is None:
        return None
    with safe_open(path, framework="pt") as tensors:
        known = set(tensors.keys())
        held: Tensor | None = next((tensors.get_tensor(name) for name in names if name in known), None)
    return held


def _file(source: str, common: Mapping[str, Any], name: str) -> Path | None:
    found = cached_file(
        source, name, **common, _raise_exceptions_for_missing_entries=False, _raise_exceptions_for_gated_repo=False
    )
    return None if found is None else Path(found)
