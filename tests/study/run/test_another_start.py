"""Two methods of a study that differ in the drawn start alone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from support.changes import changed
from support.toy_study import STUDY, write_study
from torch import Tensor

from mpt.fit.configs import find_config
from mpt.prompt.files import load_prompt
from mpt.study.plan.grid import plan
from mpt.study.plan.grouping import units
from mpt.study.plan.planned_run import PlannedRun
from mpt.study.run.one import do_run
from mpt.study.run.side_by_side import run_pack
from mpt.study.spec.study import load_study

STILL = {"model.prompt_length": 3, "model.optimizer.lr": 1e-30}
OTHER = {**STILL, "model.init": "SampledVocabulary", "model.init.seed": 1}
METHODS = {
    "PT": {"downstream": {"config": "prompt_tuning", "overrides": STILL}},
    "PT-b": {"downstream": {"config": "prompt_tuning", "overrides": OTHER}},
}


@pytest.fixture(scope="module")
def cells(tmp_path_factory: pytest.TempPathFactory, model_folder) -> list[PlannedRun]:
    """At a rate that moves nothing, so that what a run ends with is its start."""
    folder = tmp_path_factory.mktemp("null")
    null = changed(STUDY, {"methods": METHODS, ("overrides", "trainer.logger"): False})
    return plan(load_study(write_study(folder, model_folder("t5"), null)), folder / "out")


def start(cell: PlannedRun) -> Tensor:
    return load_prompt(cell.folder / "prompt").weight


@pytest.mark.slow
def test_another_seed_of_the_start_is_another_start_for_each_draw_alone_and_side_by_side(cells):
    found: dict[tuple[str, str | None, int], Tensor] = {}
    for unit in units(cells, 4):
        assert len(unit) == 4 and set(run_pack(unit).values()) == {"finished"}
        found |= {(cell.method, cell.target, cell.seed): start(cell) for cell in unit}
    for cell in cells:
        if cell.target == "ag_news":
            alone = replace(cell, out=cell.out.with_name("alone"))
            # A run that was none of the study's, which is kept.
            alone.folder.mkdir(parents=True)
            alone.files.config.write_text("mine")
            assert do_run(alone) == "finished" and alone.files.is_started
            assert Path(f"{alone.folder}.1", "config.yaml").read_text() == "mine"
            assert torch.equal(start(alone), found[cell.method, cell.target, cell.seed])
    starts = [found[method, "ag_news", seed] for method in ("PT", "PT-b") for seed in (13, 21)]
    assert all(not torch.equal(one, two) for i, one in enumerate(starts) for two in starts[:i])


def test_nothing_else_differs(cells):
    pairs = [(cell, other) for cell in cells for other in cells if other.key == cell.key.replace("PT/", "PT-b/")]
    for cell, other in [pair for pair in pairs if pair[0].method == "PT"]:
        assert set(cell.recipe) ^ set(other.recipe) == {
            f"--trainer.default_root_dir={{study}}/{cell.key}",
            f"--trainer.default_root_dir={{study}}/{other.key}",
            "--model.init=SampledVocabulary",
            "--model.init.seed=1",
        }


def test_the_shipped_null_study_is_four_times_the_prompt_tuning_of_the_synthetic_studies():
    null, synthetic = (load_study(find_config(f"studies/{name}")) for name in ("null", "synthetic"))
    pt, *others = (dict(method.downstream.overrides) for method in null.methods)
    assert null.partitions[0] in synthetic.partitions and null.seeds == synthetic.seeds
    assert null.methods[0] == synthetic.methods[0]
    begin = {"model.init": "SampledVocabulary"}
    assert others == [{**pt, **begin, "model.init.seed": seed} for seed in (1, 2, 3)]
    assert {Path(method.downstream.config).name for method in null.methods} == {"prompt_tuning"}
