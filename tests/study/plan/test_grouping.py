"""Which runs are trained side by side."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.toy_study import write_study, write_study_of_two

from mpt.study.plan.grid import plan
from mpt.study.plan.grouping import are_small, default_size, units, units_left
from mpt.study.plan.planned_run import PlannedRun
from mpt.study.run.grid import run_all
from mpt.study.spec.study import load_study
from mpt.util.errors import UserError


@pytest.fixture
def cells(tmp_path: Path) -> list[PlannedRun]:
    return plan(load_study(write_study(tmp_path, "mpt-tiny")), tmp_path / "out")


def keys(found) -> list[list[str]]:
    return [[cell.key for cell in unit] for unit in found]


def test_every_run_is_in_one_unit_in_the_order_of_the_plan(cells):
    for size in (1, 2, 3, 5, 8, 100):
        found = units(cells, size)
        assert sorted(key for unit in keys(found) for key in unit) == sorted(cell.key for cell in cells)
        firsts = [cells.index(unit[0]) for unit in found]
        assert firsts == sorted(firsts) and max(map(len, found)) <= size
    assert keys(units(cells, 1)) == [[cell.key] for cell in cells]


def test_only_runs_of_one_method_that_learn_a_prompt_downstream_are_together(cells):
    found = [unit for unit in units(cells, 100) if len(unit) > 1]
    assert [(unit[0].method, len(unit)) for unit in found] == [("PT", 8), ("MTL", 2), ("MTL", 2)]
    assert {cell.method for unit in found for cell in unit} == {"PT", "MTL"}, "fine-tuning has no prompt"
    assert all(cell.stage == "downstream" and cell.method == unit[0].method for unit in found for cell in unit)
    assert {cell.learning_rate for cell in found[0]} == {0.5, 0.3} and len({cell.seed for cell in found[0]}) == 2


def test_what_is_too_many_is_shared_equally_and_always_alike(cells):
    packs = [len(unit) for unit in units(cells, 3) if unit[0].method == "PT"]
    assert sorted(packs) == [2, 3, 3]
    assert keys(units(cells, 3)) == keys(units(list(cells), 3))


def test_what_is_finished_is_in_no_pack_and_packs_that_nothing_is_finished_of_stay_as_they_are(cells):
    first, second, third = packs = [unit for unit in units(cells, 3) if unit[0].method == "PT"]
    assert keys(units_left(cells, 3, {cell.key for cell in cells})) == keys(units(cells, 3))
    left = {cell.key for cell in (*first[1:], *second[:1], *third)}
    found = units_left(cells, 3, left)
    assert sorted(keys(found)) == sorted([[*keys([first[1:]])[0], second[0].key], *keys([third])]), packs
    assert keys(units_left(cells, 1, left)) == [[cell.key] for cell in cells if cell.key in left]


def test_a_pack_that_has_begun_goes_on_as_it_is(cells):
    first, second, _ = (unit for unit in units(cells, 3) if unit[0].method == "PT")
    mixed = (*first[:1], *second[:2])
    found = keys(units_left(cells, 3, {cell.key for cell in (*first[1:], *second[1:])}, [mixed, first[:1]]))
    assert found == keys([mixed, (*first[1:], *second[2:])])


def test_a_pack_that_has_begun_is_no_larger_than_asked_for_now(cells):
    """For whoever asks for fewer at once may have run out of memory."""
    begun = [tuple(cells[:8])]
    found = units_left(cells, 4, {run.key for run in cells}, begun)
    assert max(map(len, found)) <= 4 and sum(map(len, found)) == len(cells)


def test_partitions_are_not_mixed(tmp_path):
    cells = plan(load_study(write_study_of_two(tmp_path, "mpt-tiny")), tmp_path / "out")
    found = [unit for unit in units(cells, 100) if unit[0].method == "MTL" and len(unit) > 1]
    assert [{cell.partition for cell in unit} for unit in found] == [{"first"}, {"second"}]


def test_runs_that_start_from_different_prompts_are_not_together(tmp_path):
    """A pack begins when what it starts from is finished, and fails with that alone."""
    cells = plan(load_study(write_study(tmp_path, "mpt-tiny")), tmp_path / "out")
    for unit in units(cells, 100):
        assert len({cell.needs for cell in unit}) == 1


def test_a_machine_without_gpu_does_so_with_small_backbones_alone(cells, tmp_path, monkeypatch):
    monkeypatch.setattr("mpt.util.machine.gpu_names", lambda: [])
    large = tmp_path / "large"
    large.mkdir()
    with (large / "model.safetensors").open("wb") as file:
        file.truncate(1 << 30)
    others = plan(load_study(write_study(tmp_path, large)), tmp_path / "out")
    assert default_size(cells) > 1
    assert default_size(others) == default_size([*cells, *others]) == 1
    assert are_small(cells) and not are_small([*cells, *others])
    monkeypatch.setattr("mpt.util.machine.gpu_names", lambda: ["0"])
    assert default_size(others) > 1


def write_saying(folder: Path, given: str) -> Path:
    """As text: ``off`` is a word to a person, and something else to YAML."""
    file = write_study(folder, "mpt-tiny")
    file.write_text(f"{file.read_text()}side_by_side: {given}\n")
    return file


@pytest.mark.parametrize(("given", "size"), [("auto", None), ("off", 1), ("12", 12)])
def test_a_study_says_how_many(tmp_path, given, size):
    assert load_study(write_saying(tmp_path, given)).side_by_side == size


@pytest.mark.parametrize("given", ["0", "on", "many", "1.5"])
def test_a_wrong_number_is_told(tmp_path, given):
    with pytest.raises(UserError, match="side_by_side"):
        load_study(write_saying(tmp_path, given))


class Asked(Exception):
    """What workers were to be hired."""


@pytest.mark.parametrize(("size", "threads"), [(1 << 20, 1), (1 << 30, None)])
def test_a_second_thread_is_for_large_backbones(tmp_path, size, threads):
    """Of a small one it would wait more than work, and where two studies share the cores, for minutes."""
    folder = tmp_path / "backbone"
    folder.mkdir()
    with (folder / "model.safetensors").open("wb") as file:
        file.truncate(size)

    class Watcher:
        def begins(self, *_: object) -> None: ...

    def make_workers(workers, past, most_threads):
        raise Asked(workers, most_threads)

    cells = plan(load_study(write_study(tmp_path, folder)), tmp_path / "out")
    with pytest.raises(Asked) as asked:
        run_all(cells, 1, Watcher(), make_workers)
    assert asked.value.args == (1, threads)
