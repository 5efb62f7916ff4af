"""Advice: questions whose answer is a search over many runs: break-even densities, and plans within a budget."""
