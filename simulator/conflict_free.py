"""Cycles of a stream in which no group waits for a bank, all repeats, without running it: DESIGN section 5.

Group n is dispatched and granted in cycle ceil(n x interval), its result follows by two latencies, and the scatter unit
is a maximum over bundles. Equal to ``machine.run_stream``, to the cycle. Left out: the checks of a stream (a run makes
them), tiles marked in it, and scatters whose cost a repeat changes.
"""

from __future__ import annotations

from math import lcm

from simulator._kernels import banks as bank_kernels
from simulator._kernels import conflict_free as kernel
from simulator.machine import StreamCycles
from traces.stream import IntArray, RequestStream

_MOST = 1 << 61


def conflict_free_cycles(
    stream: RequestStream,
    costs: IntArray,
    *,
    interval: tuple[int, int],
    latency: int,
    mac_latency: int,
    rmw_cycles: int,
) -> StreamCycles | None:
    """Return what a checked stream takes; None where 64 bits may not hold a product.

    ``costs`` [bundles]: cycles of each scatter with rmw_cycles = 1, the same in every repeat. ``interval``: numerator
    and denominator of at least 1.
    """
    num, den = interval
    repeats = 1 if stream.serial else stream.repeats
    groups = stream.groups * repeats
    turns = int(costs.sum())
    ends = (groups + 1) * (num + den) + stream.repeats * (turns * rmw_cycles + stream.gap) + len(stream.address)
    if max(ends, stream.repeats * (latency + mac_latency)) >= _MOST:
        return None
    pointer = stream.group_ptr
    widest = bank_kernels.widest_group(pointer)
    held = min(groups, -(-latency * den // num))  # groups dispatched within the latency
    stop = min(groups, lcm(stream.groups, den) + held)  # then sizes and roundings come again
    peak = int(kernel.most_waiting(pointer, stop, num, den, latency, held * widest)) if held > 1 else widest
    end = int(kernel.last_scatter(stream.bundle_end, costs, repeats, num, den, rmw_cycles)) + latency + mac_latency
    start = (stream.repeats - repeats) * (end + stream.gap)  # of the last repeat that begins with empty units
    last = start - (-(groups - 1) * num // den)
    return StreamCycles(
        gather=last + 1,
        consumed=last + latency + 1,
        cycles=start + end,
        scatter_busy=stream.repeats * turns * rmw_cycles,
        waiting_words=peak,
    )
