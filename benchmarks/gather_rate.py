"""Requests a CPU second that the gather kernels simulate on one core, warm, 16 lanes on 16 banks.

Run: ``python -m benchmarks.gather_rate``. Times all of ``run_stream`` but the checks: banks, grants, MAC and scatter.
Beside each rate on random streams: its ratio to reading 4 bytes a request from memory, and to a C loop over the same
requests that only counts the grants (``gather_loop.c``), where there is a C compiler. Then what repeats cost whose
states never recur, against the same requests as one stream, and what two threads make of two streams.
"""

from __future__ import annotations

import ctypes
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from time import perf_counter, process_time

import numpy as np
from numba import njit

from simulator.machine import StreamCycles, run_stream
from simulator.parallel import in_order
from simulator.spec import GatherUnit, MacArray, Order, ScatterUnit, Scratchpad
from traces.stream import RequestStream

LANES = BANKS = 16
GROUPS = 400_000
BUNDLE_GROUPS = 10
TRIES = 5
REPEATED_GROUPS = 40_000  # in all repeats together
GROUPS_A_REPEAT = (2, 10, 100, 1000, 10_000)


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    label: str
    window: int
    order: Order = "in_order"
    ports: int = 1
    coalesce: bool = False
    hash: str = "none"
    interval: Fraction = Fraction(1)


CASES = (
    Case(label="lockstep", window=1),
    Case(label="lockstep, interval 3/2", window=1, interval=Fraction(3, 2)),
    Case(label="lockstep, xor banks", window=1, hash="xor"),
    Case(label="lockstep, 2 ports", window=1, ports=2),
    Case(label="out of order, W 8", window=8, order="out_of_order"),
    Case(label="out of order, W 64", window=64, order="out_of_order"),
    Case(label="in order, W 8", window=8),
    Case(label="in order, W 64", window=64),
    Case(label="in order, W 8, 2 ports", window=8, ports=2),
    Case(label="lockstep, coalescing", window=1, coalesce=True),
    Case(label="in order, W 8, coalescing", window=8, coalesce=True),
    Case(label="out of order, W 8, coalescing", window=8, order="out_of_order", coalesce=True),
)

REPEATED = (
    Case(label="lockstep", window=1),
    Case(label="lockstep, xor banks", window=1, hash="xor"),
    Case(label="out of order, W 64", window=64, order="out_of_order"),
    Case(label="out of order, W 64, xor banks", window=64, order="out_of_order", hash="xor"),
    Case(label="in order, W 64", window=64),
    Case(label="in order, W 64, xor banks", window=64, hash="xor"),
    Case(label="in order, W 64, 2 ports", window=64, ports=2),
    Case(label="in order, W 64, coalescing", window=64, coalesce=True),
    Case(label="out of order, W 64, coalescing", window=64, order="out_of_order", coalesce=True),
)


def stream_of(address: np.ndarray) -> RequestStream:
    bundles = GROUPS // BUNDLE_GROUPS
    return RequestStream(
        name="benchmark",
        group_ptr=np.arange(GROUPS + 1, dtype=np.int64) * LANES,
        lane=np.tile(np.arange(LANES, dtype=np.int16), GROUPS),
        address=np.ascontiguousarray(address.reshape(-1), np.int64),
        bundle_end=np.arange(1, bundles + 1, dtype=np.int64) * BUNDLE_GROUPS,
        scatter_ptr=np.arange(bundles + 1, dtype=np.int64),
        scatter_address=np.arange(bundles, dtype=np.int64),
    )


