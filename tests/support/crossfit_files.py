"""CrossFit's files and small stand-ins of it: raw files, a user's task, Parquet files, a cache and a hub of them."""

from __future__ import annotations

import functools
import http.server
import json
import os
import threading
import time
import urllib.parse
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow
import pytest
from pyarrow import parquet

from mpt.data.build.build import BuildJob
from mpt.data.tasks.known import read_task
from mpt.data.tasks.task import Task

SEEDS = (100, 13, 21, 42, 87)
SHA = "0123456789abcdef0123456789abcdef01234567"


def crossfit_folder() -> Path:
    """The folder with CrossFit's full/, fewshot/ and md5.json that MPT_CROSSFIT names; without one, skips."""
    folder = os.environ.get("MPT_CROSSFIT")
    if not folder or not Path(folder, "full").is_dir():
        pytest.skip("MPT_CROSSFIT names no folder with CrossFit's files (fewshot/, full/, md5.json)")
    return Path(folder)


def write_raw(folder: Path, task: str, train: int = 100, test: int = 10, labels: Sequence[str] = ("yes", "no")) -> Path:
    """Raw files of a task with numbered inputs, labels in turn; returns the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for split, size in (("train", train), ("test", test)):
        lines = [f"{split} é {i}\t{labels[i % len(labels)]}\n" for i in range(size)]
        (folder / f"{task}.{split}.tsv").write_bytes("".join(lines).encode())
    return folder


class Deadly(BuildJob):
    """A job whose process dies at it."""

    @property
    def sizes(self):
        os._exit(9)


class Slow(BuildJob):
    """A job that takes a while."""

    @property
    def sizes(self):
        time.sleep(0.4)
        return super().sizes


OWN = """\
name: {name}
type: classification
category: other
metric: ACC
by_label: true
source:
  hub: {hub}
  config: {config}
  revision: refs/convert/parquet
  train: train
  {test}
input: "question: {{text}}"
label: label
labels: {{0: "no", 1: "yes"}}
version: {version}
note: {note}
example:
  row: {{text: Is it?, label: 1, id: 7}}
  input: "question: Is it?"
  output: "yes"
"""


def write_own(path: Path, **facts: Any) -> Path:
    """A user's own task file, named as the file is."""
    defaults = {
        "name": path.stem,
        "hub": "who/what",
        "config": "default",
        "test": "test: validation",
        "version": 1,
        "note": "Made up.",
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(OWN.format(**{**defaults, **facts}), encoding="utf-8")
    return path


def own_task(folder: Path, name: str = "own", **facts: Any) -> Task:
    return read_task(write_own(folder / f"{name}.yaml", **facts))


def rows(size: int, first: int = 0) -> list[dict[str, Any]]:
    """Rows of the own task's source."""
    return [{"text": f"Row {i}?", "label": i % 2, "id": i} for i in range(first, first + size)]


def write_parquet(path: Path, rows: Sequence[Mapping[str, Any]], schema: pyarrow.Schema | None = None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    parquet.write_table(pyarrow.Table.from_pylist(list(rows), schema=schema), path)
    return path


def write_branch(folder: Path, config: str = "default", **splits: Sequence[Mapping[str, Any]]) -> Path:
    """A data set as the hub's Parquet branch has it, each split in two files; returns the folder."""
    for split, content in splits.items():
        half = len(content) // 2
        for number, part in enumerate((content[:half], content[half:])):
            write_parquet(folder / config / split / f"{number:04}.parquet", part)
    return folder


def cache_of(home: Path, hub: str = "who/what", revision: str = "refs/convert/parquet") -> Path:
    """The folder of a data set's files in the hub's cache, as a download leaves it, under ``$HF_HOME``."""
    repo = home / "hub" / f"datasets--{hub.replace('/', '--')}"
    reference = repo / "refs" / revision
    reference.parent.mkdir(parents=True, exist_ok=True)
    reference.write_text(SHA)
    snapshot = repo / "snapshots" / SHA
    snapshot.mkdir(parents=True, exist_ok=True)
    return snapshot


def use_cache(monkeypatch: pytest.MonkeyPatch, home: Path, endpoint: str | None = None) -> None:
    """Have the hub's library look into this cache, and ask nobody or the hub at ``endpoint``."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(home / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", endpoint is None)
    if endpoint is not None:
        monkeypatch.setattr(constants, "ENDPOINT", endpoint)
        template = endpoint + "/{repo_id}/resolve/{revision}/{filename}"
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)


@contextmanager
def hub_of(folder: Path, refuse: tuple[int, str] | None = None) -> Iterator[str]:
    """A hub on this machine with the one data set ``who/what``, whose files are those of a folder.

    Args:
        refuse: status and error code with which it answers everything.

    Yields:
        Its address.
    """
    handler = functools.partial(_Hub, folder, refuse)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Hub(http.server.BaseHTTPRequestHandler):
    def __init__(self, folder: Path, refuse: tuple[int, str] | None, *arguments: Any) -> None:
        self.folder, self.refuse = folder, refuse
        super().__init__(*arguments)

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        path = urllib.parse.unquote(urllib.parse.urlsplit(self.path).path)
        files = sorted(file for file in self.folder.rglob("*") if file.is_file())
        names = {file.relative_to(self.folder).as_posix(): file for file in files}
        if self.refuse is not None:
            self.answer(b"{}", self.refuse[0], {"X-Error-Code": self.refuse[1], "X-Error-Message": "no"})
        elif path.startswith("/api/datasets/who/what/revision/"):
            siblings = [{"rfilename": name} for name in names]
            self.answer(json.dumps({"id": "who/what", "sha": SHA, "siblings": siblings}).encode())
        elif path.startswith("/api/datasets/who/what/tree/"):
            tree = [
                {"type": "file", "path": name, "size": file.stat().st_size, "oid": f"{number:040}"}
                for number, (name, file) in enumerate(names.items())
            ]
            self.answer(json.dumps(tree).encode())
        elif (name := path.removeprefix(f"/datasets/who/what/resolve/{SHA}/")) in names:
            etag = f'"{list(names).index(name):040}"'
            self.answer(names[name].read_bytes(), headers={"ETag": etag, "X-Repo-Commit": SHA})
        else:
            self.answer(b"{}", 404, {"X-Error-Code": "RepoNotFound"})

    def answer(self, content: bytes, status: int = 200, headers: Mapping[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {**(headers or {}), "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        pass
