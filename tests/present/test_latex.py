"""Tables as LaTeX."""

from __future__ import annotations

import math
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from mpt.present.latex import escape, latex_table
from mpt.present.table import Measured, Table

TABLE = Table(
    ["method_name", "a & b", "c"],
    [
        ["MTL #1", Measured(12.34, 0.56, signed=True), "missing"],
        ["50% {x}", Measured(-3.0, math.nan, signed=True), Measured(math.nan, math.nan)],
    ],
    bold=frozenset({(0, 1), (1, 0)}),
    rules=frozenset({1}),
)


def test_numbers_are_set_as_in_the_paper_and_names_escaped():
    lines = latex_table(TABLE, "scores of 100%", "tab:x").splitlines()
    assert r"\caption{scores of 100\%}" in lines and r"\begin{tabular}{lrr}" in lines
    assert r"method\_name & a \& b & c \\" in lines
    assert r"MTL \#1 & $\mathbf{+12.3}_{\pm 0.6}$ & missing \\" in lines
    assert r"\textbf{50\% \{x\}} & $-3.0$ & undefined \\" in lines
    rules = [line for line in lines if "rule" in line]
    assert rules == [r"\toprule", r"\midrule", r"\midrule", r"\bottomrule"]


def test_every_row_has_as_many_cells_as_columns():
    rows = [line for line in latex_table(TABLE, "c", "l").splitlines() if line.endswith(r"\\")]
    assert [len(re.findall(r"(?<!\\)&", row)) for row in rows] == [2, 2, 2]


@pytest.mark.parametrize(("columns", "shrunk"), [(3, False), (9, True)])
def test_a_wide_table_is_shrunk_to_the_line(columns, shrunk):
    table = Table([f"a setting {i}" for i in range(columns)], [["1.0"] * columns])
    text = latex_table(table, "c", "l")
    assert (r"\resizebox{\linewidth}" in text) == shrunk
    assert text.count("{") == text.count("}")


def test_letters_that_mean_something_to_latex_are_plain():
    assert escape(r"a_b\c^~<>$&#%{}−±") == (
        r"a\_b\textbackslash{}c\textasciicircum{}\textasciitilde{}\textless{}\textgreater{}\$\&\#\%\{\}$-$$\pm$"
    )


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="no LaTeX here")
def test_latex_takes_it(tmp_path: Path):
    wide = Table(["x"] * 30, [["1.0 ± 2.0"] * 30])
    body = latex_table(TABLE, "a_b & 100% ± ~", "tab:a-b") + latex_table(wide, "wide", "tab:w")
    text = "\\documentclass{article}\\usepackage{booktabs,graphicx}\\begin{document}\n" + body + "\\end{document}\n"
    (tmp_path / "t.tex").write_text(text, encoding="utf-8")
    words = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "t.tex"]
    ended = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True)
    assert ended.returncode == 0 and "Overfull" not in ended.stdout, ended.stdout
