"""What is exported together, and what a command is refused for before anything is written."""

from __future__ import annotations

import json
import shutil

import pytest
import torch
from support.exported import prompts_of
from support.small_models import t5
from support.toy import Mpt

from mpt.backbone.model import FrozenBackbone
from mpt.library.library import SHIPPED
from mpt.prompt.files import save_prompt
from mpt.use.export.export_prompts import differences, read_prompts
from mpt.util.errors import UserError


@pytest.fixture
def mpt(capsys) -> Mpt:
    return Mpt(capsys)


@pytest.fixture
def prompt(tmp_path):
    """A prompt folder of no real backbone."""
    return save_prompt(tmp_path / "own", torch.ones(3, 4), "models/none", False, {"fingerprint": "f"})


def test_libraries_folders_and_names_may_be_mixed(prompt):
    entry = SHIPPED / "synthetic" / "prompts" / "syn-age-post-13"
    found = read_prompts([str(entry), f"again={entry}"])
    assert [one.name for one in found] == ["syn-age-post-13", "again"]
    assert found[1].tokens[:2] == ["<again-0>", "<again-1>"] and len(found[1].tokens) == 20
    assert len(read_prompts(["synthetic", f"again={entry}"])) == 54
    assert read_prompts([str(prompt)])[0].max_input_length == 512


def test_a_folder_with_an_equals_sign_is_a_folder(prompt):
    moved = shutil.move(prompt, prompt.with_name("a=b"))
    with pytest.raises(UserError, match=r"'a=b' has signs that no token's name can have; give NAME="):
        read_prompts([str(moved)])
    assert read_prompts([f"c={moved}"])[0].name == "c"


@pytest.mark.parametrize(
    "words, told",
    [
        (["{own}", "{own}"], "two prompts are called own; give one as NAME={own}"),
        (["{own}", "synthetic"], "was learned on mpt-tiny (bc998d41345dc9d6) and own on models/none (f), but"),
        (["{own}/nowhere"], "prompt {own}/nowhere: no such folder"),
        (["my prompt={own}"], "'my prompt' has signs"),
        (["{own}"], "backbone models/none"),
    ],
)
def test_prompts_that_cannot_be_exported_are_refused(words, told, mpt, prompt, tmp_path):
    said = [word.format(own=prompt) for word in words]
    ended = mpt("export", "ctranslate2", *said, tmp_path / "new" / "out")
    assert ended.code == 2 and told.format(own=prompt) in ended.err and ended.err.count("\n") == 1
    assert not (tmp_path / "new").exists()


def test_a_backbone_of_other_weights_is_refused(mpt, tmp_path, model_folder):
    prompts = prompts_of(FrozenBackbone(str(model_folder("t5"))), tmp_path)
    ended = mpt("export", "ctranslate2", *prompts, tmp_path / "out", "--backbone", t5(tmp_path / "other", seed=1))
    assert ended.code == 2 and "has other weights" in ended.err


def test_where_it_is_written_has_to_be_new(mpt, prompt, tmp_path):
    ended = mpt("export", "ctranslate2", "synthetic", prompt)
    assert ended.code == 2 and f"OUT {prompt} exists" in ended.err
    (tmp_path / "file").write_text("")
    ended = mpt("export", "ctranslate2", "synthetic", tmp_path / "file" / "out")
    assert ended.code == 2 and "it is a file" in ended.err


def test_a_prompt_that_names_no_backbone_wants_one(mpt, prompt, tmp_path):
    config = prompt / "adapter_config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), "base_model_name_or_path": None}))
    ended = mpt("export", "ctranslate2", prompt, tmp_path / "out")
    assert ended.code == 2 and "give --backbone" in ended.err


def test_what_differs_is_told(tmp_path):
    for name, facts in {"a": {"labels": ["x", "y"]}, "b": {"input_prefix": "[b] ", "max_input_length": 9}}.items():
        save_prompt(tmp_path / name, torch.ones(3, 4), "m", False, facts)
    chosen, named, cut = differences(read_prompts([str(tmp_path / "a"), str(tmp_path / "b")]))
    assert chosen.startswith("By a mpt chooses the likeliest of the labels") and "9 or 512 tokens" in cut
    assert named.startswith("By b an input is read behind a text")


def test_a_prompt_is_named_as_predict_names_it_and_its_template_is_told(tmp_path):
    """By its run's folder, as a library's entry, with others in a folder."""
    for place in ("run/prompt", "several/1", "several/2"):
        save_prompt(tmp_path / place, torch.ones(3, 4), "m", False, {"template": "{a}: {b}"})
    (tmp_path / "run" / "latest").symlink_to(tmp_path)
    found = read_prompts([str(tmp_path / "run"), str(tmp_path / "several")])
    assert [one.name for one in found] == ["run", "1", "2"] and found[0].described()["template"] == "{a}: {b}"
    assert any(said.startswith("By run, 1, 2 an input is a text that several columns") for said in differences(found))
    assert [one.name for one in read_prompts(["synthetic:syn-age-post-13"])] == ["syn-age-post-13"]
