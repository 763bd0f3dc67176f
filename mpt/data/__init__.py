"""Tasks and where they come from: catalogue, few-shot draws, synthetic suite, data modules, CrossFit's files made."""
