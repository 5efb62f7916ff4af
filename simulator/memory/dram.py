"""A first DRAM: each transfer waits a latency, then moves whole bursts at the sustained rate.

Left out until the memory system is deepened: rows, banks, refresh, turnaround, several channels.
"""

from __future__ import annotations

from simulator.spec import Dram


def transfer_cycles(dram: Dram, size_bytes: int, clock_hz: int) -> int:
    """Return the cycles for which a transfer of ``size_bytes`` holds the DRAM; nothing to move costs nothing."""
    if size_bytes == 0:
        return 0
    bursts_bytes = -(-size_bytes // dram.burst_bytes) * dram.burst_bytes
    return dram.latency_cycles + -(-bursts_bytes * clock_hz // dram.bytes_per_s)
