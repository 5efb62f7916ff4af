"""Orders tiles: DMA in, compute and DMA out as SimPy processes that share one DRAM. Compute cycles come from kernels.

Left out: preemption, priorities (the DRAM serves in the order of arrival), overlap between layers.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import Any

import simpy

from simulator.memory.dram import bus_cycles
from simulator.spec import Dram

Recorder = Callable[[str, int, int, int, int], None]  # unit, step, cycle it asked, cycle it began, cycle it ended


def unrecorded(unit: str, step: int, asked: int, began: int, ended: int) -> None:
    """Nobody wants to know when each step ran."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One tile: bytes that must be in before it runs, cycles it runs, bytes that leave after it."""

    load_bytes: int
    compute_cycles: int
    store_bytes: int


def run_steps(
    steps: Sequence[Step],
    dram: Dram,
    clock_hz: int,
    buffers_in: int,
    buffers_out: int,
    record: Recorder = unrecorded,
) -> int:
    """Return the cycle in which the last step has been stored; tiles are double-buffered at both ends.

    A load is there a DRAM latency after its bursts; a store is done with its bursts. ``record`` is told of each
    transfer ("load", "store": asked for the bus, got it, left it) and each run of a step ("compute": the step before
    had run, this one began, it ended).
    """
    if not any(step.load_bytes or step.store_bytes for step in steps):
        now = 0
        for number, step in enumerate(steps):
            record("compute", number, now, now, now + step.compute_cycles)
            now += step.compute_cycles
        return now
    env = simpy.Environment()
    port = simpy.Resource(env, capacity=1)
    free_in, free_out = simpy.Container(env, buffers_in, buffers_in), simpy.Container(env, buffers_out, buffers_out)
    loaded, computed = simpy.Store(env), simpy.Store(env)

    def move(unit: str, number: int, size_bytes: int) -> Generator[Any, Any, None]:
        if size_bytes:
            asked = int(env.now)
            with port.request() as turn:
                yield turn
                began = int(env.now)
                yield env.timeout(bus_cycles(dram, size_bytes, clock_hz))
            record(unit, number, asked, began, int(env.now))

    def load() -> Generator[Any, Any, None]:
        for number, step in enumerate(steps):
            yield free_in.get(1)
            yield from move("load", number, step.load_bytes)
            arrival = env.now + (dram.latency_cycles if step.load_bytes else 0)
            yield loaded.put((step, arrival))

    def compute() -> Generator[Any, Any, None]:
        for number in range(len(steps)):
            asked = int(env.now)
            step, arrival = yield loaded.get()
            yield free_out.get(1)
            yield env.timeout(max(0, arrival - env.now) + step.compute_cycles)
            record("compute", number, asked, int(env.now) - step.compute_cycles, int(env.now))
            yield free_in.put(1)
            yield computed.put(step)

    def store() -> Generator[Any, Any, None]:
        for number in range(len(steps)):
            step = yield computed.get()
            yield from move("store", number, step.store_bytes)
            yield free_out.put(1)

    env.process(load())
    env.process(compute())
    done = env.process(store())
    env.run(until=done)
    return int(env.now)
