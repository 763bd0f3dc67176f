"""CrossFit's files and sampling: by hand on small folders, and on CrossFit's own files where MPT_CROSSFIT
names them."""

import hashlib
import json
import os
from pathlib import Path

import pytest

from mpt.data.fewshot.files import load_fewshot, read_tsv, task_names, write_fewshot, write_tsv
from mpt.data.synthetic import draw as suite
from mpt.data.tasks.known import catalogue
from mpt.data.tasks.sampling import sample
from mpt.data.tasks.task import Example, Task
from mpt.util.errors import UserError

SEEDS = (13, 21, 42, 87, 100)


@pytest.fixture(scope="module")
def crossfit():
    """CrossFit's folder: full/, fewshot/ and md5.json."""
    folder = os.environ.get("MPT_CROSSFIT")
    if not folder or not Path(folder, "fewshot").is_dir():
        pytest.skip("MPT_CROSSFIT names no folder with CrossFit's files (fewshot/, full/, md5.json)")
    return Path(folder)


def put(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def draw_files(root, task="superglue-cb", k=16, seeds=(13, 21), test_seed=100):
    for seed in seeds:
        put(root / task / f"{task}_{k}_{seed}_train.tsv", f"t{seed}\tneutral\nu\tentailment\nv\tneutral\n")
        put(root / task / f"{task}_{k}_{seed}_dev.tsv", f"d{seed}\tentailment\n")
    put(root / task / f"{task}_{k}_{test_seed}_test.tsv", "x\tcontradiction\n")
    return root


# The format


def test_only_a_line_feed_ends_a_record_and_only_a_tab_a_text(tmp_path):
    content = "a\u2028b\x0bc\x85d\re\tone\ttwo, \u00a0three\n leading\t trailing \n\tno input\n"
    path = put(tmp_path / "a.tsv", content)
    examples = read_tsv(path)
    assert examples == [
        Example("a\u2028b\x0bc\x85d\re", ("one", "two, \u00a0three")),
        Example(" leading", (" trailing ",)),
        Example("", ("no input",)),
    ]
    write_tsv(tmp_path / "b.tsv", examples)
    assert (tmp_path / "b.tsv").read_bytes() == content.encode()


def test_a_last_line_without_line_feed_counts(tmp_path):
    assert read_tsv(put(tmp_path / "a.tsv", "a\tb\nc\td")) == [Example("a", ("b",)), Example("c", ("d",))]
    assert read_tsv(put(tmp_path / "a.tsv", "")) == []


def test_a_record_over_two_lines_is_read_and_written_on_demand(tmp_path):
    path = put(tmp_path / "a.tsv", "a\tb\nline one\nline two\tc\n")
    with pytest.raises(UserError, match=r"a\.tsv, line 2 has no tab"):
        read_tsv(path)
    examples = read_tsv(path, continued=True)
    assert examples == [Example("a", ("b",)), Example("line one\nline two", ("c",))]
    write_tsv(tmp_path / "b.tsv", examples)
    assert (tmp_path / "b.tsv").read_bytes() == path.read_bytes()


@pytest.mark.parametrize("continued", [False, True])
@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"a\tb\nno tab here\n", r"line 2 has no tab"),
        (b"a\tb\nc\xff\td\n", "line 2 is not UTF-8.*byte 1"),
        (b"a\tb\r\nc\td\r\n", "Windows line ends"),
        (b"a\tb\r\nc\td", "Windows line ends"),
        (b"a\tb\rc\td\r", "old Macintosh line ends"),
        ("a\tb\n".encode("utf-16"), "is UTF-16"),
        ("a\tb\n".encode("utf-16-be"), "line 1 holds a null byte"),
    ],
)
def test_a_bad_line_is_named(tmp_path, content, complaint, continued):
    path = put(tmp_path / "bad.tsv", content)
    with pytest.raises(UserError, match=rf"bad\.tsv.*{complaint}"):
        read_tsv(path, continued=continued)


def test_a_byte_order_mark_is_no_part_of_the_first_input(tmp_path):
    path = put(tmp_path / "a.tsv", "\ufeffa\tb\nc\ufeff\td\n")
    for continued in (False, True):
        assert read_tsv(path, continued=continued) == [Example("a", ("b",)), Example("c\ufeff", ("d",))]


