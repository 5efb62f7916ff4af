"""Two sets of results beside each other: what moved, by how much, and whether a rule forbids it."""
