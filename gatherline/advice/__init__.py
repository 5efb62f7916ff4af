"""Advice: questions whose answer is a search over many runs. So far the break-even density (``break_even.py``)."""
