"""Which prompts answer a row of a file: one for all, those that it names, or several together."""

from __future__ import annotations

from collections.abc import Sequence

from mpt.data.tables.records import FileRecord
from mpt.data.tables.rows import as_text, key_paths
from mpt.data.tables.texts import TextRow, TextTable
from mpt.use.answers.ensemble import Joining, ensemble
from mpt.use.answers.predict_file import Answering
from mpt.use.answers.predictor import Answer, Predictor, UsedPrompt
from mpt.util.errors import UserError
from mpt.util.names import nearest


def answering(predictor: Predictor, table: TextTable, column: str | None, joining: Joining | None) -> Answering:
    """How the rows of a table are answered.

    Args:
        column: that names each row's prompt, by its name or its task's.
        joining: of several prompts where there is no such column.

    Raises:
        UserError: while answering, if a row names no prompt.
    """
    if column is not None:
        names = _by_name(predictor.prompts)

        def each_by_its_own(rows: Sequence[TextRow]) -> Sequence[Answer]:
            return predictor([row.text for row in rows], [_prompt_of(row, table, column, names) for row in rows])

        return each_by_its_own
    return lambda rows: all_together(predictor, [row.text for row in rows], joining or "vote")


def all_together(predictor: Predictor, texts: Sequence[str], joining: Joining) -> list[Answer]:
    """The B answers that all prompts of a predictor give together; those of the prompt, if it has one alone."""
    number = len(predictor.prompts)
    if number == 1:
        return predictor(texts)
    found = predictor([*texts] * number, [owner for owner in range(number) for _ in texts])
    return ensemble([found[at * len(texts) : (at + 1) * len(texts)] for at in range(number)], joining)


def check_together(prompts: Sequence[UsedPrompt], joining: Joining | None = None) -> None:
    """Refuse an ensemble whose prompts could not give the same answers.

    Raises:
        UserError: their labels differ, or there are none whose probabilities a mean could be of.
    """
    first = prompts[0]
    if joining == "mean" and len(prompts) > 1 and not first.labels:
        raise UserError("--ensemble mean is of labels' probabilities, and what is written has none; give vote")
    if other := next((one for one in prompts if set(one.labels) != set(first.labels)), None):
        said = [f"{one.name} knows {', '.join(one.labels) or 'no labels'}" for one in (first, other)]
        raise UserError(
            f"{' and '.join(said)}: no vote can join them; give --labels or --free, or --prompt-column if each row has "
            "a prompt of its own"
        )


def check_named(predictor: Predictor, table: TextTable, column: str) -> None:
    """Refuse a file in which a row names no prompt, before any is answered.

    Raises:
        UserError: the first such row.
    """
    names = _by_name(predictor.prompts)
    for row in (row for row in table.rows() if row.text.strip()):
        _prompt_of(row, table, column, names)


def _by_name(prompts: Sequence[UsedPrompt]) -> dict[str, int]:
    tasks = [prompt.task for prompt in prompts]
    found = {task: at for at, task in enumerate(tasks) if task and tasks.count(task) == 1}
    return found | {prompt.name: at for at, prompt in enumerate(prompts)}


def _prompt_of(row: TextRow, table: TextTable, column: str, names: dict[str, int]) -> int:
    if isinstance(row.cells, dict):
        value = as_text(table.file, FileRecord(row.line, row.cells), column, key_paths(row.cells).get(column))
    else:
        value = row.cells[table.names.index(column)]
    if value.strip() not in names:
        raise UserError(
            f"{table.file}, line {row.line}: {column} is {value!r}, which is no prompt's name; {nearest(value, names)}"
        )
    return names[value.strip()]
