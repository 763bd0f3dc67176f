"""What the command line says of a study in place of its file."""

from __future__ import annotations

from argparse import Namespace

import pytest
from support.toy import Mpt
from support.toy_study import write_study, write_tasks

from mpt.cli.study import _study
from mpt.util.errors import UserError


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


def test_a_setting_with_a_backbone_of_its_own_keeps_it():
    asked = {"file": "studies/paper/q4", "root": None, "backbone": "mpt-tiny"}
    with pytest.raises(UserError, match=r"--backbone mpt-tiny: the setting T5-Base of studies/paper/q4 has a backbone"):
        _study(Namespace(**asked, settings=["T5-Base"]))
    assert _study(Namespace(**asked | {"backbone": None}, settings=["T5-Base"])).only == ("T5-Base",)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("plan", "quickstart", "--reuse", "x"), "plan: unrecognized arguments: --reuse x; mpt study run has it"),
        (("run", "quickstart", "--wrokers=1"), "run: unrecognized arguments: --wrokers=1; did you mean --workers"),
        (("report", "x", "y"), "report: unrecognized arguments: y; see --help"),
        (
            ("report", "x", "--workers", "3"),
            "report: unrecognized arguments: --workers 3; mpt study run and mpt study plan",
        ),
        (("--commands", "plan", "quickstart"), "plan: unrecognized arguments: --commands; give it after plan"),
    ],
)
def test_an_option_of_another_action_is_told_from_an_unknown_one(words, said, capsys):
    told = Mpt(capsys)("study", *words)
    assert told.code == 2 and f"mpt study {said}" in told.err and told.err.count("\n") == 1
