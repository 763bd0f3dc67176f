"""CrossFit's published sums: all of them, as they were published."""

from __future__ import annotations

import hashlib
import json

from support.crossfit_files import SEEDS, crossfit_folder

from mpt.data.build.checksums import md5, published
from mpt.data.tasks.known import catalogue


def test_they_are_the_published_ones():
    assert published() == json.loads((crossfit_folder() / "md5.json").read_text(encoding="utf-8"))


def test_every_task_has_fifteen_named_after_its_way_of_sampling():
    assert set(published()) == set(catalogue("crossfit"))
    for task, sums in published().items():
        k = 16 if catalogue()[task].by_label else 32
        assert set(sums) == {f"{task}_{k}_{seed}_{split}.tsv" for seed in SEEDS for split in ("train", "dev", "test")}
        assert all(len(sum) == 32 and set(sum) <= set("0123456789abcdef") for sum in sums.values())


def test_md5_of_a_file(tmp_path):
    for content in (b"", b"abc", b"x" * 3_000_000):
        (tmp_path / "file").write_bytes(content)
        assert md5(tmp_path / "file") == hashlib.md5(content).hexdigest()
