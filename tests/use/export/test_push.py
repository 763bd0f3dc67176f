"""A prompt on the hub: pushed with a card, used from there, refused in a sentence."""

from __future__ import annotations

import json
import shutil

import pytest
import yaml
from support.fake_hub import FakeHub
from support.used_prompts import TASKS, labelled, task_data

import mpt
from mpt.cli.main import main
from mpt.library import hub as hub_module


@pytest.fixture
def hub(tmp_path, monkeypatch):
    fake = FakeHub(tmp_path / "cache")
    monkeypatch.setattr(hub_module, "HfApi", fake.api)
    monkeypatch.setattr(hub_module, "get_token", lambda: "hf_token")
    return fake


@pytest.fixture
def folder(tmp_path):
    return labelled(tmp_path, TASKS[0], 4)


def refused(capsys, *arguments):
    with pytest.raises(SystemExit) as end:
        main([str(one) for one in arguments])
    assert end.value.code == 2
    return capsys.readouterr().err.strip().splitlines()[-1]


def test_what_is_pushed_answers_from_the_hub(hub, folder, tmp_path, capsys):
    (folder / "key").mkdir()
    (folder / "ensemble").mkdir()
    (folder / "dev_predictions.jsonl").write_text("private")
    main(["push", str(folder), "me/mine", "--private"])
    told = capsys.readouterr().out
    assert (
        "not pushed: dev_predictions.jsonl, ensemble, key" in told
        and "--backbone" in told
        and hub.private == {"me/mine": True}
    )
    names = {"adapter_config.json", "adapter_model.safetensors", "mpt.json", "README.md", ".gitattributes"}
    assert set(hub.repos["me/mine"]) == names
    assert b"mpt predict hub:me/mine FILE" in hub.repos["me/mine"]["README.md"]
    texts = [example.input for example in task_data(TASKS[0]).fewshot.test[:3]]
    there, here = mpt.load_prompt("hub:me/mine"), mpt.load_prompt(folder)
    assert there(texts) == here(texts)
    (tmp_path / "new.txt").write_text("\n".join(texts))
    main(["predict", "hub:me/mine", str(tmp_path / "new.txt")])
    assert capsys.readouterr().out.count("\n") == 4


def test_a_path_of_this_machine_stays_here(hub, folder):
    for name, key in (("mpt.json", "backbone"), ("adapter_config.json", "base_model_name_or_path")):
        known = json.loads((folder / name).read_text())
        (folder / name).write_text(json.dumps({**known, key: "/home/jane/models/mpt-tiny"}))
    main(["push", str(folder), "me/mine"])
    assert not [name for name, content in hub.repos["me/mine"].items() if b"jane" in content]
    assert json.loads(hub.repos["me/mine"]["adapter_config.json"])["base_model_name_or_path"] == "mpt-tiny"
    assert mpt.load_prompt("hub:me/mine")(["one two"])


def test_a_card_that_a_person_wrote_stays(hub, folder):
    for name in ("mpt.json", "adapter_config.json"):
        known = json.loads((folder / name).read_text())
        known |= {"revision": "c0ffee", "backbone": "google/t5-small", "base_model_name_or_path": "google/t5-small"}
        (folder / name).write_text(json.dumps(known))
    main(["push", str(folder), "me/mine"])
    head = yaml.safe_load(hub.repos["me/mine"]["README.md"].decode().split("---\n")[1])
    assert head["base_model"] == "google/t5-small" and "license" not in head
    hub.repos["me/mine"]["README.md"] = b"edited on the hub"
    main(["push", str(folder), "hub:me/mine"])
    assert hub.repos["me/mine"]["README.md"] == b"edited on the hub" and len(hub.commits) == 2
    (folder / "README.md").write_text("my own")
    main(["push", str(folder), "me/other"])
    assert hub.repos["me/other"]["README.md"] == b"my own"


def test_what_cannot_be_pushed_is_told_and_nothing_is_uploaded(hub, folder, tmp_path, capsys, monkeypatch):
    strange = shutil.copytree(folder, tmp_path / "strange")
    (strange / "notes.pkl").touch()
    assert "holds notes.pkl, which is no file of a prompt" in refused(capsys, "push", strange, "me/mine")
    assert "no such folder" in refused(capsys, "push", tmp_path / "none", "me/mine")
    binary = shutil.copytree(folder, tmp_path / "binary")
    (binary / "README.md").write_bytes(b"\xff\xfe")
    assert "it is not UTF-8" in refused(capsys, "push", binary, "me/mine")
    assert "owner/name" in refused(capsys, "push", folder, "mine")
    hub.repos["me/model"] = {"model.safetensors": b""}
    assert "me/model is no prompt: it holds model.safetensors" in refused(capsys, "push", folder, "me/model")
    assert "is no prompt: it has no adapter_model" in refused(capsys, "predict", "hub:me/model", folder / "mpt.json")
    hub.down = ConnectionError("no network")
    assert "the Hugging Face hub cannot be reached" in refused(capsys, "push", folder, "me/mine")
    monkeypatch.setattr(hub_module, "get_token", lambda: None)
    assert "needs a token" in refused(capsys, "push", folder, "me/mine")
    assert not hub.commits
