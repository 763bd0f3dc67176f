"""What the command line says of a study in place of its file."""

from __future__ import annotations

from support.toy import Mpt
from support.toy_study import write_study, write_tasks


def test_another_root_and_another_backbone(capsys, tmp_path):
    (tmp_path / "study").mkdir()
    file, other = write_study(tmp_path / "study", "nowhere"), write_tasks(tmp_path / "other")
    words = ("study", "plan", file, "--root", other, "--backbone", "mpt-tiny", "--commands")
    told = Mpt(capsys)(*words)
    lines = [line for line in told.out.splitlines() if " fit " in line]
    assert told.code == 0 and len(lines) > 10
    assert all("--model.backbone=mpt-tiny" in line and f"--data.root={other}" in line for line in lines)
