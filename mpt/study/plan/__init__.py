"""From a study's description to its runs."""
