"""Where backbones come from, and one sentence for whatever is none."""

from __future__ import annotations

import contextlib
import json
import pickle
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import sentencepiece
import torch
from safetensors.torch import load_file
from support.paths import ROOT
from support.refusal import refusal
from support.small_models import VOCABULARY, bert, gpt2, t5
from transformers import AutoTokenizer, T5ForConditionalGeneration

from mpt.backbone.checks import refuse_unsafe_dtype
from mpt.backbone.loading import BackboneOptions
from mpt.backbone.model import FrozenBackbone
from mpt.backbone.saving import save_backbone
from mpt.backbone.source import bundled_backbones, resolve
from mpt.util.errors import UserError


@pytest.fixture
def copied(model_folder, tmp_path) -> Path:
    """A T5 folder to spoil."""
    return Path(shutil.copytree(model_folder("t5"), tmp_path / "t5"))


def test_a_folder_by_absolute_relative_or_home_path(copied, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    prints = {FrozenBackbone(name).fingerprint for name in (str(copied), "t5", "./t5", "~/t5")}
    assert len(prints) == 1


def test_bundled_names_are_folders_of_the_package(monkeypatch, tmp_path, copied):
    monkeypatch.setattr("mpt.backbone.source.ASSETS", tmp_path)
    assert bundled_backbones() == {"t5": copied}
    assert resolve("t5") == str(copied)
    assert FrozenBackbone("t5").hidden_size == 32
    monkeypatch.chdir(copied.parent)
    assert resolve("t5") == "t5", "a folder of that name where the user stands goes first"


def test_an_empty_name_is_not_the_folder_one_stands_in():
    with pytest.raises(UserError, match="the backbone's name is empty; give"):
        resolve("")


def test_unknown_folders(tmp_path):
    for name in (tmp_path / "nowhere", "./nowhere", "some/where/deep", "~/nowhere"):
        assert "no such folder; give a Hugging Face model folder" in refusal(name)
    (tmp_path / "empty").mkdir()
    assert "the folder has no config.json" in refusal(tmp_path / "empty")


def test_unknown_names_without_a_network(monkeypatch, tmp_path, copied):
    monkeypatch.setattr("mpt.backbone.source.ASSETS", copied.parent)
    copied.rename(tmp_path / "mpt-tiny")
    text = refusal("mpt-tinny")
    assert "hub cannot be reached" in text and text.endswith("did you mean mpt-tiny?")
    assert "hub cannot be reached" in refusal("some-org/some-model")
    assert "no such model" in refusal("not a name")


# A hub that answers, a broken network, and a model that was downloaded before. In a process of its own: the
# hub's library reads its address when it is imported.
HUB = """
import http.server, json, os, shutil, sys, threading
from pathlib import Path

class Nothing(http.server.BaseHTTPRequestHandler):
    def do_HEAD(self):
        self.send_response(404)
        self.send_header("X-Error-Code", "RepoNotFound")
        self.send_header("Content-Length", "0")
        self.end_headers()
    do_GET = do_HEAD
    def log_message(self, *args): pass

server = http.server.HTTPServer(("127.0.0.1", 0), Nothing)
threading.Thread(target=server.serve_forever, daemon=True).start()
home, folder = Path(sys.argv[1]), sys.argv[2]
os.environ |= {"HF_HOME": str(home), "HF_HUB_OFFLINE": "0"}
os.environ["HF_ENDPOINT"] = f"http://127.0.0.1:{server.server_port}"
snapshot = home / "hub" / "models--some--t5" / "snapshots" / ("0" * 40)
shutil.copytree(folder, snapshot)
(snapshot.parents[1] / "refs").mkdir()
(snapshot.parents[1] / "refs" / "main").write_text("0" * 40)

from mpt.util.errors import UserError
from mpt.backbone.loading import BackboneOptions, load

def attempt(name, **options):
    try:
        said = type(load(name, BackboneOptions(**options))[0]).__name__
    except UserError as error:
        said = str(error)
    return said

results = {"answered": attempt("some/nothing"), "revision": attempt("some/nothing", revision="v9")}
server.shutdown(); server.server_close()  # from here on the connection is refused
results |= {"refused": attempt("some/nothing"), "downloaded": attempt("some/t5")}
print(json.dumps(results))
"""


@pytest.mark.long
def test_the_hub_is_asked_once_and_downloads_are_used_without_it(model_folder, tmp_path):
    command = [sys.executable, "-c", HUB, str(tmp_path), str(model_folder("t5"))]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    results = json.loads(done.stdout.splitlines()[-1])
    assert "the Hugging Face hub has no such model (wrong name, or private" in results["answered"]
    assert "no such model at revision v9" in results["revision"]
    assert "the Hugging Face hub cannot be reached" in results["refused"]
    assert results["downloaded"] == "T5ForConditionalGeneration"


def test_an_encoder_only_model_is_refused(tmp_path):
    assert "bert generates no text; give an encoder-decoder or a decoder-only" in refusal(bert(tmp_path / "b"))


@pytest.mark.parametrize("content", [b"", b"\x10\x00\x00\x00", b"no tensors at all" * 9])
def test_corrupted_weights(content, copied):
    (copied / "model.safetensors").write_bytes(content)
    assert "could not be loaded" in refusal(copied)


def test_truncated_weights(copied):
    path = copied / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    assert "could not be loaded" in refusal(copied)


@pytest.fixture
def sharded(copied) -> Path:
    """The same weights in several files."""
    model = T5ForConditionalGeneration.from_pretrained(copied)
    (copied / "model.safetensors").unlink()
    model.save_pretrained(copied, max_shard_size="40KB")
    assert len(list(copied.glob("model-*-of-*.safetensors"))) > 2
    return copied


def test_weights_in_several_files(sharded, load_backbone):
    assert FrozenBackbone(str(sharded)).fingerprint == load_backbone("t5").fingerprint


def test_a_missing_and_a_short_file_of_several(sharded):
    second = sorted(sharded.glob("model-*"))[1]
    content = second.read_bytes()
    second.write_bytes(content[:-50])
    assert "could not be loaded" in refusal(sharded)
    second.unlink()
    assert second.name in refusal(sharded)
    (sharded / "model.safetensors.index.json").write_text("{")
    assert "could not be loaded" in refusal(sharded)


@pytest.fixture
def pickled(copied) -> Path:
    """The same weights in a .bin file."""
    weights = load_file(copied / "model.safetensors")
    (copied / "model.safetensors").unlink()
    torch.save(weights, copied / "pytorch_model.bin")
    return copied


def test_weights_in_bin_files(pickled, load_backbone):
    assert FrozenBackbone(str(pickled)).fingerprint == load_backbone("t5").fingerprint
    weights = torch.load(pickled / "pytorch_model.bin")
    (pickled / "pytorch_model.bin").unlink()
    files = ["pytorch_model-00001-of-00002.bin", "pytorch_model-00002-of-00002.bin"]
    where = {name: files[i % 2] for i, name in enumerate(weights)}
    for file in files:
        torch.save({name: weights[name] for name in weights if where[name] == file}, pickled / file)
    index = {"metadata": {"total_size": 1}, "weight_map": where}
    (pickled / "pytorch_model.bin.index.json").write_text(json.dumps(index))
    assert FrozenBackbone(str(pickled)).fingerprint == load_backbone("t5").fingerprint


class Harmful:
    """What a pickle may hold: a call that is made when it is read."""

    def __init__(self, file: Path) -> None:
        self.file = str(file)

    def __reduce__(self) -> tuple[object, ...]:
        return open, (self.file, "w")


@pytest.mark.parametrize("whole", [True, False])
def test_a_pickle_that_would_run_code_is_refused_and_not_run(whole, pickled, tmp_path):
    file, mark = pickled / "pytorch_model.bin", tmp_path / "ran"
    if whole:
        file.write_bytes(pickle.dumps(Harmful(mark)))
    else:
        torch.save({**torch.load(file), "shared.weight": Harmful(mark)}, file)
    with pytest.warns(UserWarning) if whole else contextlib.nullcontext():  # torch's, of the bare pickle
        text = refusal(pickled)
    assert "hold more than tensors, which could run code, or are damaged; give safetensors" in text
    assert not mark.exists()


def test_a_bin_file_that_is_damaged(pickled):
    for content in (b"junk" * 99, (pickled / "pytorch_model.bin").read_bytes()[:-1000]):
        (pickled / "pytorch_model.bin").write_bytes(content)
        assert "could not be loaded" in refusal(pickled)


def test_weights_of_another_shape(copied):
    config = json.loads((copied / "config.json").read_text())
    (copied / "config.json").write_text(json.dumps({**config, "d_ff": 48}))
    assert "could not be loaded" in refusal(copied)


@pytest.mark.parametrize("content", ["", "{", "[]", '{"model_type": "nothing-known"}', "{}"])
def test_corrupted_configuration(content, copied):
    (copied / "config.json").write_text(content)
    assert "could not be loaded" in refusal(copied)


def test_missing_weights(copied):
    (copied / "model.safetensors").unlink()
    assert "could not be loaded" in refusal(copied)


@pytest.mark.parametrize("kind", ["t5", "bart", "gpt2", "llama"])
def test_no_tokenizer_in_the_folder(kind, model_folder, tmp_path):
    """For most models transformers makes an empty one without a word."""
    folder = Path(shutil.copytree(model_folder(kind), tmp_path / kind))
    for path in folder.glob("*token*"):
        path.unlink()
    assert ("could not be loaded" if kind == "llama" else "has no tokenizer files") in refusal(folder)


@pytest.mark.parametrize("content", ["", "{", "[]"])
def test_a_corrupted_tokenizer(content, copied):
    (copied / "tokenizer.json").write_text(content)
    assert "could not be loaded" in refusal(copied)


def test_a_decoder_only_tokenizer_without_an_end_is_refused(tmp_path):
    folder = gpt2(tmp_path / "gpt2")
    config = json.loads((folder / "tokenizer_config.json").read_text())
    (folder / "tokenizer_config.json").write_text(json.dumps({**config, "eos_token": None}))
    assert "no end-of-sequence token" in refusal(folder)


def test_an_end_of_sequence_that_the_model_does_not_know_is_refused(copied):
    tokenizer = AutoTokenizer.from_pretrained(copied)
    tokenizer.add_special_tokens({"eos_token": "[END]"})
    tokenizer.save_pretrained(copied)
    with pytest.raises(UserError, match=rf"end of sequence '\[END\]' is token {VOCABULARY}, beyond the {VOCABULARY}"):
        FrozenBackbone(str(copied))


def test_an_unknown_attention_implementation(model_folder):
    assert "could not be loaded" in refusal(model_folder("t5"), attention="thinking")


def test_a_sentencepiece_model_alone_is_a_tokenizer(tmp_path):
    """What older T5 checkpoints hold: spiece.model and no tokenizer.json (google/t5-large-lm-adapt)."""
    folder = t5(tmp_path / "t5", vocab_size=400)
    for path in folder.glob("*token*"):
        path.unlink()
    lines = ["premise hypothesis yes no", "the film was good", "a bad film", "the dog runs fast"] * 20
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(lines), model_prefix=str(folder / "spiece"), vocab_size=60, minloglevel=2,
        hard_vocab_limit=False, pad_id=0, eos_id=1, unk_id=2, bos_id=-1,
    )  # fmt: skip
    backbone = FrozenBackbone(str(folder), BackboneOptions(max_target_length=4))
    reference = sentencepiece.SentencePieceProcessor(model_file=str(folder / "spiece.model"))
    for text in lines[:4]:
        ids = backbone.encode([text]).input_ids[0].tolist()
        assert ids == [*reference.encode(text), 1]
        assert backbone.tokenizer.decode(ids, skip_special_tokens=True) == text
    sentinels = backbone.tokenizer.convert_tokens_to_ids(["<extra_id_0>", "<extra_id_99>"])
    assert set(sentinels) <= set(backbone.tokenizer.all_special_ids), "sentinels start no prompt"
    assert len(backbone.answer(None, backbone.encode(lines[:2])).texts) == 2


