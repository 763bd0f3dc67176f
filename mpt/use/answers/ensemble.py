"""Several prompts of one task as one (Lester et al. 2021, section 6): a vote, or the mean of their probabilities."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Literal

from mpt.use.answers.predictor import Answer

Joining = Literal["vote", "mean"]


def ensemble(answers: Sequence[Sequence[Answer]], by: Joining = "vote") -> list[Answer]:
    """The B answers of N prompts together.

    Args:
        answers: of each prompt its B.
        by: ``vote`` takes what most prompts answer, of equally many votes what is likelier in the mean, or else what
            the first of the prompts answers, and a label's probability is its share of the votes; ``mean`` takes the
            label whose probability is highest in the mean.
    """
    return [_vote(each) if by == "vote" else _mean(each) for each in zip(*answers, strict=True)]


def _vote(answers: Sequence[Answer]) -> Answer:
    votes = Counter(answer.text for answer in answers)
    mean = _mean(answers).probabilities if answers[0].probabilities else {}
    best = max(votes, key=lambda text: (votes[text], mean.get(text, 0.0)))
    shares = {label: votes[label] / len(answers) for label in answers[0].probabilities}
    return Answer(best, shares.get(best), shares)


def _mean(answers: Sequence[Answer]) -> Answer:
    labels = answers[0].probabilities
    shares = {label: sum(answer.probabilities[label] for answer in answers) / len(answers) for label in labels}
    best = max(shares, key=shares.__getitem__)
    return Answer(best, shares[best], shares)
