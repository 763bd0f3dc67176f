"""gpu.sh where it cannot do anything."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest
from support.paths import ROOT

pytestmark = pytest.mark.long

SCRIPT = ROOT / "experiments/benchmarks/gpu.sh"


@pytest.mark.parametrize(
    ("words", "told"), [(["out"], "finds no CUDA device"), ([], "OUT"), (["out", "--fast"], "OUT")]
)
def test_without_a_gpu_or_a_folder_a_sentence_says_so(words, told, tmp_path):
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": "", "PYTHON": sys.executable}
    ended = subprocess.run(["bash", SCRIPT, *words], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert ended.returncode == 2 and told in ended.stderr and ended.stderr.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_the_tests_that_it_runs_are_there():
    named = re.findall(r"tests(?:/[\w.]+)+(?:::\w+)?", SCRIPT.read_text(encoding="utf-8"))
    assert len(set(named)) >= 5
    for path, _, test in (name.partition("::") for name in named):
        assert (ROOT / path).exists(), path
        assert not test or f"def {test}(" in (ROOT / path).read_text(encoding="utf-8")
