"""What a file may hold: every kind of file that a command reads, damaged in every way that is known."""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.bad_input import NO_JSON, NO_JSON_FILE, NO_TEXT_FILE, NO_YAML_FILE, Damage, without

NO_BINARY_FILE = {**without(NO_TEXT_FILE, "UTF-16"), "half": NO_JSON["half"]}
FIT = "fit --config prompt_tuning --data.root data --data.task toy --data.metric ACC --model.backbone mpt-tiny"

READERS: dict[str, tuple[str, str, dict[str, Damage]]] = {
    "study": ("study.yaml", "study plan study.yaml", NO_YAML_FILE),
    "sweep": ("sweep.yaml", "sweep run sweep.yaml", NO_YAML_FILE),
    "config": ("config.yaml", "fit --config config.yaml", NO_YAML_FILE),
    "task": ("own.yaml", "adapt own.yaml --library none --out o", NO_YAML_FILE),
    "partition": ("partition.yaml", "partitions show partition.yaml", NO_YAML_FILE),
    "mixture": ("mixture.yaml", "mixtures show mixture.yaml", NO_YAML_FILE),
    "prompt config": ("prompt/adapter_config.json", "predict prompt rows.csv", NO_JSON_FILE),
    "prompt facts": ("prompt/mpt.json", "predict prompt rows.csv", without(NO_JSON_FILE, "missing")),
    "prompt tensors": ("prompt/adapter_model.safetensors", "predict prompt rows.csv", NO_BINARY_FILE),
    "library": ("library/library.json", "library list library", NO_JSON_FILE),
    "csv": ("rows.csv", "predict prompt rows.csv", NO_TEXT_FILE),
    "tsv": ("rows.tsv", "adapt rows.tsv --library none --out o", NO_TEXT_FILE),
    "jsonl": ("rows.jsonl", "predict prompt rows.jsonl", {**NO_TEXT_FILE, **without(NO_JSON, "half", "huge number")}),
    "few-shot": ("tasks/ag_news/ag_news_16_13_train.tsv", "study plan study.yaml", NO_TEXT_FILE),
    "text": ("rows.txt", "data text new rows.txt --root o", NO_TEXT_FILE),
    "numpy": ("rows.npy", "prompt import rows.npy new --backbone mpt-tiny", NO_BINARY_FILE),
    "scores": ("scores.csv", "study report --scores scores.csv --out o", NO_TEXT_FILE),
    "checkpoint": ("run.ckpt", f"{FIT} --ckpt_path run.ckpt", NO_BINARY_FILE),
    "dev": ("rows.csv", "adapt rows.tsv --dev rows.csv --library none --out o", NO_TEXT_FILE),
    "calibration": ("rows.csv", "predict prompt rows.jsonl --calibrate rows.csv", NO_TEXT_FILE),
    "run's config": ("run/config.yaml", "library add library run", without(NO_YAML_FILE, "empty")),
}


@pytest.mark.parametrize(
    ("reader", "damage"), [(reader, damage) for reader, (_, _, damages) in READERS.items() for damage in damages]
)
def test_a_damaged_file(reader, damage, here, refused):
    name, command, damages = READERS[reader]
    damages[damage](here / name)
    refused(*command.split())


def tensors(
    kind: str = "F32", shape: tuple[int, ...] = (4, 32), size: int = 4, name: str = "prompt_embeddings"
) -> Damage:
    """A safetensors file of one tensor of zeros; ``size`` is the bytes of a number."""

    def write(path: Path) -> None:
        held = size * math.prod(shape) if math.prod(shape) < 1e6 else 512
        head = json.dumps({name: {"dtype": kind, "shape": shape, "data_offsets": [0, held]}}).encode()
        path.write_bytes(struct.pack("<Q", len(head)) + head + bytes(held))

    return write


def filled(value: float, kind: str = "F32", form: str = "<f") -> Damage:
    """The same, with a number at the place of the first one."""

    def write(path: Path) -> None:
        tensors(kind, size=struct.calcsize(form))(path)
        content = bytearray(path.read_bytes())
        content[-struct.calcsize(form) :] = struct.pack(form, value)
        path.write_bytes(content)

    return write


TENSORS: dict[str, Damage] = {
    "complex": tensors("C64", size=8),
    "whole numbers": tensors("I32"),
    "bytes": tensors("U8", size=1),
    "truth values": tensors("BOOL", size=1),
    "eight bits": tensors("F8_E4M3", size=1),
    "a type that is none": tensors("X9"),
    "one axis": tensors(shape=(128,)),
    "three axes": tensors(shape=(1, 4, 32)),
    "no axis": tensors(shape=()),
    "no rows": tensors(shape=(0, 32)),
    "more rows than are said": tensors(shape=(5, 32)),
    "other width": tensors(shape=(4, 31)),
    "more than there is": tensors(shape=(1 << 20, 1 << 20)),
    "more than a number": tensors(shape=(1 << 63, 4)),
    "another name": tensors(name="lora_A"),
    "a name of escapes": tensors(name="\x1b[2J\nroot"),
    "a long name": tensors(name="x" * 5000),
    "not a number": filled(math.nan),
    "infinite": filled(math.inf),
    "too large for float32": filled(1e300, "F64", "<d"),
    "a head without end": lambda path: path.write_bytes(struct.pack("<Q", 1 << 62) + b"{"),
    "a pickle": lambda path: path.write_bytes(b"\x80\x04\x95" + bytes(100)),
}


