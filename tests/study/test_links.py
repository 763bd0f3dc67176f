"""No link leads out of a study's folder."""

from __future__ import annotations

import json

import pytest
from study.toy_study import write_study
from toy import Mpt


@pytest.mark.parametrize("place", ["PT", "study.json", "PT/a/result.json", ".claims", "report"])
def test_a_folder_with_a_link_is_refused_and_nothing_outside_is_touched(place, capsys, tmp_path):
    mpt, out, outside = Mpt(capsys), tmp_path / "out", tmp_path / "outside"
    (out / "PT" / "a").mkdir(parents=True)
    (out / "study.json").write_text(json.dumps({"settings": [], "runs": []}))
    outside.mkdir()
    link = out / place
    if link.is_dir():
        (link / "a").rmdir()
        link.rmdir()
    link.unlink(missing_ok=True)
    link.symlink_to(outside)
    if place == "study.json":
        link.unlink()
        link.symlink_to(outside.with_suffix(".json"))
        outside.with_suffix(".json").write_text(json.dumps({"settings": [], "runs": []}))
    file = write_study(tmp_path, "mpt-tiny")
    for words in (["plan", file, "--out", out], ["run", file, "--out", out], ["report", out]):
        ended = mpt("study", *words)
        assert ended.code == 2 and f"study {out}: {place} leads out of its folder by a link" in ended.err
    assert not any(outside.iterdir())


def test_a_run_is_in_its_study(capsys, tmp_path):
    (tmp_path / "study.json").write_text(json.dumps({"settings": [], "runs": [{"key": "PT/../../x"}]}))
    ended = Mpt(capsys)("study", "report", tmp_path)
    assert ended.code == 2 and "PT/../../x would lie outside" in ended.err
