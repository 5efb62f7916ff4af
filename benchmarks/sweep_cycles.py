"""Points of a sweep a CPU second on one core: all layers of ResNet-50 on one device after another, layer by layer.

Run: ``python -m benchmarks.sweep_cycles [PATTERN...]``. A point is one device with one pattern and sparsity, with the
cycles of every layer and what they were lost to. ``masks``: seconds to make the masks and the digest. ``first``: for
the first device, which finds the programs. ``points/s``: all devices after it, then all of them. ``cycles``: the sum
over all points, and a digest of all results: equal before and after a change. Peak memory is that of the process so
far. Kernels are compiled before.
"""

from __future__ import annotations

import hashlib
import itertools
import random
import resource
import sys
from collections.abc import Sequence
from dataclasses import replace
from time import process_time

from gatherline.request import RunRequest, levels, lower
from simulator.devices.gs_tcm import GS_TCM
from simulator.memory.timings import DDR4_3200, HBM2, LPDDR4X_4267, LPDDR5_6400
from simulator.simulate import Programs, simulate
from simulator.spec import Device, Dram, Order
from traces.layer import Network
from traces.masks import trace_network

PATTERNS = ("gs:16,1", "unstructured", "block:1x16")
SPARSITY = 0.9
ORDERS: tuple[Order, ...] = ("in_order", "out_of_order")


def drams() -> list[Dram]:
    """Return six flat DRAMs and four timed ones."""
    rates = (4, 8, 12, 17, 34, 68)
    flat = [replace(GS_TCM.dram, timing=None, bytes_per_s=rate * 10**9) for rate in rates]
    timings = (LPDDR4X_4267, LPDDR5_6400, DDR4_3200, HBM2)
    return flat + [Dram.timed(timing, latency_cycles=50) for timing in timings]


def memories_and_clocks() -> list[Device]:
    clocks = [600_000_000 + 200_000_000 * step for step in range(10)]
    return [replace(GS_TCM, clock_hz=clock, dram=dram) for dram, clock in itertools.product(drams(), clocks)]


def gather_units() -> list[Device]:
    return [
        replace(
            GS_TCM,
            gather=replace(GS_TCM.gather, window=window, order=order, ports=ports),
            weight_buffer=replace(GS_TCM.weight_buffer, bytes_per_cycle=rate),
        )
        for window, order, ports, rate in itertools.product((1, 2, 4, 8, 64), ORDERS, (1, 2), (32, 64, 128))
    ]


def geometries() -> list[Device]:
    return [
        replace(
            GS_TCM,
            scratchpad=replace(GS_TCM.scratchpad, banks=banks),
            gather=replace(GS_TCM.gather, lanes=lanes),
        )
        for banks, lanes in itertools.product((8, 16, 32), repeat=2)
    ]


def any_timing(count: int = 60) -> list[Device]:
    """Return devices of one geometry whose other fields are all drawn: no two share more than their streams."""
    draw = random.Random(0)
    return [
        replace(
            GS_TCM,
            clock_hz=draw.randrange(500_000_000, 3_000_000_000),
            dram=draw.choice(drams()),
            gather=replace(
                GS_TCM.gather,
                window=draw.randint(1, 64),
                order=draw.choice(ORDERS),
                ports=draw.randint(1, 2),
                latency=draw.randint(1, 8),
            ),
            weight_buffer=replace(GS_TCM.weight_buffer, bytes_per_cycle=draw.randint(16, 128)),
            mac=replace(GS_TCM.mac, latency=draw.randint(1, 8)),
            scatter=replace(GS_TCM.scatter, rmw_cycles=draw.randint(1, 4)),
            vector_unit=replace(GS_TCM.vector_unit, elements_per_cycle=draw.randint(8, 128)),
        )
        for _ in range(count)
    ]


SWEEPS = {
    "DRAM x clock": memories_and_clocks,
    "window x order x ports x rate": gather_units,
    "all but the geometry": any_timing,
    "banks x lanes": geometries,
}


def sweep(network: Network, pattern: str, devices: Sequence[Device]) -> str:
    """Run all layers on all devices and return a row of the table."""
    request = RunRequest(model="resnet50", patterns=(pattern,), sparsities=(SPARSITY,))
    (level,) = levels(network, request)
    start = process_time()
    first = rest = 0.0
    cycles, digest = 0, hashlib.sha256()
    for trace in trace_network(network, level).traces:
        programs: Programs = {}
        for number, device in enumerate(devices):
            before = process_time()
            result = simulate(trace, device, programs=programs)
            spent = process_time() - before
            first, rest = (first, rest + spent) if number else (first + spent, rest)
            assert result.cycles is not None
            cycles += result.cycles.total
            digest.update(repr(result).encode())
    whole = process_time() - start
    printing = whole - first - rest  # masks, and the digest of the results
    peak_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return (
        f"{len(devices)} | {first:.2f} | {(len(devices) - 1) / rest:.1f} | {len(devices) / (first + rest):.1f} | "
        f"{printing:.1f} | {peak_mib:.0f} | {cycles} {digest.hexdigest()[:8]}"
    )


def main() -> None:
    network = lower(RunRequest(model="resnet50"))
    sweep(network, "unstructured", [GS_TCM, *gather_units()[:8:3], *any_timing(2)])  # compiles
    print("| pattern | sweep | points | first, s | points/s after it | points/s in all | masks, s | MiB | cycles |")
    for pattern in sys.argv[1:] or PATTERNS:
        for name, devices in SWEEPS.items():
            print(f"| `{pattern}` | {name} | {sweep(network, pattern, devices())} |", flush=True)


if __name__ == "__main__":
    main()
