"""What knows nothing of prompts: errors, files and locks, YAML, random streams, this machine."""
