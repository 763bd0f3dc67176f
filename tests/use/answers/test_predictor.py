"""Predictions: each row as with its prompt alone, probabilities as by hand, and what a folder must say."""

from __future__ import annotations

import json

import pytest
import torch
from support.small_tokenizers import unigram
from support.used_prompts import TASKS, labelled, task_data

import mpt
from mpt.backbone.encoding import Encoder
from mpt.backbone.loading import BackboneOptions
from mpt.backbone.model import FrozenBackbone
from mpt.cli.main import run
from mpt.prompt.files import load_prompt
from mpt.use.answers import opening
from mpt.use.answers.folders import prompt_names
from mpt.use.answers.opening import _check_apart, open_predictor
from mpt.use.answers.predictor import Predictor, UsedPrompt
from mpt.util.errors import UserError


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    place = tmp_path_factory.mktemp("prompts")
    return [labelled(place, task, rows) for task, rows in zip(TASKS, (20, 7, 13), strict=True)]


def inputs(number: int = 5) -> list[tuple[str, int]]:
    """Texts of all tasks in turn, and the number of each one's task."""
    tests = [task_data(task).fewshot.test[:number] for task in TASKS]
    return [(example.input, at) for group in zip(*tests, strict=True) for at, example in enumerate(group)]


def texts_of(task: int) -> list[str]:
    return [text for text, at in inputs() if at == task]


@pytest.mark.parametrize("free", [False, True])
def test_mixed_prompts_answer_as_each_alone(folders, free):
    rows = inputs()
    mixed = open_predictor(folders, free=free)(*zip(*rows, strict=True))
    for at, folder in enumerate(folders):
        alone = open_predictor([folder], free=free)
        for (text, owner), answer in zip(rows, mixed, strict=True):
            if owner == at:
                (by_itself,) = alone([text])
                assert by_itself.text == answer.text
                assert by_itself.probabilities == pytest.approx(answer.probabilities, abs=1e-6)
    if not free:
        assert all(answer.text in task_data(TASKS[at]).labels for answer, (_, at) in zip(mixed, rows, strict=True))


def test_probabilities_are_the_softmax_of_the_labels_likelihoods(folders):
    stored = load_prompt(folders[1])
    backbone = FrozenBackbone("mpt-tiny", BackboneOptions(max_input_length=64, max_target_length=8)).eval()
    texts, labels = texts_of(1), stored.facts["labels"]
    losses = [backbone.loss(stored.weight, backbone.encode(texts, [label] * len(texts))).detach() for label in labels]
    scores = -torch.stack(losses, 1).double()
    found = open_predictor([folders[1]])(texts)
    for answer, row in zip(found, scores.softmax(1), strict=True):
        assert list(answer.probabilities.values()) == pytest.approx(row.tolist(), abs=1e-5)
        assert answer.text == labels[int(row.argmax())] == max(answer.probabilities, key=answer.probabilities.get)
        assert answer.probability == answer.probabilities[answer.text]


def test_a_label_may_be_weighed_by_the_mean_of_its_tokens(folders):
    labels = ["north", "west or south", "a word of many letters"]
    predictor = open_predictor([folders[1]], labels=labels, per_token=True, max_target_length=64)
    backbone, weight, texts = predictor.backbone, load_prompt(folders[1]).weight, texts_of(1)[:1]
    tokens = torch.tensor([len(ids) for ids in backbone.encode.target_ids(labels)])
    losses = torch.cat([backbone.loss(weight, backbone.encode(texts, [label])) for label in labels]).detach().double()
    assert len(set(tokens.tolist())) == 3
    (answer,) = predictor(texts)
    assert list(answer.probabilities.values()) == pytest.approx((-losses / tokens).softmax(0).tolist(), abs=1e-5)


def test_a_prompt_answers_texts_in_python(folders):
    prompt, texts = mpt.load_prompt(folders[0]), texts_of(0)
    assert "predictor" not in vars(prompt) and prompt.weight.shape == (20, 96)
    answers = prompt(texts)
    assert [prompt(text)[0].text for text in texts] == [answer.text for answer in answers]
    backbone = prompt.predictor.backbone
    written = backbone.answer(prompt.weight, backbone.encode(texts)).texts
    assert [answer.text for answer in mpt.load_prompt(folders[0], free=True)(texts)] == written


def test_a_decoder_only_model_answers_mixed_prompts(load_backbone):
    backbone = load_backbone("llama", max_target_length=4)
    generator = torch.Generator().manual_seed(1)
    prompts = [
        UsedPrompt(str(at), torch.randn(rows, backbone.hidden_size, generator=generator), labels)
        for at, (rows, labels) in enumerate([(3, ("yes", "no")), (8, ("a", "b")), (5, ())])
    ]
    texts, owners = ["one", "two words", "a longer text it is"] * 3, [0, 1, 2, 2, 1, 0, 1, 0, 2]
    mixed = Predictor(backbone, prompts)(texts, owners)
    alone = [Predictor(backbone, [prompts[owner]])([text])[0] for text, owner in zip(texts, owners, strict=True)]
    assert [answer.text for answer in mixed] == [answer.text for answer in alone]
    for one, other in zip(mixed, alone, strict=True):
        assert one.probabilities == pytest.approx(other.probabilities, abs=1e-5)


