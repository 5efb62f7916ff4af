"""What happens over time: the cycle-level model."""
