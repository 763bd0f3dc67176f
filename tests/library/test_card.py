"""Model cards: front matter that a YAML reader takes as it was meant, and texts that stay texts."""

from __future__ import annotations

import json
import shutil
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from huggingface_hub import ModelCard
from markdown_it import MarkdownIt
from peft import AutoPeftModelForCausalLM, AutoPeftModelForSeq2SeqLM
from support.small_models import WIDTH

from mpt.library.card import prompt_card
from mpt.library.library import Library
from mpt.prompt.files import save_prompt

HUB = {"revision": "c0ffee", "task": "boolq", "metric": "ACC", "labels": ["yes", "no"], "dev/score": 0.75}


def written(folder: Path, facts: dict[str, Any], backbone: str = "google/t5-small", decoder_only: bool = False) -> Path:
    return save_prompt(folder, torch.zeros(4, 3), backbone, decoder_only, facts, prompt_card)


def front(folder: Path) -> dict[str, Any]:
    _, head, _ = (folder / "README.md").read_text(encoding="utf-8").split("---\n", 2)
    found: dict[str, Any] = yaml.safe_load(head)
    return found


def test_the_hub_reads_the_model_the_task_and_the_scores(tmp_path):
    folder = written(tmp_path / "p", {**HUB, "test_score": 0.5})
    card = ModelCard.load(folder / "README.md").data
    assert (card.base_model, card.library_name, card.license) == ("google/t5-small", "peft", None)
    assert {(one.dataset_name, one.metric_name, one.metric_value, one.task_type) for one in card.eval_results} == {
        ("boolq", "dev ACC", 0.75, "text-classification"),
        ("boolq", "test ACC", 0.5, "text-classification"),
    }
    text = (folder / "README.md").read_text()
    assert "AutoPeftModelForSeq2SeqLM" in text and "mpt predict FOLDER FILE" in text and "4 soft prompt tokens" in text
    assert "AutoPeftModelForCausalLM" in (written(tmp_path / "q", HUB, decoder_only=True) / "README.md").read_text()


def test_what_stands_before_every_text_is_told(tmp_path):
    told = (written(tmp_path / "p", {**HUB, "input_prefix": "[boolq] "}) / "README.md").read_text()
    assert "Before each text stands `[boolq] `" in told
    assert "Before each text" not in (written(tmp_path / "q", HUB) / "README.md").read_text()
    told = (written(tmp_path / "r", {**HUB, "template": "{a}: {b}"}) / "README.md").read_text()
    assert "Each text was made as `{a}: {b}`" in told
    assert "Each text was made" not in (written(tmp_path / "s", {**HUB, "template": "a"}) / "README.md").read_text()


@pytest.mark.parametrize(
    ("backbone", "facts"),
    [("mpt-tiny", {}), ("/home/somebody/models/mine", {}), ("/home/somebody/mine", HUB), ("", {}), ("some/model", {})],
)
def test_a_model_that_is_not_of_the_hub_is_no_base_model(backbone, facts, tmp_path):
    folder = written(tmp_path / "p", facts, backbone)
    assert "base_model" not in front(folder) and "AutoPeft" not in (folder / "README.md").read_text()
    assert "somebody" not in (folder / "README.md").read_text()


class Tags(HTMLParser):
    """The tags of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: set[str] = set()

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.seen.add(tag)


@pytest.mark.parametrize(
    "text",
    [
        "<script>x</script>",
        "a ``` b",
        "```",
        "`",
        "--- \n--- a: b",
        "[x](http://y) **b**",
        "a: {b",
        "\x1b[31m\u202e",
        "#",
    ],
)
def test_texts_stay_texts(text, tmp_path):
    folder = written(tmp_path / "p", {**HUB, "task": text, "metric": text})
    card = (folder / "README.md").read_text(encoding="utf-8")
    plain = "".join(sign if sign.isprintable() else "\N{REPLACEMENT CHARACTER}" for sign in " ".join(text.split()))
    assert front(folder)["model-index"][0]["results"][0]["dataset"]["name"] == plain
    page = MarkdownIt().render(card.split("---\n", 2)[2])
    tags = Tags()
    tags.feed(page)
    assert tags.seen <= {"h1", "p", "ul", "li", "code", "pre"} and page.count("<h1>") == 1 and page.count("<pre>") == 2


@pytest.mark.parametrize(
    "facts",
    [{"task": 7, "metric": [], "dev_score": "x"}, {"task": "t", "dev_score": float("nan")}, {"dev_score": True}],
)
def test_what_another_hand_wrote_amiss_makes_a_card_without_it(facts, tmp_path):
    config = {"num_virtual_tokens": 4, "base_model_name_or_path": 7, "revision": 7}
    assert "model-index" not in prompt_card(config, facts) and "nan" not in prompt_card(config, facts)


def test_half_a_sign_can_be_written():
    prompt_card({}, {**HUB, "task": "\ud800"}).encode()


def test_an_exported_entry_has_a_card_and_the_library_none(tmp_path):
    library = Library.open("synthetic")
    folder = library.export("syn-age-post-13", tmp_path / "post")
    facts = json.loads((folder / "mpt.json").read_text())
    assert f"`ACC` {facts['dev_score']:.4f}" in (folder / "README.md").read_text()
    assert not list(library.folder.glob("prompts/*/README.md"))


@pytest.mark.parametrize("by_name", [True, False], ids=["hub name", "folder"])
@pytest.mark.parametrize(
    ("kind", "auto"), [("t5", AutoPeftModelForSeq2SeqLM), ("llama", AutoPeftModelForCausalLM)], ids=["t5", "llama"]
)
def test_peft_finds_the_model_by_itself(kind, auto, by_name, model_folder, tmp_path):
    base, commit = model_folder(kind), "c" * 40
    if by_name:  # as in the cache of the hub
        there = tmp_path / "hub" / "models--some--model" / "snapshots" / commit
        shutil.copytree(base, there)
    name = "some/model" if by_name else str(base)
    weight = torch.randn(4, WIDTH, generator=torch.Generator().manual_seed(1))
    facts = {"revision": commit} if by_name else {}
    folder = save_prompt(tmp_path / "p", weight, name, kind == "llama", facts, prompt_card)
    assert (f"from peft import {auto.__name__}" in (folder / "README.md").read_text()) == by_name
    where = {"cache_dir": tmp_path / "hub", "local_files_only": True} if by_name else {}
    model = auto.from_pretrained(folder, **where).eval()
    assert torch.equal(model.get_prompt(1)[0], weight)
