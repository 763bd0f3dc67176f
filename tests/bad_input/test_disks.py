"""Disks and permissions: a full disk, a folder that may not be written to, and each command that writes."""

from __future__ import annotations

import errno
import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from support.bad_input import Refused, contents
from support.crossfit_files import write_raw
from support.toy import small_fit

from mpt.util.errors import system_mistake
from mpt.util.files import new_folder, replacing, write_text

TUNING = "--steps 4 --every 2 --prompt-length 4 --rate 0.1 --max-input-length 16 --device cpu"
COMMANDS = {
    "adapt": f"adapt rows.csv --library none --backbone MODEL --out new/out {TUNING}",
    "predict": "predict prompt rows.csv --out new/rows.csv",
    "evaluate": "evaluate prompt rows.csv --out new/rows.json",
    "prompt import": "prompt import rows.npy new/prompt --backbone MODEL",
    "library export": "library export library f0 new/prompt",
    "library learn": "library learn --tasks ag_news emo --root tasks --k 16 --backbone MODEL --prompt-length 4 "
    "--rate 0.1 --steps 4 --every 2 --key-steps 2 --max-input-length 16 --max-target-length 2 --out new/library",
    "study run": "study run study.yaml --out new/study --workers 1",
    "data text": "data text notes notes.txt --root new/data --seeds 13",
    "data build": "data build trec --raw raw --root new/data --seeds 13 --workers 1",
    "fit": "",
}


@contextmanager
def full_at(size: int) -> Iterator[None]:
    """Let no file grow beyond so many bytes: the system says so to whoever writes, as it does on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.fixture
def command(request, here, monkeypatch, model_folder) -> list[object]:
    """Words of the command whose name is given, all of which goes below the folder ``new``."""
    monkeypatch.setenv("WANDB_MODE", "disabled")
    (here / "new").mkdir()
    (here / "notes.txt").write_text("".join(f"a b {number}\n\n" for number in range(20)))
    write_raw(here / "raw", "trec", labels=("LOC", "NUM"))
    model = model_folder("t5")
    if request.param == "fit":
        return ["fit", "--config", "prompt_tuning", *small_fit(model, Path("data"), Path("new/run"))]
    return [word.replace("MODEL", str(model)) for word in COMMANDS[request.param].split()]


def left_behind(folder: Path) -> list[str]:
    return [name for name in contents(folder) if name.endswith((".new", ".old"))]


@pytest.mark.long
@pytest.mark.parametrize("size", [100, 3000])
@pytest.mark.parametrize(
    "command",
    [pytest.param(name, marks=pytest.mark.slow) if name == "study run" else name for name in COMMANDS],
    indirect=True,
)
def test_on_a_full_disk_nothing_is_half_written_and_the_command_goes_on(size, command, here, refused: Refused):
    with full_at(size):
        done = refused.finished(*command, seconds=60)
    assert "Traceback" not in done.out + done.err
    assert not left_behind(here)
    if not done.code:  # it wrote nothing that is larger
        assert max(path.stat().st_size for path in (here / "new").rglob("*") if path.is_file()) <= size
        return
    assert done.code in (1, 2), done.err  # 1: of many tasks some are not made, which a table says
    told = done.err.splitlines()[-1] if done.code == 2 else done.out
    assert "new" in told and "File too large" in told
    again = refused.finished(*command, seconds=60)
    assert again.code == 0, again.err
    assert not left_behind(here)


@pytest.mark.parametrize("command", [*COMMANDS], indirect=True)
def test_a_folder_that_may_not_be_written_to_is_named(command, here, refused: Refused):
    (here / "new").chmod(0o555)
    assert "Permission denied" in refused(*command, says="new")


@pytest.mark.parametrize("command", [*COMMANDS], indirect=True)
def test_a_file_where_the_folder_should_be_is_named(command, here, refused: Refused):
    (here / "new").rmdir()
    (here / "new").write_text("mine")
    refused(*command, says="new")


def test_a_full_disk_says_which_place_and_how_much_room_there_is(tmp_path):
    with pytest.raises(OSError) as full, replacing(tmp_path / "table.csv"):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    told = str(system_mistake(full.value))
    assert told.startswith(f"{tmp_path / 'table.csv'}: No space left on device; ") and " MB are free there" in told
    with pytest.raises(OSError) as full, new_folder(tmp_path / "prompt") as fresh:
        write_text(fresh / "one.txt", "x")
        raise RuntimeError("of a library") from OSError(errno.EDQUOT, os.strerror(errno.EDQUOT))
    assert str(system_mistake(full.value)).startswith(f"{tmp_path / 'prompt'}: Disk quota exceeded; ")
    with pytest.raises(OSError) as full, new_folder(tmp_path / "prompt") as fresh:
        (fresh / "deep").mkdir()
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(fresh / "deep" / "mpt.json"))
    assert str(system_mistake(full.value)).startswith(f"{tmp_path / 'prompt'}: No space left on device; ")
    assert not list(tmp_path.iterdir())
