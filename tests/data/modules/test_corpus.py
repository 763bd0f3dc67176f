"""Language-modelling data: batches are functions of seed and number, and bad files are named."""

from itertools import islice

import pytest

from mpt.data.modules.corpus import TextFiles, WorldData, read_windows
from mpt.data.modules.denoising import joined
from mpt.util.errors import UserError


def first(data, n):
    return list(islice(iter(data.train_dataloader()), n))


def test_the_worlds_batches_can_be_picked_up_anywhere():
    options = {"batch_size": 4, "chunk": 3, "fixed_steps": 2, "ramp_steps": 4}
    whole = first(WorldData(**options), 8)
    assert whole == first(WorldData(**options), 8)
    resumed = WorldData(**options)
    resumed.load_state_dict({"batches": 5, "step": 5})
    assert first(resumed, 3) == whole[5:]
    assert first(WorldData(seed=1, **options), 1) != whole[:1]
    assert all(len(batch) == 4 for batch in whole)


def test_random_labels_come_later():
    data = WorldData(fixed_steps=10, ramp_steps=10, first_random=0.3, most_random=0.9)
    assert [data.random_labels(n) for n in (0, 9)] == [0.0, 0.0]
    assert data.random_labels(10) == pytest.approx(0.3)
    assert data.random_labels(15) == pytest.approx(0.6)
    assert data.random_labels(1000) == 0.9


def test_devices_share_a_batch():
    from mpt.data.modules.corpus import _ChunkStream

    data = WorldData(batch_size=6, chunk=2)
    whole, a, b = (next(iter(_ChunkStream(data, 0, *place))) for place in ((0, 1), (0, 2), (1, 2)))
    assert sorted(whole.inputs) == sorted(a.inputs + b.inputs)


def test_dev_batches_name_their_lesson():
    batch = next(iter(WorldData(dev_size=20, eval_batch_size=20).val_dataloader()))
    assert len(batch) == 20
    assert all(text.startswith(kind) for text, kind in zip(batch.inputs, batch.tasks, strict=True))


def test_text_files_become_prefixes_and_rests(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("one two\n three  four\nfive six seven", encoding="utf-8-sig")
    assert read_windows([str(path)], 3) == [["one", "two", "three"], ["four", "five", "six"]]
    data = TextFiles([str(path)], window=3, batch_size=2, dev=[str(path)])
    batches = first(data, 4)
    assert batches == first(TextFiles([str(path)], window=3, batch_size=2), 4)
    for batch in batches:
        texts = {f"{a} {b}" for a, b in zip(batch.inputs, batch.targets, strict=True)}
        assert texts == {"one two three", "four five six"}
    resumed = TextFiles([str(path)], window=3, batch_size=2)
    resumed.load_state_dict({"batches": 2, "step": 2})
    assert first(resumed, 2) == batches[2:]
    assert sum(len(batch) for batch in data.val_dataloader()) == 2


def test_spaces_of_a_script_without_them_stay(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("สวัสดี ครับ hello you 北京 上海", encoding="utf-8")
    (window,) = read_windows([str(path)], 100)
    assert joined(window) == "สวัสดี ครับ hello you 北京 上海"
    assert len(read_windows([str(path)], 3)) > 1


def test_span_corruption_of_text_files(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("a b c d e f g h", encoding="utf-8")
    (batch,) = first(TextFiles([str(path)], objective="span-corruption", window=8, batch_size=1), 1)
    assert "<extra_id_0>" in batch.inputs[0] and batch.targets[0].startswith("<extra_id_0>")


def test_what_is_wrong_with_a_file_is_said(tmp_path):
    with pytest.raises(UserError, match=r"none\.txt"):
        TextFiles([str(tmp_path / "none.txt")]).setup()
    (tmp_path / "binary.txt").write_bytes(b"abc \xff\xfe")
    with pytest.raises(UserError, match=r"binary\.txt is not UTF-8"):
        TextFiles([str(tmp_path / "binary.txt")]).setup()
    (tmp_path / "empty.txt").write_text("")
    with pytest.raises(UserError, match="no text"):
        TextFiles([str(tmp_path / "empty.txt")]).setup()
    with pytest.raises(UserError, match="objective"):
        TextFiles(["a"], objective="causal")  # type: ignore[arg-type]
    with pytest.raises(UserError, match="window"):
        TextFiles(["a"], window=1)
    with pytest.raises(UserError, match="at least one"):
        TextFiles([]).setup()
