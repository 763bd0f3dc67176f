"""Raw files, line by line."""

from __future__ import annotations

import pytest
from support.crossfit_files import crossfit_folder, own_task

from mpt.data.build.raw import raw_files, raw_records, raw_tasks
from mpt.data.catalogue.recipe import Record
from mpt.data.tasks.known import catalogue
from mpt.data.tasks.task import Task
from mpt.util.errors import UserError

FREE = Task("free", "generation", "Rouge-L")


def put(path, content):
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def lines(records):
    return "".join(f"{record.input}\t{record.output}\n" for record in records).encode()


def test_a_line_feed_ends_a_line_and_the_first_tab_an_input(tmp_path):
    content = "a\u2028b\x0bc\x85d\re\tone\ttwo\n\tno input\n over\n\ntwo lines \t out \n\t\nlast\tx\r\n"
    path = put(tmp_path / "a.tsv", content)
    records = list(raw_records(path, FREE))
    assert records == [
        Record("a\u2028b\x0bc\x85d\re", "one\ttwo"),
        Record("", "no input"),
        Record(" over\n\ntwo lines ", " out "),
        Record("", ""),
        Record("last", "x\r"),
    ]
    assert lines(records) == path.read_bytes()


def test_crossfits_raw_files_come_back_byte_for_byte():
    full = crossfit_folder() / "full"
    names = raw_tasks(full)
    assert len(names) >= 50
    for name in names:
        for path in raw_files(full, name):
            assert lines(raw_records(path, catalogue()[name])) == path.read_bytes(), path


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("", "is empty"),
        ("a\tyes\ni\0n\tyes\n", "line 2 holds a null byte"),
        ("in\tyes", "looks cut off: line 1, its last, does not end with a line feed"),
        ("in\tyes\nin", "looks cut off: line 2"),
        ("in\tyes\nin\n", "looks cut off: line 2, its last, has no tab"),
        (b"in\tyes\n\xff\tno\n", "line 2 is not UTF-8.*byte 0"),
        ("in\tyes\r\n", "Windows line ends"),
        ("\ufeffin\tyes\n", "begins with a byte order mark"),
        ("in\tyes\nin\tmaybe\n", "line 2 has the output 'maybe'; own knows no, yes"),
        ("in\tyes\tno\n", r"line 1 has the output 'yes\\tno'"),
    ],
)
def test_a_bad_file_is_named_with_its_line(tmp_path, content, complaint):
    with pytest.raises(UserError, match=rf"a\.tsv.*{complaint}"):
        list(raw_records(put(tmp_path / "a.tsv", content), own_task(tmp_path)))


def test_windows_line_ends_are_refused(tmp_path):
    with pytest.raises(UserError, match=r"a\.tsv has Windows line ends"):
        list(raw_records(put(tmp_path / "a.tsv", "a\tb\r\nc\td\r\n"), FREE))


def test_an_unreadable_file_is_named(tmp_path):
    with pytest.raises(UserError, match=r"Cannot read .*none\.tsv: No such file"):
        list(raw_records(tmp_path / "none.tsv", FREE))


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(UserError, match=r"its raw files .* are not in"):
        raw_files(tmp_path, "free")
    put(tmp_path / "free.train.tsv", "a\tb\n")
    with pytest.raises(UserError, match=r"no raw file .*free\.test\.tsv"):
        raw_files(tmp_path, "free")
    put(tmp_path / "free.test.tsv", "a\tb\n")
    assert [file.name for file in raw_files(tmp_path, "free")] == ["free.train.tsv", "free.test.tsv"]
    put(tmp_path / "README.md", "")
    assert raw_tasks(tmp_path) == ["free"]
