"""What a core issues for a stream: instructions, and so cycles a group. DESIGN section 5 calls the result ``interval``.

A core runs one product by instructions where an accelerator has a sequencer. Counts are of vector instructions and
exact for a whole stream; the gather unit is given their average over the stream's groups, as a fraction (ADR 0011).
Leaves out: address arithmetic, loop branches and pointer loads, which unrolling makes few, and stalls for operands
other than a chain of multiply-adds; the decoding of bitmaps and of N:M indices.
"""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np

from patterns.block import Block
from simulator.schedule.program import Program
from simulator.spec import Core
from traces.stream import Issue, RequestStream
from traces.trace import LayerTrace


def with_issue(program: Program, trace: LayerTrace, lanes: int, slots: int, rows_per_bundle: int) -> Program:
    """Return ``program`` with streams that say what a core issues for them.

    ``slots``: lanes of a packed group. ``rows_per_bundle``: of the plan, the most over convolution groups.
    """
    visits = tuple(
        visit
        if visit.stream is None
        else replace(
            visit,
            stream=replace(
                visit.stream, issue=_issue(program.encoding, trace, visit.stream, lanes, slots, rows_per_bundle)
            ),
        )
        for visit in program.visits
    )
    return replace(program, visits=visits)


def _issue(
    encoding: str, trace: LayerTrace, stream: RequestStream, lanes: int, slots: int, rows_per_bundle: int
) -> Issue:
    if encoding == "dense":
        return "dense"
    if encoding == "bsr":
        assert trace.mask is not None
        block = trace.pattern.stored_as(trace.mask.shape[2])
        assert isinstance(block, Block)
        return "block_column" if lanes // min(block.height, lanes) <= 1 else "block_row"
    if encoding in ("packed", "gs"):
        # every lane has a row of its own where a bundle has as many rows as a group has slots; a tile of fewer rows
        # than that is one ragged bundle
        rows = int(np.diff(stream.scatter_ptr).max())
        if rows == slots or (rows_per_bundle == slots and stream.bundles == 1):
            return "gather_column"
    return "gather_row"


def instructions(stream: RequestStream, core: Core) -> int:
    """Return the vector instructions of one repeat of ``stream``; one that says nothing gathers, row by row."""
    issue = stream.issue or "gather_row"
    rows = len(stream.scatter_address)
    per_row = core.reduction_instructions + core.store_instructions
    match issue:
        case "dense":
            turns = -(-stream.bundles // core.dense_rows)  # an activation load serves the rows of a turn
            loads = -(-stream.groups * turns // stream.bundles)
            return stream.groups * core.dense_instructions + loads + rows * per_row
        case "block_row":
            return stream.groups * core.block_instructions + rows * per_row
        case "block_column":
            return stream.groups * core.block_instructions + stream.bundles * core.store_instructions
        case "gather_row":
            return stream.groups * _gather(core) + rows * per_row
        case "gather_column":
            # rows that do not lie side by side: their numbers are loaded, and the store is a scatter
            store = core.store_instructions + (1 if _scattered(stream) else 0)
            return stream.groups * _gather(core) + stream.bundles * store


def _gather(core: Core) -> int:
    return core.gather_instructions - (1 if core.fused_gather else 0)


def _scattered(stream: RequestStream) -> bool:
    steps = np.diff(stream.scatter_address)
    steps[stream.scatter_ptr[1:-1] - 1] = 1  # from one bundle to the next
    return bool((steps != 1).any())


def core_interval(stream: RequestStream, core: Core) -> Fraction:
    """Return the cycles a group that the core needs: its issue width, or a chain of dependent multiply-adds."""
    issued = Fraction(instructions(stream, core), stream.groups * core.issue_width)
    chains = core.dense_rows if stream.issue == "dense" else core.accumulators
    return max(issued, Fraction(core.accumulate_cycles, chains))
