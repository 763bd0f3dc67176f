"""What Qin et al. (2023) report, for a table of ours to stand beside: their tables 2 to 5, ARG in percent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mpt.data.fewshot.files import SYNTHETIC
from mpt.data.tasks.partitions import load_partition
from mpt.data.tasks.task import Shots
from mpt.study.spec.settings import Setting

T5_LARGE = "T5-Large"

# The order of table 2's columns.
_TABLE_2_SETTINGS = (
    "random-to-random",
    "classification-to-classification",
    "both-to-classification",
    "nonclassification-to-classification",
    "classification-to-nonclassification",
    "both-to-nonclassification",
    "nonclassification-to-nonclassification",
    "qa-to-qa",
    "nonqa-to-qa",
    "nonparaphrase-to-paraphrase",
)
_TABLE_2: Mapping[str, Sequence[float]] = {
    "MAML": (8.78, 20.16, 10.57, 6.34, 0.32, 7.54, 6.71, -16.59, 3.26, 11.14),
    "FoMAML": (1.24, 18.80, 17.84, 7.32, 6.42, 9.81, 3.88, 16.63, 9.83, -0.68),
    "Reptile": (8.42, -5.17, -4.18, 2.42, -1.54, -3.38, 0.78, 0.77, -0.09, 20.44),
    "MTL": (7.14, -5.64, 5.73, 4.97, 8.51, 13.47, 19.67, 25.65, 17.23, -5.19),
    "FT": (-12.61, 16.02, 16.02, 16.02, -35.70, -35.70, -35.70, -47.37, -47.37, 1.56),
}

# Classification to classification, by examples per class of the target tasks.
_TABLE_3: Mapping[str, Mapping[Shots, float]] = {
    "MAML": {16: 20.16, 32: 9.10, 64: 5.64, 128: 8.36, "all": 3.27},
    "MTL": {16: -5.64, 32: -14.17, 64: 1.96, 128: -0.20, "all": 0.53},
}

# Classification to classification from fewer source tasks; all 45 are table 2's.
_TABLE_4 = {
    "classification-12-to-classification": {"MAML": 8.44},
    "classification-24-to-classification": {"MAML": 12.89},
}

# Non-paraphrase to paraphrase, by backbone.
_TABLE_5: Mapping[str, Mapping[str, float]] = {
    T5_LARGE: {"MAML": 11.14, "FoMAML": -0.68, "Reptile": 20.44, "MTL": -5.19, "FT": 1.56},
    "T5-Base": {"MAML": 9.24, "FoMAML": 4.15, "Reptile": 7.96, "MTL": 1.64, "FT": 7.41},
    "T5-XLarge": {"MAML": 14.35, "FoMAML": 2.46, "Reptile": 10.74, "MTL": 5.72, "FT": -9.61},
    "BART-Large": {"MAML": 7.63, "FoMAML": 1.16, "Reptile": 8.94, "MTL": -2.37, "FT": 2.74},
    "GPT2-Large": {"MAML": 3.19, "FoMAML": -2.68, "Reptile": 4.62, "MTL": -1.43, "FT": 3.75},
}

# What the last part of a checkpoint's name says it is.
_BACKBONES = {
    "t5-base": "T5-Base",
    "t5-xl": "T5-XLarge",
    "t5-3b": "T5-XLarge",
    "bart-large": "BART-Large",
    "gpt2-large": "GPT2-Large",
}

_METHODS = {name.lower(): name for name in _TABLE_2} | {"spot": "MTL"}


@dataclass(frozen=True)
class Stated:
    """A number of the paper.

    Attributes:
        mean: ARG in percent. The paper does not say what its ± is a deviation of, so that is not set beside ours.
        backbone: what it was measured with.
        table: the number of its table.
    """

    mean: float
    backbone: str
    table: int


def stated(
    partition: str, method: str, backbone: str = T5_LARGE, source_k: Shots = 16, target_k: Shots = 16
) -> Stated | None:
    """The paper's ARG of a method in a setting, if its tables have one.

    Args:
        partition: name of a shipped partition.
        method: a study's name of it; letters' case does not count, SPoT is MTL.
        backbone: a checkpoint; the paper's T5-Large stands in for those it has no number of.
        source_k, target_k: examples per class of the tasks that are learned on and measured on. The paper varies the
            former in a figure only.
    """
    name = _METHODS.get(method.lower())
    if name is None or source_k != 16:
        return None
    if target_k != 16:
        value = _TABLE_3.get(name, {}).get(target_k) if partition == "classification-to-classification" else None
        return Stated(value, T5_LARGE, 3) if value is not None else None
    if partition in _TABLE_4:
        value = _TABLE_4[partition].get(name)
        return Stated(value, T5_LARGE, 4) if value is not None else None
    if partition not in _TABLE_2_SETTINGS:
        return None
    known = _known(backbone)
    if partition == "nonparaphrase-to-paraphrase" and known != T5_LARGE:
        return Stated(_TABLE_5[known][name], known, 5)
    return Stated(_TABLE_2[name][_TABLE_2_SETTINGS.index(partition)], T5_LARGE, 2)


def stated_of(setting: Setting, root: str, backbone: str, methods: Sequence[str]) -> dict[str, Stated]:
    """Method to the paper's ARG in a study's setting; nothing unless the study learns and measures on what the paper
    did: real data, one of its partitions, and no task of it set aside by the study file (what is only missing is told
    beside the table).

    Args:
        root: the study's data folder.
        backbone: the study's.
    """
    name = Path(setting.given).stem
    if root == SYNTHETIC or name not in (*_TABLE_2_SETTINGS, *_TABLE_4):
        return {}
    theirs = load_partition(name)
    sources, targets = {*setting.sources, *setting.missing_sources}, {*setting.targets, *setting.missing_targets}
    if (set(theirs.source), set(theirs.target)) != (sources, targets):
        return {}
    shots = setting.source_k or 16, setting.target_k or 16
    found = {method: stated(name, method, setting.backbone or backbone, *shots) for method in methods}
    return {method: value for method, value in found.items() if value is not None}


def _known(backbone: str) -> str:
    last = backbone.rstrip("/").rpartition("/")[2].lower().replace("_", "-").replace("t5-v1-1-", "t5-")
    return next((name for start, name in _BACKBONES.items() if last.startswith(start)), T5_LARGE)
