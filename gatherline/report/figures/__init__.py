"""Figures for papers: one style, one file for each kind, and the numbers behind each as a table."""
