"""Which prompts answer a row of a file: one for all, those that it names, or several together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mpt.data.tables.texts import TextRow
from mpt.use.answers.ensemble import Joining, ensemble
from mpt.use.answers.predict_file import Answering
from mpt.use.answers.predictor import Answer, Predictor, UsedPrompt
from mpt.util.errors import UserError


def answering(predictor: Predictor, owners: Mapping[str, int] | None, joining: Joining | None) -> Answering:
    """How the rows of a table are answered.

    Args:
        owners: number of each row's prompt, by what the row has chosen.
        joining: of several prompts that all answer each row, where rows choose none.
    """
    if owners is None:
        return lambda rows: all_together(predictor, [row.text for row in rows], joining or "vote")

    def each_by_its_own(rows: Sequence[TextRow]) -> Sequence[Answer]:
        return predictor([row.text for row in rows], [owners[row.chosen] for row in rows])

    return each_by_its_own


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
