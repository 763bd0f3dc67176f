"""Doing the runs of a study: once each, resumable, by several processes."""
