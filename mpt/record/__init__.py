"""What a run leaves: the files of its folder, and their rows and results as types that readers and writers share."""
