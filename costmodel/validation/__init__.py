"""Predictions beside published measurements: tables, exclusions, errors, noise floors and the bands that follow."""
