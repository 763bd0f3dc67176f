"""What a prompt says: the vocabulary nearest to its rows."""
