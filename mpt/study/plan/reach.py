"""What the runs of a study can never answer, told by the tokenizers of its backbones alone, before any run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mpt.data.fewshot.files import SYNTHETIC
from mpt.data.synthetic.second_language import SECOND
from mpt.data.tasks.outputs import Outputs
from mpt.fit.resolve import ResolvedRun
from mpt.record.options import as_words
from mpt.study.plan.fingerprints import read_draw
from mpt.study.plan.planned_run import PlannedRun
from mpt.util.errors import UserError
from mpt.util.yaml_file import is_yaml

if TYPE_CHECKING:
    from mpt.backbone.encoding import Encoder

BUNDLED, ENOUGH = "mpt-tiny", 24
"""The backbone that ships with the package writes all outputs of the embedded suite, in no more tokens than these."""

_OF_DRAWS = ("k", "metric", "references", "test_examples")
_OF_TARGETS = ("revision", "max_target_length", "chat_template")
_READ = ("config", "model.backbone", "data.", "model.init_args.backbone")


def tell_reach(runs: Sequence[PlannedRun], root: str) -> Iterator[str]:
    """Sentences on targets some of whose outputs are cut or cannot be written, or two of whose labels are one.

    Args:
        runs: of a plan; those whose data are not there are passed over.
        root: the data folder.
    """
    downstream = [run for run in runs if run.stage == "downstream" and run.target and run.fingerprint]
    draws: dict[tuple[Any, ...], dict[int, Outputs]] = {}
    # Of thousands of runs most read the same with the same backbone.
    for run in {_asked(run): run for run in downstream if not _is_known(run.resolved)}.values():
        said = run.resolved
        limits = (said.get(f"model.backbone_options.{name}") for name in _OF_TARGETS)
        k, metric, references, tested = (said.get(f"data.{name}") for name in _OF_DRAWS)
        own = draws.setdefault((said["model.backbone"], *limits, run.target, k, references == "drawn"), {})
        for one in read_draw(root, str(said["data.task"]), run.seed, k, metric).outputs:
            test = one.splits["test"][:tested] if not own else ()  # all have one
            own.setdefault(run.seed, replace(one, splits={**one.splits, "test": test}))
    draws = {asked: own for asked, own in draws.items() if own}
    if not draws:
        return  # without the seconds that it takes to load the libraries
    from mpt.learn.targets import reach

    untold: set[str] = set()
    for (name, revision, limit, chats, _, _, drawn), own in draws.items():
        try:
            encode = _encoder(name, revision, limit, bool(chats))
        except UserError as error:
            if name not in untold:
                yield f"whether {name} can write the targets' outputs was not looked at: {error}"
            untold.add(name)
            continue
        found = reach(encode, _joined(list(own.values()), drawn))
        yield from ([f"{found.clash}: mpt fit will refuse"] if found.clash else []) + found.told()


def _asked(run: PlannedRun) -> tuple[str, ...]:
    """All that decides what is told of a run."""
    return tuple(as_words({name: value for name, value in run.options.items() if name.startswith(_READ)}))


def _is_known(run: ResolvedRun) -> bool:
    limit = run.said("model.backbone_options.max_target_length")
    bundled = run["model.backbone"] == BUNDLED and not Path(BUNDLED).is_dir()
    task = str(run.get("data.task"))  # of sources, no name
    made = run["data.root"] == SYNTHETIC and not is_yaml(task) and not task.startswith(SECOND)
    return bundled and made and (limit is None or limit >= ENOUGH)


def _joined(draws: Sequence[Outputs], drawn: bool) -> Outputs:
    """The outputs of all draws of a task, as one."""
    splits = {split: [x for draw in draws for x in draw.splits[split]] for split in draws[0].splits}
    labels = tuple(dict.fromkeys(label for draw in draws for label in draw.labels))
    return replace(draws[0], splits=splits, labels=labels, drawn=drawn)


@cache
def _encoder(name: str, revision: str | None, limit: int | None, chats: bool) -> Encoder:
    """Of a backbone whose weights are left alone."""
    from mpt.backbone.encoding import Encoder
    from mpt.backbone.loading import BackboneOptions
    from mpt.backbone.vocabulary import config_and_tokenizer

    limit = limit or BackboneOptions.max_target_length  # of a learner of another package
    config, tokenizer = config_and_tokenizer(name, revision)
    lengths = (BackboneOptions.max_input_length, limit)
    return Encoder(tokenizer, not config.is_encoder_decoder, *lengths, chat_template=chats)
