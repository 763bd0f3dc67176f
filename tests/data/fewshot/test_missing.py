"""Tasks that are not in the data folder: all of them are named, or left out on request."""

import pytest
from pytorch_lightning.cli import LightningArgumentParser

from mpt.data.fewshot.files import write_tsv
from mpt.data.fewshot.missing import absent, what_to_do
from mpt.data.modules.episodes import EpisodeData
from mpt.data.modules.mixture import MixtureData
from mpt.data.tasks.task import Example
from mpt.util.errors import UserError

KINDS = pytest.mark.parametrize("kind", [MixtureData, EpisodeData])


@pytest.fixture
def root(tmp_path):
    for task in ("trec", "samsum"):
        for split in ("train", "dev", "test"):
            examples = [Example(f"{split} {i}", (str(i % 3),)) for i in range(8)]
            write_tsv(tmp_path / f"data/{task}/{task}_16_13_{split}.tsv", examples)
    return str(tmp_path / "data")


@pytest.fixture
def partition(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("source: [boolq, trec, emo, samsum]\ntarget: [glue-mrpc]\n", encoding="utf-8")
    return str(path)


def test_what_is_absent_in_its_order(root):
    assert absent(["emo", "trec", "boolq"], root) == ["emo", "boolq"]
    with pytest.raises(UserError, match="no data folder"):
        absent(["emo"], root + "nowhere")


def test_a_complaint_ends_with_the_command_that_builds_them_and_the_word_that_skips_them(root):
    end = what_to_do(["emo", "boolq"], root, "p", "missing: skip")
    assert end == f"Build them (mpt data build emo boolq --root {root}), or leave them out by missing: skip."
    assert "build --partition p --root" in what_to_do(["emo", "boolq", "anli", "paws"], root, "p", "it")
    assert "build emo boolq anli paws --root" in what_to_do(["emo", "boolq", "anli", "paws"], root, None, "it")
    misspelt = what_to_do(["emo", "bool"], root, None, "it")
    assert misspelt.startswith("bool is not in the catalogue either; did you mean boolq") and "build" not in misspelt
    assert "folder of CrossFit's files" in what_to_do(["emo"], "synthetic", None, "it")


@KINDS
def test_all_source_tasks_that_are_not_there_are_named_at_once(kind, root, partition):
    with pytest.raises(UserError) as raised:
        kind(partition=partition, root=root, seeds=[13]).setup("fit")
    told = str(raised.value)
    assert "boolq, emo" in told and "--data.missing skip" in told and "\n" not in told and "glue-mrpc" not in told


@KINDS
def test_skipped_they_are_as_if_they_had_not_been_named_and_that_is_said_once(kind, root, partition, caplog):
    with caplog.at_level("INFO", logger="pytorch_lightning.utilities.rank_zero"):
        skipped = kind(partition=partition, root=root, seeds=[13], missing="skip")
        skipped.setup("fit")
        skipped.setup("fit")
    said = [record.message for record in caplog.records]
    assert said == [f"left out 2 of 4 source tasks, not in {root}: boolq, emo"]
    named = kind(["trec", "samsum"], root=root, seeds=[13])
    for mine, theirs, _ in zip(skipped.train_dataloader(), named.train_dataloader(), range(5), strict=False):
        assert mine == theirs


@KINDS
def test_what_skipping_does_not_forgive(kind, root, tmp_path):
    with pytest.raises(UserError, match=r"None of the source tasks of --data\.tasks is in"):
        kind(["emo", "boolq"], root=root, missing="skip").setup("fit")
    with pytest.raises(UserError, match=r"--data\.validation are not in .*: emo"):
        kind(["trec"], root=root, validation=["emo"], missing="skip").setup("fit")
    with pytest.raises(UserError, match="no draw for seed 21"):
        kind(["trec", "emo"], root=root, seeds=[13, 21], missing="skip").setup("fit")
    with pytest.raises(UserError, match="holds no draw for k = 64; there is k = 16"):
        kind(["trec", "emo"], root=root, seeds=[13], k=64, missing="skip").setup("fit")
    (tmp_path / "data" / "emo").mkdir()
    with pytest.raises(UserError, match="emo holds no few-shot file"):
        kind(["trec", "emo"], root=root, seeds=[13], missing="skip").setup("fit")
    with pytest.raises(UserError, match="missing is one of error, skip, not 'drop'"):
        kind(["trec"], root=root, missing="drop")


@KINDS
def test_a_run_is_not_resumed_on_tasks_that_came_later(kind, root, partition):
    def data(**options):
        made = kind(seeds=[13], root=root, **options)
        made.setup("fit")
        return made

    state = data(partition=partition, missing="skip").state_dict()
    data(partition=partition, missing="skip").load_state_dict(state)
    for split in ("train", "dev"):
        write_tsv(f"{root}/emo/emo_16_13_{split}.tsv", [Example(f"{split} {i}", ("a",)) for i in range(8)])
    with pytest.raises(UserError, match=r"other source tasks: emo\. Name .* --data\.tasks \[trec,samsum\]"):
        data(partition=partition, missing="skip").load_state_dict(state)
    data(tasks=["trec", "samsum"]).load_state_dict(state)


@KINDS
def test_it_is_an_option_of_the_command_line(kind):
    parser = LightningArgumentParser(exit_on_error=False)
    parser.add_lightning_class_args(kind, "data")
    assert parser.parse_args(["--data.tasks=[trec]", "--data.missing=skip"]).data.missing == "skip"
    with pytest.raises(Exception, match="drop"):
        parser.parse_args(["--data.tasks=[trec]", "--data.missing=drop"])
