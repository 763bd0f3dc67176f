"""Prompts at work: predictions for new rows, what they are worth, and prompts for other engines."""
