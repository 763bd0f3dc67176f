"""The embedded suite: CrossFit-style few-shot tasks made here, from a made-up world, with no download."""
