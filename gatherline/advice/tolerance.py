"""How near the two densities beside a crossing must be, as a share of the weights. Imports nothing."""

TOLERANCE = 0.005
LEAST_TOLERANCE, MOST_TOLERANCE = 0.0001, 0.05  # the coarser is a step of the grid
