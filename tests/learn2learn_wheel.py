"""learn2learn for the tests that compare with it: built from its sdist, importable for them alone."""

from __future__ import annotations

import importlib
import importlib.util
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

REQUIREMENT = "learn2learn==0.2.0"


@contextmanager
def learn2learn(cache: Path) -> Iterator[ModuleType]:
    """The package imported, and afterwards gone again.

    Where it is not installed it is built, once per ``cache`` folder and Python. Its ``__init__`` imports gym and
    torchvision, which its MAML does not use: where these do not load, empty modules stand in for them, for as long
    as the import takes.

    Without a package index or a compiler the test is skipped, or fails where MPT_REQUIRE_LEARN2LEARN is set.
    """
    installed = importlib.util.find_spec("learn2learn") is not None
    path = None if installed else str(_built(cache))
    if path:
        sys.path.insert(0, path)
    try:
        with _stand_ins({name for name in ("gym", "torchvision") if not _loads(name)}):
            module = importlib.import_module("learn2learn")
        yield module
    finally:
        _forget("learn2learn")
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
        # The wheel is compiled without optimisation, so it must not enter pip's cache, where others would find it.
        install += ["--no-cache-dir", "--no-deps", "--no-build-isolation", "--config-settings=--build-option=build_ext"]
        install += ["--target", f"{work}/site", REQUIREMENT]
        environment = {**os.environ, "CFLAGS": "-O0"}
        try:
            ended = subprocess.run(install, env=environment, capture_output=True, text=True, timeout=200)
            failure = ended.stdout + ended.stderr if ended.returncode else None
        except subprocess.TimeoutExpired:
            failure = "pip took longer than 200 s"
        if failure:
            what = f"{REQUIREMENT} could not be built; it takes a package index, Cython < 3.1 and a C compiler"
            if required:
                pytest.fail(f"{what}\n{failure}", pytrace=False)
            pytest.skip(f"{what}: {failure.strip().splitlines()[-1]}")
        try:
            Path(work, "site").rename(folder)
        except OSError:
            assert folder.is_dir(), "another process was not quicker"
    return folder


def _loads(name: str) -> bool:
    try:
        importlib.import_module(name)
    except Exception:  # torchvision beside a torch that it was not built for raises RuntimeError
        _forget(name)
        return False
    return True


def _forget(name: str) -> None:
    for module in [module for module in sys.modules if module.split(".")[0] == name]:
        del sys.modules[module]


class _Anything(Exception):
    """Whatever learn2learn takes from a module that stands in: a base class, an exception, a function."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__()


class _StandIn(ModuleType):
    def __getattr__(self, name: str) -> type[_Anything]:
        if name.startswith("__"):
            raise AttributeError(name)
        return type(name, (_Anything,), {})


class _Finder(MetaPathFinder, Loader):
    def __init__(self, names: set[str]) -> None:
        self.names = names

    def find_spec(self, fullname: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        return ModuleSpec(fullname, self, is_package=True) if fullname.split(".")[0] in self.names else None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return _StandIn(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        pass


@contextmanager
def _stand_ins(names: set[str]) -> Iterator[None]:
    # Lightning and transformers ask, when they are imported, whether torchvision is there: they must not find this one.
    for name in ("pytorch_lightning", "transformers"):
        importlib.import_module(name)
    finder = _Finder(names)
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)
        for name in names:
            _forget(name)