@pytest.mark.parametrize("damage", TENSORS)
def test_tensors_that_are_no_prompt(damage, here, refused):
    TENSORS[damage](here / "prompt/adapter_model.safetensors")
    refused("predict", "prompt", "rows.csv", says="adapter_model.safetensors")


@pytest.mark.parametrize(
    ("file", "name", "value"),
    [
        *(("adapter_config.json", name, value)
          for name in ("num_virtual_tokens", "token_dim")
          for value in (None, True, -4, 0, 4.0, "4", [4], math.nan, math.inf, 10**25)),
        *(("adapter_config.json", "peft_type", value) for value in (None, 7, ["PROMPT_TUNING"], "LORA", "\x1b[2J\n")),
        *(("adapter_config.json", "base_model_name_or_path", value)
          for value in (None, 7, {}, "no/such/model", "\x1b[2J\nroot", "x" * 5000, "a\0b", "..", "http://x/y")),
        *(("mpt.json", "labels", value)
          for value in ("yes", ["yes"], ["a", "a"], [1, 2], {"a": 1}, ["", "b"], ["\ud800", "b"], ["a\0", "b"])),
        ("mpt.json", "input_prefix", "\ud800 "),
        *(("mpt.json", "max_input_length", value) for value in (-1, 0, 1.5, math.nan, math.inf, "9", True, 10**12)),
        *(("mpt.json", "max_target_length", value) for value in (-1, 0, math.nan, [], 10**25)),
        *(("mpt.json", "metric", value) for value in ("acc", 7, [], "\x1b[2J")),
        *(("mpt.json", "fingerprint", value) for value in ("other", 7, [1], {"a": 1}, "\x1b[2J\nroot")),
        *(("mpt.json", name, value)
          for name in ("task", "template", "input_prefix", "chat_template", "revision")
          for value in (7, [1], {"a": 1})),
    ],
)  # fmt: skip
def test_a_prompt_that_says_what_cannot_be(file, name, value, here, refused):
    change(here / "prompt" / file, name, value)
    refused("predict", "prompt", "rows.csv")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("format", value) for value in (None, 2, 0, "1", True, math.nan, [1])),
        *((f"recipe.{name}", value)
          for name in ("prompt_length", "key_steps", "batch_size", "seed")
          for value in (None, -1, 1.5, "3", True, math.nan, 10**25)),
        *(("recipe.learning_rate", value) for value in (None, -1, 0, math.nan, math.inf, "0.3", [0.3])),
        *(("recipe.backbone", value) for value in (None, "", 7, [])),
        ("recipe", None), ("recipe", []), ("recipe.more", 1), ("more\x1b[2J\n", 1),
    ],
)  # fmt: skip
def test_a_library_that_says_what_cannot_be(name, value, here, refused):
    change(here / "library/library.json", name, value)
    refused("library", "list", "library", says="library.json")


def change(path: Path, name: str, value: Any) -> None:
    content = json.loads(path.read_text())
    place = content
    *above, last = name.split(".")
    for part in above:
        place = place[part]
    place[last] = value
    path.write_text(json.dumps(content))  # which can name half a sign


ARRAYS: dict[str, Callable[[], Any]] = {
    "complex": lambda: np.ones((4, 32), np.complex64),
    "whole numbers": lambda: np.ones((4, 32), np.int64),
    "texts": lambda: np.array([["a", "b"]]),
    "objects": lambda: np.array([[{}]], dtype=object),
    "a record": lambda: np.zeros((2, 2), dtype=[("a", "f4")]),
    "dates": lambda: np.zeros((2, 2), dtype="datetime64[s]"),
    "one axis": lambda: np.ones(4, np.float32),
    "three axes": lambda: np.ones((1, 4, 32), np.float32),
    "no rows": lambda: np.ones((0, 32), np.float32),
    "not a number": lambda: np.full((4, 32), np.nan),
    "too large for float32": lambda: np.full((4, 32), 1e300),
}


@pytest.mark.parametrize("kind", ARRAYS)
def test_arrays_that_are_no_prompt(kind, here, refused):
    np.save(here / "rows.npy", ARRAYS[kind](), allow_pickle=True)
    refused("prompt", "import", "rows.npy", "new", "--backbone", "mpt-tiny", says="rows.npy")


SCORES = {
    "not a number": "p,PT,a,13,nan",
    "infinite": "p,PT,a,13,inf",
    "too large": "p,PT,a,13,1e999",
    "per cent": "p,PT,a,13,65",
    "a word": "p,PT,a,13,good",
    "no score": "p,PT,a,13,",
    "a draw that is none": "p,PT,a,13.5,0.5",
    "a draw without end": f"p,PT,a,{'9' * 5000},0.5",
    "one cell less": "p,PT,a,13",
    "one cell more": "p,PT,a,13,0.5,1",
    "twice": "p,PT,a,13,0.5\np,PT,a,13,0.5",
    "a folder's name": "../p,PT,a,13,0.5",
    "a null byte": "p\0,PT,a,13,0.5",
    "an escape": "p\x1b[2J,PT,a,13,0.5x",
    "a long cell": "p" * 200_000 + ",PT,a,13,0.5",
    "an open quote": 'p,"PT,a,13,0.5',
}


@pytest.mark.parametrize("row", SCORES)
def test_a_row_of_scores_that_is_none(row, here, refused):
    (here / "scores.csv").write_text(f"partition,method,target,draw,test_score\n{SCORES[row]}\n")
    refused("study", "report", "--scores", "scores.csv", "--out", "o", says="scores.csv")
