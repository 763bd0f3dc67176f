"""Standard output and error that are full, closed, gone or know little, and names that are no UTF-8."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from support.toy import Mpt

NAME = os.fsdecode(b"pr\xe9.yaml")


def run(line: str, folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """A line of a shell, as Python runs unless told otherwise: what is printed is written at the end."""
    usual = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    words = ["bash", "-c", f"set -o pipefail; mpt() {{ '{sys.executable}' -m mpt \"$@\"; }}\n{line}"]
    return subprocess.run(
        words, cwd=folder, capture_output=True, text=True, errors="surrogateescape", env=usual | variables
    )


@pytest.mark.long
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
@pytest.mark.parametrize("words", ["--version", "tasks show trec", "adapt --help"])
def test_a_full_disk_behind_standard_output_is_told_once(words, tmp_path):
    ended = run(f"mpt {words} > /dev/full", tmp_path)
    assert ended.returncode == 2 and ended.stderr.startswith("mpt: error: No space left on device: make room")
    assert ended.stderr.count("\n") == 1 and " MB" not in ended.stderr


@pytest.mark.long
@pytest.mark.parametrize("words", ["--version", "configs list", "adapt --help"])
def test_a_reader_that_has_seen_enough_is_no_error(words):
    """As `mpt configs list | head -1`: nothing on standard error."""
    command = [sys.executable, "-m", "mpt", *words.split()]
    quiet = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=quiet) as process:
        assert process.stdout is not None and process.stderr is not None
        process.stdout.close()  # before a line is written
        told = process.stderr.read()
        assert process.wait() == 141 and told == ""


@pytest.mark.long
def test_what_is_meant_for_a_closed_stream_goes_nowhere(tmp_path):
    assert run("mpt tasks --names >&-", tmp_path).returncode == 0
    ended = run("mpt tasks show nothing 2>&-", tmp_path)
    assert ended.returncode == 2 and ended.stdout == ""


@pytest.mark.long
def test_a_terminal_that_knows_ascii_alone(tmp_path):
    ended = run("mpt predict --help && mpt configs show prompt_tuning", tmp_path, PYTHONIOENCODING="ascii")
    assert ended.returncode == 0 and "mpt predict PROMPT [PROMPT \\u2026] FILE" in ended.stdout, ended.stderr


@pytest.mark.long
def test_data_on_standard_output_is_utf8():
    script = "from mpt.util.output import data_output; print('dé…', file=data_output())"
    ended = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, env={**os.environ, "PYTHONIOENCODING": "ascii"}
    )
    assert ended.stdout.decode() == "dé…\n"


@pytest.mark.long
def test_a_name_that_is_no_utf8_is_shown_and_refused_where_it_would_be_written_into_a_file(tmp_path):
    copied = run(f"mpt configs copy prompt_tuning {NAME}", tmp_path)
    assert copied.returncode == 0 and copied.stdout == "pr\\udce9.yaml\n" and (tmp_path / NAME).is_file()
    fit = "mpt fit --config prompt_tuning --data.task syn-sentiment-tweet --trainer.default_root_dir"
    study = [f"mpt study {words}" for words in (f"plan {NAME}", f"run {NAME}", f"run quickstart --out {NAME}")]
    lines = (f"{fit} {NAME}", f"{fit}={NAME}", f"mpt adapt {NAME} --out new", *study, f"mpt sweep run {NAME}")
    for line in lines:
        ended = run(line, tmp_path)
        assert ended.returncode == 2 and "pr\\udce9.yaml is not UTF-8" in ended.stderr, ended.stderr
        assert ended.stderr.count("\n") == 1 and [path.name for path in tmp_path.iterdir()] == [NAME]
        assert ("--trainer.default_root_dir" in ended.stderr) == ("default_root_dir" in line)


@pytest.mark.long
def test_the_folder_was_removed(tmp_path):
    gone = "mkdir gone; cd gone; rmdir ../gone"
    variables = {"PYTHONPATH": str(Path(__file__).parents[2]), "PYTHONSAFEPATH": "1"}
    assert run(f"{gone}; mpt --version", tmp_path, **variables).stdout.startswith("mpt ")


@pytest.mark.long
def test_the_number_of_a_process_concerns_commands_that_run_on_several_devices(tmp_path, monkeypatch, capsys):
    """Another process of a run leaves a mistake to the first; any other command tells it itself, without waiting."""
    monkeypatch.setenv("LOCAL_RANK", "1")
    monkeypatch.setattr("mpt.cli.main._leave_it_to_the_first_device", lambda _: pytest.fail("it waits"))
    ended = Mpt(capsys)("library", "list", "nothing")
    assert ended.code == 2 and ended.err.startswith("mpt: error: library nothing")
    ended = run("mpt fit --config prompt_tuning", tmp_path, LOCAL_RANK="x")
    assert ended.returncode == 2 and "LOCAL_RANK is x" in ended.stderr and ended.stderr.count("\n") == 1
