"""How a sweep chooses its points: all of them, some at random or evenly spread, or as results come in."""
