"""Rows from the hub: against local Parquet files, a cache, and a hub that runs on this machine."""

from __future__ import annotations

import socket
from pathlib import Path

import pyarrow
import pytest
from support.crossfit_files import SHA, cache_of, hub_of, own_task, rows, use_cache, write_branch, write_parquet

from mpt.data.build import hub
from mpt.data.build.hub import Hub, parquet_rows, split_folder
from mpt.data.catalogue.source import DataSource
from mpt.data.tasks.known import catalogue
from mpt.util.errors import UserError

SOURCE = DataSource("who/what", "default", "refs/convert/parquet", ("train",), ("validation",))


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, and no network."""
    use_cache(monkeypatch, tmp_path / "home")
    return tmp_path / "home"


# Fetching


def test_files_come_from_the_hub_once_and_then_from_the_cache(tmp_path, monkeypatch):
    branch = write_branch(tmp_path / "branch", train=rows(10), validation=rows(4))
    with hub_of(branch) as endpoint:
        use_cache(monkeypatch, tmp_path / "home", endpoint)
        files = Hub()(SOURCE, "train")
        assert [file.name for file in files] == ["0000.parquet", "0001.parquet"]
        assert [file.read_bytes() for file in files] == [
            file.read_bytes() for file in sorted((branch / "default" / "train").iterdir())
        ]
        snapshot = tmp_path / "home/hub/datasets--who--what/snapshots" / SHA
        assert not (snapshot / "default/validation").exists(), "no split is downloaded that nobody asked for"
        with pytest.raises(UserError, match="has no split test; known are train, validation"):
            Hub()(SOURCE, "test")
    # The hub is gone: port closed, then offline by the environment.
    assert Hub()(SOURCE, "train") == files
    use_cache(monkeypatch, tmp_path / "home")
    assert Hub()(SOURCE, "train") == files
    with pytest.raises(UserError, match=r"only a part of default/validation of who/what.*HF_HOME"):
        Hub()(SOURCE, "validation")
    files[1].unlink()
    with pytest.raises(UserError, match=r"only a part of default/train of who/what"):
        Hub()(SOURCE, "train")


@pytest.mark.long
@pytest.mark.parametrize(
    ("refuse", "complaint"),
    [
        ((404, "RepoNotFound"), "no data set who/what, or it is private"),
        ((404, "RevisionNotFound"), "who/what has no revision refs/convert/parquet"),
        ((403, "GatedRepo"), "only to those who accepted its terms"),
        ((403, ""), r"refuses access to who/what \(403\)"),
        ((500, ""), "cannot be reached.*--raw DIR"),
    ],
)
def test_what_the_hub_refuses_is_told(tmp_path, monkeypatch, refuse, complaint):
    with hub_of(tmp_path, refuse) as endpoint:
        use_cache(monkeypatch, tmp_path / "home", endpoint)
        with pytest.raises(UserError, match=complaint):
            Hub()(SOURCE, "train")


def test_a_name_that_cannot_be_is_told(home):
    source = DataSource("who/what/else", "default", "main", ("train",))
    with pytest.raises(UserError, match="'who/what/else' cannot be the name of a data set"):
        Hub()(source, "train")


@pytest.mark.timeout(60)
def test_without_a_network_there_is_no_waiting(home, monkeypatch):
    with pytest.raises(UserError, match=r"HF_HUB_OFFLINE is set, and its cache has nothing.*--raw DIR.*HF_HOME"):
        Hub()(SOURCE, "train")
    with socket.create_server(("127.0.0.1", 0)) as closed:
        endpoint = f"http://127.0.0.1:{closed.getsockname()[1]}"
    use_cache(monkeypatch, home, endpoint)
    with pytest.raises(UserError, match=r"cannot be reached, and its cache has nothing.*--raw DIR.*HF_HOME"):
        Hub()(SOURCE, "train")


def test_a_hub_that_never_answers_is_given_up_once(home, monkeypatch):
    monkeypatch.setattr(hub, "PATIENCE", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        use_cache(monkeypatch, home, f"http://127.0.0.1:{silent.getsockname()[1]}")
        fetch = Hub()
        for _ in range(5):
            with pytest.raises(UserError, match="cannot be reached"):
                fetch(SOURCE, "train")
        silent.setblocking(False)
        with silent.accept()[0], pytest.raises(BlockingIOError):  # one connection, and no second
            silent.accept()


def test_a_cache_that_was_filled_elsewhere_serves(home):
    write_branch(cache_of(home), train=rows(6))
    assert [file.name for file in Hub()(SOURCE, "train")] == ["0000.parquet", "0001.parquet"]
    with pytest.raises(UserError, match=r"its cache has default/train of who/what.*and not default/validation"):
        Hub()(SOURCE, "validation")


@pytest.mark.parametrize(
    ("names", "complaint"),
    [
        ([], "has no Parquet files"),
        (["README.md", "data/train.json"], "has no Parquet files"),
        (
            ["plain/train/0000.parquet", "defaults/train/0000.parquet"],
            "no configuration default; did you mean defaults",
        ),
        (["default/test/0000.parquet", "default/trains/0000.parquet"], "no split train; did you mean trains"),
        (["default/partial-train/0000.parquet"], "incomplete.*only a part of the split train.*--raw DIR"),
    ],
)
def test_a_split_that_is_not_there_is_told_with_what_is(names, complaint):
    with pytest.raises(UserError, match=complaint):
        split_folder(SOURCE, "train", names)
    assert split_folder(SOURCE, "train", [*names, "default/train/0000.parquet"]) == "default/train"


def test_the_only_configuration_is_taken_whatever_its_name():
    assert split_folder(SOURCE, "train", ["plain_text/train/0000.parquet", "README.md"]) == "plain_text/train"


# Parquet files


def test_rows_come_in_order_with_the_columns_needed(tmp_path):
    nested = [
        {"text": f"t{i}", "answers": {"text": [f"a{i}"], "start": [i]}, "tags": ["x"], "big": "b"} for i in range(5)
    ]
    files = [write_parquet(tmp_path / f"{i}.parquet", part) for i, part in enumerate((nested[:3], nested[3:]))]
    assert list(parquet_rows(files, ["text", "answers"])) == [
        {"text": row["text"], "answers": row["answers"]} for row in nested
    ]
    assert list(parquet_rows(files, ["text", "gone"])) == nested, "all of them, for the complaint"


def test_every_tasks_example_survives_parquet(tmp_path):
    """Rows come back from a Parquet file of the source's schema as they are in the catalogue."""
    tried = 0
    for task in catalogue().values():
        if task.recipe is None:
            continue
        example = task.recipe.example
        path = write_parquet(tmp_path / f"{task.name}.parquet", example.rows)
        back = task.recipe.records(parquet_rows([path], task.recipe.columns), task.name)
        assert list(back) == list(example.records), task.name
        tried += 1
    assert tried


