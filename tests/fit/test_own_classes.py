"""A user's own classes are found in the folder they stand in; nothing else there is run."""

from __future__ import annotations

import sys
from importlib.util import find_spec

import pytest
from support.toy import Mpt

FIT = ("fit", "--config", "prompt_tuning", "--data.task", "some", "--print_config")


@pytest.fixture
def mpt(capsys, tmp_path, monkeypatch) -> Mpt:
    """In a folder with a class, its helper, and a module that some library would import if it were there."""
    (tmp_path / "my_methods_here.py").write_text(
        "from mpt.learn import PromptTuning\nimport my_helper_here\n\nclass Mine(PromptTuning):\n    pass\n"
    )
    for name in ("my_helper_here", "absent_elsewhere"):
        (tmp_path / f"{name}.py").touch()
    monkeypatch.setattr("sys.path", [entry for entry in sys.path if entry])
    monkeypatch.chdir(tmp_path)
    return Mpt(capsys)


def test_a_module_of_the_folder_is_found_once_a_class_of_it_is_named(mpt, tmp_path):
    for words in (("tasks", "--names"), FIT):
        assert mpt(*words).code == 0
        assert not any(map(find_spec, ("absent_elsewhere", "my_methods_here", "my_helper_here"))), words
    printed = mpt(*FIT, "--model", "my_methods_here.Mine")
    assert printed.code == 0 and "class_path: my_methods_here.Mine" in printed.out
    assert sys.path[-1] == str(tmp_path)  # last, so that it shadows nothing


def test_a_class_that_a_config_names_deep_inside(mpt, tmp_path):
    (tmp_path / "my_starts_here.py").write_text(
        "from mpt.prompt.initialisers import SampledVocabulary\n\nclass Start(SampledVocabulary):\n    pass\n"
    )
    (tmp_path / "own.yaml").write_text("model: {init_args: {init: {class_path: my_starts_here.Start}}}\n")
    printed = mpt(*FIT[:3], "--config", "own.yaml", *FIT[3:])
    assert printed.code == 0 and "class_path: my_starts_here.Start" in printed.out
