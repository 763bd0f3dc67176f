"""The tokens nearest to a prompt's rows, against plain arithmetic; starts against what a run began with."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from support import small_models
from support.toy import Mpt, small_fit, write_toy
from transformers import AutoModelForCausalLM, AutoModelForSeq2SeqLM, T5ForConditionalGeneration

import mpt.backbone.vocabulary as read
from mpt.backbone.model import FrozenBackbone
from mpt.backbone.vocabulary import Vocabulary
from mpt.cli.main import run
from mpt.prompt.files import load_prompt, save_prompt
from mpt.use.words.words import Words, are_forms, most_forms
from mpt.use.words.words_of_prompts import CHANCE, LEARNED, START, PromptReader
from mpt.util.errors import UserError


@pytest.fixture
def mpt(capsys, tmp_path, monkeypatch) -> Mpt:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WANDB_MODE", "disabled")
    return Mpt(capsys)


@pytest.fixture
def no_whole_model(monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("the whole model was loaded")

    monkeypatch.setattr(read, "FrozenBackbone", refuse)


@pytest.mark.parametrize(("make", "kind"), [("t5", AutoModelForSeq2SeqLM), ("llama", AutoModelForCausalLM)])
def test_the_table_alone_is_read(make, kind, tmp_path, no_whole_model):
    folder = getattr(small_models, make)(tmp_path / make)
    found = Vocabulary.load(str(folder))
    table = kind.from_pretrained(folder).get_input_embeddings().weight[: len(found.tokenizer)]
    assert torch.equal(found.embeddings, table)


def test_of_a_checkpoint_in_parts_the_part_that_has_it_is_read(tmp_path, no_whole_model):
    folder = small_models.t5(tmp_path / "t5")
    model = T5ForConditionalGeneration.from_pretrained(folder)
    (folder / "model.safetensors").unlink()
    model.save_pretrained(folder, max_shard_size="30KB")
    parts = list(folder.glob("model-*.safetensors"))
    assert len(parts) > 1
    found = Vocabulary.load(str(folder))
    assert torch.equal(found.embeddings, model.get_input_embeddings().weight[: len(found.tokenizer)])


def test_scaled_embeddings_are_those_that_the_model_reads(tmp_path):
    folder = small_models.bart(tmp_path / "bart", scale_embedding=True)
    assert torch.equal(Vocabulary.load(str(folder)).embeddings, FrozenBackbone(str(folder)).embeddings)


@pytest.mark.parametrize("by", ["cosine", "euclid"])
def test_the_nearest_tokens_are_those_of_plain_arithmetic(by):
    vocabulary = Vocabulary.load("mpt-tiny")
    rows = torch.randn(6, vocabulary.embeddings.shape[1], generator=torch.Generator().manual_seed(1))
    found = Words(vocabulary, by).near(rows)
    table, own = vocabulary.embeddings.double().numpy(), rows.double().numpy()
    far = -np.linalg.norm(own[:, None] - table[None], axis=2)
    cosine = own @ table.T / np.linalg.norm(own, axis=1)[:, None] / np.linalg.norm(table, axis=1)
    measure = cosine if by == "cosine" else far
    measure[:, vocabulary.tokenizer.all_special_ids] = -np.inf
    order = np.argsort(-measure, axis=1)[:, :5]
    shown = [[vocabulary.tokenizer.convert_ids_to_tokens(int(i)).lstrip("Ġ") for i in row] for row in order]
    words = [[text for text in row if text.isascii()] for row in shown]
    assert [[text for text in row if text.isascii() and "\\" not in text] for row in found.tokens] == words
    expected = np.take_along_axis(measure, order, 1) * (1 if by == "cosine" else -1)
    np.testing.assert_allclose(found.values.numpy(), expected, rtol=1e-4)
    i, j = np.triu_indices(5, 1)
    between = table / np.linalg.norm(table, axis=1)[:, None]
    alike = [(between[row] @ between[row].T)[i, j].mean() for row in order]
    np.testing.assert_allclose(found.alike.numpy(), alike, atol=1e-5)


def test_what_stands_for_nothing_is_left_out():
    whole = Vocabulary.load("mpt-tiny")
    table = whole.embeddings.clone()
    unused = whole.tokenizer.convert_tokens_to_ids("Ġautumn")
    table[unused] = 0
    words = Words(Vocabulary("mpt-tiny", whole.tokenizer, table))
    assert unused not in words.ids and not {*whole.tokenizer.all_special_ids} & {*words.ids.tolist()}
    assert len(words.ids) == len(table) - len(set(whole.tokenizer.all_special_ids)) - 1


def test_a_row_that_is_a_token_says_that_token_and_its_label():
    vocabulary = Vocabulary.load("mpt-tiny")
    ids = vocabulary.tokenizer("autumn hog", add_special_tokens=False)["input_ids"]
    found = Words(vocabulary).near(vocabulary.embeddings[ids], ["Autumn", "spring hog"])
    assert [row[0] for row in found.tokens] == ["autumn", "hog"]
    assert "Autumn" in found.labels[0] and "spring hog" in found.labels[1]
    assert found.found == {"Autumn", "spring hog"} and found.values[:, 0].tolist() == pytest.approx([1, 1])
    # a token that two labels share names neither
    assert not Words(vocabulary).near(vocabulary.embeddings[ids[1:]], ["spring hog", "autumn hog"]).found


def test_forms_of_one_word():
    assert are_forms("walk", "walked") and are_forms("Cat", "cats") and are_forms("entire", "entirely")
    assert not are_forms("car", "cat") and not are_forms("an", "any") and not are_forms("##", "##1")
    assert most_forms(["Technology", "car", "technologies", "cart", "technological"]) == 3
    assert most_forms(["one", "two"]) == 1


@pytest.mark.long
@pytest.mark.parametrize("init", ["Uniform", "ClassLabels"])  # whose other rows are sampled vocabulary
def test_the_start_is_the_one_that_the_run_had(init, mpt, tmp_path):
    """At a learning rate of zero a prompt stays its start."""
    model, root = small_models.t5(tmp_path / "t5"), write_toy(tmp_path / "data")
    changes = {"model__init": init, "trainer__max_steps": 2, "model__optimizer__lr": 0.0}
    changes |= {"model__init__seed": 3} if init == "Uniform" else {"data__metric": "Classification-F1"}
    words = small_fit(model, root, tmp_path / "run", **changes)
    assert mpt("fit", "--config", "prompt_tuning", *words).code == 0
    read = PromptReader().read(tmp_path / "run/prompt", labels=["yes", "no"])
    assert read.init == init and read.moved is not None and read.moved.abs().max() == 0
    assert read.near[START].tokens == read.near[LEARNED].tokens
    # Words that one asks about are none of the start's.
    read = PromptReader().read(tmp_path / "run/prompt", labels=["maybe", "never"])
    assert read.labels == ("maybe", "never") and read.moved is not None and read.moved.abs().max() == 0
    (tmp_path / "run/config.yaml").unlink()
    assert PromptReader().read(tmp_path / "run/prompt", labels=["yes", "no"]).moved is None


@pytest.mark.long
def test_the_start_is_the_one_that_adapt_tuned_from(tmp_path, capsys):
    """Step 0 of a tuning whose one evaluation comes before any step that could be better."""
    rows = "".join(f"post {n} of a cat,{('yes', 'no')[n % 2]}\n" for n in range(12))
    (tmp_path / "rows.csv").write_text(f"text,label\n{rows}")
    options = ["--steps", "1", "--every", "1", "--prompt-length", "5", "--rate", "1e-6", "--ensemble", "3"]
    words = ["--instruction", "is it : yes or no ?", "--out", str(tmp_path / "prompt"), *options]
    run(["adapt", str(tmp_path / "rows.csv"), *words])
    found = [PromptReader().read(tmp_path / "prompt/ensemble" / name) for name in "123"]
    assert {one.init for one in found} == {"SampledVocabulary", "ClassLabels", "FromText"}
    for one in found:
        assert one.moved is not None and one.moved.abs().max() < 1e-3
    facts = json.loads((tmp_path / "prompt/ensemble/1/mpt.json").read_text())
    facts["init_options"] = {"seed_everything": 13, "model.init": "FromText", "model.init.text": [1]}
    (tmp_path / "prompt/ensemble/1/mpt.json").write_text(json.dumps(facts))
    assert PromptReader().read(tmp_path / "prompt/ensemble/1").moved is None  # a stranger's


def stored(folder: Path, weight: torch.Tensor, **facts: object) -> Path:
    return save_prompt(folder, weight, "mpt-tiny", False, {"task": "syn-age-blog", **facts})


def test_a_prompt_is_told_and_drawn(mpt, tmp_path):
    vocabulary = Vocabulary.load("mpt-tiny")
    ids = vocabulary.tokenizer("autumn the hog", add_special_tokens=False)["input_ids"]
    start = stored(tmp_path / "start", vocabulary.embeddings[ids])
    weight = vocabulary.embeddings[ids].clone()
    weight[1] += torch.eye(weight.shape[1])[0] * 2
    prompt = stored(tmp_path / "a prompt", weight)
    done = mpt("prompt", "words", prompt, "--start", start, "--out", tmp_path / "out")
    assert done.code == 0 and "autumn 1.00" in done.out and "not known" not in done.out
    page = (tmp_path / "out/words.html").read_text(encoding="utf-8")
    assert "data:image/png" in page and "Label words: autumn, spring." in page
    (learned, begun, chance) = csv.DictReader((tmp_path / "out/summary.csv").read_text(encoding="utf-8").splitlines())
    assert (learned["of"], begun["of"], chance["of"]) == (LEARNED, START, CHANCE)
    assert float(learned["moved"]) == pytest.approx(2 / 3, abs=1e-4) and float(learned["labels_found"]) == 0.5
    rows = list(csv.DictReader((tmp_path / "out/words.csv").read_text(encoding="utf-8").splitlines()))
    assert [row["moved"] for row in rows if row["of"] == LEARNED] == ["0.0000", "2.0000", "0.0000"]
    assert rows[0]["labels"] == "autumn" and rows[0]["tokens"].split()[0] == "autumn"


def test_several_prompts_are_told_by_their_starts(mpt, tmp_path):
    table = Vocabulary.load("mpt-tiny").embeddings
    one = stored(tmp_path / "one", table[40:44], init="Uniform")
    two = stored(tmp_path / "two", table[50:54], init="ClassLabels")
    done = mpt("prompt", "words", one, two, "--by", "euclid", "--top", 3, "--out", tmp_path / "out")
    assert done.code == 0 and "Uniform: learned" in done.out and "ClassLabels: learned" in done.out
    assert "the starts of 2 are not known; --start PROMPT names it" in done.out
    assert (tmp_path / "out/words.png").stat().st_size > 1000
    assert "| ClassLabels: learned | 1 | 0.00 |" in (tmp_path / "out/words.md").read_text(encoding="utf-8")


def test_mistakes_are_told(mpt, tmp_path):
    prompt = stored(tmp_path / "prompt", torch.ones(2, 96))
    narrow = stored(tmp_path / "narrow", torch.ones(2, 8))
    short = stored(tmp_path / "short", torch.ones(1, 96))
    for words, says in (
        ([tmp_path / "none"], "no such folder"),
        ([prompt, short, "--start", short], "--start is the start of one prompt"),
        ([prompt, "--start", short], f"the start {short} is [1, 96] and the prompt {prompt} [2, 96]"),
        ([narrow], "has hidden size 8 (learned on mpt-tiny), but backbone mpt-tiny has hidden size 96"),
        ([prompt, "--by", "dot"], "invalid choice: 'dot'"),
    ):
        done = mpt("prompt", "words", *words)
        assert done.code == 2 and says in done.err, (words, done.err)
    with pytest.raises(UserError, match="names no backbone; name it by --backbone"):
        PromptReader().read(save_prompt(tmp_path / "bare", torch.ones(1, 96), "", False, {}))
    assert load_prompt(prompt).weight.shape == (2, 96)
