"""Lightning callbacks: keep the best prompt, write metrics and predictions beside it."""

from mpt.callbacks.keep_best import KeepBest
from mpt.callbacks.metrics_file import MetricsFile
from mpt.callbacks.predictions_file import PredictionsFile

__all__ = ["KeepBest", "MetricsFile", "PredictionsFile"]
