"""What bit fields and runs of zeros are, in plain Python: the definition that ``patterns.encodings`` must equal."""

from __future__ import annotations

from collections.abc import Sequence


def packed_fields(numbers: Sequence[int], bits: int) -> bytes:
    """Return the numbers as one little-endian whole number, field n at bit n x bits."""
    whole = sum(number << place * bits for place, number in enumerate(numbers))
    return whole.to_bytes(-(-len(numbers) * bits // 8), "little")


def zero_runs(weights: Sequence[int | None], bits: int) -> list[tuple[int, int]]:
    """Return (value, zeros before it) of a row of weights, None where nothing is kept.

    Zeros are counted one by one; where the field is full and one more comes, that one is stored.
    Reference: Han et al., arXiv 1510.00149, figure 2.
    """
    longest = 2**bits - 1
    entries: list[tuple[int, int]] = []
    waiting: list[tuple[int, int]] = []  # inserted zeros that count only if a kept weight follows
    run = 0
    for weight in weights:
        if weight is not None:
            entries += [*waiting, (weight, run)]
            waiting, run = [], 0
        elif run == longest:
            waiting.append((0, run))
            run = 0
        else:
            run += 1
    return entries
