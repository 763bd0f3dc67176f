"""What the runs of a study can never answer, told by the tokenizers of its backbones alone, before any run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mpt.data.fewshot.files import SYNTHETIC
from mpt.data.tasks.outputs import Outputs
from mpt.study.plan.fingerprints import read_draw
from mpt.study.plan.planned_run import PlannedRun, option
from mpt.util.errors import UserError, one_line

if TYPE_CHECKING:
    from mpt.backbone.encoding import Encoder

_TESTS = 10_000
"""As many test examples count unless a study says otherwise: as ``FewShotData`` takes."""

BUNDLED, ENOUGH = "mpt-tiny", 24
"""The backbone that ships with the package writes all outputs of the embedded suite, in no more tokens than these."""

_READ = ("--config=", "--model.backbone", "--data.")


def tell_reach(cells: Sequence[PlannedRun], root: str) -> Iterator[str]:
    """Sentences on targets some of whose outputs are cut or cannot be written, or two of whose labels are one.

    Args:
        cells: of a plan; those whose data are not there are passed over.
        root: the data folder.
    """
    # Of thousands of runs most read the same with the same backbone.
    downstream = [cell for cell in cells if cell.stage == "downstream" and cell.target and cell.fingerprint]
    different = {tuple(word for word in cell.recipe if word.startswith(_READ)): cell for cell in downstream}
    draws: dict[tuple[Any, ...], dict[int, Outputs]] = {}
    for cell in different.values():
        asked = (*_backbone(cell), cell.target, option(cell, "data.k"), option(cell, "data.references") == "drawn")
        own = draws.setdefault(asked, {})
        read = read_draw(root, cell.target, cell.seed, option(cell, "data.k"), option(cell, "data.metric"))
        for one in read.outputs:
            test = one.splits["test"][: option(cell, "data.test_examples") or _TESTS] if not own else ()  # all have one
            own.setdefault(cell.seed, replace(one, splits={**one.splits, "test": test}))
    draws = {asked: own for asked, own in draws.items() if own and not _is_known(root, *asked[:3])}
    if not draws:
        return  # without the seconds that it takes to load the libraries
    from mpt.learn.targets import reach

    untold: set[str] = set()
    for (name, revision, limit, _, _, drawn), own in draws.items():
        try:
            encode = _encoder(name, revision, limit)
        except UserError as error:
            if name not in untold:
                yield f"whether {name} can write the targets' outputs was not looked at: {error}"
            untold.add(name)
            continue
        found = reach(encode, _joined(list(own.values()), drawn))
        yield from ([f"{found.clash}: mpt fit will refuse"] if found.clash else []) + found.told()


def _is_known(root: str, name: str, revision: str | None, limit: int | None) -> bool:
    return root == SYNTHETIC and name == BUNDLED and not Path(name).is_dir() and (limit is None or limit >= ENOUGH)


def _joined(draws: Sequence[Outputs], drawn: bool) -> Outputs:
    """The outputs of all draws of a task, as one."""
    splits = {split: [x for draw in draws for x in draw.splits[split]] for split in draws[0].splits}
    labels = tuple(dict.fromkeys(label for draw in draws for label in draw.labels))
    return replace(draws[0], splits=splits, labels=labels, drawn=drawn)


def _backbone(cell: PlannedRun) -> tuple[str, str | None, int | None]:
    given = option(cell, "model.backbone_options") or {}

    def of(name: str) -> Any:
        return option(cell, f"model.backbone_options.{name}") or given.get(name)

    return option(cell, "model.backbone"), of("revision"), of("max_target_length")


@cache
def _encoder(name: str, revision: str | None, limit: int | None) -> Encoder:
    """Of a backbone whose weights are left alone.

    Raises:
        UserError: it is nowhere.
    """
    from transformers import AutoConfig, AutoTokenizer

    from mpt.backbone.encoding import Encoder
    from mpt.backbone.loading import BackboneOptions, locate

    limit = limit or BackboneOptions.max_target_length
    source, common = locate(name, revision)
    try:
        decoder_only = not AutoConfig.from_pretrained(source, **common).is_encoder_decoder
        return Encoder(AutoTokenizer.from_pretrained(source, **common), decoder_only, 1, limit)
    except Exception as error:  # three libraries read these files, each with exceptions of its own
        raise UserError(f"backbone {name} could not be loaded: {one_line(error)}") from error
