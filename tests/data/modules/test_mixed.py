"""A few rows of other tasks among those that are learned: their share, and what is made of unlabelled text."""

from __future__ import annotations

from itertools import islice

import pytest
from support.toy import write_toy

from mpt.data.modules.few_shot import FewShotData
from mpt.util.errors import UserError


@pytest.fixture
def root(tmp_path):
    write_toy(write_toy(tmp_path / "data"), "other")
    for split in ("train", "dev", "test"):
        path = tmp_path / "data" / "text" / f"text_16_13_{split}.tsv"
        path.parent.mkdir(exist_ok=True)
        path.write_text("".join(f"\tone two three four {number}\n" for number in range(9)))
    return str(tmp_path / "data")


def batches(data: FewShotData, number: int) -> list[tuple[str, str, str]]:
    found = islice(data.train_dataloader(), number)
    return [row for text in found for row in zip(text.tasks, text.inputs, text.targets, strict=True)]


def test_a_task_is_not_mixed_with_itself(root):
    with pytest.raises(UserError, match=r"--data\.mixed toy: that is the task itself; name others"):
        FewShotData("toy", root, metric="ACC", mixed={"toy": 0.1})


def test_what_is_demonstrated_is_what_is_read(root):
    data = FewShotData("toy", root, metric="ACC", task_prefix=True)
    shown, read = data.demonstrations, next(iter(data.train_dataloader()))
    assert set(read.inputs) <= {text for text, _ in shown} and all(text.startswith("[toy] ") for text, _ in shown)


def test_each_task_has_its_share_of_the_rows(root):
    data = FewShotData("toy", root, metric="ACC", mixed={"text": 0.25, "other": 0.1}, objective="span-corruption")
    rows = batches(data, 500)
    shares = {name: sum(task == name for task, *_ in rows) / len(rows) for name in ("toy", "text", "other")}
    assert shares == pytest.approx({"toy": 0.65, "text": 0.25, "other": 0.1}, abs=0.02)
    own = {row[1:] for row in batches(FewShotData("other", root, metric="ACC"), 5)}
    assert {row[1:] for row in rows if row[0] == "other"} == own
    for _, source, target in (row for row in rows if row[0] == "text"):
        assert "<extra_id_0>" in source and target.startswith("<extra_id_0>")
    again = FewShotData("toy", root, metric="ACC", mixed={"text": 0.25, "other": 0.1}, objective="span-corruption")
    assert batches(again, 20) == rows[: 20 * data.batch_size]
    assert all(task == "toy" for text in data.val_dataloader() for task in text.tasks)


@pytest.mark.parametrize(("window", "words"), [(2, 2), (3, 3), (200, 5)])
def test_text_is_cut_into_windows(window, words, root):
    data = FewShotData("toy", root, metric="ACC", mixed={"text": 0.5}, window=window)
    rows = [row for row in batches(data, 20) if row[0] == "text"]
    assert rows and {len(f"{source} {target}".split()) for _, source, target in rows} == {words}
    with pytest.raises(UserError, match=r"--data\.window must be at least 2 words, not 1"):
        FewShotData("toy", root, metric="ACC", mixed={"text": 0.5}, window=1)


def test_nothing_mixed_is_as_before(root):
    plain, empty = (FewShotData("toy", root, metric="ACC", mixed=mixed) for mixed in (None, {}))
    assert batches(plain, 5) == batches(empty, 5)


@pytest.mark.parametrize(
    ("mixed", "told"),
    [
        ({"text": 0.0}, "text 0.0: a share of the training rows is between 0 and 1"),
        ({"text": 1}, "between 0 and 1"),
        ({"text": 0.6, "other": 0.4}, "leaves nothing of toy"),
        ({"nowhere": 0.1}, "nowhere"),
    ],
)
def test_mistakes_are_told(mixed, told, root):
    with pytest.raises(UserError, match=told):
        FewShotData("toy", root, metric="ACC", mixed=mixed).train_dataloader()
    with pytest.raises(UserError, match="objective is one of"):
        FewShotData("toy", root, metric="ACC", objective="mystery")  # type: ignore[arg-type]
