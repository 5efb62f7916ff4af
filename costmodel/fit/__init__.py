"""Fits the numbers that no source gives to published measurements: by device, seeded, written as data."""
