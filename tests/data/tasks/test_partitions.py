"""Partition files."""

import pytest

from mpt.data.synthetic.draw import synthetic_tasks
from mpt.data.tasks.known import catalogue
from mpt.data.tasks.partitions import Partition, load_partition, partition_names
from mpt.util.errors import UserError


def put(path, text):
    path.write_text(text, encoding="utf-8")
    return path


def test_a_partition_file(tmp_path):
    path = put(tmp_path / "mine.yaml", "source: [a, b]\ntarget:\n  - c\nvalidation: [d]\n")
    assert load_partition(path) == load_partition(str(path)) == Partition("mine", ("a", "b"), ("c",), ("d",))
    assert load_partition(put(tmp_path / "other.yml", "source: [a]\ntarget: [b]")).validation == ()


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("source: [a]\ntarget: [a]\n", "names a task in two of its lists: a"),
        ("source: [a, b, b]\ntarget: [c]\n", "source names 'b' twice"),
        ("source: [a]\ntarget: [b]\nvalidation: [a]", "two of its lists: a"),
        ("source: [a]\n", "the key target is missing"),
        ("source: []\ntarget: [b]\n", "source is empty; give at least one"),
        ("source: a\ntarget: [b]\n", "source must be a list"),
        ("source: [a]\ntarget: [1]\n", "each of target must be a text, not 1: put it in quotes"),
        ("sources: [a]\ntarget: [b]\n", "unknown key sources"),
        ("- a\n", "it must be a mapping with the keys source, target, not a list"),
        ("source: [a\ntarget: [b]\n", "line 2 is not YAML"),
        ("", "it must be a mapping with the keys source, target, not nothing"),
        ("source: [../a]\ntarget: [b]\n", r"source names '\.\./a'"),
        ("source: [a]\ntarget: [/b]\n", "target names '/b'"),
        ("source: [a]\ntarget: [b]\nvalidation: [c/d]\n", "validation names 'c/d'"),
        ("source: ['..']\ntarget: [b]\n", r"source names '\.\.'"),
        ("source: ['']\ntarget: [b]\n", "source names ''"),
        ('source: ["a\\\\b"]\ntarget: [b]\n', "source names"),
        ("source: [a]\ntarget: [b]\nstated: 3", "stated must be a mapping of keys to values, not 3"),
        (
            "source: [a]\ntarget: [b]\nstated: {validation: 3}",
            "stated: the key 'validation' must be 'source' or 'target'",
        ),
        (
            "source: [a]\ntarget: [b]\nstated: {source: many}",
            "stated.source must be a whole number of at least 0, not",
        ),
        (
            "source: [a]\ntarget: [b]\nstated: {source: [3]}",
            "a whole number of at least 0, not a list",
        ),
        ("source: [a]\ntarget: [b]\nstated:", "stated must be a mapping of keys to values, not nothing"),
        ("source: [a]\ntarget: [b]\nsource: [c]\n", "line 3: the key source stands in line 1 already"),
        ("source: [a]\ntarget: [b]\n3: [c]\n", "unknown key 3"),
        ("source: [a]\ntarget: [2020-02-31, 2020-02-31]\n", "target names '2020-02-31' twice"),
        ("source: [a]\ntarget: !!set {b}\n", "line 2: target: the tag !!set must not be there; put a text in quotes"),
        ("source:\ntarget: [b]\n", "source must be a list"),
        ("[" * 3000, "line 1: lists and mappings lie in each other more than 50 deep"),
        ("source: [a]\ntarget: [b]\n---\n", "line 3: a second document"),
    ],
)
def test_what_is_wrong_in_a_file_is_named(tmp_path, text, complaint):
    with pytest.raises(UserError, match=rf"mine\.yaml.*{complaint}"):
        load_partition(put(tmp_path / "mine.yaml", text))


def test_missing_ones_are_named(tmp_path):
    with pytest.raises(UserError, match=r"none\.yaml: No such file"):
        load_partition(tmp_path / "none.yaml")
    with pytest.raises(UserError, match="no partition 'nonesuch'"):
        load_partition("nonesuch")


def test_a_list_wins_over_the_stated_count_and_the_first_comment_says_what_it_is(tmp_path):
    text = "# Mine\n# more\nstated: {source: 3, target: 1}\nsource: [a, b]\ntarget: [c]\n"
    partition = load_partition(put(tmp_path / "mine.yaml", text))
    assert (len(partition.source), partition.stated) == (2, {"source": 3, "target": 1})
    assert partition.about == "Mine"
    assert hash(partition) == hash(Partition("mine", ("a", "b"), ("c",)))


def test_which_list_a_task_is_in():
    partition = Partition("p", ("a",), ("b",), ("c",))
    assert [partition.part_of(task) for task in "abcd"] == ["source", "target", "validation", ""]


