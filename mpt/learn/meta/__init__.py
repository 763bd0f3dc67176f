"""Meta-learning algorithms of a prompt: each maps an episode to a meta-gradient."""

from mpt.learn.meta.algorithm import MetaAlgorithm, MetaGradient
from mpt.learn.meta.fomaml import FoMAML
from mpt.learn.meta.inner_loop import Objective
from mpt.learn.meta.maml import MAML
from mpt.learn.meta.reptile import Reptile

__all__ = ["MAML", "FoMAML", "MetaAlgorithm", "MetaGradient", "Objective", "Reptile"]
