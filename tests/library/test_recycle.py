"""A library for another model: maps that are known, and what cannot be mapped."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from support.chats import chat_model
from support.small_models import VOCABULARY, llama, t5
from support.toy import Mpt

from mpt.adapt.tuning import TuningJob, early_prompts, plain_start
from mpt.backbone.model import FrozenBackbone
from mpt.data.modules.few_shot import FewShotData
from mpt.learn import PromptTuning
from mpt.library.library import Library
from mpt.library.recipe import KeyRecipe
from mpt.library.recycle import embedding_map, recycle, shared_tokens
from mpt.prompt.files import load_prompt
from mpt.util.errors import UserError


def random(*shape: int, seed: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_the_map_is_the_least_squares_one_and_that_of_the_linear_combinations():
    source, target, prompt = random(50, 6, seed=1), random(50, 9, seed=2), random(3, 6, seed=3)
    found = embedding_map(source, target)
    left = source.double() @ found.double() - target.double()
    assert float((source.double().T @ left).abs().max()) < 1e-4, "what is left is at right angles to the embeddings"
    weights = prompt.double() @ torch.linalg.pinv(source.double())
    torch.testing.assert_close(prompt @ found, (weights @ target.double()).float(), rtol=1e-4, atol=1e-4)
    turn = random(6, 9, seed=4)
    torch.testing.assert_close(embedding_map(source, source @ turn), turn, rtol=1e-4, atol=1e-4)


@pytest.fixture
def models(tmp_path: Path) -> tuple[Path, Path, torch.Tensor]:
    """A model, another whose token embeddings are a known map of its, and the map."""
    one, other = t5(tmp_path / "one"), t5(tmp_path / "other", seed=1)
    weights, theirs = (load_file(folder / "model.safetensors") for folder in (one, other))
    turn = random(weights["shared.weight"].shape[1], theirs["shared.weight"].shape[1], seed=5)
    theirs["shared.weight"] = weights["shared.weight"] @ turn
    save_file(theirs, other / "model.safetensors", metadata={"format": "pt"})
    return one, other, turn


@pytest.fixture
def library(tmp_path: Path, models) -> Library:
    one = FrozenBackbone(str(models[0]))
    made = Library.create(tmp_path / "library", KeyRecipe(str(models[0]), 3, 20, 0.3, 8, 13))
    for number in range(2):
        key, value = (random(3, one.hidden_size, seed=10 * number + part) for part in (1, 2))
        facts = {
            "fingerprint": one.fingerprint,
            "task": f"task{number}",
            "seed": number,
            "dev_score": 0.9,
            "labels": ["a"],
        }
        made.add(f"e{number}", key, value, facts, decoder_only=False)
    return made


def beginning(model: Path) -> torch.Tensor:
    """Of every key of the library, on a model: what a run of prompt tuning with the recipe's seed starts from."""
    learner = PromptTuning(str(model), prompt_length=3)
    learner.seed = 13
    learner.prepare()
    return learner.prompt.weight.detach()


@pytest.mark.long
def test_keys_and_values_are_mapped_and_scores_are_not_kept(library, models, tmp_path, capsys):
    _, other, turn = models
    ended = Mpt(capsys)("library", "recycle", library.folder, tmp_path / "new", "--to", other)
    assert ended.code == 0 and "2 prompts" in ended.out, ended.err
    made, target = Library.open(tmp_path / "new"), FrozenBackbone(str(other))
    assert made.recipe.backbone == str(other)
    for before, after in zip(library.entries(), made.entries(), strict=True):
        torch.testing.assert_close(made.value(after), library.value(before) @ turn, rtol=1e-3, atol=1e-3)
        added = library.key(before) - beginning(models[0])
        torch.testing.assert_close(made.key(after), beginning(other) + added @ turn, rtol=1e-3, atol=1e-3)
        assert (after.name, after.task, after.seed) == (before.name, before.task, before.seed)
        assert after.dev_score is None and after.fingerprint == target.fingerprint
        assert after.facts["method"] == "recycled" and after.facts["labels"] == ["a"]
    assert load_prompt(made.entries()[0].folder).backbone == str(other)


