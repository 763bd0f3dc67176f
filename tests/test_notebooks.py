"""The notebooks run from their first cell to the last."""

from __future__ import annotations

import re

import nbformat
import pytest
from nbclient import NotebookClient
from support.paths import ROOT

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs(path, tmp_path):
    notebook = nbformat.read(path, as_version=4)
    assert all(cell.outputs for cell in notebook.cells if cell.cell_type == "code"), "it is committed executed"
    NotebookClient(notebook, timeout=240, kernel_name="python3", resources={"metadata": {"path": tmp_path}}).execute()


def test_outputs_name_no_place_of_one_machine():
    assert NOTEBOOKS
    for path in NOTEBOOKS:
        outputs = [o for cell in nbformat.read(path, as_version=4).cells for o in cell.get("outputs", [])]
        said = "".join(output.get("text", "") for output in outputs)
        assert all(output.get("name") != "stderr" for output in outputs), path
        assert not re.search(r"""["' ]/\w+/""", said), path
