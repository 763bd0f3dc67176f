"""Lightning data modules, and the streams of batches that they give."""
