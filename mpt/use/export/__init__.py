"""Prompts for other engines, and for the hub."""
