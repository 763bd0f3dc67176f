"""Answers of learned prompts: to texts, to files, mixed and together, and what they are worth."""