def test_a_carriage_return_at_a_lines_end_is_crossfits_text_alone(tmp_path):
    path = put(tmp_path / "a.tsv", "a\tb\nc\td\r\n")
    with pytest.raises(UserError, match=r"a\.tsv, line 2 ends in a carriage return"):
        read_tsv(path)
    assert read_tsv(path, continued=True)[1] == Example("c", ("d\r",))


@pytest.mark.parametrize("blank", [b"", b"  ", b"\tanother"])
def test_a_blank_output_is_a_mistake_but_in_crossfits_data_left_out(tmp_path, blank):
    path = put(tmp_path / "bad.tsv", b"a\tb\nc\t" + blank + b"\nd\te\n")
    with pytest.raises(UserError, match=r"bad\.tsv, line 2 has a blank output"):
        read_tsv(path)
    assert [example.input for example in read_tsv(path, continued=True)] == ["a", "d"]


def test_an_unreadable_file_is_named(tmp_path):
    with pytest.raises(UserError, match=r"Cannot read .*none\.tsv: No such file"):
        read_tsv(tmp_path / "none.tsv")


@pytest.mark.parametrize("example", [Example("a\tb", ("c",)), Example("a", ("b\nc",)), Example("a", ())])
def test_what_could_not_be_read_back_is_not_written(tmp_path, example):
    with pytest.raises(UserError, match="Example 2"):
        write_tsv(tmp_path / "a.tsv", [Example("fine", ("fine",)), example])
    assert list(tmp_path.iterdir()) == []


# Sampling


def test_sampling_by_label_and_in_all():
    examples = [Example(str(i), ("odd" if i % 2 else "even",)) for i in range(20)] + [Example("x", ("rare",))]
    train, dev = sample(examples, k=3, seed=13, by_label=True)
    assert sorted(e.targets[0] for e in train) == ["even"] * 3 + ["odd"] * 3 + ["rare"]
    assert sorted(e.targets[0] for e in dev) == ["even"] * 3 + ["odd"] * 3
    assert not {e.input for e in train} & {e.input for e in dev}
    train, dev = sample(examples, k=3, seed=13, by_label=False)
    assert len(train) == len(dev) == 3
    assert sample(examples, 3, 13, False) != sample(examples, 3, 21, False)
    assert [e.input for e in examples[:20]] == [str(i) for i in range(20)], "the pool itself keeps its order"


@pytest.mark.long
def test_sampling_the_full_files_gives_crossfits_fewshot_files(crossfit):
    """Line for line against the draws, and against CrossFit's published MD5 sums where the pool is CrossFit's
    own."""
    sums = json.loads((crossfit / "md5.json").read_text(encoding="utf-8"))
    agreeing = set()
    pools = sorted((crossfit / "full").glob("*.train.tsv"))
    assert pools
    for pool in pools:
        task = pool.name.removesuffix(".train.tsv")
        by_label = catalogue()[task].by_label
        k = 16 if by_label else 32
        examples = read_tsv(pool, continued=True)
        matches = 0
        for seed in SEEDS:
            for split, drawn in zip(("train", "dev"), sample(examples, k, seed, by_label), strict=True):
                name = f"{task}_{k}_{seed}_{split}.tsv"
                content = "".join("\t".join((e.input, *e.targets)) + "\n" for e in drawn).encode()
                assert content == (crossfit / "fewshot" / task / name).read_bytes(), name
                matches += hashlib.md5(content).hexdigest() == sums[task][name]
        assert matches in (0, 10), task
        if matches:
            agreeing.add(task)
    assert len(agreeing) >= 30, "CrossFit's own pools must give CrossFit's own files"
    assert {"superglue-cb", "crows_pairs", "superglue-copa"} <= agreeing


@pytest.mark.long
def test_every_fewshot_file_comes_back_byte_for_byte(crossfit, tmp_path):
    files = sorted((crossfit / "fewshot").rglob("*.tsv"))
    assert files
    copy = tmp_path / "copy.tsv"
    for path in files:
        write_tsv(copy, read_tsv(path))
        assert copy.read_bytes() == path.read_bytes(), path


# Loading


