"""Warnings of libraries that are no news to whoever runs a small model on purpose."""

from __future__ import annotations

import logging
import warnings


def quiet_libraries() -> None:
    """Drop the warnings that are no news to whoever runs a small model on purpose."""
    from transformers.utils import logging as transformers_logging

    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    for message in (
        ".*does not have many workers.*",
        ".*isinstance.treespec, LeafSpec.*",
        ".*Checkpoint directory .* exists and is not empty.*",
        ".*could not find the monitored key.*",
        ".*Total length of `list` across ranks is zero.*",  # source tasks are not validated on
        ".*number of training batches .* is smaller than the logging interval.*",
        ".*LightningCLI's args parameter.*",
        ".*You have overridden `transfer_batch_to_device`.*",
    ):
        warnings.filterwarnings("ignore", message)
    logging.getLogger("mpt").setLevel(logging.INFO)
    for name in ("pytorch_lightning.utilities.rank_zero", "lightning_fabric.utilities.rank_zero"):
        logging.getLogger(name).addFilter(_is_no_advertisement)


def _is_no_advertisement(record: logging.LogRecord) -> bool:
    return "litlogger" not in record.getMessage() and "litmodels" not in record.getMessage()
