"""Prompts by task: entries, their index, similarity of tasks, retrieval, sharing on the hub."""
