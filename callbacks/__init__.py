"""Lightning callbacks: keep the best prompt, write metrics and predictions beside it, go on after a kill."""

from mpt.callbacks.keep_best import KeepBest
from mpt.callbacks.metrics_file import MetricsFile
from mpt.callbacks.predictions_file import PredictionsFile
from mpt.callbacks.resume_point import ResumePoint

__all__ = ["KeepBest", "MetricsFile", "PredictionsFile", "ResumePoint"]
