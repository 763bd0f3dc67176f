"""Study files: what is read, and every mistake answered in one sentence with the file's name."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.changes import replaced

from mpt.study.spec.study import Study, Variant, load_study
from mpt.util.errors import UserError

GOOD = """
name: small
backbone: mpt-tiny
root: synthetic
partition: some
seeds: [13, 21]
methods:
  PT:
    downstream: {config: prompt_tuning, learning_rates: [0.5, 1]}
  MTL:
    upstream: {config: spot, overrides: {model: {prompt_length: 4}, trainer.max_steps: 7}}
    downstream: {config: prompt_tuning}
"""


def load(tmp_path: Path, text: str) -> Study:
    path = tmp_path / "study.yaml"
    path.write_text(text, encoding="utf-8")
    return load_study(path)


def test_every_key_arrives_with_nested_and_dotted_overrides_alike(tmp_path):
    study = load(tmp_path, GOOD)
    assert study.partitions == ("some",) and not study.has_several
    assert (study.name, study.seeds, study.baseline, study.k) == ("small", (13, 21), "PT", None)
    pt, mtl = study.methods
    assert pt.upstream is None and pt.downstream.learning_rates == (0.5, 1.0)
    assert mtl.upstream is not None
    assert dict(mtl.upstream.overrides) == {"model.prompt_length": 4, "trainer.max_steps": 7}


def test_partitions_are_one_or_a_list(tmp_path):
    study = load(tmp_path, replaced(GOOD, "partition: some", "partitions: [some, other.yaml]"))
    assert study.partitions == ("some", "other.yaml") and study.has_several
    one = load(tmp_path, replaced(GOOD, "partition: some", "partitions: [some]\ntargets: [a]"))
    assert one == load(tmp_path, GOOD + "targets: [a]")


def test_interpolations_and_anchors_are_resolved(tmp_path):
    text = replaced(GOOD, "small", "on-${root}", "max_steps: 7", "max_steps: '${variables.steps}'")
    study = load(tmp_path, text + "variables: {steps: 9}\n")
    assert study.name == "on-synthetic"
    assert study.methods[1].upstream is not None and study.methods[1].upstream.overrides["trainer.max_steps"] == 9


def test_settings_differ_in_more_than_the_partition(tmp_path):
    settings = "settings:\n  32: {target_k: 32}\n  all: {target_k: all, partition: other}\n  plain:\n"
    study = load(tmp_path, GOOD + settings + "source_k: 16\n")
    assert study.variants == (
        Variant("32", "some", target_k=32),
        Variant("all", "other", target_k="all"),
        Variant("plain", "some"),
    )
    assert study.partitions == ("some", "other") and study.has_several and study.source_k == 16
    assert not study.shares_downstream
    models = "settings: {a: {backbone: t5}, b: {backbone: t5, source_k: 64, overrides: {data: {batch_size: 4}}}}\n"
    a, b = load(tmp_path, GOOD + models).variants
    assert (a.backbone, b.backbone, b.source_k, dict(b.overrides)) == ("t5", "t5", 64, {"data.batch_size": 4})
    sources = "settings: {few: {}, many: {source_k: 64}, others: {partition: other}}\n"
    assert load(tmp_path, GOOD + sources).shares_downstream


def test_one_downstream_serves_all_methods_by_an_anchor(tmp_path):
    text = replaced(GOOD, "downstream: {config", "downstream: &down {config", count=1)
    text = replaced(text, "downstream: {config: prompt_tuning}", "downstream: *down")
    pt, mtl = load(tmp_path, text).methods
    assert pt.downstream == mtl.downstream and mtl.downstream.learning_rates == (0.5, 1.0)


def test_vary_makes_a_method_of_each_combination(tmp_path):
    vary = "upstream: {vary: {model.optimizer.lr: [0.5, 2e-5], data.batch_size: [2, 4], epochs: [1.5]}, "
    study = load(tmp_path, replaced(GOOD, "upstream: {", vary, ", trainer.max_steps: 7", ""))
    names = ["MTL-0.5-2-1.5", "MTL-0.5-4-1.5", "MTL-2e-05-2-1.5", "MTL-2e-05-4-1.5"]
    assert [method.name for method in study.methods] == ["PT", *names]
    last = study.methods[-1].upstream
    assert last is not None and last.epochs == 1.5
    assert dict(last.overrides) == {"model.prompt_length": 4, "model.optimizer.lr": 2e-5, "data.batch_size": 4}
    assert isinstance(last.overrides["data.batch_size"], int)


def test_vary_downstream_makes_methods_too(tmp_path):
    vary = "downstream: {vary: {model.prompt_length: [1, 20]}, "
    study = load(tmp_path, replaced(replaced(GOOD, "downstream: {", vary), "methods:", "baseline: PT-20\nmethods:"))
    assert [method.name for method in study.methods] == ["PT-1", "PT-20", "MTL-1", "MTL-20"]
    assert [method.downstream.overrides["model.prompt_length"] for method in study.methods] == [1, 20, 1, 20]
    assert study.methods[2].upstream == study.methods[3].upstream


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("seeds:", "seds:", "unknown key seds; did you mean seeds?"),
        ("root: synthetic", "", "the key root is missing"),
        ("partition: some", "", "the key partition is missing"),
        ("partition:", "partiton:", "unknown key partiton; did you mean partition or partitions?"),
        ("partition: some", "partition: [some, other]", "partition must be a text"),
        ("partition: some", "partitions: some", "partitions must be a list of texts, not 'some'"),
        ("partition: some", "partition: some\npartitions: [other]", "give partition (one) or partitions (a list)"),
        ("partition: some", "partitions: []", "partitions is empty"),
        ("partition: some", "partitions: [some, some]", "partitions names 'some' twice"),
        ("partition: some", "partitions: [some, 3]", "partitions must be a text, not 3"),
        ("partition: some", "partitions: [a, b]\nsources: [x]", "sources chooses among the tasks of one partition"),
        ("config: spot,", "confg: spot,", "methods.MTL.upstream has the unknown key confg; did you mean config?"),
        ("[13, 21]", "13", "seeds must be a list of whole numbers, not 13"),
        ("[13, 21]", "[13, 13]", "seeds names 13 twice"),
        ("seeds: [13, 21]", "seeds: [13, 21]\ntest_on: [emo, emo]", ": test_on names 'emo' twice"),
        ("[13, 21]", "[]", "seeds is empty"),
        ("[13, 21]", "[13, x]", "seeds must be a whole number from 0 to 4294967295, not 'x'"),
        ("  PT:", "  P:", "the baseline PT is not among the methods (P, MTL)"),
        ("  PT:", "  report:", "method 'report' is used as a folder"),
        ("name: small", "name: ../up", "name '../up' is used as a folder"),
        ("trainer.max_steps: 7", "data.seed: 7", "must not set data.seed"),
        ("trainer.max_steps: 7", "data.init_args.seed: 7", "must not set data.init_args.seed"),
        ("trainer.max_steps: 7", "data.init_args: {tasks: [x]}", "must not set data.init_args.tasks"),
        ("trainer.max_steps: 7", "data.tasks+: x", "must not set data.tasks+"),
        ("upstream: {", "upstream: {learning_rates: [1], ", "learning_rates is for the downstream stage"),
        ("small", "${nowhere}", "nowhere"),
        ("[13, 21]", "[13", "line"),
        ("methods:", "workers: 0\nmethods:", "workers must be a whole number from 1 to 10000, not 0"),
        ("methods:", "k: 0\nmethods:", "k must be a whole number of at least 1, or the word all, not 0"),
        ("methods:", "k: most\nmethods:", "k must be a whole number of at least 1, or the word all, not 'most'"),
        ("methods:", "k: 1.5\nmethods:", "k must be a whole number of at least 1, or the word all, not 1.5"),
        (
            "methods:",
            "target_k: few\nmethods:",
            "target_k must be a whole number of at least 1, or the word all, not 'few'",
        ),
        (
            "methods:",
            "settings: {a: {source_k: 0}}\nmethods:",
            "settings.a.source_k must be a whole number of at least 1, or the word all, not 0",
        ),
        ("methods:", "settings: {a: {k: 1}}\nmethods:", "settings.a has the unknown key k; known are backbone, epochs"),
        ("methods:", "settings: {a: {sources: x}}\nmethods:", "settings.a.sources must be a list of texts, not 'x'"),
        ("methods:", "settings: {a: {epochs: 0}}\nmethods:", "settings.a.epochs must be above 0, not 0"),
        ("methods:", "settings: {a: {epochs: 2}}\nmethods:", "settings.a: epochs is in place of those of upstream"),
        ("methods:", "settings: {}\nmethods:", "settings is empty"),
        ("methods:", "settings: {a/b: {}}\nmethods:", "setting 'a/b' is used as a folder"),
        ("methods:", "settings: {a: {overrides: {data.task: x}}}\nmethods:", "settings.a.overrides must not set"),
        ("partition: some", "settings: {a: {}}", "settings.a has no key partition; give it there, or once"),
        ("partition: some", "setings: {a: {}}", "unknown key setings; did you mean settings?"),
        ("partition: some", "partitions: [x]\nsettings: {a: {}}", "give partitions or settings, not both"),
        ("upstream: {", "upstream: {epochs: 0, ", "epochs must be above 0, not 0"),
        ("upstream: {", "upstream: {epochs: 2, ", "give epochs or trainer.max_steps, not both"),
        ("upstream: {", "upstream: {vary: {epochs: [1, 2]}, ", "give epochs or trainer.max_steps, not both"),
        (
            ", overrides: {model: {prompt_length: 4}, trainer.max_steps: 7}",
            ", epochs: 2, vary: {trainer.max_steps: [7, 9]}",
            "give epochs or trainer.max_steps, not both",
        ),
        (
            ", overrides: {model: {prompt_length: 4}, trainer.max_steps: 7}",
            ", epochs: 2, vary: {epochs: [1, 3]}",
            "give epochs once, for all or in vary",
        ),
        (
            "downstream: {",
            "downstream: {vary: {model.optimizer.lr: [0.1]}, ",
            "learning_rates and vary both set model.optimizer.lr",
        ),
        ("  MTL:\n", "  MTL:\n    ensemble: 3\n", "an ensemble is of several starts, and what upstream learned is one"),
        ("trainer.max_steps: 7", "data.root: elsewhere", "must not set data.root"),
        ("upstream: {", "upstream: {vary: {data.seeds: []}, ", "upstream.vary.data.seeds is empty"),
        ("upstream: {", "upstream: {vary: {data.seed: [1]}, ", "vary must not set data.seed"),
        ("upstream: {", "upstream: {vary: {model.x: [a]}, ", "model.x must be a number, not 'a'"),
        ("downstream: {", "downstream: {vary: {epochs: [1]}, ", "downstream.vary: epochs are for the upstream stage"),
        ("upstream: {", "upstream: {seed: 1, seeds: [2], ", "upstream: give seed (one) or seeds (a list), not both"),
        ("upstream: {", "upstream: {seeds: [], ", "methods.MTL.upstream.seeds is empty; give at least one"),
        ("upstream: {", "upstream: {seeds: , ", "upstream.seeds must be a list of whole numbers, not nothing"),
        ("upstream: {", "upstream: {seeds: 13, ", "upstream.seeds must be a list of whole numbers, not 13"),
        ("upstream: {", "upstream: {seeds: [13, 5, 13], ", "upstream.seeds names 13 twice"),
        (
            "upstream: {",
            "upstream: {seeds: [13, 1.5], ",
            "upstream.seeds must be a whole number from 0 to 4294967295, not 1.5",
        ),
        (
            "upstream: {",
            "upstream: {seeds: [x], ",
            "upstream.seeds must be a whole number from 0 to 4294967295, not 'x'",
        ),
        (
            "upstream: {",
            "upstream: {seed: [13, 5], ",
            "upstream.seed must be a whole number from 0 to 4294967295, not a list",
        ),
        ("downstream: {", "downstream: {seeds: [1], ", "methods.PT.downstream has the unknown key seeds"),
        ("methods:", "missing: drop\nmethods:", "missing is one of error, skip, not 'drop'"),
        ("methods:", "missing: true\nmethods:", "missing must be a text, not true"),
    ],
)
def test_a_mistake_is_named_with_its_file_and_key(old, new, says, tmp_path):
    text = replaced(GOOD, old, new, count=1)
    with pytest.raises(UserError) as raised:
        load(tmp_path, text)
    message = str(raised.value)
    assert says in message and "study.yaml" in message and "\n" not in message


def test_what_a_setting_sets_is_not_what_methods_differ_by(tmp_path):
    vary = "downstream: {vary: {model.prompt_length: [1, 20]}, "
    text = replaced(replaced(GOOD, "downstream: {", vary), "methods:", "baseline: PT-20\nmethods:")
    with pytest.raises(UserError, match=r"settings.a sets model.prompt_length, by which the methods PT-… differ"):
        load(tmp_path, text + "settings: {a: {overrides: {model: {prompt_length: 7}}}}\n")


def test_one_option_that_both_stages_vary_is_two(tmp_path):
    text = replaced(GOOD, "upstream: {", "upstream: {vary: {data.batch_size: [2, 4]}, ")
    study = load(tmp_path, replaced(text, "prompt_tuning}\n", "prompt_tuning, vary: {data.batch_size: [8]}}\n"))
    assert [dict(method.varied) for method in study.methods[1:]] == [
        {"data.batch_size": 8, "upstream data.batch_size": first} for first in (2, 4)
    ]


@pytest.mark.parametrize("k", [16, "all"])
def test_k_is_a_number_or_all(k, tmp_path):
    assert load(tmp_path, replaced(GOOD, "methods:", f"k: {k}\nmethods:", count=1)).k == k


@pytest.mark.parametrize("text", ["", "just words", "- a\n- list", "{unclosed", "'{[${x}'"])
def test_a_file_that_is_no_mapping_is_refused(text, tmp_path):
    with pytest.raises(UserError, match=r"study\.yaml"):
        load(tmp_path, text)


def test_methods_of_one_name_are_refused_though_one_is_a_number(tmp_path):
    text = replaced(
        GOOD, "methods:", "methods:\n  5: {downstream: {config: a}}\n  '5': {downstream: {config: b}}", count=1
    )
    with pytest.raises(UserError, match="methods has two of one name, a number and a text"):
        load(tmp_path, text)
