"""W&B sweep files, also without W&B."""
