"""Lightning callbacks: keep best and early prompts, write metrics and predictions beside them, go on after a kill.

Each stands in an experiment file's ``trainer.callbacks``. One that the file lacks is added by a line there, or on the
command line, for example ``--trainer.callbacks+=mpt.callbacks.KeepEarly --trainer.callbacks.steps=[10,100]``.
"""

from mpt.callbacks.keep_best import KeepBest
from mpt.callbacks.keep_early import KeepEarly
from mpt.callbacks.metrics_file import MetricsFile
from mpt.callbacks.other_languages import OtherLanguages
from mpt.callbacks.predictions_file import PredictionsFile
from mpt.callbacks.resume_point import ResumePoint
from mpt.callbacks.step_lines import StepLines

__all__ = ["KeepBest", "KeepEarly", "MetricsFile", "OtherLanguages", "PredictionsFile", "ResumePoint", "StepLines"]