def test_a_draw_with_labels_from_train_and_the_test_file_of_another_seed(tmp_path):
    draw = load_fewshot(draw_files(tmp_path), "superglue-cb", 21)
    assert (draw.task.type, draw.task.metric) == ("classification", "ACC")
    assert set(draw.task.labels) >= {"neutral", "entailment"}
    assert (draw.seed, draw.k) == (21, 16)
    assert draw.train[0] == Example("t21", ("neutral",))
    assert draw.dev == [Example("d21", ("entailment",))]
    assert draw.test == [Example("x", ("contradiction",))]


def test_a_draw_comes_back_as_written(tmp_path):
    draw = load_fewshot(draw_files(tmp_path), "superglue-cb", 13)
    write_fewshot(tmp_path / "copy", draw)
    assert load_fewshot(tmp_path / "copy", "superglue-cb", 13) == draw


def test_k_is_found_or_chosen(tmp_path):
    draw_files(tmp_path, k=16)
    draw_files(tmp_path, k=64, seeds=(42,))
    with pytest.raises(UserError, match=r"k = 16, 64; choose one with --data\.k"):
        load_fewshot(tmp_path, "superglue-cb", 13)
    assert load_fewshot(tmp_path, "superglue-cb", 42, k=64).k == 64
    with pytest.raises(UserError, match="no draw for k = 8; there is k = 16, 64"):
        load_fewshot(tmp_path, "superglue-cb", 13, k=8)
    with pytest.raises(UserError, match="no draw for seed 13; its seeds are 42"):
        load_fewshot(tmp_path, "superglue-cb", 13, k=64)


def test_k_may_be_all_of_the_pool(tmp_path):
    draw_files(tmp_path, k="all")
    assert load_fewshot(tmp_path, "superglue-cb", 13).k == "all"
    draw_files(tmp_path, k=64)
    draw_files(tmp_path, k=8)
    with pytest.raises(UserError, match=r"k = 8, 64, all; choose one with --data\.k"):
        load_fewshot(tmp_path, "superglue-cb", 13)
    draw = load_fewshot(tmp_path, "superglue-cb", 13, k="all")
    assert draw.k == "all"
    write_fewshot(tmp_path / "copy", draw)
    assert load_fewshot(tmp_path / "copy", "superglue-cb", 13) == draw
    with pytest.raises(UserError, match=r"--data\.k all is for data from files"):
        load_fewshot("synthetic", next(iter(suite.synthetic_tasks())), 13, k="all")


def test_a_record_over_two_lines_loads_where_the_data_are_crossfits(tmp_path):
    for task in ("crows_pairs", "mine"):
        draw_files(tmp_path, task)
        put(tmp_path / task / f"{task}_16_13_train.tsv", "a\tneutral\nline one\nline two\tentailment\n")
    over_two = Example("line one\nline two", ("entailment",))
    assert load_fewshot(tmp_path, "crows_pairs", 13).train[1] == over_two
    with pytest.raises(UserError, match=r"mine_16_13_train\.tsv, line 2 has no tab"):
        load_fewshot(tmp_path, "mine", 13, metric="EM")
    put(tmp_path / "mine" / "build.json", "[]")  # what `mpt data build` leaves
    assert load_fewshot(tmp_path, "mine", 13, metric="EM").train[1] == over_two


def test_a_folder_that_is_being_written_is_no_task(tmp_path):
    draw_files(tmp_path)
    (tmp_path / ".superglue-cb.7.new").mkdir()
    assert task_names(tmp_path) == ["superglue-cb"]


def test_free_text_tasks_have_no_labels_and_regression_none(tmp_path):
    for task, k in (("samsum", 32), ("yelp_review_full", 16)):
        assert load_fewshot(draw_files(tmp_path, task, k), task, 13).task.labels == ()
    assert load_fewshot(draw_files(tmp_path, "boolq"), "boolq", 13).task.labels == ("neutral", "entailment")


def test_a_task_of_ones_own_needs_a_metric(tmp_path):
    draw_files(tmp_path, "mine")
    with pytest.raises(UserError, match=r"not in the catalogue.*--data\.metric is one of ACC, EM, QA-F1.*Rouge-L"):
        load_fewshot(tmp_path, "mine", 13)
    with pytest.raises(UserError, match=r"no metric 'F1'.*Classification-F1"):
        load_fewshot(tmp_path, "mine", 13, metric="F1")
    task = load_fewshot(tmp_path, "mine", 13, metric="Classification-F1").task
    assert task == Task("mine", "classification", "Classification-F1", ("neutral", "entailment"))
    assert load_fewshot(tmp_path, "mine", 13, metric="EM").task == Task("mine", "other", "EM")


