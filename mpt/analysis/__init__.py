"""Transfer between tasks: matrix, correlation with similarity, clusters, search space."""
