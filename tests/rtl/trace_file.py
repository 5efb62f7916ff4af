"""The files between the tests and the bench: runs in, what the hardware did out. 32-bit little-endian integers."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tests.rtl.build import LATENCY_MOST, PORTS_MOST, SUMS, VECTOR, WINDOW_MOST, WORDS
from tests.rtl.streams import Case, Flat, flatten

Ints = npt.NDArray[np.int64]
MOST_CYCLES = 2_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What the hardware did in a run; -1 for what never happened. ``output`` [WORDS, VECTOR]."""

    cycles: int
    overflow: bool
    finished: bool
    granted: Ints
    consumed: Ints
    start: Ints
    end: Ints
    output: Ints


def play(
    bench: Path, cases: Sequence[Case], folder: Path, fault: int = 0, most_cycles: int = MOST_CYCLES
) -> list[Outcome]:
    """Run ``cases`` on the hardware, one after the other in one process. ``fault`` plants a fault of bank_map.sv."""
    flats = [flatten(case.stream, case.weight, case.target) for case in cases]
    trace, result = folder / "runs.trace", folder / "runs.result"
    with trace.open("wb") as file:
        for case, flat in zip(cases, flats, strict=True):
            for values in _numbers(case, flat, fault, most_cycles):
                file.write(np.ascontiguousarray(values, "<i4").tobytes())
    subprocess.run([str(bench), str(trace), str(result)], check=True, stdin=subprocess.DEVNULL)
    numbers = np.fromfile(result, "<i4").astype(np.int64)
    trace.unlink()
    result.unlink()
    outcomes, first = [], 0
    for flat in flats:
        groups, bundles = len(flat.group_ptr) - 1, len(flat.bundle_end)
        sizes = np.cumsum([3, groups, groups, bundles, bundles, WORDS * VECTOR])
        head, granted, consumed, start, end, output = np.split(numbers[first : first + sizes[-1]], sizes[:-1])
        first += int(sizes[-1])
        outcomes.append(
            Outcome(
                cycles=int(head[0]),
                overflow=bool(head[1]),
                finished=bool(head[2]),
                granted=granted,
                consumed=consumed,
                start=start,
                end=end,
                output=output.reshape(WORDS, VECTOR),
            )
        )
    assert first == len(numbers), "the bench wrote more than it was asked for"
    return outcomes


def _numbers(case: Case, flat: Flat, fault: int, most_cycles: int) -> list[Ints | list[int]]:
    """A run in the order in which bench.cpp reads it."""
    machine = case.machine
    fits = (
        machine.window <= WINDOW_MOST
        and max(machine.latency, machine.mac_latency) <= LATENCY_MOST
        and max(machine.ports, machine.scatter_ports) <= PORTS_MOST
        and max(flat.address.max(), flat.scatter_address.max(initial=0)) < WORDS
        and np.diff(flat.scatter_ptr).max() <= SUMS
    )
    assert fits, f"{case.name} does not fit the hardware: {machine}"
    header = [
        *(len(flat.group_ptr) - 1, len(flat.lane), len(flat.bundle_end), len(flat.scatter_address), WORDS),
        *(most_cycles, fault, machine.window, int(machine.order == "out_of_order"), int(machine.coalesce)),
        *(int(machine.hash == "xor"), machine.ports, machine.latency, machine.interval_num, machine.interval_den),
        *(machine.mac_latency, machine.scatter_ports, machine.rmw_cycles),
    ]
    requests = [flat.lane, flat.address, flat.weight, flat.target]
    bundles = [flat.bundle_end, flat.scatter_ptr, flat.scatter_address]
    return [header, flat.group_ptr, *requests, *bundles, case.activation.ravel(), case.output.ravel()]
