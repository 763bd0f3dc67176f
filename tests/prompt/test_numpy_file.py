"""Prompts in NumPy files: taken bit for bit, and nothing but rows of finite numbers is taken."""

from __future__ import annotations

import io
import json
import pickle

import numpy as np
import pytest
from peft import PromptTuningConfig
from support.toy import Mpt

from mpt.backbone.loading import BackboneOptions
from mpt.backbone.model import FrozenBackbone
from mpt.prompt.files import load_prompt
from mpt.prompt.initialisers import InitContext, SavedPrompt
from mpt.prompt.numpy_file import read_numpy
from mpt.util.errors import UserError

WIDTH = 96
TEXTS = ["post : the aged cats view a pear . age ?", "hello", "a b c"]


def rows(length=5):
    return np.random.default_rng(0).normal(size=(length, WIDTH)).astype(np.float32)


def saved(array) -> bytes:
    file = io.BytesIO()
    np.save(file, array, allow_pickle=True)
    return file.getvalue()


def archive() -> bytes:
    file = io.BytesIO()
    np.savez(file, prompt=rows(), other=rows())
    return file.getvalue()


class Runs:
    """What would be seen if it were unpickled."""

    def __reduce__(self):
        return pytest.fail, ("it was unpickled",)


@pytest.mark.parametrize("kind", ["<f4", ">f4", "<f8", "<f2"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_floating_point_numbers_of_any_type_and_order_are_read(kind, order, tmp_path):
    held = np.asarray(rows().astype(np.float16), dtype=kind, order=order)
    np.save(tmp_path / "p.npy", held)
    found = read_numpy(tmp_path / "p.npy")
    assert found.dtype == np.float32 and found.flags.c_contiguous and found.flags.writeable
    assert np.array_equal(found, held)


@pytest.mark.parametrize(
    "content, told",
    [
        (None, "cannot be read: No such file"),
        (b"", "is no .npy file of plain numbers"),
        (b"rows", "is no .npy file of plain numbers"),
        (pickle.dumps(Runs()), "is no .npy file of plain numbers"),
        (saved(np.array([[Runs()]], dtype=object)), "is no .npy file of plain numbers"),
        (saved(rows())[:-4], "is no .npy file of plain numbers"),
        (archive(), "is an archive of arrays (prompt, other); give one of them"),
        (saved(rows()[0]), "holds an array of shape [96]; [length, hidden size] was expected"),
        (saved(rows()[None]), "shape [1, 5, 96]"),
        (saved(rows().astype(np.int32)), "holds numbers of type int32; save them as float32"),
        (saved(rows().view("V2")), "holds numbers of type |V2"),
        (saved(np.where(rows() > 2, np.nan, rows())), "holds numbers that are not finite"),
        (saved(rows().astype(np.float64) * 1e60), "holds numbers that are not finite in float32"),
    ],
)
def test_what_is_no_prompt_is_refused(content, told, tmp_path):
    if content is not None:
        (tmp_path / "p.npy").write_bytes(content)
    with pytest.raises(UserError) as caught:
        read_numpy(tmp_path / "p.npy")
    assert told in str(caught.value) and str(tmp_path / "p.npy") in str(caught.value)


def test_an_imported_prompt_is_used_like_any_other(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    mpt = Mpt(capsys)
    np.save("p.npy", rows())
    ended = mpt("prompt", "import", "p.npy", "deep/own", "--backbone", "mpt-tiny")
    assert ended.code == 0 and "5 rows of 96 for mpt-tiny" in ended.out, ended.err
    stored = load_prompt("deep/own")
    assert np.array_equal(stored.weight.numpy(), rows()) and stored.facts["imported"] == "p.npy"
    config = PromptTuningConfig.from_pretrained("deep/own")
    assert (config.num_virtual_tokens, config.token_dim, config.task_type) == (5, WIDTH, "SEQ_2_SEQ_LM")

    backbone = FrozenBackbone("mpt-tiny", BackboneOptions())
    labels = ["young", "old"]
    scores = backbone.score(stored.weight, backbone.encode(TEXTS), labels)
    (tmp_path / "new.txt").write_text("\n".join(TEXTS) + "\n")
    ended = mpt("predict", "deep/own", "new.txt", "--labels", *labels, "--out", "new.jsonl")
    assert ended.code == 0, ended.err
    answers = [json.loads(line)["prediction"] for line in (tmp_path / "new.jsonl").read_text().splitlines()]
    assert answers == [labels[number] for number in scores.argmax(1).tolist()]
    start = SavedPrompt("deep/own")(5, InitContext.of(backbone, seed=13))
    assert np.array_equal(start.numpy(), rows())


def test_what_does_not_fit_is_told_and_nothing_is_written(tmp_path, monkeypatch, capsys, model_folder):
    monkeypatch.chdir(tmp_path)
    mpt = Mpt(capsys)
    np.save("p.npy", rows())
    for out, backbone, told in (
        ("new/own", str(model_folder("t5")), "prompt p.npy has hidden size 96, but backbone"),
        ("p.npy", "mpt-tiny", "OUT p.npy exists"),
        ("new/own", "./nowhere", "no such folder"),
    ):
        ended = mpt("prompt", "import", "p.npy", out, "--backbone", backbone)
        assert ended.code == 2 and told in ended.err and ended.err.count("\n") == 1
    assert not (tmp_path / "new").exists() and (tmp_path / "p.npy").is_file()
