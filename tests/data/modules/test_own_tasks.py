"""A user's own task in the data modules: read from its file, called by the file's name, whatever else has that name."""

from __future__ import annotations

from pathlib import Path

import pytest

from mpt.data.fewshot.files import find_task
from mpt.data.modules.episodes import EpisodeData
from mpt.data.modules.few_shot import FewShotData
from mpt.data.modules.mixture import MixtureData
from mpt.data.tables.own_task import read_own_task
from mpt.data.tasks.known import catalogue
from mpt.data.tasks.mixtures import expanded
from mpt.util.errors import UserError

TEXT = "file: a.csv\ninput: text\noutput: label\nmetric: Classification-F1\n"
SYNTHETIC = "syn-heat-report"


def own(folder: Path, name: str = "trec") -> str:
    """One that has the name of a task of the catalogue, if nothing else is said."""
    folder.mkdir(exist_ok=True)
    rows = "".join(f"text {n},{('one', 'two')[n % 2]}\n" for n in range(40))
    (folder / "a.csv").write_text(f"text,label\n{rows}", encoding="utf-8")
    (folder / f"{name}.yaml").write_text(TEXT, encoding="utf-8")
    return str(folder / f"{name}.yaml")


def test_one_task(tmp_path):
    path = own(tmp_path)
    assert "trec" in catalogue() and catalogue()["trec"].labels != ("one", "two")
    data = FewShotData(path, seed=21, k=4)
    data.setup()
    assert data.fewshot == read_own_task(path).draw(21, 4)
    assert data.task is not None and data.task.metric == "Classification-F1"
    assert data.labels == ("one", "two") and data.task_names == ("trec",) == (data.task_name,)
    assert next(iter(data.test_dataloader())).tasks[0] == "trec"
    other = FewShotData(path, seed=21, k=4, metric="EM", root="no such folder")
    other.setup()
    assert other.task is not None and other.task.metric == "EM"
    (outputs,) = data.outputs()
    assert outputs.name == "trec" and outputs.labels == ("one", "two")


def test_a_table_in_its_place_is_told(tmp_path):
    own(tmp_path)
    with pytest.raises(UserError, match=r"a.csv is a table; a task of your own is a YAML file beside it"):
        find_task("synthetic", str(tmp_path / "a.csv"))


def test_source_tasks(tmp_path):
    path = own(tmp_path)
    data = MixtureData([path, SYNTHETIC], seeds=[13, 21], k=4, splits=["train"], validation=[own(tmp_path, "held")])
    data.setup()
    assert data.task_names == ("trec", SYNTHETIC) and {"one", "two", "plus"} <= set(data.labels)
    assert {task for batch, _ in zip(data.train_dataloader(), range(4), strict=False) for task in batch.tasks} == {
        "trec",
        SYNTHETIC,
    }
    pooled = {one for seed in (13, 21) for one in read_own_task(path).draw(seed, 4).train}
    assert set(data.pools[path]) == pooled
    assert next(iter(data.val_dataloader())).tasks[0] == "held"
    assert [one.name for one in data.outputs()] == ["trec", SYNTHETIC, "held"]


def test_episodes(tmp_path):
    data = EpisodeData([own(tmp_path), SYNTHETIC], seeds=[13], k=4, validation=[own(tmp_path, "held")])
    data.setup()
    assert data.task_names == ("trec", SYNTHETIC) and {"one", "two"} < set(data.labels)
    assert data.validation_tasks["held"].labels == ("one", "two")
    batch = next(iter(data.train_dataloader()))
    assert {episode.task for episode in batch.episodes} < {"trec", SYNTHETIC}
    assert {one.name for one in data.outputs()} == {"trec", SYNTHETIC, "held"}


def test_a_mixture_is_told_from_a_task(tmp_path):
    path, mixture = own(tmp_path), tmp_path / "both.yaml"
    mixture.write_text(f"tasks: [{SYNTHETIC}]\n", encoding="utf-8")
    assert expanded([path, str(mixture)]) == [path, SYNTHETIC]
    with pytest.raises(UserError, match=r"Cannot read the mixture file none.yaml"):
        expanded(["none.yaml"])


def test_two_tasks_of_one_name_are_refused(tmp_path):
    one, two = own(tmp_path), own(tmp_path / "below")
    with pytest.raises(UserError, match=r"are both called trec; rename the file of one"):
        MixtureData([one, two], k=4).setup()
    with pytest.raises(UserError, match=rf"both called {SYNTHETIC}"):
        MixtureData([own(tmp_path, SYNTHETIC)], target=SYNTHETIC, k=4).setup()
