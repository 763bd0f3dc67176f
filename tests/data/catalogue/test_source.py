"""The key ``source`` of a user's own task file."""

import re

import pytest
from support.crossfit_files import write_own

from mpt.data.tasks.known import read_task
from mpt.util.errors import UserError

TEST = "test: validation"


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("  hub: who/what\n", "", "source has no key hub"),
        ("hub: who/what", "hub: who/what\n  hup: a", "source has the unknown key hup"),
        ("hub: who/what", "hub: [a]", "source.hub must be a text, not a list"),
        ("hub: who/what", "hub: {}", "source.hub must be a text, not a mapping"),
        ("hub: who/what", "hub:", "source.hub must be a text, not nothing"),
        ("hub: who/what", "hub: null", "source.hub must be a text, not nothing"),
        ("hub: who/what", "hub: 3", "source.hub must be a text, not 3: put it in quotes"),
        ("hub: who/what", "hub: what", "source.hub must be organisation/name, as nyu-mll/glue is, not 'what'"),
        ("hub: who/what", "hub: https://a/b", "source.hub must be organisation/name"),
        ("config: default", "config: ['x']", "source.config must be a text, not a list"),
        ("config: default", "config: 2020", "source.config must be a text, not 2020: put it in quotes"),
        ("config: default", "config: ../x", "source.config names '../x', which cannot be a name there"),
        ("revision: refs/convert/parquet", "revision: [a]", "source.revision must be a text, not a list"),
        ("revision: refs/convert/parquet", "revision: 3", "source.revision must be a text, not 3: put it in quotes"),
        ("revision: refs/convert/parquet", "revision: a b", "source.revision must be a branch, a tag or a commit"),
        ("train: train", "train: [[a]]", "each of source.train must be a text, not a list"),
        ("train: train", "train: 3", "source.train must be a text or a list of texts, not 3: put it in quotes"),
        ("train: train", "train: []", "source.train is empty"),
        ("train: train", "train:", "source.train must be a text or a list of texts, not nothing"),
        ("train: train", "train: [train, train]", "source.train names 'train' twice"),
        ("train: train", "train: a/b", "source.train names 'a/b', which cannot be a name there"),
        (TEST, "test: [train]", "source.test must be of other splits than source.train, and 'train' is in both"),
        (TEST, "test: [validation, train]", "source.test must be of other splits than source.train"),
        (TEST, "test: train\n  test_share: 0.1", "source.test must be of other splits than source.train"),
        (TEST, "test: {a: b}", "source.test must be a text or a list of texts, not a mapping"),
        (TEST, "test: []", "source.test is empty"),
        (TEST, "test:", "source.test must be a text or a list of texts, not nothing"),
        (f"  {TEST}\n", "", "source has either test (splits) or holdout_seed"),
        (TEST, f"{TEST}\n  holdout_seed: 42", "source has either test (splits) or holdout_seed"),
        (TEST, f"{TEST}\n  holdout_sizes: [1, 1]", "source has holdout_sizes without holdout_seed"),
        (TEST, "holdout_seed: x", "source.holdout_seed must be a whole number from 0 to 4294967295, not 'x'"),
        (TEST, "holdout_seed: 3.5", "source.holdout_seed must be a whole number from 0 to 4294967295, not 3.5"),
        (TEST, "holdout_seed: -1", "source.holdout_seed must be a whole number from 0 to 4294967295, not -1"),
        (TEST, "holdout_seed: 4294967296", "source.holdout_seed must be a whole number from 0 to 4294967295"),
        (TEST, "holdout_seed:", "source.holdout_seed must be a whole number from 0 to 4294967295, not nothing"),
        (TEST, "holdout_seed: true", "source.holdout_seed must be a whole number from 0 to 4294967295, not true"),
        *(
            (TEST, f"holdout_seed: 42\n  holdout_sizes: {given}", f"source.holdout_sizes must be two whole {said}")
            for given, said in (
                ("[]", "numbers, the records of the pool and of the test list, not a list of 0"),
                ("[1]", "numbers, the records of the pool and of the test list, not a list of 1"),
                ("[1, 2, 3]", "numbers, the records of the pool and of the test list, not a list of 3"),
                ("''", "numbers, the records of the pool and of the test list, not ''"),
                ("{}", "numbers, the records of the pool and of the test list, not a mapping"),
                ("", "numbers, the records of the pool and of the test list, not nothing"),
            )
        ),
        *(
            (
                TEST,
                f"holdout_seed: 42\n  holdout_sizes: [10, {given}]",
                f"each of source.holdout_sizes must be a whole number of at least 1, not {said}",
            )
            for given, said in (("0", "0"), ("1.5", "1.5"), ("x", "'x'"), ("[1]", "a list"))
        ),
        (TEST, "holdout_seed: 42\n  holdout_test_from: x", "source.holdout_test_from must be a number, not 'x'"),
        *(
            (
                TEST,
                f"holdout_seed: 42\n  holdout_test_from: {given}",
                "source.holdout_test_from must be at least 0.8, where the pool ends, and less than 1, not",
            )
            for given in ("0.0", "-3", "0.79", "1", ".nan", ".inf")
        ),
        (
            TEST,
            "holdout_seed: 42\n  holdout_test_from: 0.9\n  holdout_sizes: [1, 1]",
            "source has either holdout_sizes or holdout_test_from",
        ),
        (TEST, "holdout_seed: 42\n  test_share: 0.1", "source has test_share without test"),
        (TEST, f"{TEST}\n  test_share: 1", "source.test_share must be between 0 and 1, not 1"),
        (TEST, f"{TEST}\n  test_share: 0", "source.test_share must be between 0 and 1, not 0"),
        (TEST, f"{TEST}\n  test_share: x", "source.test_share must be a number, not 'x'"),
        (TEST, f"{TEST}\n  test_share: [0.1]", "source.test_share must be a number, not a list"),
    ],
)
def test_a_mistake_is_told_by_its_key(tmp_path, old, new, complaint):
    path = write_own(tmp_path / "own.yaml")
    text = path.read_text()
    assert text.count(old) == 1
    path.write_text(text.replace(old, new))
    with pytest.raises(UserError) as raised:
        read_task(path)
    told = str(raised.value)
    said = re.fullmatch(rf"The task file {re.escape(str(path))}(, line \d+)?: (.*)", told)
    assert said and said[2].startswith(complaint)


@pytest.mark.parametrize("source", ["a/b", "", "[a]", "3"])
def test_what_is_no_mapping(tmp_path, source):
    path = write_own(tmp_path / "own.yaml")
    before, _, after = path.read_text().partition("source:\n")
    path.write_text(f"{before}source: {source}\n{after[after.index('input:') :]}")
    with pytest.raises(
        UserError, match=r"own\.yaml(, line \d+)?: source must be a mapping with the keys hub, config, revision, tra"
    ):
        read_task(path)
