"""The request that arguments make, for the commands that lower a network: run, trace and advise.

Checks what needs no model; the rest is checked where the request is carried out.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from gatherline.options import ArgumentError, Match, Order, at_least, joined_shapes

if TYPE_CHECKING:
    from gatherline.request import RunRequest


def request_from(
    *,
    model: str,
    arch: str | None,
    patterns: Sequence[str],
    sparsities: Sequence[float],
    devices: Sequence[str],
    seed: int,
    batch: int | None,
    input_shape: list[str] | None,
    dtype: str,
    threads: int = 1,
    encoding: str | None,
    order: Order,
    match: Match = Match.DENSITY,
    prune_all: bool,
    ratios: str = "uniform",
    mapping: str | None = None,
    strict: bool,
) -> RunRequest:
    """Return the request that the arguments make, after the checks that need no model."""
    at_least("--seed", seed, 0)
    at_least("--batch", batch, 1)
    at_least("--threads", threads, 1)
    for value in sparsities:
        if not 0 <= value < 1:
            raise ArgumentError(f"--sparsity is {value}, and must be at least 0 and below 1")
    shape = joined_shapes(input_shape)
    from gatherline.request import RunRequest

    return RunRequest(
        model=model, arch=arch, patterns=tuple(patterns), sparsities=tuple(sparsities), devices=tuple(devices),
        seed=seed, batch=batch, input_shape=shape, dtype=dtype, threads=threads, encoding=encoding,
        order=order.value, match=match.value, prune_all=prune_all, ratios=ratios, mapping=mapping, strict=strict,
    )  # fmt: skip
