"""Predictions on a GPU are the CPU's; on one in name where there is none, which says what would not run there."""

from __future__ import annotations

import pytest
import torch

from mpt.backbone.loading import BackboneOptions
from mpt.backbone.model import FrozenBackbone
from mpt.use.answers.calibration import CONTENT_FREE
from mpt.use.answers.predictor import Predictor, UsedPrompt

TEXTS, OWNERS = ["one", "a longer text it is", "", "two words"] * 2, [0, 1, 2, 1, 2, 0, 0, 1]


def predictor(folder, device: str) -> Predictor:
    backbone = FrozenBackbone(str(folder), BackboneOptions(max_target_length=4)).eval().to(device)
    draw = torch.Generator().manual_seed(1)
    known = [(3, ("yes", "no")), (8, ("a", "b", "c")), (5, ())]
    prompts = [
        UsedPrompt(str(at), torch.randn(rows, backbone.hidden_size, generator=draw), labels)
        for at, (rows, labels) in enumerate(known)
    ]
    return Predictor(backbone, prompts)


@pytest.mark.usefixtures("cuda")
@pytest.mark.parametrize("kind", ["t5", "bart", "llama"])
def test_mixed_prompts_are_answered_as_on_the_cpu(kind, model_folder):
    there, here = (predictor(model_folder(kind), device) for device in ("cuda", "cpu"))
    found, expected = there(TEXTS, OWNERS), here(TEXTS, OWNERS)
    assert [one.text for one in found] == [one.text for one in expected]
    for one, other in zip(found, expected, strict=True):
        assert one.probabilities == pytest.approx(other.probabilities, abs=1e-4)
    torch.testing.assert_close(there.scores(CONTENT_FREE, 1), here.scores(CONTENT_FREE, 1), atol=1e-3, rtol=1e-4)
