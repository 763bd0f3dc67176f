"""``mpt partitions``."""

from __future__ import annotations

import pytest
from support.toy import Mpt, write_toy

from mpt.data.tasks.partitions import load_partition, partition_names


@pytest.fixture
def mpt(capsys: pytest.CaptureFixture[str]) -> Mpt:
    return Mpt(capsys)


def test_every_partition_with_its_counts_and_those_stated(mpt):
    rows = {line.split()[0]: line.split()[1:] for line in mpt("partitions").out.splitlines()[1:]}
    assert list(rows) == partition_names()
    assert rows["random-to-random"][:5] == ["114", "20", "0", "114,", "20"]
    assert rows["crossfit-random-to-random"][:4] == ["120", "20", "20", "-"]
    # Where the lists have not what is stated, both are shown.
    assert " ".join(rows["crossfit-nonnli-to-nli"][:8]) == "56 8 0 57, 8 (the lists differ)"
    assert mpt("partitions", "--names").out.split() == partition_names()


def test_the_tasks_of_one(mpt):
    partition = load_partition("synthetic-nonparaphrase-to-paraphrase")
    shown = mpt("partitions", "show", partition.name).out.splitlines()
    assert shown[0] == f"{partition.name}: {partition.about}" and shown[1] == "23 source, 4 target, 3 validation"
    rows = [line.split()[:2] for line in shown[4:]]
    assert rows == [[part, name] for part in ("source", "target", "validation") for name in getattr(partition, part)]
    names = mpt("partitions", "show", partition.name, "--names").out.split()
    assert names == [name for _, name in rows]


def test_what_a_data_folder_lacks(mpt, tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("stated: {source: 3}\nsource: [trec, mine, emo]\ntarget: [anli]\nvalidation: [ag_news]\n")
    data = tmp_path / "data"
    for task in ("trec", "ag_news"):
        write_toy(data, task)
    shown = mpt("partitions", "show", path, "--root", data).out
    assert shown.startswith("mine\n3 source, 1 target, 1 validation; stated: 3, -\n")
    assert f"not in {data}: 2 of 3 source tasks: mine, emo\n" in shown
    assert f"not in {data}: 1 of 1 target tasks: anli\n" in shown and "validation tasks:" not in shown
    lines = {line.split()[1]: line for line in shown.splitlines() if line.startswith(("source", "target"))}
    assert lines["trec"].endswith("k=16 seeds 13") and lines["anli"].endswith("missing")


def test_the_synthetic_suite_has_all_of_its_own_and_none_of_crossfits(mpt):
    name = "synthetic-nonparaphrase-to-paraphrase"
    assert "not in" not in mpt("partitions", "show", name, "--root", "synthetic").out
    shown = mpt("partitions", "show", "nonparaphrase-to-paraphrase", "--root", "synthetic").out
    assert "not in synthetic: 4 of 4 target tasks: glue-mrpc, glue-qqp, medical_questions_pairs, paws" in shown


def test_mistakes(mpt, tmp_path):
    ended = mpt("partitions", "show", "nonparaphrase-to-paraphrse")
    assert ended.code == 2 and "did you mean nonparaphrase-to-paraphrase" in ended.err and ended.err.count("\n") == 1
    ended = mpt("partitions", "show", "qa-to-qa", "--root", tmp_path / "nowhere")
    assert ended.code == 2 and "no data folder" in ended.err
