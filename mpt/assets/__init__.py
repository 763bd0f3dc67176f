"""What ships with the package: the embedded backbone and how it was made."""