def test_labels_of_ones_own_task_that_look_alike_are_spelled_out(tmp_path):
    for split in ("train", "dev", "test"):
        put(tmp_path / "own" / f"own_16_13_{split}.tsv", "a\tgood\nb\tgood\u200b\n")
    with pytest.raises(UserError, match=r"task own: the labels 'good' and 'good\\u200b' look alike"):
        load_fewshot(tmp_path, "own", 13, metric="Classification-F1")
    assert load_fewshot(tmp_path, "own", 13, metric="ACC").task.labels == ()


def test_a_given_metric_takes_the_place_of_the_catalogues(tmp_path):
    task = load_fewshot(draw_files(tmp_path), "superglue-cb", 13, metric="Classification-F1").task
    assert task.metric == "Classification-F1"


def test_what_is_missing_is_named(tmp_path):
    draw_files(tmp_path)
    with pytest.raises(UserError, match=r"no data folder .*nowhere; the root of the data \(--data\.root, --root\)"):
        load_fewshot(tmp_path / "nowhere", "superglue-cb", 13)
    with pytest.raises(UserError, match=r"no task 'superglue-bc' in .*; did you mean superglue-cb\?"):
        load_fewshot(tmp_path, "superglue-bc", 13)
    with pytest.raises(UserError, match="no draw for seed 7; its seeds are 13, 21"):
        load_fewshot(tmp_path, "superglue-cb", 7)
    (tmp_path / "superglue-cb/superglue-cb_16_13_dev.tsv").unlink()
    with pytest.raises(UserError, match=r"no file .*superglue-cb_16_13_dev\.tsv"):
        load_fewshot(tmp_path, "superglue-cb", 13)
    (tmp_path / "superglue-cb/superglue-cb_16_100_test.tsv").unlink()
    with pytest.raises(UserError, match=r"no file .*superglue-cb_16_21_test\.tsv"):
        load_fewshot(tmp_path, "superglue-cb", 21)
    (tmp_path / "trec").mkdir()
    with pytest.raises(UserError, match="trec holds no few-shot file; they are named trec_<k>_<seed>"):
        load_fewshot(tmp_path, "trec", 13)


@pytest.mark.parametrize("name", ["16_13_train", "16_13_dev", "16_100_test"])
def test_an_empty_file_is_named(tmp_path, name):
    put(draw_files(tmp_path) / f"superglue-cb/superglue-cb_{name}.tsv", "")
    with pytest.raises(UserError, match=rf"superglue-cb_{name}\.tsv is empty"):
        load_fewshot(tmp_path, "superglue-cb", 13)


def test_every_crossfit_draw_loads(crossfit):
    root = crossfit / "fewshot"
    for folder in sorted(root.iterdir()):
        draw = load_fewshot(root, folder.name, 87)
        entry = catalogue()[folder.name]
        assert draw.k == (16 if entry.by_label else 32)
        assert draw.task.metric == entry.metric
        if draw.task.labels:
            assert {e.targets[0] for e in draw.dev} <= set(draw.task.labels)
        elif entry.type == "classification":
            pytest.fail(f"{folder.name} has no labels")


# The embedded suite


def test_the_word_synthetic_loads_the_embedded_suite():
    name, task = next((name, task) for name, task in suite.synthetic_tasks().items() if task.labels)
    draw = load_fewshot("synthetic", name, 13)
    assert draw == suite.synthetic_fewshot(name, 13)
    assert draw.task == task and {e.targets[0] for e in draw.train} == set(task.labels)
    small = load_fewshot("synthetic", name, 13, k=2, metric="EM")
    assert (small.k, len(small.train), small.task.metric) == (2, 2 * len(task.labels), "EM")
    with pytest.raises(UserError, match=rf"no task '{name}x' in the synthetic suite; did you mean .*{name}"):
        load_fewshot("synthetic", f"{name}x", 13)


@pytest.mark.long
def test_a_synthetic_draw_survives_crossfits_format(tmp_path):
    for name in suite.synthetic_tasks():
        draw = load_fewshot("synthetic", name, 21, k=2)
        write_fewshot(tmp_path, draw)
        again = load_fewshot(tmp_path, name, 21, metric=draw.task.metric)
        assert (again.train, again.dev, again.test) == (draw.train, draw.dev, draw.test)
