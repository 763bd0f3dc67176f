"""Prompts of the bundled library as folders that know their labels, as mpt adapt and mpt fit leave them."""

from __future__ import annotations

from pathlib import Path

from mpt.data.modules.few_shot import FewShotData
from mpt.library.library import Library
from mpt.prompt.files import load_prompt, save_prompt

TASKS = ("syn-sentiment-review", "syn-place-memo", "syn-age-post")


def labelled(folder: Path, task: str, rows: int = 20, **facts: object) -> Path:
    """The library's prompt of a task, its first rows; a fact that is None is none."""
    library = Library.open("synthetic")
    entry = next(entry for entry in library.entries() if entry.task == task)
    stored = load_prompt(entry.folder)
    known = {
        name: value for name, value in stored.facts.items() if name not in ("prompt_length", "hidden_size", "backbone")
    }
    known |= {"labels": list(task_data(task).labels), "max_input_length": 64, "max_target_length": 8, **facts}
    known = {name: value for name, value in known.items() if value is not None}
    return save_prompt(folder / f"{task}-{rows}", stored.weight[:rows], "mpt-tiny", False, known)


def task_data(task: str) -> FewShotData:
    """The task's data, set up."""
    data = FewShotData(task)
    data.setup()
    return data
