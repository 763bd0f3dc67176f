"""The catalogue of CrossFit's and SPoT's tasks: YAML files, and how an example is made from a source's row."""