def test_saved_backbones_load_again(load_backbone, tmp_path):
    backbone = load_backbone("bart")
    save_backbone(tmp_path / "saved", backbone.model, backbone.tokenizer)
    again = FrozenBackbone(str(tmp_path / "saved"), backbone.options)
    assert again.fingerprint == backbone.fingerprint
    assert again.model.generation_config.to_dict() == backbone.model.generation_config.to_dict()
    batch = backbone.encode(["hello", "a"], ["yes", "no"])
    assert torch.equal(again.loss(None, batch), backbone.loss(None, batch))
    assert len(again.tokenizer) == VOCABULARY


@pytest.mark.parametrize("precision", ["16-mixed", "16-true", "float16", "16"])
def test_half_precision_of_t5_is_refused_however_it_is_spelt(precision):
    with pytest.raises(UserError, match="overflows to NaN"):
        refuse_unsafe_dtype("mt5", precision)
    refuse_unsafe_dtype("bart", precision)


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed", "bf16-true", "bfloat16", "float32", "64-true"])
def test_other_precisions_of_t5_are_fine(precision):
    refuse_unsafe_dtype("t5", precision)


@pytest.mark.parametrize("name", ["max_input_length", "max_target_length", "num_beams"])
def test_options_below_one_are_refused(name):
    with pytest.raises(UserError, match=f"backbone option {name} must be at least 1, not 0"):
        BackboneOptions(**{name: 0})


@pytest.mark.parametrize("value", [0.0, -1.0, float("nan"), float("inf")])
def test_a_penalty_that_is_none_is_refused(value):
    with pytest.raises(UserError, match="backbone option repetition_penalty must be above 0, not"):
        BackboneOptions(repetition_penalty=value)


def test_stopping_a_search_early_needs_beams():
    with pytest.raises(UserError, match="early_stopping is for beams; set num_beams above 1"):
        BackboneOptions(early_stopping=True)
