"""From the runs' scores to relative gains, ARG, their tests and costs: pure functions."""
