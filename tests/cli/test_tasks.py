"""``mpt tasks``."""

from __future__ import annotations

import subprocess
import sys

import pytest
from support.paths import ROOT
from support.toy import Mpt, write_toy

from mpt.data.synthetic.draw import synthetic_fewshot, synthetic_tasks
from mpt.data.tasks.known import catalogue
from mpt.data.tasks.partitions import load_partition


@pytest.fixture
def mpt(capsys: pytest.CaptureFixture[str]) -> Mpt:
    return Mpt(capsys)


def rows(text: str) -> dict[str, str]:
    """First word to line, without the head."""
    return {line.split()[0]: line for line in text.splitlines()[1:]}


def test_every_task_is_a_line_with_its_facts(mpt):
    listed = mpt("tasks")
    assert listed.code == 0 and set(rows(listed.out)) == set(catalogue())
    line = rows(listed.out)["glue-mrpc"]
    for fact in ("classification", "paraphrase", "ACC", "16 a label", "nyu-mll/glue (mrpc)"):
        assert fact in line
    assert " 32 " in rows(listed.out)["hellaswag"]


def test_filters(mpt):
    paraphrase = mpt("tasks", "--category", "paraphrase", "--names").out.split()
    assert paraphrase == ["glue-mrpc", "glue-qqp", "medical_questions_pairs", "paws"]
    generation = mpt("tasks", "--type", "generation", "--names").out.split()
    assert generation == [name for name, task in catalogue().items() if task.type == "generation"]
    both = mpt("tasks", "--type", "qa", "--partition", "classification-to-nonclassification", "--names").out.split()
    assert both == ["superglue-copa", "quail", "quoref", "ai2_arc"]


def test_the_tasks_of_a_partition_with_the_list_each_is_in(mpt):
    partition = load_partition("crossfit-random-to-random")
    listed = rows(mpt("tasks", "--partition", partition.name).out)
    assert list(listed) == [*partition.source, *partition.target, *partition.validation]
    assert all(partition.part_of(name) in line.split()[1] for name, line in listed.items())


def test_what_a_data_folder_has(mpt, tmp_path):
    write_toy(tmp_path, "trec", seeds=(13, 21))
    write_toy(tmp_path, "mine")
    (tmp_path / "mine" / "mine_16_13_test.tsv").unlink()
    (tmp_path / "mine" / "mine_8_13_train.tsv").write_text("a\tb\n")
    (tmp_path / "mine" / "mine_all_13_test.tsv").write_text("a\tb\n")
    (tmp_path / "anli").mkdir()
    (tmp_path / ".trec.1.new").mkdir()
    listed = rows(mpt("tasks", "--root", tmp_path).out)
    assert listed["trec"].endswith("  k=16 seeds 13 21")
    assert listed["ag_news"].endswith("  missing") and listed["anli"].endswith("  no few-shot file")
    # A task of one's own; a draw without its dev file is none.
    assert listed["mine"].endswith("  k=8 seeds none, no test file; k=16 seeds 13, no test file; k=all seeds none")
    assert set(listed) == {*catalogue(), "mine"}
    assert "there is no" in mpt("tasks", "--root", tmp_path / "nowhere").err.lower()


def test_synthetic_tasks(mpt):
    listed = rows(mpt("tasks", "--root", "synthetic").out)
    assert set(listed) == set(synthetic_tasks())
    target = rows(mpt("tasks", "--partition", "synthetic-nonparaphrase-to-paraphrase").out)["syn-paraphrase-news"]
    assert "target" in target and "16 a label" in target and "made by the package" in target


