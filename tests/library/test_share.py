"""A library on the hub: pushed and pulled byte for byte, shared by several, told in a sentence if out of reach."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from huggingface_hub import HfApi
from huggingface_hub.errors import HfHubHTTPError
from support.fake_hub import FakeHub, response
from support.toy_library import RECIPE, draw, filled, found

from mpt.library import hub as hub_module
from mpt.library.entry import Entry
from mpt.library.library import Library
from mpt.library.published import published
from mpt.library.recipe import KeyRecipe
from mpt.library.share import pull, push
from mpt.util.errors import UserError


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeHub:
    fake = FakeHub(tmp_path / "cache")
    monkeypatch.setattr(hub_module, "HfApi", fake.api)
    monkeypatch.setattr(hub_module, "get_token", lambda: "hf_token")
    return fake


def files(folder: Path) -> dict[str, bytes]:
    paths = (path for path in (folder / "prompts").rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


def test_what_is_pushed_is_pulled_byte_for_byte(hub, tmp_path):
    library = filled(tmp_path / "library")
    found(library)
    done = push(library, "hub:me/prompts", private=True)
    assert (len(done.moved), done.there, hub.private) == (5, [], {"me/prompts": True})
    assert set(hub.repos["me/prompts"]) == {*files(library.folder), "library.json", "README.md", ".gitattributes"}
    assert b'subfolder="prompts/NAME"' in hub.repos["me/prompts"]["README.md"]
    done = pull("me/prompts", tmp_path / "copy")
    assert (len(done.moved), done.there) == (5, [])
    assert files(tmp_path / "copy") == files(library.folder)
    assert found(Library.open(tmp_path / "copy")) == found(library)
    assert pull("hub:me/prompts", tmp_path / "copy").there == [f"f{i}" for i in range(5)]


@pytest.mark.parametrize("model", ["/home/jane/models/t5", "~/t5", r"C:\Users\jane\t5"])
def test_a_path_of_this_machine_stays_here(model, hub, tmp_path):
    library = filled(tmp_path / "library", recipe=replace(RECIPE, backbone=model))
    push(library, "me/prompts")
    assert not [name for name, content in hub.repos["me/prompts"].items() if b"jane" in content or b"~/" in content]
    assert Library.open("hub:me/prompts").recipe == replace(RECIPE, backbone="t5")
    assert Library.open("hub:me/prompts").entries()[0].backbone == "t5"
    assert found(Library.open("hub:me/prompts")) == found(library)
    assert len(push(library, "me/prompts").there) == len(pull("me/prompts", library.folder).there) == 5
    assert Library.open(library.folder).recipe.backbone == model


def test_where_a_prompt_was_recycled_from_is_told_without_the_path(tmp_path):
    facts = {"backbone": "t5", "recycled_from": "/home/jane/models/old-t5"}
    (tmp_path / "mpt.json").write_text(json.dumps(facts))
    assert json.loads(published(tmp_path / "mpt.json")) == {"backbone": "t5", "recycled_from": "old-t5"}


def test_a_pull_does_not_compare_all_entries_with_all(hub, tmp_path, monkeypatch):
    push(filled(tmp_path / "library"), "me/prompts")
    filled(tmp_path / "copy", 2)
    monkeypatch.setattr(Entry, "__eq__", lambda *_: pytest.fail("entries were compared"))
    done = pull("me/prompts", tmp_path / "copy")
    assert (done.moved, done.there) == (["f2", "f3", "f4"], ["f0", "f1"])


@pytest.mark.long
def test_several_push_to_one(hub, tmp_path):
    push(filled(tmp_path / "one", 2), "us/prompts")
    other = filled(tmp_path / "other", 3, "g")
    assert push(other, "us/prompts").moved == ["g0", "g1", "g2"]
    assert push(other, "us/prompts").there == ["g0", "g1", "g2"]
    assert len(hub.commits) == 2, "nothing new makes no commit"
    assert len(Library.open("hub:us/prompts").entries()) == 5


def test_a_push_between_looking_and_writing_is_looked_at(hub, tmp_path):
    one, other = filled(tmp_path / "one", 2), filled(tmp_path / "other", 2, "g")
    hub.before_commit = lambda: push(other, "us/prompts")
    assert push(one, "us/prompts").moved == ["f0", "f1"]
    assert len(Library.open("hub:us/prompts").entries()) == 4


def test_many_entries_are_several_commits(hub, tmp_path, monkeypatch):
    monkeypatch.setattr("mpt.library.share._AT_ONCE", 2)
    push(filled(tmp_path / "library"), "me/prompts")
    assert hub.commits == ["Add 2 prompts", "Add 2 prompts", "Add 1 prompts"]


def test_another_entry_of_a_name_is_never_replaced(hub, tmp_path):
    push(filled(tmp_path / "library", 2), "me/prompts")
    other = Library.create(tmp_path / "other", RECIPE)
    other.add("a", *draw(1), {"fingerprint": "f"}, decoder_only=False)
    other.add("f1", *draw(0), {"fingerprint": "f"}, decoder_only=False)
    before = dict(hub.repos["me/prompts"])
    with pytest.raises(UserError, match="different entries of the name f1"):
        push(other, "me/prompts")
    assert hub.repos["me/prompts"] == before
    with pytest.raises(UserError, match="different entries of the name f1"):
        pull("me/prompts", other.folder)
    assert [entry.name for entry in other.entries()] == ["a", "f1"]


@pytest.mark.long
def test_libraries_of_two_recipes_are_not_mixed(hub, tmp_path):
    push(filled(tmp_path / "library", 1), "me/prompts")
    other = Library.create(tmp_path / "other", KeyRecipe("mpt-tiny", 3, 30, 0.3, 8, 13))
    other.add("a", *draw(1), {"fingerprint": "f"}, decoder_only=False)
    with pytest.raises(UserError, match=r"key_steps 30 \(not 20\); those of me/prompts were not"):
        push(other, "me/prompts")
    with pytest.raises(UserError, match=r"key_steps 30 \(not 20\)"):
        pull("me/prompts", other.folder)


def test_a_repository_of_something_else_is_left_alone(hub, tmp_path):
    hub.repos["me/model"] = {".gitattributes": b"", "config.json": b"{}"}
    with pytest.raises(UserError, match=r"me/model is no prompt library: it holds config\.json"):
        push(filled(tmp_path / "library", 1), "me/model")
    assert len(hub.repos["me/model"]) == 2
    with pytest.raises(UserError, match=r"me/model is no prompt library: it has no library\.json"):
        Library.open("hub:me/model")


def test_damaged_entries_are_not_pushed(hub, tmp_path, caplog):
    library = filled(tmp_path / "library", 3)
    (library.folder / "prompts" / "f1" / "adapter_model.bin").write_bytes(b"\x80\x04.")
    (library.folder / "prompts" / "f2" / "adapter_model.safetensors").write_bytes(b"")
    done = push(library, "me/prompts")
    assert done.moved == ["f0"] and sorted(done.refused) == ["f1", "f2"]
    assert not [path for path in hub.repos["me/prompts"] if "f1" in path or "f2" in path]


def test_what_strangers_pushed_is_looked_at(hub, tmp_path):
    push(filled(tmp_path / "library", 3), "me/prompts")
    hub.repos["me/prompts"]["prompts/f1/key/weights.pkl"] = b"\x80\x04."
    hub.repos["me/prompts"]["prompts/f2/adapter_model.safetensors"] = b"\x80\x04."
    library = Library.open("hub:me/prompts")
    assert list(found(library)) == ["f0"] and sorted(library.refused) == ["f1", "f2"]
    done = pull("me/prompts", tmp_path / "copy")
    assert done.moved == ["f0"] and sorted(done.refused) == ["f1", "f2"]
    assert [path.name for path in (tmp_path / "copy" / "prompts").iterdir()] == ["f0"]


def test_the_cache_stays_as_the_hub_filled_it(hub, tmp_path):
    push(filled(tmp_path / "library", 2), "me/prompts")
    library = Library.open("hub:me/prompts")
    assert len(found(library)) == 2
    assert sorted(path.name for path in library.folder.iterdir()) == ["library.json", "prompts"]
    with pytest.raises(UserError, match="hub:me/prompts is on the hub; pull it"):
        library.add("x", *draw(1), {"fingerprint": "f"}, decoder_only=False)


@pytest.mark.long
def test_without_a_network_what_was_downloaded_serves(hub, tmp_path):
    push(filled(tmp_path / "library", 2), "me/prompts")
    Library.open("hub:me/prompts")
    hub.down = ConnectionError("no route to host")
    assert len(found(Library.open("hub:me/prompts"))) == 2
    hub.down = HfHubHTTPError("503", response=response(503))
    assert len(found(Library.open("hub:me/prompts"))) == 2
    with pytest.raises(UserError, match=r"the Hugging Face hub cannot be reached .*, and it was not downloaded before"):
        Library.open("hub:me/others")
    with pytest.raises(UserError, match="the Hugging Face hub cannot be reached"):
        push(filled(tmp_path / "other", 1, "g"), "me/prompts")


@pytest.mark.timeout(60)
@pytest.mark.parametrize("offline", [True, False])
def test_the_real_client_without_a_network_gives_up(offline, tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", offline)
    monkeypatch.setattr(hub_module, "HfApi", lambda: HfApi(endpoint="http://127.0.0.1:9", token="hf_token"))
    monkeypatch.setattr(hub_module, "get_token", lambda: "hf_token")
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    for use in (lambda: pull("no/where", tmp_path / "x"), lambda: push(filled(tmp_path / "l", 1), "no/where")):
        with pytest.raises(UserError, match="hub repository no/where: the Hugging Face hub cannot be reached"):
            use()
    assert not (tmp_path / "x").exists()


def test_what_the_user_has_to_change_is_told(hub, tmp_path, monkeypatch):
    library = filled(tmp_path / "library", 1)
    for name in ("prompts", "a/b/c", "-/x", ""):
        with pytest.raises(UserError, match="is no name of a hub repository, which is owner/name"):
            push(library, name)
    with pytest.raises(UserError, match="has no repository me/prompts"):
        pull("me/prompts", tmp_path / "copy")
    hub.down = HfHubHTTPError("403 Forbidden", response=response(403))
    with pytest.raises(UserError, match="refuses me/prompts: HfHubHTTPError: 403"):
        push(library, "me/prompts")
    hub.down = None
    with pytest.raises(UserError, match="has no entry to push"):
        push(Library.create(tmp_path / "empty", RECIPE), "me/prompts")
    monkeypatch.setattr(hub_module, "get_token", lambda: None)
    with pytest.raises(UserError, match="needs a token"):
        push(library, "me/prompts")
    assert not hub.repos
