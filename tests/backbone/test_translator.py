"""Texts to texts by a frozen model, one by one or together."""

from __future__ import annotations

import pytest
from support.small_models import POSITIONS

from mpt.backbone.translator import Translator
from mpt.util.errors import UserError


@pytest.mark.parametrize("kind", ["t5", "bart", "llama"])
def test_each_text_as_the_model_answers_it_alone(kind, model_folder, load_backbone):
    texts = ["one two three four", "five", "", "one two three four", " ", "six seven"]
    said = Translator(str(model_folder(kind)), "say: ", batch_size=2, longest=12)(texts)
    backbone = load_backbone(kind, max_input_length=12)
    alone = [backbone.answer(None, backbone.encode([f"say: {one}"])).texts[0] if one.strip() else "" for one in texts]
    assert said == alone and Translator(str(model_folder(kind)))([]) == []


def test_nothing_is_loaded_before_it_is_asked_and_mistakes_are_told(tmp_path):
    lost = Translator(str(tmp_path / "nowhere"))
    with pytest.raises(UserError, match="nowhere"):
        lost(["a"])
    for name in ("batch_size", "longest"):
        with pytest.raises(UserError, match=f"translator's {name} must be at least 1"):
            Translator("t5", **{name: 0})


@pytest.mark.parametrize("kind", ["bart", "llama"])
def test_a_text_and_its_translation_fit_the_positions(kind, model_folder):
    (said,) = Translator(str(model_folder(kind)), longest=POSITIONS + 200)(["y" * (POSITIONS + 100)])
    assert isinstance(said, str)
