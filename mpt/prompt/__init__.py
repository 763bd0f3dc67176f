"""The soft prompt: the tensor, where it starts, and its folder on disk."""
