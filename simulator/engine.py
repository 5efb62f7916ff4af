"""Orders tiles: DMA in, compute and DMA out as SimPy processes that share one DRAM. Compute cycles come from kernels.

Left out: preemption, priorities (the DRAM serves in the order of arrival), overlap between layers.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import Any

import simpy

from simulator.memory.dram import bus_cycles
from simulator.spec import Dram


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One tile: bytes that must be in before it runs, cycles it runs, bytes that leave after it."""

    load_bytes: int
    compute_cycles: int
    store_bytes: int


def run_steps(steps: Sequence[Step], dram: Dram, clock_hz: int, buffers_in: int, buffers_out: int) -> int:
    """Return the cycle in which the last step has been stored; tiles are double-buffered at both ends.

    A load is there a DRAM latency after its bursts; a store is done with its bursts.
    """
    if not any(step.load_bytes or step.store_bytes for step in steps):
        return sum(step.compute_cycles for step in steps)
    env = simpy.Environment()
    port = simpy.Resource(env, capacity=1)
    free_in, free_out = simpy.Container(env, buffers_in, buffers_in), simpy.Container(env, buffers_out, buffers_out)
    loaded, computed = simpy.Store(env), simpy.Store(env)

    def move(size_bytes: int) -> Generator[Any, Any, None]:
        if size_bytes:
            with port.request() as turn:
                yield turn
                yield env.timeout(bus_cycles(dram, size_bytes, clock_hz))

    def load() -> Generator[Any, Any, None]:
        for step in steps:
            yield free_in.get(1)
            yield from move(step.load_bytes)
            arrival = env.now + (dram.latency_cycles if step.load_bytes else 0)
            yield loaded.put((step, arrival))

    def compute() -> Generator[Any, Any, None]:
        for _ in steps:
            step, arrival = yield loaded.get()
            yield free_out.get(1)
            yield env.timeout(max(0, arrival - env.now) + step.compute_cycles)
            yield free_in.put(1)
            yield computed.put(step)

    def store() -> Generator[Any, Any, None]:
        for _ in steps:
            step = yield computed.get()
            yield from move(step.store_bytes)
            yield free_out.put(1)

    env.process(load())
    env.process(compute())
    done = env.process(store())
    env.run(until=done)
    return int(env.now)
