"""From one small file of examples to the best prompt; filling a library."""