@pytest.mark.long
def test_to_the_same_model_all_stays(library, models, tmp_path):
    one = FrozenBackbone(str(models[0]))
    made = recycle(library, one, one, str(models[0]), tmp_path / "new")
    for before, after in zip(library.entries(), made.entries(), strict=True):
        torch.testing.assert_close(made.value(after), library.value(before), rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(made.key(after), library.key(before), rtol=1e-4, atol=1e-4)


@pytest.mark.long
def test_a_chat_goes_along_where_the_other_model_has_one(tmp_path, capsys):
    chat = chat_model(tmp_path / "chat", "chatml")
    llama(tmp_path / "plain", vocab_size=VOCABULARY + 3)
    one = FrozenBackbone(str(chat))
    library = Library.create(tmp_path / "library", KeyRecipe(str(chat), 3, 20, 0.3, 8, 13, chat_template=True))
    rows = random(3, one.hidden_size, seed=1)
    library.add("e", rows, rows, {"fingerprint": one.fingerprint, "task": "t"}, decoder_only=True)
    for name, there in (("chat", True), ("plain", False)):
        ended = Mpt(capsys)("library", "recycle", library.folder, tmp_path / f"to-{name}", "--to", tmp_path / name)
        assert ended.code == 0 and ("which has no chat" in ended.out) != there, ended.err
        made = Library.open(tmp_path / f"to-{name}")
        assert made.recipe.chat_template == there and made.entries()[0].facts.get("chat_template", False) == there


@pytest.mark.long
def test_what_is_found_in_a_recycled_library_depends_on_the_target(tmp_path):
    """The embedded library on the other embedded model: two tasks find none in common, and age finds age."""
    library, target = Library.open("synthetic"), FrozenBackbone("mpt-tiny-pair")
    made = recycle(library, FrozenBackbone("mpt-tiny"), target, "mpt-tiny-pair", tmp_path / "new")
    recipe, tasks = made.recipe, ("syn-age-blog", "syn-action-diary")
    start = plain_start(target, recipe.prompt_length, recipe.seed)
    jobs = [
        TuningJob(task, FewShotData(task, "synthetic", batch_size=recipe.batch_size), start, recipe.learning_rate)
        for task in tasks
    ]
    keys = early_prompts(target, jobs, recipe.key_steps)
    age, action = (
        [hit.entry.task for hit in made.search(key, 3, "centred", fingerprint=target.fingerprint)] for key in keys
    )
    assert age[0].startswith("syn-age") and not {*age} & {*action}


@pytest.mark.long
def test_what_cannot_be_recycled_is_told(library, models, tmp_path, capsys, model_folder):
    mpt, other = Mpt(capsys), models[1]
    ended = mpt("library", "recycle", library.folder, tmp_path / "new", "--to", other, "--backbone", other)
    assert ended.code == 2 and "has no prompt of" in ended.err
    ended = mpt("library", "recycle", library.folder, library.folder, "--to", other)
    assert ended.code == 2 and "exists" in ended.err
    source = FrozenBackbone(str(models[0]))
    target = FrozenBackbone(str(models[1]))
    vocabulary = target.tokenizer.get_vocab()
    target.tokenizer.get_vocab = lambda: {f"{token}?": number for token, number in vocabulary.items()}
    with pytest.raises(UserError, match="share 0 tokens"):
        recycle(library, source, target, "x", tmp_path / "new")
    assert not (tmp_path / "new").exists()
    library.add("wide", *torch.zeros(2, 3, 7), {"fingerprint": source.fingerprint}, decoder_only=False)
    for words in (
        ("library", "recycle", library.folder, tmp_path / "new", "--to", other),
        ("transfer", "clusters", library.folder),
    ):
        ended = mpt(*words)
        assert ended.code == 2 and "wide is [3, 7], and e0 of the same weights [3, 32]" in ended.err
    assert not (tmp_path / "new").exists()


def test_tokens_are_matched_by_their_text_and_special_ones_left_out(load_backbone):
    one, two = load_backbone("t5"), load_backbone("gpt2")
    pairs = shared_tokens(one, two)
    first, second = ({number: token for token, number in b.tokenizer.get_vocab().items()} for b in (one, two))
    assert len(pairs) > 200 and all(first[a] == second[b] for a, b in pairs)
    assert not {first[a] for a, _ in pairs} & {*one.tokenizer.all_special_tokens, *two.tokenizer.all_special_tokens}
