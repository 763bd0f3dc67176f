"""The paper's numbers, against what its text and its bold print say of them."""

from __future__ import annotations

import pytest

from mpt.data.tasks.partitions import load_partition
from mpt.study.report.paper import stated, stated_of
from mpt.study.spec.settings import Setting

META = ("MAML", "FoMAML", "Reptile")
METHODS = (*META, "MTL", "FT")
BEST = {  # table 2's bold print
    "random-to-random": "MAML",
    "classification-to-classification": "MAML",
    "both-to-classification": "FoMAML",
    "nonclassification-to-classification": "FT",
    "classification-to-nonclassification": "MTL",
    "both-to-nonclassification": "MTL",
    "nonclassification-to-nonclassification": "MTL",
    "qa-to-qa": "MTL",
    "nonqa-to-qa": "MTL",
    "nonparaphrase-to-paraphrase": "Reptile",
}


def arg(partition: str, method: str, **more) -> float:
    found = stated(partition, method, **more)
    assert found is not None
    return found.mean


def whole(name: str, /, **changes) -> Setting:
    partition = load_partition(name)
    return Setting(**{"name": name, "given": name, "targets": partition.target, "sources": partition.source, **changes})


def test_the_best_of_every_setting_is_the_one_in_bold():
    for partition, best in BEST.items():
        load_partition(partition)  # each is shipped
        assert max(METHODS, key=lambda method: arg(partition, method)) == best


def test_what_the_text_says_holds():
    meta = {(p, m): arg(p, m) for p in BEST for m in META}
    assert len(meta) == 30 and sum(value > 0 for value in meta.values()) == 23
    beats = {place for place, value in meta.items() if value > arg(place[0], "FT") > 0}
    assert beats == {
        ("classification-to-classification", "MAML"),
        ("classification-to-classification", "FoMAML"),
        ("both-to-classification", "FoMAML"),
        ("nonparaphrase-to-paraphrase", "MAML"),
        ("nonparaphrase-to-paraphrase", "Reptile"),
    }
    best = max(arg(p, "FoMAML") for p in BEST if p.endswith("to-nonclassification"))
    assert best == arg("both-to-nonclassification", "FoMAML") == 9.81


def test_fine_tuning_depends_on_the_targets_alone():
    for end in ("-to-classification", "-to-nonclassification", "-to-qa"):
        assert len({stated(partition, "FT") for partition in BEST if partition.endswith(end)}) == 1


@pytest.mark.parametrize(
    ("partition", "method", "mean"),
    [
        ("random-to-random", "MAML", 8.78),
        ("qa-to-qa", "MAML", -16.59),
        ("qa-to-qa", "FoMAML", 16.63),
        ("nonqa-to-qa", "Reptile", -0.09),
        ("nonclassification-to-nonclassification", "MTL", 19.67),
        ("nonparaphrase-to-paraphrase", "FT", 1.56),
    ],
)
def test_some_of_table_2(partition, method, mean):
    found = stated(partition, method)
    assert (found.mean, found.backbone, found.table) == (mean, "T5-Large", 2)


def test_more_examples_of_the_target_tasks_are_table_3():
    place = "classification-to-classification"
    assert [arg(place, "MAML", target_k=k) for k in (16, 32, 64, 128, "all")] == [20.16, 9.10, 5.64, 8.36, 3.27]
    # "outperforms PT in 64-shot (1.96 %) and all samples (0.53 %), falls behind in all other settings"
    assert [arg(place, "MTL", target_k=k) > 0 for k in (16, 32, 64, 128, "all")] == [False, False, True, False, True]
    assert stated(place, "FoMAML", target_k=32) is stated("qa-to-qa", "MAML", target_k=32) is None
    assert stated(place, "MAML", source_k=32) is None  # only a figure


def test_fewer_source_tasks_are_table_4():
    partitions = [f"classification-{n}to-classification" for n in ("12-", "24-", "")]
    assert [arg(partition, "MAML") for partition in partitions] == [8.44, 12.89, 20.16]
    assert stated(partitions[0], "MTL") is None


@pytest.mark.parametrize(
    ("backbone", "known", "numbers"),
    [
        ("google/t5-large-lm-adapt", "T5-Large", (11.14, -0.68, 20.44, -5.19, 1.56)),
        ("google/t5-base-lm-adapt", "T5-Base", (9.24, 4.15, 7.96, 1.64, 7.41)),
        ("models/t5-xl-lm-adapt/", "T5-XLarge", (14.35, 2.46, 10.74, 5.72, -9.61)),
        ("facebook/bart-large", "BART-Large", (7.63, 1.16, 8.94, -2.37, 2.74)),
        ("openai-community/gpt2-large", "GPT2-Large", (3.19, -2.68, 4.62, -1.43, 3.75)),
        ("mpt-tiny", "T5-Large", (11.14, -0.68, 20.44, -5.19, 1.56)),
    ],
)
def test_other_backbones_are_table_5_in_its_one_setting(backbone, known, numbers):
    place = "nonparaphrase-to-paraphrase"
    assert tuple(arg(place, method, backbone=backbone) for method in METHODS) == numbers
    assert stated(place, "MAML", backbone).backbone == known
    assert stated("qa-to-qa", "MAML", backbone).backbone == "T5-Large"


def test_a_method_goes_by_its_usual_names():
    assert stated("qa-to-qa", "SPoT") == stated("qa-to-qa", "mtl") == stated("qa-to-qa", "MTL")
    assert stated("qa-to-qa", "PT") is stated("synthetic-random-to-random", "MAML") is None


def test_only_a_setting_of_the_paper_is_compared_with_it():
    def found(setting: Setting, root: str = "fewshot", backbone: str = "t5-base") -> set[tuple[str, str, int]]:
        rows = stated_of(setting, root, backbone, ["PT", "MTL"])
        return {(method, row.backbone, row.table) for method, row in rows.items()}

    place = "nonparaphrase-to-paraphrase"
    targets = load_partition(place).target
    assert found(whole(place)) == found(whole(place, name="mine")) == {("MTL", "T5-Base", 5)}
    assert found(whole(place, backbone="t5-large")) == {("MTL", "T5-Large", 2)}
    assert found(whole("classification-to-classification", target_k="all")) == {("MTL", "T5-Large", 3)}
    assert found(whole(place, source_k=16, target_k=16)) == found(whole(place))
    assert found(whole(place, targets=targets[:2], missing_targets=targets[2:])) == found(whole(place))
    for other in (
        whole(place, source_k=32),
        whole(place, targets=targets[:2]),  # chosen by the study file
        whole(place, sources=load_partition(place).source[1:]),
        whole("synthetic-random-to-random"),
        whole("crossfit-random-to-random"),
    ):
        assert found(other) == set()
    assert found(whole(place), root="synthetic") == set()
