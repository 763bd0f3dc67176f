"""Which neurons a prompt wakes (Su et al., NAACL 2022, arXiv 2111.06719): prompts of tasks alike wake the same ones."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from mpt.backbone.model import FrozenBackbone
from mpt.util.errors import UserError

_PLACES = ("torch.nn.modules.activation", "transformers.activations")
"""Modules whose classes are activation functions."""


def activities(backbone: FrozenBackbone, prompts: Tensor) -> Tensor:
    """Of each prompt ``[N, P, H]`` before an empty text, 1 for each neuron that is active and 0 for others, ``[N, F]``.

    A neuron is a feature of what an activation function in a feed-forward layer gives, active above 0, of all layers
    that say the answer: the decoder's where there is one. It is looked at where the answer's first token is said: the
    decoder's first position, as in the paper, and of a decoder-only model the last one before the answer, in the place
    of the paper's [MASK]. The similarity of two prompts is the cosine of their rows (their ON).

    Raises:
        UserError: the model's activation functions are none that are known.
    """
    batch = backbone.encode([""], [""])
    assert batch.labels is not None
    place = -1 - batch.labels.shape[1] if backbone.decoder_only else 0
    rows = []
    for prompt in prompts:
        with torch.no_grad(), backbone.in_mode(training=False), _watched(backbone) as seen:
            backbone.log_probabilities(prompt, batch)
        if not seen:
            raise UserError(
                f"backbone {backbone.name}: its activation functions are of a kind of its own, so that its neurons "
                "cannot be watched; leave out --on-examples"
            )
        rows.append(torch.cat([(said.flatten(0, -2)[place] > 0).float() for said in seen]))
    return torch.stack(rows)


@contextmanager
def _watched(backbone: FrozenBackbone) -> Iterator[list[Tensor]]:
    """What each activation function gives, ``[1, length, features]``."""
    model = backbone.model if backbone.decoder_only else backbone.model.get_decoder()
    parts = [part for part in model.modules() if type(part).__module__ in _PLACES and not list(part.parameters())]
    seen: list[Tensor] = []

    def note(part: nn.Module, given: object, said: Tensor) -> None:
        seen.append(said)

    hooks = [part.register_forward_hook(note) for part in parts if not isinstance(part, nn.Softmax)]
    try:
        yield seen
    finally:
        for hook in hooks:
            hook.remove()
