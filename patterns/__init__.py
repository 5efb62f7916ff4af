"""What is zero: sparsity patterns and encodings. numpy and numba only."""