def test_a_partition_of_ones_own_tasks(mpt, tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("source: [trec, mine]\ntarget: [anli]\n")
    listed = rows(mpt("tasks", "--partition", path).out)
    assert "not in the catalogue" in listed["mine"] and "trec" in listed


def test_one_task_with_its_example(mpt):
    shown = mpt("tasks", "show", "glue-mrpc")
    lines = shown.out.splitlines()
    assert shown.code == 0 and lines[0] == "glue-mrpc"
    facts = dict(line.split(maxsplit=1) for line in lines[1 : lines.index("")] if line[0] != " ")
    assert facts["type"] == "classification" and facts["category"] == "paraphrase" and facts["metric"] == "ACC"
    assert facts["labels"] == "not_equivalent (0), equivalent (1)"
    assert facts["input"] == "sentence 1: {sentence1} [SEP] sentence 2: {sentence2}"
    assert facts["source"] == "nyu-mll/glue (mrpc) at refs/convert/parquet"
    assert facts["splits"] == "train: train; test: validation" and facts["version"] == "1"
    assert "target of nonparaphrase-to-paraphrase" in shown.out
    assert "  sentence1: The shop opened at nine ." in lines
    assert lines[-2:] == [
        "  input:  sentence 1: The shop opened at nine . [SEP] sentence 2: At nine the shop opened .",
        "  output: equivalent",
    ]


@pytest.mark.parametrize(
    ("name", "test"),
    [
        ("imdb", "test: test"),
        ("wiki_bio", "test: the first 1% of val, shuffled"),
        ("mocha", "test: validation"),
        ("crows_pairs", "test: the last 20% of test after"),
        ("lama-trex", "test: the last 1% of train after shuffling with seed 42; the first 80% are the pool"),
        ("amazon_polarity", "test: the next 1,000 records after the first 10,000, the pool, of train after"),
    ],
)
def test_the_test_list_is_told_as_it_is_cut(mpt, name, test):
    assert test in mpt("tasks", "show", name).out


def test_a_task_whose_records_take_a_function(mpt):
    shown = mpt("tasks", "show", "hellaswag").out
    assert "choices.indexed(choices=endings, answer=label)" in shown and "labels      none: free text" in shown
    assert '  label: "0"' in shown and shown.endswith("  output: puts it into the oven.\n")


def test_a_synthetic_task_shows_an_example_of_its_own(mpt):
    shown = mpt("tasks", "show", "syn-paraphrase-news").out
    first = synthetic_fewshot("syn-paraphrase-news", 13).train[0]
    assert f"  input:  {first.input}\n  output: {first.targets[0]}\n" in shown
    assert "made by the package" in shown


@pytest.mark.long
@pytest.mark.parametrize("name", [*catalogue(), *synthetic_tasks()])
def test_every_task_can_be_shown(name, mpt):
    shown = mpt("tasks", "show", name)
    assert shown.code == 0 and shown.out.startswith(f"{name}\n") and "metric" in shown.out


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("show", "glue_mrpc"), "did you mean glue-mrpc?"),
        (("show", "syn-paraphrase-new"), "did you mean syn-paraphrase-news"),
        (("--type", "clasification"), "did you mean classification?"),
        (("--category", "paraphrases"), "did you mean paraphrase?"),
        (("--partition", "random-to-randm"), "did you mean random-to-random"),
    ],
)
def test_an_unknown_name_is_answered_with_the_nearest(arguments, says, mpt):
    ended = mpt("tasks", *arguments)
    assert ended.code == 2 and says in ended.err and ended.err.count("\n") == 1


@pytest.mark.long
@pytest.mark.parametrize(
    "words", [["tasks"], ["tasks", "show", "anli"], ["partitions"], ["partitions", "show", "qa-to-qa"]]
)
def test_they_do_not_wait_for_torch(words):
    code = f"import sys; from mpt.cli.main import main; main({words!r}); sys.exit('torch' in sys.modules)"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=False)
    assert ended.returncode == 0, ended.stderr
    assert "\x1b" not in ended.stdout


@pytest.mark.parametrize("command", ["tasks", "partitions", "mixtures"])
def test_the_usage_says_that_show_may_be_left_out(command, mpt):
    told = mpt(command, "--help").out
    first, second = told.splitlines()[:2]
    assert first.startswith(f"usage: mpt {command} [--") and "show" not in first
    assert second.strip() == f"mpt {command} show NAME"
    assert mpt(command, "show", "--help").out.startswith(f"usage: mpt {command} show [-h] ")
