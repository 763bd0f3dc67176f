"""What a study's YAML file says."""
