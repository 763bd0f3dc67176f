"""The frozen language model as a function of a prompt."""
