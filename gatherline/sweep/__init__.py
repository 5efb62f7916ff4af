"""Design-space exploration: a spec names models, patterns, sparsities and devices; every point becomes a row."""
