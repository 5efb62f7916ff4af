"""A first DRAM: a transfer holds the data bus for whole bursts at the sustained rate; its data arrive a latency later.

The latency of one transfer overlaps the bursts of the next. Left out until the memory system is deepened: rows, banks,
refresh, turnaround, several channels.
"""

from __future__ import annotations

from simulator.spec import Dram


def bus_cycles(dram: Dram, size_bytes: int, clock_hz: int) -> int:
    """Return the cycles for which a transfer of ``size_bytes`` holds the bus; nothing to move costs nothing."""
    bursts = -(-size_bytes // dram.burst_bytes)
    return -(-bursts * dram.burst_bytes * clock_hz // dram.bytes_per_s)
