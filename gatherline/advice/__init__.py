"""Advice: questions whose answer is a search over many runs. Break-even densities (``break_even.py``), budgets (``budget.py``)."""
