"""Which patterns and sparsities an advice chooses among where the user names none.

On a roofline: one pattern for each sparse kernel of the device and the data type, blocks of the shape that the kernel
is for. Of the families that one kernel runs it is the first of ``ALL_PATTERNS``, which lists the freest first: it keeps
most weight. On a cycle-level device, which takes them all: groups of its banks, and blocks as high as its lanes.
Leaves out: channels, and one threshold over the model, since they are no choice of one layer.
"""

from __future__ import annotations

from collections.abc import Sequence

from costmodel.spec import BlockKernel, Kernel, RowKernel
from gatherline.advice.ratios import check_has_ratios, has_listed_ratios, over_network, pattern_at, targets
from gatherline.request import Target
from gatherline.request_error import RequestError
from patterns.base import Pattern
from patterns.block import Block
from patterns.catalog import ALL_PATTERNS, parse_pattern
from patterns.channel import Channel
from patterns.gs import GatherScatter
from patterns.unstructured import Unstructured
from simulator.spec import Device

ROOFLINE_SPARSITIES = (*(step / 20 for step in range(1, 20)), 0.98, 0.99)  # those of a break-even
CYCLE_SPARSITIES = (0.5, 0.7, 0.8, 0.9, 0.95)  # few: a mask takes the simulator longer than a roofline


def default_patterns(device: Target, dtype: str) -> tuple[Pattern, ...]:
    """Return the patterns that a plan for ``device`` is made of; none where it has no sparse kernel for ``dtype``."""
    if isinstance(device, Device):
        lanes = device.gather.lanes
        return GatherScatter(banks=device.scratchpad.banks, k=1), Block(height=lanes, width=1)
    found: dict[tuple[str, ...], Pattern] = {}
    for kind in ALL_PATTERNS:
        kernels = [one for one in device.kernels if kind.name in one.serves and dtype in one.dtypes]
        if kernels and not kind.joined:
            rule = _shaped(parse_pattern(kind.example), kernels[0])
            if not over_network(rule):
                found.setdefault(tuple(kernel.name for kernel in kernels), rule)
    return tuple(found.values())


def _shaped(rule: Pattern, kernel: Kernel) -> Pattern:
    """Return ``rule`` with the block that ``kernel`` is for."""
    match rule, kernel:
        case Block(), RowKernel(row_block=rows) if rows > 1:
            return Block(height=rows, width=1)
        case Block(), BlockKernel(smallest_block=least):
            return Block(height=least, width=least)
        case _:
            return rule


def checked_patterns(texts: Sequence[str]) -> tuple[Pattern, ...]:
    """Return the patterns spelled, each once. Raises PatternError, and RequestError for one that no layer can choose.

    Of N:M every N is a choice, so that N itself says nothing.
    """
    found = tuple({rule.spelling: rule for rule in map(parse_pattern, texts)}.values())
    for rule in found:
        check_has_ratios(rule)
        if over_network(rule):
            why = (
                "channels that meet go together"
                if not isinstance(rule, Unstructured)
                else "its threshold is one of the whole model"
            )
            more = "; prune them first (simulate prune) and ask again" if isinstance(rule, Channel) else ""
            raise RequestError(f"pattern {rule.spelling} is no choice of one layer: {why}{more}")
    return found


def variants(pattern: Pattern, sparsities: Sequence[float]) -> tuple[tuple[Pattern, float], ...]:
    """Return the rules and sparsities that ``pattern`` stands for: of N:M every N, of all others the ``sparsities``."""
    if has_listed_ratios(pattern):
        return tuple((pattern_at(pattern, target), 1.0 - target) for target in reversed(targets(pattern)))
    rules = {(pattern_at(pattern, 1.0 - sparsity), sparsity): None for sparsity in sorted(sparsities)}
    return tuple(rules)


def default_sparsities(device: Target) -> tuple[float, ...]:
    return CYCLE_SPARSITIES if isinstance(device, Device) else ROOFLINE_SPARSITIES
