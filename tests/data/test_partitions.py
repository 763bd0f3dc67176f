"""Partition files."""

import pytest

from mpt.data.partitions import Partition, load_partition, partition_names
from mpt.errors import UserError


def put(path, text):
    path.write_text(text, encoding="utf-8")
    return path


def test_a_partition_file(tmp_path):
    path = put(tmp_path / "mine.yaml", "source: [a, b]\ntarget:\n  - c\nvalidation: [d]\n")
    assert load_partition(path) == load_partition(str(path)) == Partition("mine", ("a", "b"), ("c",), ("d",))
    assert load_partition(put(tmp_path / "other.yml", "source: [a]\ntarget: [b]")).validation == ()


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("source: [a]\ntarget: [a]\n", "two of its lists: a"),
        ("source: [a, b, b]\ntarget: [c]\n", "twice.*: b"),
        ("source: [a]\ntarget: [b]\nvalidation: [a]", ": a"),
        ("source: [a]\n", "no target task"),
        ("source: []\ntarget: [b]\n", "no source task"),
        ("source: a\ntarget: [b]\n", "source must be a list"),
        ("source: [a]\ntarget: [1]\n", "target must be a list"),
        ("sources: [a]\ntarget: [b]\n", "unknown key sources"),
        ("- a\n", "must hold the keys"),
        ("source: [a\ntarget: [b]\n", "line 2 is not YAML"),
        ("", "must hold the keys"),
    ],
)
def test_what_is_wrong_in_a_file_is_named(tmp_path, text, complaint):
    with pytest.raises(UserError, match=rf"mine\.yaml.*{complaint}"):
        load_partition(put(tmp_path / "mine.yaml", text))


def test_missing_ones_are_named(tmp_path):
    with pytest.raises(UserError, match=r"none\.yaml: No such file"):
        load_partition(tmp_path / "none.yaml")
    with pytest.raises(UserError, match="no partition 'nonesuch'"):
        load_partition("nonesuch")


@pytest.mark.parametrize("name", partition_names())
def test_every_shipped_partition_loads(name):
    partition = load_partition(name)
    assert partition.name == name and partition.source and partition.target
