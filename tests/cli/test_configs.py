"""mpt configs, of files that a stranger wrote."""

from __future__ import annotations

from support.toy import Mpt


def test_a_shown_file_has_its_lines_and_no_signs_that_a_terminal_obeys(tmp_path, capsys):
    (tmp_path / "one.yaml").write_bytes(b"a: \x1b[2J1\r\nb:\tgr\xc3\xbcn\n")
    assert Mpt(capsys)("configs", "show", tmp_path / "one.yaml").out == "a: \\x1b[2J1\nb:\tgrün\n"


def test_a_file_that_is_no_text_is_refused_in_one_sentence(tmp_path, capsys):
    (tmp_path / "one.yaml").write_bytes(b"a: gr\xfcn\n")
    ended = Mpt(capsys)("configs", "show", tmp_path / "one.yaml")
    assert ended.code == 2 and "one.yaml: it is not UTF-8" in ended.err


def test_a_shipped_file_is_shown_as_it_is(capsys):
    from mpt.fit.configs import shipped_configs

    for name in ("prompt_tuning", "studies/quickstart"):
        text = shipped_configs()[name].read_text(encoding="utf-8")
        assert Mpt(capsys)("configs", "show", name).out == text
