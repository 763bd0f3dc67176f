"""What a study's report contains and how it is written."""
