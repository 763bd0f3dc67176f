"""Meta-learning algorithms of a prompt: each maps an episode to a meta-gradient."""

from mpt.learn.meta.algorithm import MetaAlgorithm, MetaGradient
from mpt.learn.meta.fomaml import FoMAML
from mpt.learn.meta.inner_loop import Objective
from mpt.learn.meta.maml import MAML
from mpt.learn.meta.reptile import Reptile
from mpt.learn.meta.with_higher import HigherFoMAML, HigherMAML
from mpt.learn.meta.with_learn2learn import Learn2LearnFoMAML, Learn2LearnMAML

__all__ = [
    "MAML",
    "FoMAML",
    "HigherFoMAML",
    "HigherMAML",
    "Learn2LearnFoMAML",
    "Learn2LearnMAML",
    "MetaAlgorithm",
    "MetaGradient",
    "Objective",
    "Reptile",
]
