"""Bars of text for terminals: blocks to an eighth of a character, or number signs where blocks cannot be shown."""

from __future__ import annotations

import math

from rich.console import Console

_EIGHTHS = ("", "▏", "▎", "▍", "▌", "▋", "▊", "▉")


def bar(share: float, width: int, console: Console) -> str:
    """Return a bar of ``share`` (0 to 1) of ``width`` characters; something is seen of all that is above 0."""
    if not math.isfinite(share) or share <= 0:
        return ""
    eighths = max(1, round(min(share, 1.0) * width * 8))
    if plain(console):
        return "#" * max(1, round(eighths / 8))
    return "█" * (eighths // 8) + _EIGHTHS[eighths % 8]


def plain(console: Console) -> bool:
    """Return whether ``console`` shows ASCII only: by its encoding, or by TERM=dumb."""
    return console.options.ascii_only or console.is_dumb_terminal
