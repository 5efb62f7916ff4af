"""What it costs, without a clock loop: extended rooflines."""