@pytest.mark.parametrize("keep", [0, 3, 100, -1])
def test_a_truncated_file_is_named(tmp_path, keep):
    path = write_parquet(tmp_path / "0000.parquet", rows(1000))
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(UserError, match=r"0000\.parquet is no whole Parquet file.*cut off"):
        list(parquet_rows([path], ["text", "label"]))


def test_a_damaged_page_is_named(tmp_path):
    path = write_parquet(tmp_path / "0000.parquet", rows(1000))
    content = bytearray(path.read_bytes())
    content[4:200] = bytes(196)
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"0000\.parquet is no whole Parquet file"):
        list(parquet_rows([path], ["text", "label"]))


@pytest.mark.parametrize(
    ("row", "complaint"),
    [
        ({"text": "t", "gold": 1}, "row 1 has no column label; it has text, gold"),
        ({"text": "t", "label": 2}, "row 1 has the label 2 in column label; known are 0 \\(no\\), 1 \\(yes\\)"),
        ({"text": "t", "label": "yes"}, "row 1 has the label 'yes'"),
        ({"text": "t", "label": None}, "row 1 has the label null"),
        ({"text": ["t"], "label": 1}, "row 1 .*text is a list"),
    ],
)
def test_a_changed_schema_or_a_label_that_is_null_is_named(tmp_path, row, complaint):
    task = own_task(tmp_path)
    types = {"text": pyarrow.list_(pyarrow.string()) if isinstance(row["text"], list) else pyarrow.string()}
    schema = pyarrow.schema(
        {
            name: types.get(name, pyarrow.string() if isinstance(value, str) else pyarrow.int64())
            for name, value in row.items()
        }
    )
    path = write_parquet(tmp_path / "0.parquet", [row], schema)
    with pytest.raises(UserError, match=complaint):
        list(task.recipe.records(parquet_rows([path], task.recipe.columns), "who/what"))