def repeated(groups: int, random: np.random.Generator) -> tuple[RequestStream, RequestStream]:
    """Return repeats of ``groups`` groups at random offsets, and the same requests as one stream."""
    repeats = REPEATED_GROUPS // groups
    address = random.integers(0, 1 << 12, (groups, LANES))
    offset = random.integers(0, 1 << 10, repeats)
    every = max(groups // BUNDLE_GROUPS, 1)
    ends = np.arange(every, groups + 1, every, dtype=np.int64)
    one = RequestStream(
        name="repeats",
        group_ptr=np.arange(groups + 1, dtype=np.int64) * LANES,
        lane=np.tile(np.arange(LANES, dtype=np.int16), groups),
        address=address.reshape(-1),
        bundle_end=ends,
        scatter_ptr=np.arange(len(ends) + 1, dtype=np.int64),
        scatter_address=np.arange(len(ends), dtype=np.int64),
        repeats=repeats,
        repeat_offset=offset,
    )
    long = replace(
        one,
        group_ptr=np.arange(repeats * groups + 1, dtype=np.int64) * LANES,
        lane=np.tile(one.lane, repeats),
        address=(address.reshape(-1) + offset[:, None]).reshape(-1),
        bundle_end=(ends + groups * np.arange(repeats)[:, None]).reshape(-1),
        scatter_ptr=np.arange(repeats * len(ends) + 1, dtype=np.int64),
        scatter_address=np.tile(one.scatter_address, repeats),
        repeats=1,
        repeat_offset=None,
    )
    return one, long


def print_repeats(random: np.random.Generator) -> None:
    """Print the time of repeats that never recur over that of the same requests as one stream; stop if they differ."""
    heads = "".join(f"{groups:>10}" for groups in GROUPS_A_REPEAT)
    print(f"{'repeats, times one long stream':32}{heads}{'worst':>10}   (groups a repeat)")
    streams = [repeated(groups, random) for groups in GROUPS_A_REPEAT]
    for case in REPEATED:
        ratios = []
        for one, long in streams:
            if run(case, one) != run(case, long):
                raise SystemExit(f"{case.label}: {one.repeats} repeats and one long stream differ in cycles")
            ratios.append(seconds(case, one) / seconds(case, long))
        print(f"{case.label:32}" + "".join(f"{ratio:10.2f}" for ratio in (*ratios, max(ratios))))


def print_threads(random: np.random.Generator) -> None:
    """Print wall rates of as many streams as threads."""
    case = CASES[4]
    for threads in (1, 2):
        streams = [stream_of(random.integers(0, 1 << 16, (GROUPS, LANES))) for _ in range(threads)]
        best = float("inf")
        for _ in range(1 + TRIES):
            begin = perf_counter()
            list(in_order(lambda stream: run(case, stream), streams, threads))
            best = min(best, perf_counter() - begin)
        rate = threads * GROUPS * LANES / best / 1e6
        print(f"{case.label}, {threads} streams on {threads} threads: {rate:.0f} M requests a second of wall time")


def run(case: Case, stream: RequestStream) -> StreamCycles:
    unit = GatherUnit(
        lanes=LANES, window=case.window, order=case.order, ports=case.ports, coalesce=case.coalesce, latency=2
    )
    pad = Scratchpad(banks=BANKS, hash=case.hash, activation_bytes=1, output_bytes=1)  # type: ignore[arg-type]
    parts = (unit, pad, MacArray(latency=3), ScatterUnit(rmw_cycles=1))
    return run_stream(stream, *parts, interval=case.interval)


def seconds(case: Case, stream: RequestStream) -> float:
    return fastest(lambda: run(case, stream))


def fastest(work: Callable[[], object]) -> float:
    """Return the CPU seconds of the fastest try."""
    best = float("inf")
    for _ in range(1 + TRIES):  # the first compiles or loads
        begin = process_time()
        work()
        best = min(best, process_time() - begin)
    return best


@njit
def memory_sum(words: np.ndarray) -> int:
    total = np.int64(0)
    for word in words:
        total += word
    return total


def loop_seconds(stream: RequestStream, folder: str) -> dict[int, float]:
    """Return the seconds of the C loop by window (1: lockstep); empty without a C compiler."""
    compiler = shutil.which("cc")
    if compiler is None:
        return {}
    library, source = Path(folder) / "gather_loop.so", Path(__file__).with_name("gather_loop.c")
    subprocess.run([compiler, "-O3", "-march=native", "-shared", "-fPIC", "-o", library, source], check=True)
    loop, address = ctypes.CDLL(str(library)), stream.address.ctypes.data_as(ctypes.c_void_p)
    loop.lockstep.restype = loop.out_of_order.restype = ctypes.c_int64
    size = (ctypes.c_int64(GROUPS), ctypes.c_int64(LANES))
    found = {1: fastest(lambda: loop.lockstep(address, *size))}
    pad = Scratchpad(banks=BANKS, activation_bytes=1, output_bytes=1)
    for window in (1, 8, 64):
        width = ctypes.c_int64(window)
        found.setdefault(window, fastest(lambda width=width: loop.out_of_order(address, *size, width)))
        cycles = loop.lockstep(address, *size) if window == 1 else loop.out_of_order(address, *size, width)
        unit = GatherUnit(lanes=LANES, window=window, order="out_of_order", latency=2)
        ours = run_stream(stream, unit, pad, MacArray(latency=3), ScatterUnit(rmw_cycles=1), interval=Fraction(1))
        if cycles != ours.gather:
            raise SystemExit(f"window {window}: the C loop counts {cycles} cycles, the kernel {ours.gather}")
    return found


def main() -> None:
    random = np.random.default_rng(0)
    streams = {
        "random": stream_of(random.integers(0, 1 << 16, (GROUPS, LANES))),
        "conflict-free": stream_of(np.arange(GROUPS)[:, None] * 7 + np.arange(LANES)),
    }
    words = np.zeros(1 << 26, np.int32)
    bound = len(words) / fastest(lambda: memory_sum(words))
    with tempfile.TemporaryDirectory() as folder:
        loops = loop_seconds(streams["random"], folder)
    print(f"memory-read bound, 4 bytes a request: {bound / 1e6:.0f} M requests a CPU second")
    if not loops:
        print("no C compiler")
    for window, taken in loops.items():
        print(f"C loop, window {window}: {GROUPS * LANES / taken / 1e6:.0f} M requests a CPU second")
    heads = (*streams, "of memory", "of C loop")
    print(f"{'M requests a CPU second':32}" + "".join(f"{name:>16}" for name in heads))
    for case in CASES:
        rates = [GROUPS * LANES / seconds(case, stream) for stream in streams.values()]
        plain = case.ports == 1 and case.hash == "none" and not case.coalesce and case.interval == 1
        compared = plain and case.window in loops and (case.window == 1 or case.order == "out_of_order")
        of_loop = f"{rates[0] * loops[case.window] / GROUPS / LANES:16.2f}" if compared else f"{'-':>16}"
        print(
            f"{case.label:32}"
            + "".join(f"{rate / 1e6:16.0f}" for rate in rates)
            + f"{rates[0] / bound:16.3f}"
            + of_loop
        )
    print_repeats(random)
    print_threads(random)


if __name__ == "__main__":
    main()
