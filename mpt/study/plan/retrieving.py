"""The runs of methods that retrieve: those that make the targets' keys, and those that follow from them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from mpt.data.tasks.task import Shots
from mpt.fit.resolve import ResolvedRun
from mpt.study.plan.fingerprints import sources_digest
from mpt.study.plan.library import StudyLibrary
from mpt.study.plan.planned_run import PlannedRun
from mpt.study.plan.planner import Planner, RunContext
from mpt.study.spec.methods import Method, Stage
from mpt.study.spec.retrieve import EMBEDDING
from mpt.study.spec.settings import Setting
from mpt.util.errors import UserError

_EMBEDDING = Method(EMBEDDING, Stage(EMBEDDING), upstream=Stage(EMBEDDING))
"""Makes the keys; others need its runs, which come first as those upstream do."""


class RetrievingPlanner:
    """Plans such methods target by target, since each has a key of its own.

    Attributes:
        keys: the runs that make the targets' keys, by key; all methods share them.
    """

    def __init__(self, planner: Planner, library_of_study: StudyLibrary) -> None:
        self.planner = planner
        self.library_of_study = library_of_study
        self.keys: dict[str, PlannedRun] = {}

    def runs(self, method: Method) -> Iterator[PlannedRun]:
        """The runs of a method that retrieves, beside those that make the keys."""
        for setting in self.planner.settings:
            self.check_key(method, setting)
            partition = setting.name if self.planner.study.has_several else None
            for target in setting.targets:
                learned: dict[int, PlannedRun] = {}
                for seed in self.planner.study.seeds:
                    context = RunContext(method, "downstream", setting, partition, target, seed)
                    if method.upstream is None:
                        yield from self.from_prompts(context)
                        continue
                    for own in method.upstream.seeds or (seed,):
                        if own not in learned:
                            learned[own] = self.on_retrieved(replace(context, kind="upstream", seed=own))
                            yield learned[own]
                        yield from self.planner.downstream(context, learned[own])

    def embedding(self, context: RunContext) -> PlannedRun:
        """The run that makes a target's key, which all methods share."""
        planner, setting, target = self.planner, context.setting, str(context.target)
        partition = None if planner.study.shares_downstream else setting.name
        own = RunContext(_EMBEDDING, "upstream", setting, partition, target, context.seed)
        options = planner.options(
            own, f"{target}-{own.seed}", {"data.task": planner.study.reference(target)}, setting.target_k
        )
        options = self.library_of_study.key_options(options)
        run = planner.run(own, options, planner.draw(target, own.seed, planner.resolved(own.stage, options)))
        return self.keys.setdefault(run.key, run)

    def from_prompts(self, context: RunContext) -> Iterator[PlannedRun]:
        """Downstream from each of the retrieved prompts, or from their average."""
        planner, method, setting = self.planner, context.method, context.setting
        key = self.embedding(context)
        run = planner.resolved(method.downstream, planner.given(method.downstream, setting))
        backbone, length = setting.backbone or planner.study.backbone, run.get("model.prompt_length")
        for start in self.library_of_study.starts(method, setting, backbone, length, key.prompt, context.seed):
            yield from planner.downstream(context, key, start)

    def on_retrieved(self, context: RunContext) -> PlannedRun:
        """An upstream run on the tasks that a target's key retrieves, perhaps with the target's own."""
        planner, method, setting = self.planner, context.method, context.setting
        assert method.retrieve is not None
        target, seed = str(context.target), context.seed
        key = self.embedding(context)
        backbone = setting.backbone or planner.study.backbone
        data = self.library_of_study.data(method, setting, backbone, key.prompt, seed)
        tasks = self.library_of_study.tasks(method.retrieve, setting, backbone)
        if own := [planner.study.own[task] for task in tasks if task in planner.study.own]:
            data |= {"data.retrieved.own": own}
        mixed = method.retrieve.use == "mixture"
        then = self.on_targets(method, setting)
        k: Shots | None = then.said("data.k")
        if mixed:
            data |= {"data.target": planner.study.reference(target)} | ({} if k is None else {"data.target_k": k})
        options = planner.options(context, f"upstream-{target}-{seed}", data, setting.source_k)
        run = planner.resolved(context.stage, options)
        if mixed:
            self.check_mixed(method, run, k)
        read = None
        if not planner.absent.intersection(tasks):
            named = tuple(map(planner.study.reference, tasks))
            read = [*tasks, sources_digest(planner.study.root, named, planner.shots(run))]
            if mixed:
                draw = planner.draw(target, seed, ResolvedRun({"data.k": k}))
                read = None if draw is None else read + draw
        return planner.run(context, options, read, key)

    def on_targets(self, method: Method, setting: Setting) -> ResolvedRun:
        """Any run of a method on a target of a setting."""
        context = RunContext(method, "downstream", setting)
        return self.planner.resolved(context.stage, self.planner.options(context, "", {}, setting.target_k))

    def check_key(self, method: Method, setting: Setting) -> None:
        """Refuse downstream runs with a draw of a size of their own: the keys, of that draw, are for all methods."""
        own, key = (self.on_targets(one, setting).said("data.k") for one in (method, _EMBEDDING))
        if own != key:
            raise UserError(
                f"{self.planner.study.file}: methods.{method.name}.downstream: its draws of the targets ({_told(own)}, "
                f"by data.k) are not those that their keys are made from ({_told(key)}); give target_k in place of "
                "data.k, for the study or in a setting"
            )

    def check_mixed(self, method: Method, upstream: ResolvedRun, k: Shots | None) -> None:
        """That a mixture learns on the target's examples that its downstream runs train on, and on no others.

        Args:
            k: size of the draw of the downstream runs.
        """
        own = upstream.said("data.target_k")
        if own != k:
            raise UserError(
                f"{self.planner.study.file}: methods.{method.name}.upstream: its draw of the target is that of its "
                f"downstream runs ({_told(k)}), whose dev examples it would learn on with data.target_k = {own}; leave "
                "that out, and give target_k beside source_k"
            )


def _told(k: Shots | None) -> str:
    return "of no given size" if k is None else f"k = {k}"
