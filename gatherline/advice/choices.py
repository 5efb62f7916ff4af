"""Which patterns and sparsities an advice chooses among where the user names none.

On a roofline: one pattern of each family that a kernel of the device takes in the data type, blocks of the shape that
the kernel is for. On a cycle-level device, which takes them all: packed single weights, its own groups, and blocks as
wide as its lanes. Leaves out: channels, and one threshold over the model, since they are no choice of one layer.
"""

from __future__ import annotations

from collections.abc import Sequence

from costmodel.spec import BlockKernel, Kernel, RooflineDevice, RowKernel
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

# finer at the sparse end, where a step is a larger part of what is left
ROOFLINE_SPARSITIES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95, 0.98)
CYCLE_SPARSITIES = (0.3, 0.5, 0.7, 0.8, 0.9, 0.95)  # a mask takes the simulator longer than a roofline


def default_patterns(device: Target, dtype: str) -> tuple[Pattern, ...]:
    """Return the patterns that a plan for ``device`` is made of; none where it has no sparse kernel for ``dtype``."""
    if isinstance(device, Device):
        lanes = device.gather.lanes
        return Unstructured(), GatherScatter(banks=device.scratchpad.banks, k=1), Block(height=lanes, width=1)
    found = []
    for kind in ALL_PATTERNS:
        kernel = _kernel(device, kind.name, dtype)
        if kernel is not None and not kind.joined:
            rule = _shaped(parse_pattern(kind.example), kernel)
            found += [] if over_network(rule) else [rule]
    return tuple(found)


def _kernel(device: RooflineDevice, family: str, dtype: str) -> Kernel | None:
    return next((one for one in device.kernels if family in one.serves and dtype in one.dtypes), None)


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
