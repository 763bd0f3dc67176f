"""Home folders, in what is read and in what is written."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.toy import Mpt

from mpt.adapt.in_python import adapt_examples
from mpt.backbone.source import lies_at
from mpt.library.library import Library
from mpt.prompt.files import read_prompt
from mpt.prompt.numpy_file import read_numpy
from mpt.use.answers.folders import prompt_folder, prompts_in
from mpt.util.checkpoints import find_checkpoint
from mpt.util.errors import UserError
from mpt.util.places import expanded

NOBODY = "~no-such-user-of-mpt/x"


@pytest.fixture
def home(tmp_path, monkeypatch) -> Path:
    (tmp_path / "home").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "home"


def test_a_home_folder_is_put_for_its_sign_and_no_other_is_made_up(home):
    assert expanded("~/x") == home / "x" and expanded(Path("~")) == home
    assert expanded("a/~/x") == Path("a/~/x") and expanded("/x") == Path("/x")
    with pytest.raises(UserError, match=r"^~no-such-user-of-mpt/x: ~no-such-user-of-mpt has no home folder; "):
        expanded(NOBODY)


@pytest.mark.parametrize(
    "read",
    [
        lies_at,
        Library.open,
        read_prompt,
        prompt_folder,
        prompts_in,
        lambda name: prompt_folder(f"{name}:entry"),
        lambda name: read_numpy(Path(name)),
        lambda name: find_checkpoint(name, Path()),
    ],
)
def test_what_is_read_of_somebody_who_is_not_there_is_a_mistake(read, home):
    with pytest.raises(UserError, match="has no home folder"):
        read(NOBODY)


@pytest.mark.parametrize(
    "words",
    [
        "configs schema study --out=~/out",
        "configs copy prompt_tuning ~/out",
        "library export synthetic syn-age-post-13 ~/out",
        "data text notes notes.txt --seeds 13 --root=~/out",
    ],
)
def test_what_a_command_writes_goes_to_the_home_folder(words, home, capsys):
    (home.parent / "notes.txt").write_text("".join(f"a {number}\n\n" for number in range(20)))
    assert Mpt(capsys)(*words.split()).code == 0
    assert [path.name for path in home.iterdir()] == ["out"]
    assert sorted(path.name for path in home.parent.iterdir()) == ["home", "notes.txt"]


@pytest.mark.parametrize(
    "words",
    [
        "adapt rows.csv --out=~/out.csv",
        "predict prompt rows.csv --out=~/out.csv",
        "prompt import rows.npy ~/out.csv --backbone mpt-tiny",
        "export tokens prompt ~/out.csv",
    ],
)
def test_what_lies_in_the_home_folder_is_not_written_over(words, home, capsys):
    (home / "out.csv").touch()
    ended = Mpt(capsys)(*words.split())
    assert ended.code == 2 and f"{home / 'out.csv'} exists" in ended.err
    with pytest.raises(UserError, match=f"{home / 'out.csv'} exists"):
        adapt_examples([], out=Path("~/out.csv"))
