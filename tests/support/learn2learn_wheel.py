"""learn2learn for the tests that compare with it: its Python files from its sdist, importable for them alone."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from mpt.learn.meta.with_learn2learn import maml

REQUIREMENT = "learn2learn==0.2.0"


@contextmanager
def learn2learn(cache: Path) -> Iterator[type]:
    """Its class ``MAML``, which mpt's engines find as well for as long.

    Where it is not installed it is, as the Makefile does, once per ``cache`` folder and Python. Without a package index
    the test is skipped, or fails where MPT_REQUIRE_LEARN2LEARN is set.
    """
    path = None if importlib.util.find_spec("learn2learn") else str(_built(cache))
    if path:
        sys.path.insert(0, path)
    try:
        yield maml()
    finally:
        maml.cache_clear()
        if path:
            sys.path.remove(path)


def _built(cache: Path) -> Path:
    folder = cache / f"{REQUIREMENT}-{sys.implementation.cache_tag}"
    if folder.is_dir():
        return folder
    required = bool(os.environ.get("MPT_REQUIRE_LEARN2LEARN"))
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache) as work:
        install = [sys.executable, "-m", "pip", "install", "--disable-pip-version-check", "--no-input"]
        install += [] if required else ["--retries", "0"]
        install += ["--no-cache-dir", "--no-deps", "--no-build-isolation", "--target", f"{work}/site", REQUIREMENT]
        environment = {**os.environ, "CC": "true", "LDSHARED": "true"}
        try:
            ended = subprocess.run(install, env=environment, capture_output=True, text=True, timeout=200)
            failure = ended.stdout + ended.stderr if ended.returncode else None
        except subprocess.TimeoutExpired:
            failure = "pip took longer than 200 s"
        if failure:
            what = f"{REQUIREMENT} could not be installed; it takes a package index"
            if required:
                pytest.fail(f"{what}\n{failure}", pytrace=False)
            pytest.skip(f"{what}: {failure.strip().splitlines()[-1]}")
        try:
            Path(work, "site").rename(folder)
        except OSError:
            assert folder.is_dir(), "another process was not quicker"
    return folder
