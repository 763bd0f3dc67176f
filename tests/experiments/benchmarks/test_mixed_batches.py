"""The comparison of mixed batches runs on tiny models, and all ways give the same answers."""

from __future__ import annotations

import csv

import mixed_batches
import pytest
from support.architectures import DECODER_ONLY, build
from support.small_models import t5


@pytest.mark.long
@pytest.mark.parametrize("kind", ["t5", "llama"])
def test_every_way_answers_the_same(kind, tmp_path, monkeypatch):
    folder = t5(tmp_path / kind) if kind == "t5" else build(tmp_path / kind, kind, DECODER_ONLY[kind])
    out = tmp_path / "rows.csv"
    arguments = ["--models", str(folder), "--prompts", "3", "--requests", "2", "--new-tokens", "3", "--out", str(out)]
    mixed_batches.main(arguments)
    with out.open() as file:
        rows = list(csv.DictReader(file))
    assert [row["way"] for row in rows] == list(mixed_batches.WAYS)
    assert all(float(row["rows_per_cpu_second"]) > 0 and row["requests"] == "6" for row in rows)
    answer = mixed_batches.SwitchingPeft.answer
    monkeypatch.setattr(mixed_batches.SwitchingPeft, "answer", lambda *args: [text + "?" for text in answer(*args)])
    with pytest.raises(SystemExit, match="6 of 6 answers of peft switching are not those of mpt mixed"):
        mixed_batches.main(arguments)
    mixed_batches.main([*arguments, "--dtype", "bfloat16"])  # told, for rounding alone makes some
    with out.open() as file:
        assert next(row["unlike"] for row in csv.DictReader(file)) == "6"
