"""Which densities a pattern is asked for: a grid, or the ratios that it has."""

from __future__ import annotations

from dataclasses import replace

from gatherline.request_error import RequestError
from patterns.base import Pattern
from patterns.catalog import ALL_PATTERNS
from patterns.channel import Channel
from patterns.channel_then import ChannelThen
from patterns.dense import Dense
from patterns.n_of_m import NOfM
from patterns.n_of_m_both import NOfMBoth
from patterns.unstructured import Unstructured

# steps of 0.05, finer at the sparse end, where published networks lie; from 0.99 on hardly a weight is gone
GRID = (0.01, 0.02, *(step / 20 for step in range(1, 20)), 0.99)
MOST_LISTED = 32  # ratios of N:M that are all tried; a larger M is searched as if N were any number
DEFAULT_PATTERNS = tuple(kind.example for kind in ALL_PATTERNS if kind.name != "dense" and not kind.joined)


def check_has_ratios(pattern: Pattern) -> None:
    """Raise RequestError for a pattern that removes nothing at any ratio."""
    if isinstance(pattern, Dense) or (isinstance(pattern, NOfM | NOfMBoth) and pattern.m == 1):
        raise RequestError(
            f"pattern {pattern.spelling} keeps every weight, and a break-even needs one that removes some"
        )


def targets(pattern: Pattern) -> tuple[float, ...]:
    """Return the densities at which the search starts: for N:M all of 1:M to (M - 1):M, else the grid."""
    if has_listed_ratios(pattern):
        assert isinstance(pattern, NOfM | NOfMBoth)
        return tuple(n / pattern.m for n in range(1, pattern.m))
    return GRID


def has_listed_ratios(pattern: Pattern) -> bool:
    """Return whether the densities of ``pattern`` are few and all listed, so that nothing lies between two of them."""
    return isinstance(pattern, NOfM | NOfMBoth) and pattern.m <= MOST_LISTED


def ratios_text(pattern: Pattern) -> str | None:
    """Return which ratios a pattern with few of them was tried at, None for one that takes any density."""
    return f"any N of {pattern.m}" if isinstance(pattern, NOfM | NOfMBoth) else None


def pattern_at(pattern: Pattern, target: float) -> Pattern:
    """Return the rule that keeps about ``target``: of N:M the one with the nearest N."""
    if isinstance(pattern, NOfM | NOfMBoth):
        return replace(pattern, n=min(max(1, round(target * pattern.m)), pattern.m))
    return pattern


def over_network(pattern: Pattern) -> bool:
    """Return whether the mask of a layer depends on the other layers, so that only whole networks can be probed."""
    return isinstance(pattern, Channel | ChannelThen) or (
        isinstance(pattern, Unstructured) and pattern.scope == "global"
    )
