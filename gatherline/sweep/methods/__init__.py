"""How points are chosen: one file for each method."""
