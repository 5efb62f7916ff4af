"""A scratchpad between the cores and the DRAM that keeps whole operand tiles, the least recently used leaving first.

A tile that lies there comes through its port and not from DRAM; one that is on its way from DRAM for another core is
waited for. Tiles are weights and inputs, by operand and tile: two that overlap without being equal share nothing.
Left out: outputs and partial sums (they go to DRAM), a port for fills, tiles kept from one layer to the next.
"""

from __future__ import annotations

from collections import OrderedDict

import simpy

from simulator.spec import SecondLevel

HELD = ("w", "x")  # first letters of the tags of weights and inputs


class SecondLevelTiles:
    """What lies in a second level at a moment of a simulation. A tile is there once its event has happened."""

    def __init__(self, spec: SecondLevel) -> None:
        self._spec = spec
        self._tiles: OrderedDict[str, tuple[int, simpy.Event]] = OrderedDict()
        self._free_bytes = spec.bytes

    def look_up(self, tag: str) -> simpy.Event | None:
        """Return the event of a tile's arrival, and note its use; None for a tile that is not there."""
        if tag not in self._tiles:
            return None
        self._tiles.move_to_end(tag)
        return self._tiles[tag][1]

    def allocate(self, tag: str, size_bytes: int, arrival: simpy.Event) -> bool:
        """Make room for a tile that is being fetched, and tell whether it is kept: one larger than all is not."""
        if size_bytes > self._spec.bytes:
            return False
        while self._free_bytes < size_bytes:
            _, (freed_bytes, _) = self._tiles.popitem(last=False)
            self._free_bytes += freed_bytes
        self._tiles[tag] = (size_bytes, arrival)
        self._free_bytes -= size_bytes
        return True

    def port_cycles(self, size_bytes: int) -> int:
        """Return the cycles for which a read holds the port."""
        return -(-size_bytes // self._spec.bytes_per_cycle)
