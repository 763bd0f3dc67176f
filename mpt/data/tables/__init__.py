"""A user's tables: CSV, TSV and JSONL files as records, and records as examples."""