# Table 1 of Qin et al. (2023): source and target tasks. The lists of its table 9 agree with each count.
TABLE_1 = {
    "random-to-random": (114, 20),
    "classification-to-classification": (45, 10),
    "both-to-classification": (23 + 22, 10),
    "nonclassification-to-classification": (45, 10),
    "classification-to-nonclassification": (45, 12),
    "both-to-nonclassification": (23 + 22, 12),
    "nonclassification-to-nonclassification": (45, 12),
    "qa-to-qa": (22, 15),
    "nonqa-to-qa": (33, 15),
    "nonparaphrase-to-paraphrase": (60, 4),
}

# Source, validation and target tasks of CrossFit's own splits. Where its file has no test list, its dev list is the
# target. train_non_nli_test_nli.json lists 57 source tasks, of which sick is a target too.
CROSSFIT = {
    "crossfit-random-to-random": (120, 20, 20),
    "crossfit-classification-to-classification": (45, 10, 10),
    "crossfit-both-to-classification": (45, 10, 10),
    "crossfit-nonclassification-to-classification": (45, 10, 10),
    "crossfit-nonmrc-to-mrc": (42, 0, 9),
    "crossfit-nonmultiplechoice-to-multiplechoice": (29, 0, 22),
    "crossfit-nonnli-to-nli": (57 - 1, 0, 8),
    "crossfit-nonglue-to-glue": (56, 0, 8),
    "crossfit-nonparaphrase-to-paraphrase": (61, 0, 4),
}

SUBSETS = {"classification-12-to-classification": 12, "classification-24-to-classification": 24}


def is_synthetic(name: str) -> bool:
    return name.startswith("synthetic-") or name == "xgen-synthetic"


@pytest.mark.parametrize(("name", "counts"), TABLE_1.items())
def test_the_lists_of_table_9_have_the_counts_of_table_1(name, counts):
    partition = load_partition(name)
    assert (len(partition.source), len(partition.target)) == counts
    assert (partition.stated["source"], partition.stated["target"]) == counts
    assert not partition.validation


def test_both_is_of_two_halves():
    kinds = [catalogue()[task].type for task in load_partition("both-to-classification").source]
    assert (kinds.count("classification"), len(kinds) - kinds.count("classification")) == (23, 22)


@pytest.mark.parametrize(("name", "count"), SUBSETS.items())
def test_the_subsets_of_table_10_are_of_the_45_and_have_their_targets(name, count):
    subset, whole = load_partition(name), load_partition("classification-to-classification")
    assert len(subset.source) == subset.stated["source"] == count
    assert set(subset.source) < set(whole.source) and subset.target == whole.target


def test_what_the_settings_share_is_the_same():
    """Table 9 gives one list for each kind of source or target, of which the settings are pairs."""
    lists = {name: load_partition(name) for name in TABLE_1}
    for name, partition in lists.items():
        source, target = name.split("-to-")
        for other, twin in lists.items():
            theirs = other.split("-to-")
            assert source != theirs[0] or partition.source == twin.source
            assert target != theirs[1] or partition.target == twin.target


@pytest.mark.parametrize(("name", "counts"), CROSSFIT.items())
def test_crossfits_own_splits(name, counts):
    partition = load_partition(name)
    assert (len(partition.source), len(partition.validation), len(partition.target)) == counts


def test_what_crossfits_random_split_is():
    partition = load_partition("crossfit-random-to-random")
    assert {*partition.source, *partition.validation, *partition.target} == set(catalogue("crossfit"))
    stated = load_partition("crossfit-nonnli-to-nli").stated
    assert stated == {"source": 57, "target": 8} and "sick" in load_partition("crossfit-nonnli-to-nli").target


def test_no_other_partition_is_shipped():
    others = {
        *TABLE_1,
        *SUBSETS,
        *CROSSFIT,
        "random-to-validation",
        "glue-to-superglue",
        "mrqa-to-squad",
        "english-classification",
        "wikilingua-0",
        "xquad-questions",
    }
    assert {name for name in partition_names() if not is_synthetic(name)} == others


@pytest.mark.parametrize("name", partition_names())
def test_every_shipped_partition_loads_is_disjoint_and_names_known_tasks(name):
    partition = load_partition(name)
    assert partition.name == name and partition.source and partition.target and partition.about
    tasks = [*partition.source, *partition.target, *partition.validation]
    assert len(set(tasks)) == len(tasks)
    made = {task for task in tasks if task.startswith("xquad-")}  # of a user's copy of XQuAD: `mpt data xquad`
    assert made == (set(tasks) if name == "xquad-questions" else set())
    assert set(tasks) - made <= set(synthetic_tasks() if is_synthetic(name) else catalogue())
