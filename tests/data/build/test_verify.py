"""Files against the published sums."""

from __future__ import annotations

import hashlib
import json

import pytest

from mpt.data.build import verify as module
from mpt.data.build.checksums import md5
from mpt.data.build.verify import Verdict, verify
from mpt.util.errors import UserError

POOL = {"train": "", "test": ""}


def sum_of(text):
    return hashlib.md5(text.encode()).hexdigest()


@pytest.fixture
def root(tmp_path, monkeypatch):
    for name in ("trec", "own", "empty", ".trec.7.new"):
        (tmp_path / name).mkdir()
    for name in ("trec_16_13_train.tsv", "trec_16_13_dev.tsv", "trec_64_13_dev.tsv"):
        (tmp_path / "trec" / name).write_text(name)
    builds = [{"source": "hub", "version": 1, "pool": POOL, "files": {}}]
    (tmp_path / "trec" / "build.json").write_text(json.dumps(builds))
    (tmp_path / "own" / "own_16_13_dev.tsv").write_text("a\tb\n")
    sums = {"trec_16_13_train.tsv": md5(tmp_path / "trec" / "trec_16_13_train.tsv"), "trec_16_13_dev.tsv": "0" * 32}
    monkeypatch.setattr(module, "published", lambda: {"trec": sums})
    return tmp_path


def test_every_file_matches_differs_or_is_unknown(root):
    own, trec = verify(root)
    assert own == Verdict("own", (), (), ("own_16_13_dev.tsv",))
    assert trec.task == "trec"
    assert trec.matched == ("trec_16_13_train.tsv",)
    assert trec.differs == ("trec_16_13_dev.tsv",)
    assert trec.unknown == ("trec_64_13_dev.tsv",)
    assert [verdict.task for verdict in verify(root, ["trec"])] == ["trec"]


def test_the_catalogues_note_stands_beside_what_differs(root, monkeypatch):
    class Recipe:
        note = "Another copy."

    class Known:
        recipe = Recipe

    monkeypatch.setattr(module, "catalogue", lambda: {"trec": Known})
    assert [verdict.note for verdict in verify(root)] == ["", "Another copy."]


@pytest.fixture
def judged(tmp_path, monkeypatch):
    """The verdict on two seeds' files with these contents: "right" is the published one, None no such file."""

    def judged(contents, built=None):
        folder = tmp_path / "lama-squad"
        folder.mkdir()
        names = [f"lama-squad_32_{seed}_{split}.tsv" for seed in (13, 21) for split in ("dev", "test")]
        monkeypatch.setattr(module, "published", lambda: {"lama-squad": dict.fromkeys(names, sum_of("right"))})
        for name, content in zip(names, contents, strict=True):
            if content is not None:
                (folder / name).write_text(content)
        if built is not None:
            files = {name: sum_of(text) for name, text in zip(names, built, strict=True)}
            (folder / "build.json").write_text(
                json.dumps([{"source": "x", "version": 1, "pool": POOL, "files": files}])
            )
        [verdict] = verify(tmp_path)
        short = [name.removeprefix("lama-squad_32_").removesuffix(".tsv") for name in verdict.changed]
        return len(verdict.differs), short, len(verdict.missing), bool(verdict.note)

    return judged


@pytest.mark.parametrize(
    ("contents", "built", "expected"),
    [
        (["right", "other", "right", "other"], None, (2, [], 0, True)),  # a whole split: as the source is today
        (["right", "right", "right", "cut"], None, (1, ["21_test"], 0, False)),
        (["right", None, "right", None], None, (0, [], 2, False)),
        (["right", "cut", "right", "cut"], ["right", "right", "right", "right"], (2, ["13_test", "21_test"], 0, False)),
        (["other", "cut", "other", "other"], ["other", "other", "other", "other"], (4, ["13_test"], 0, True)),
        (["right", "right", "other", "right"], ["right", "right", "other", "right"], (1, [], 0, True)),
    ],
)
def test_damage_is_told_from_another_source(judged, contents, built, expected):
    assert judged(contents, built) == expected


@pytest.mark.parametrize(
    ("folder", "names", "complaint"),
    [
        ("none", [], "no data folder .*none"),
        ("empty", [], "holds no folder <task> with few-shot files"),
        ("trec", [], "looks like the folder of one task"),
        ("", ["trek"], "no task 'trek'.*did you mean trec"),
        ("", ["empty"], "no task 'empty' with few-shot files"),
        ("", ["trec", "own", "trec"], "trec is named twice"),
    ],
)
def test_a_mistake_is_named(root, folder, names, complaint):
    with pytest.raises(UserError, match=complaint):
        verify(root / folder, names)
