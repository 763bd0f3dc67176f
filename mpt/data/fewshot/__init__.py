"""Few-shot draws: CrossFit's files, and which of them a data folder has."""
