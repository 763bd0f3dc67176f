"""Several processes at one library: nothing is lost, and nobody ever reads half an entry."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from support.toy_library import RECIPE, draw, filled, found

from mpt.library.index import FILE
from mpt.library.library import Library

EACH = 60

ADD = """
import sys
import torch
from mpt.library.library import Library
torch.set_num_threads(1)
library, who, count = Library.open(sys.argv[1]), sys.argv[2], int(sys.argv[3])
for i in range(count):
    key = torch.full((3, 4), float(i + 1))
    facts = {"fingerprint": "f", "task": f"task{i}", "seed": i}
    library.add(f"{who}{i:03}", key, key + 1000 * (who == "b"), facts, decoder_only=False)
print("done")
"""


def start(*arguments: object) -> subprocess.Popen[str]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [sys.executable, "-c", ADD, *map(str, arguments)], stdout=subprocess.PIPE, env=environment, text=True
    )


@pytest.mark.long
def test_two_add_while_a_third_searches(tmp_path):
    Library.create(tmp_path / "library", RECIPE)
    adders = [start(tmp_path / "library", who, EACH) for who in "ab"]
    library, sizes = Library.open(tmp_path / "library"), [0]
    while any(adder.poll() is None for adder in adders):
        hits = library.search(torch.ones(3, 4), 1000, fingerprint="f")
        sizes.append(len(hits))
        for hit in hits[-3:]:
            i = hit.entry.seed or 0
            assert library.key(hit.entry).tolist() == [[float(i + 1)] * 4] * 3
            assert library.value(hit.entry)[0, 0] == i + 1 + 1000 * hit.entry.name.startswith("b")
        assert not library.refused
        time.sleep(0.05)
    assert [adder.communicate()[0].strip() for adder in adders] == ["done", "done"]
    assert sizes == sorted(sizes) and len(set(sizes)) > 2, "it grows while it is searched"
    for searched in (library, Library.open(tmp_path / "library")):
        names = {hit.entry.name for hit in searched.search(torch.ones(3, 4), 1000, fingerprint="f")}
        assert names == {f"{who}{i:03}" for who in "ab" for i in range(EACH)}
        assert not searched.refused
    assert not list((tmp_path / "library" / ".adding").iterdir())


def test_several_searchers_share_one_index(tmp_path, monkeypatch):
    library = filled(tmp_path / "library", 8)
    others = [Library.open(library.folder) for _ in range(2)]
    assert [list(found(other)) for other in others] == [list(found(library))] * 2
    library.add("new", *draw(7), {"fingerprint": "f"}, decoder_only=False)
    found(library)
    index = library.folder / ".index" / FILE
    content = index.read_bytes()
    monkeypatch.setattr("mpt.library.entry.read_prompt", lambda _: pytest.fail("what one has read another need not"))
    assert [len(found(other)) for other in others] == [9, 9]
    assert index.read_bytes() == content


@pytest.mark.long
@pytest.mark.skipif(sys.platform == "win32", reason="no kill -9")
def test_a_killed_adder_leaves_no_half_entry(tmp_path):
    library = Library.create(tmp_path / "library", RECIPE)
    adder = start(library.folder, "a", 100_000)
    deadline = time.monotonic() + 60
    while len(library.entries()) < 5 and time.monotonic() < deadline:
        time.sleep(0.05)
    adder.send_signal(signal.SIGKILL)
    adder.wait()
    if adder.stdout:
        adder.stdout.close()
    there = [path.name for path in Path(library.folder / "prompts").iterdir()]
    assert [entry.name for entry in library.entries()] == sorted(there) and not library.refused
    before = len(there)
    library.add("new", *draw(1), {"fingerprint": "f"}, decoder_only=False)
    assert len(library.entries()) == before + 1
