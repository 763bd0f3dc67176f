"""A study: a grid of runs that is described, planned, run and reported."""
