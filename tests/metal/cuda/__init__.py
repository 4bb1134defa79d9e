"""The Metal kernels under nvcc, for a second opinion from another GPU."""
