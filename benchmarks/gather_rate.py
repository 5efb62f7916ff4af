"""Requests a CPU second that the gather kernels simulate on one core, warm, 16 lanes on 16 banks.

Run: ``python -m benchmarks.gather_rate``. Times all of ``run_stream`` but the checks: banks, grants, MAC and scatter.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from time import process_time

import numpy as np

from simulator.machine import run_stream
from simulator.spec import GatherUnit, MacArray, Order, ScatterUnit, Scratchpad
from traces.stream import RequestStream

LANES = BANKS = 16
GROUPS = 400_000
BUNDLE_GROUPS = 10
TRIES = 5


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


def seconds(case: Case, stream: RequestStream) -> float:
    unit = GatherUnit(
        lanes=LANES, window=case.window, order=case.order, ports=case.ports, coalesce=case.coalesce, latency=2
    )
    pad = Scratchpad(banks=BANKS, hash=case.hash, activation_bytes=1, output_bytes=1)  # type: ignore[arg-type]
    best = float("inf")
    for _ in range(1 + TRIES):  # the first compiles or loads
        begin = process_time()
        run_stream(stream, unit, pad, MacArray(latency=3), ScatterUnit(rmw_cycles=1), interval=case.interval)
        best = min(best, process_time() - begin)
    return best


def main() -> None:
    random = np.random.default_rng(0)
    streams = {
        "random": stream_of(random.integers(0, 1 << 16, (GROUPS, LANES))),
        "conflict-free": stream_of(np.arange(GROUPS)[:, None] * 7 + np.arange(LANES)),
    }
    print(f"{'M requests a CPU second':32}" + "".join(f"{name:>16}" for name in streams))
    for case in CASES:
        rates = (GROUPS * LANES / seconds(case, stream) / 1e6 for stream in streams.values())
        print(f"{case.label:32}" + "".join(f"{rate:16.0f}" for rate in rates))


if __name__ == "__main__":
    main()
