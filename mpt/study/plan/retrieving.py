"""The runs of methods that retrieve: those that make the targets' keys, and those that follow from them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from mpt.data.tasks.task import Shots
from mpt.study.plan.fingerprints import sources_digest
from mpt.study.plan.library import StudyLibrary
from mpt.study.plan.source_draws import data_options
from mpt.study.spec.methods import Method, Stage
from mpt.study.spec.retrieve import EMBEDDING
from mpt.study.spec.settings import Setting
from mpt.util.errors import UserError

if TYPE_CHECKING:
    from mpt.study.plan.planned_run import PlannedRun
    from mpt.study.plan.planner import Planner


class RetrievingPlanner:
    """Plans such methods target by target, since each has a key of its own.

    Attributes:
        keys: the runs that make the targets' keys, by key; all methods share them.
    """

    def __init__(self, planner: Planner, library_of_study: StudyLibrary) -> None:
        self.planner = planner
        self.library_of_study = library_of_study
        self.keys: dict[str, PlannedRun] = {}

    def cells(self, method: Method) -> Iterator[PlannedRun]:
        """The runs of a method that retrieves, beside those that make the keys."""
        seeds, stage = self.planner.study.seeds, method.upstream
        for setting in self.planner.settings:
            self.check_key(method, setting)
            partition = setting.name if self.planner.study.has_several else None
            for target in setting.targets:
                learned: dict[int, PlannedRun] = {}
                for seed in seeds:
                    if stage is None:
                        yield from self.from_prompts(method, setting, partition, target, seed)
                        continue
                    for own in stage.seeds or (seed,):
                        if own not in learned:
                            learned[own] = self.on_retrieved(method, stage, setting, partition, target, own)
                            yield learned[own]
                        yield from self.planner.downstream(method, setting, partition, target, seed, learned[own])

    def embedding(self, setting: Setting, target: str, seed: int) -> PlannedRun:
        """The run that makes a target's key, which all methods share."""
        partition = None if self.planner.study.shares_downstream else setting.name
        method = Method(EMBEDDING, Stage(EMBEDDING))
        data = {"data.task": target}
        name = f"{target}-{seed}"
        options = self.planner.options(
            method, method.downstream, setting, partition, name, seed, data, setting.target_k
        )
        options = self.library_of_study.key_options(options)
        read = self.planner.draw(target, seed, options.get("data.k"), options.get("data.metric"))
        cell = self.planner.cell(
            method, method.downstream, "upstream", partition, target, seed, None, options, read, None
        )
        return self.keys.setdefault(cell.key, cell)

    def from_prompts(
        self, method: Method, setting: Setting, partition: str | None, target: str, seed: int
    ) -> Iterator[PlannedRun]:
        """Downstream from each of the retrieved prompts, or from their average."""
        key = self.embedding(setting, target, seed)
        backbone = setting.backbone or self.planner.study.backbone
        length = self.planner.given(method.downstream, setting, "model.prompt_length")
        for start in self.library_of_study.starts(method, setting, backbone, length, key.prompt, seed):
            yield from self.planner.downstream(method, setting, partition, target, seed, key, start)

    def on_retrieved(
        self, method: Method, stage: Stage, setting: Setting, partition: str | None, target: str, seed: int
    ) -> PlannedRun:
        """An upstream run on the tasks that a target's key retrieves, perhaps with the target's own."""
        assert method.retrieve is not None
        key = self.embedding(setting, target, seed)
        backbone = setting.backbone or self.planner.study.backbone
        data = self.library_of_study.data(method, setting, backbone, key.prompt, seed)
        tasks = self.library_of_study.tasks(method.retrieve, setting, backbone)
        mixed = method.retrieve.use == "mixture"
        k = self.shots(method, method.downstream, setting)
        if mixed:
            data |= {"data.target": target} | ({} if k is None else {"data.target_k": k})
        name = f"upstream-{target}-{seed}"
        options = self.planner.options(method, stage, setting, partition, name, seed, data, setting.source_k)
        if mixed:
            self.check_mixed(method, stage, options, k)
        read = None
        if not self.planner.absent.intersection(tasks):
            read = [*tasks, sources_digest(self.planner.study.root, tasks, options.get("data.k"))]
            if mixed:
                own = self.planner.draw(target, seed, k, None)
                read = None if own is None else read + own
        return self.planner.cell(method, stage, "upstream", partition, target, seed, None, options, read, key)

    def shots(self, method: Method, stage: Stage, setting: Setting) -> Shots | None:
        """The size of the target's draw that a stage's runs read, by the study or by the config; none if not said."""
        options = self.planner.options(method, stage, setting, None, "", 0, {}, setting.target_k)
        k: Shots | None = data_options(self.planner.config(stage.config)[1], options).get("k")
        return k

    def check_key(self, method: Method, setting: Setting) -> None:
        """That the key is made from as much of the target as the method may see.

        Raises:
            UserError: the downstream runs have a draw of a size of their own; the keys are for all methods.
        """
        own = self.shots(method, method.downstream, setting)
        key = self.shots(Method(EMBEDDING, Stage(EMBEDDING)), Stage(EMBEDDING), setting)
        if own != key:
            raise UserError(
                f"{self.planner.study.file}: methods.{method.name}.downstream: its draws of the targets ({_told(own)}, "
                f"by data.k) are not those that their keys are made from ({_told(key)}); give target_k in place of "
                "data.k, for the study or in a setting"
            )

    def check_mixed(self, method: Method, stage: Stage, options: Mapping[str, Any], k: Shots | None) -> None:
        """That a mixture learns on the target's examples that its downstream runs train on, and on no others.

        Args:
            options: of the upstream run.
            k: size of the draw of the downstream runs.

        Raises:
            UserError: it would learn on a draw of another size, in which their dev examples may be train examples.
        """
        own = data_options(self.planner.config(stage.config)[1], options).get("target_k")
        if own != k:
            raise UserError(
                f"{self.planner.study.file}: methods.{method.name}.upstream: its draw of the target is that of its "
                f"downstream runs ({_told(k)}), whose dev examples it would learn on with data.target_k = {own}; leave "
                "that out, and give target_k beside source_k"
            )


def _told(k: Shots | None) -> str:
    return "of no given size" if k is None else f"k = {k}"
