"""Prompt tuning: one prompt by gradient descent."""

from mpt.learn.example_learner import ExampleLearner
from mpt.learn.prompt_learner import PromptLearner


class PromptTuning(PromptLearner, ExampleLearner):
    """Learns one soft prompt on a frozen backbone (Lester et al. 2021; equation 1 of Qin et al. 2023).

    On one task this is PT, on a mixture of source tasks it is SPoT / multi-task learning, and from a saved prompt
    (``init: SavedPrompt``) it is the downstream stage of every transfer method.
    """
