"""The scores of methods whose answer is the vote of several prompts (Lester et al. 2021, section 6)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from mpt.metrics import by_name as metrics
from mpt.record.folder import PREDICTIONS
from mpt.record.rows import Prediction, read_predictions
from mpt.study.run.results import RunRecord, StudyFacts, member_of
from mpt.study.scores.scores import Score, choose
from mpt.use.answers.ensemble import ensemble
from mpt.use.answers.predictor import Answer
from mpt.util.errors import UserError


@dataclass(frozen=True)
class Ensemble:
    """Some prompts of one task as one.

    Attributes:
        members: the score of each prompt, whose learning rate was chosen on its dev.
        vote: the score of what most of them answer, in the run of the first.
    """

    members: list[Score]
    vote: Score


def ensembles(out: Path, facts: StudyFacts, records: Sequence[RunRecord], written: bool = False) -> list[Ensemble]:
    """For each method that is an ensemble, target, seed and upstream seed what its prompts are worth, alone and
    together.

    Those of which a run is missing are left out.

    Args:
        out: the study's folder.
        records: of one setting, as for :func:`mpt.study.scores.scores.choose`.
        written: whether they vote by what they write, where an answer is the likeliest label.

    Raises:
        UserError: a run's predictions are gone, or are not of the others' examples.
    """
    found: dict[tuple[str, str, int, int | None], list[Score]] = {}
    for method, size in facts.ensembles.items():
        own = [record for record in records if record.method == method]
        for member in range(size):
            for score in choose([record for record in own if member_of(record.key) == member]):
                found.setdefault((method, score.target, score.seed, score.upstream_seed), []).append(score)
    whole = [scores for (method, *_), scores in found.items() if len(scores) == facts.ensembles[method]]
    return [Ensemble(scores, _score(out, facts, scores, written)) for scores in whole]


def vote(out: Path, members: Sequence[Score], written: bool = False) -> list[Prediction]:
    """The test examples of an ensemble's prompts, each with the answer that most of them give.

    Raises:
        UserError: as for :func:`ensembles`.
    """
    answers = [read_predictions(out / one.folder / PREDICTIONS) for one in members]
    asked = [[(row.input, tuple(row.references)) for row in rows] for rows in answers]
    if other := next((one for one, own in zip(members, asked, strict=True) if own != asked[0]), None):
        raise UserError(
            f"{out / other.folder / PREDICTIONS} has other examples than {members[0].folder}: they cannot vote; delete "
            "both folders to have the runs done again"
        )
    said = [[Answer((row.written or "") if written else row.prediction) for row in rows] for rows in answers]
    texts = [one.text for one in ensemble(said)]
    return [Prediction(row.input, row.references, text) for row, text in zip(answers[0], texts, strict=True)]


def _score(out: Path, facts: StudyFacts, members: Sequence[Score], written: bool) -> Score:
    rows = vote(out, members, written)
    if not rows:
        raise UserError(
            f"{out / members[0].folder / PREDICTIONS} is empty; delete that folder to have the run done again"
        )
    metric = members[0].metric
    pieces = _pieces(facts.backbone) if metric == metrics.SP_ROUGE else None
    score = metrics.score(metric, [row.prediction for row in rows], [row.references for row in rows], pieces)
    return replace(members[0], score=score, dev_score=None)


@cache
def _pieces(backbone: str) -> Callable[[str], list[str]]:
    """As :meth:`mpt.backbone.model.FrozenBackbone.pieces`, without the weights."""
    from mpt.backbone.vocabulary import config_and_tokenizer

    pieces: Callable[[str], list[str]] = config_and_tokenizer(backbone)[1].tokenize
    return pieces
