"""Scores as pure functions: CrossFit's seven metrics, relative gain and ARG, and the test of an ARG."""
