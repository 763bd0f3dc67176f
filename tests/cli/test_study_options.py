"""What the command line says of a study in place of its file."""

from __future__ import annotations

from argparse import Namespace

from support.toy import Mpt
from support.toy_study import write_study, write_tasks

from mpt.cli.study import _study


def test_another_root_and_another_backbone(capsys, tmp_path):
    (tmp_path / "study").mkdir()
    file, other = write_study(tmp_path / "study", "nowhere"), write_tasks(tmp_path / "other")
    words = ("study", "plan", file, "--root", other, "--backbone", "mpt-tiny", "--commands")
    told = Mpt(capsys)(*words)
    lines = told.out.splitlines()
    assert told.code == 0 and len(lines) > 10
    assert all(f"--root {other} --backbone mpt-tiny --only " in line for line in lines)
    study = _study(Namespace(file=str(file), settings=[], root=str(other), backbone="mpt-tiny"))
    assert (study.root, study.backbone) == (str(other), "mpt-tiny")
