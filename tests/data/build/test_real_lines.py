"""CrossFit's own few-shot files have the shape that the catalogue's templates say, where MPT_CROSSFIT names them."""

import os
import re
from pathlib import Path

import pytest

from mpt.data.catalogue.filters import TEXT_FILTERS
from mpt.data.catalogue.template import Field, Template
from mpt.data.tasks.known import catalogue

FILES = Path(os.environ.get("MPT_CROSSFIT", os.devnull), "fewshot")
NO_FILES = pytest.param("", marks=pytest.mark.skip(reason="MPT_CROSSFIT names no folder with CrossFit's fewshot/"))
NAMES = sorted(folder.name for folder in FILES.iterdir()) if FILES.is_dir() else [NO_FILES]

LETTERED = r"( \(A\) .* \(B\) .*| \(1\) .* \(2\) .*)"


def misfit(template, text):
    """What keeps a text from being a template's, or nothing.

    It must have the literal parts in their order, between them candidates or what the filters leave as it is.
    """
    fields = [part for part in template.parts if isinstance(part, Field)]
    match = re.fullmatch("".join(map(shape, template.parts)), text, re.DOTALL)
    if match is None:
        return f"it does not match {template.text}"
    for field, given in zip(fields, match.groups(), strict=True):
        for filter in field.filters:
            if filter in TEXT_FILTERS and TEXT_FILTERS[filter](given) != given:
                return f"the filter {filter} would change its part {given!r}"
    return ""


def shape(part):
    """A piece of the regular expression for a part of a template."""
    if isinstance(part, str):
        return re.escape(part)
    return LETTERED if part.column == "lettered" else "(.*?)"


def lines(path):
    """An input and its outputs for each record of a file; a line without a tab begins a record with a line break."""
    begun = ""
    for line in path.read_bytes().decode().removesuffix("\n").split("\n"):
        begun += line
        if "\t" in line:
            yield begun.split("\t")
            begun = ""
        else:
            begun += "\n"
    assert not begun, f"{path} is empty or cut off"


@pytest.mark.parametrize(
    ("template", "text", "problem"),
    [
        ("premise: {a} [SEP] hypothesis: {b}", "premise: It rains. [SEP] hypothesis: It pours.", ""),
        ("premise: {a} [SEP] hypothesis: {b}", "premise: It rains. [SEP] hypothesis : It pours.", "does not match"),
        ("{a}", "two\nlines", ""),
        ("{a:one_line}", "two\nlines", "one_line would change"),
        ("{a:clean} [SEP] {b:strip}", "two  spaces [SEP] one", "clean would change its part 'two  spaces'"),
        ("{a}{lettered}", "What is hot? (A) tea (B) milk", ""),
        ("{a} [SEP] {lettered}", "What is hot? [SEP]  (1) tea (2) milk", ""),
        ("{a} [SEP] {lettered}", "What is hot? [SEP] (1) tea (2) milk", "does not match"),
        ("{a}{lettered}", "What is hot? (A) tea (C) milk", "does not match"),
        ("{a}{lettered}", "What is hot? tea, milk", "does not match"),
    ],
)
def test_a_text_that_a_template_cannot_have_made_is_told(template, text, problem):
    found = misfit(Template.of(template), text)
    assert problem in found and bool(problem) == bool(found)


@pytest.mark.long
@pytest.mark.parametrize("name", NAMES)
def test_crossfits_lines_have_the_shape_of_the_template(name):
    task = catalogue()[name]
    if task.recipe is None:
        pytest.skip(f"the catalogue file of {name} names no source")
    files = sorted((FILES / name).glob("*.tsv"))
    assert {file.name for file in files} >= {
        f"{name}_{16 if task.by_label else 32}_{seed}_{part}.tsv"
        for seed in (13, 21, 42, 87, 100)
        for part in ("train", "dev")
    }
    for file in files:
        for number, (input, *outputs) in enumerate(lines(file), start=1):
            where = f"{file.name}, record {number}"
            assert not (problem := misfit(task.recipe.input, input)), f"{where}: {problem}"
            if task.recipe.output is not None:
                for output in outputs:
                    assert not (problem := misfit(task.recipe.output, output)), f"{where}: {problem}"
            if task.labels:
                assert len(outputs) == 1 and outputs[0] in task.labels, f"{where}: {outputs} is none of {task.labels}"
            if "lettered" in task.recipe.input.columns:
                assert all(f") {output}" in input for output in outputs), f"{where}: {outputs} is no candidate"