@pytest.mark.parametrize(
    ("facts", "complaint"),
    [
        ({"labels": "yes"}, r"labels in mpt\.json must be a list of different texts, two or more, not 'yes'"),
        ({"labels": ["a", "a"]}, "must be a list of different texts"),
        ({"max_input_length": 0}, r"max_input_length in mpt\.json must be a whole number above 0, not 0"),
        ({"chat_template": 1}, "must be true or false"),
        ({"quantization": "int4"}, r"quantization in mpt\.json must be int8 or nf4, not 'int4'"),
        ({"metric": ["ACC"]}, r"metric in mpt\.json must be one of ACC, EM"),
        ({"template": "{a"}, r"template in mpt\.json must be a column, or a template such as"),
        ({"fingerprint": "0"}, "other weights"),
    ],
)
def test_what_a_folder_says_amiss_is_told(tmp_path, facts, complaint):
    folder = labelled(tmp_path, TASKS[0], **facts)
    with pytest.raises(UserError, match=complaint):
        open_predictor([folder])


def test_options_that_prompts_do_not_share_must_be_said(folders, tmp_path):
    other = labelled(tmp_path, TASKS[1], max_input_length=32)
    with pytest.raises(UserError, match=r"--max-input-length 64, but .* with 32; say by --max-input-length"):
        open_predictor([folders[0], other])
    assert open_predictor([folders[0], other], max_input_length=48).backbone.options.max_input_length == 48
    silent = labelled(tmp_path / "silent", TASKS[2], max_input_length=None)
    with pytest.raises(UserError, match=r"--max-input-length 64, but .* says nothing of it, and 512 is usual"):
        open_predictor([folders[0], silent])


def test_labels_that_begin_alike_are_told_apart_or_refused(folders):
    alike = ["the film was good and I liked it", "the film was good and I hated it"]
    with pytest.raises(
        UserError, match="one and the same in --max-target-length 8 tokens of the backbone; raise it to"
    ):
        open_predictor([folders[0]], labels=alike)
    unknown = UsedPrompt("p", torch.zeros(1, 4), ("日本", "中国"))
    with pytest.raises(UserError, match="give words that its tokenizer knows, or let it write"):
        _check_apart(unknown, Encoder(unigram(), False, 8, 8))
    assert open_predictor([folders[0]], labels=alike, max_target_length=32)(texts_of(0)[:1])[0].text in alike


def test_with_and_without_a_chat_is_told_though_only_one_says_so(tmp_path):
    plain, chat = labelled(tmp_path, TASKS[0]), labelled(tmp_path, TASKS[1], chat_template=True)
    with pytest.raises(UserError, match=r"with --chat-template True, but .* with False; use them one after the other"):
        open_predictor([plain, chat])


def test_entries_of_one_name_in_two_libraries_are_two_prompts():
    assert prompt_names(["synthetic:a-13", "own/lib:a-13", "own/lib:b-13"]) == [
        "synthetic/a-13",
        "lib/a-13",
        "lib/b-13",
    ]
    with pytest.raises(UserError, match="prompt lib:a-13 is named twice"):
        prompt_names(["lib:a-13", "lib:a-13"])


def test_a_commit_is_asked_for_where_the_folder_names_it_alone(tmp_path, monkeypatch):
    folder = labelled(tmp_path, TASKS[0], revision="abc")
    asked = []
    monkeypatch.setattr(opening, "FrozenBackbone", lambda name, options: asked.append(options.revision) or 1 / 0)
    for backbone in (None, "a/copy"):
        with pytest.raises(ZeroDivisionError):
            open_predictor([folder], backbone)
    assert asked == ["abc", None]


def test_what_stood_before_every_input_does_so_still(folders, tmp_path):
    named = labelled(tmp_path, TASKS[0], input_prefix="[name] ")
    texts = texts_of(0)
    found, by_hand = mpt.load_prompt(named)(texts), mpt.load_prompt(folders[0])([f"[name] {text}" for text in texts])
    assert found == by_hand != mpt.load_prompt(folders[0])(texts)


def test_what_a_fit_keeps_is_enough_to_use_it(tmp_path):
    options = "--data.task syn-age-post --model.prompt_length 4 --model.backbone_options.max_input_length 40"
    options += " --data.task_prefix true"
    run(
        f"fit --config prompt_tuning {options} --trainer.max_steps 1 --trainer.val_check_interval 1 "
        f"--trainer.limit_val_batches 1 --trainer.default_root_dir {tmp_path / 'run'}".split()
    )
    facts = json.loads((tmp_path / "run/prompt/mpt.json").read_text())
    assert facts["labels"] == list(task_data("syn-age-post").labels)
    assert facts["input_prefix"] == "[syn-age-post] "
    assert (facts["metric"], facts["max_input_length"]) == ("ACC", 40) and facts["max_target_length"] > 0
    (answer,) = mpt.load_prompt(tmp_path / "run")(["a text"])
    assert set(answer.probabilities) == set(facts["labels"])
