"""The tables of ``docs/machine.md``, made by the plain-Python twin; ``python -m tests.machine_document`` rewrites them.

One small stream on three gather units: one group at a time, and a window of four groups, in order and out of order.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from unittest import mock

import numpy as np

from simulator.devices.gs_tcm import GS_TCM
from simulator.schedule.program import Program, TileRun, Visit
from simulator.simulate import LayerFacts, run_program
from simulator.spec import Device
from tests.reference import machine as twin
from traces.layer import MatrixLayer, Window
from traces.layout import channel_pitch, column_banks, row_pitch, window_offsets
from traces.stream import RequestStream

DOCUMENT = Path(__file__).parents[1] / "docs" / "machine.md"
TABLE = re.compile(r"(<!-- table: ([a-z ]+) -->\n)((?:\|.*\n)*)")

GROUPS = [
    [(0, 14), (1, 13), (2, 6), (3, 2)],
    [(0, 12), (1, 15), (3, 13)],
    [(0, 9), (1, 4), (2, 3), (3, 11)],
    [(0, 0), (1, 3), (2, 7)],
    [(1, 1), (2, 10), (3, 5)],
]
STREAM = twin.Stream(groups=GROUPS, bundle_end=[3, 5], scatter=[[0, 4, 8], [1]])
LOCKSTEP = twin.Machine(lanes=4, banks=4, window=1, latency=2, mac_latency=3)
IN_ORDER = replace(LOCKSTEP, window=4)
OUT_OF_ORDER = replace(LOCKSTEP, window=4, order="out_of_order")
MACHINES = {"lockstep": LOCKSTEP, "in order": IN_ORDER, "out of order": OUT_OF_ORDER}
CAUSES = ("dram", "conflict", "scatter", "interval", "imbalance", "padding", "vector")
TITLES = {
    "lockstep": "`window = 1`",
    "in order": "`window = 4`, in order",
    "out of order": "`window = 4`, out of order",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Cycle:
    """What the gather unit held, offered and granted in a cycle: (group, lane, address) each."""

    visible: list[tuple[int, int, int]]
    offered: list[tuple[int, int, int]]
    granted: set[tuple[int, int, int]]


def play(machine: twin.Machine) -> tuple[list[Cycle], twin.Outcome]:
    """Run the twin and keep what it decided in each cycle."""
    cycles: list[Cycle] = []
    offer, grant = twin._offered, twin._grant
    seen: list[list[twin._Request]] = []

    def offering(of: twin.Machine, pending: list[twin._Request]) -> list[twin._Request]:
        seen.append(list(pending))
        return offer(of, pending)

    def granting(of: twin.Machine, offered: list[twin._Request]) -> set[twin._Request]:
        granted = grant(of, offered)
        cycles.append(
            Cycle(
                visible=[tuple(r) for r in seen[-1]],
                offered=[tuple(r) for r in offered],
                granted={tuple(r) for r in granted},
            )
        )
        return granted

    with mock.patch.object(twin, "_offered", offering), mock.patch.object(twin, "_grant", granting):
        outcome = twin.run(machine, STREAM)
    return cycles, outcome


def request_stream() -> RequestStream:
    """The example as the kernels take it."""
    requests = [request for group in GROUPS for request in group]
    return RequestStream(
        name="example",
        group_ptr=np.cumsum([0, *map(len, GROUPS)]),
        lane=np.array([lane for lane, _ in requests], np.int16),
        address=np.array([address for _, address in requests], np.int64),
        bundle_end=np.array(STREAM.bundle_end, np.int64),
        scatter_ptr=np.cumsum([0, *map(len, STREAM.scatter)]),
        scatter_address=np.array([address for bundle in STREAM.scatter for address in bundle], np.int64),
    )


def device(machine: twin.Machine) -> Device:
    """The example's machine as a device: one position a word, a group a cycle, nothing to load."""
    return replace(
        GS_TCM,
        vector=1,
        scratchpad=replace(GS_TCM.scratchpad, banks=machine.banks),
        gather=replace(
            GS_TCM.gather, lanes=machine.lanes, window=machine.window, order=machine.order, latency=machine.latency,
            interval=Fraction(machine.interval_num, machine.interval_den),
        ),
        mac=replace(GS_TCM.mac, latency=machine.mac_latency),
    )  # fmt: skip


def markdown(header: list[str], rows: list[list[object]]) -> str:
    """Return a table."""
    lines = [header, ["---"] * len(header), *([str(cell) for cell in row] for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def stream_table() -> str:
    """Each group's requests, the bank of each, and what the group costs alone."""
    rows: list[list[object]] = []
    for g, group in enumerate(GROUPS):
        cells = dict.fromkeys(range(LOCKSTEP.lanes), "")
        for lane, address in group:
            cells[lane] = f"{address} → b{twin.bank_of(LOCKSTEP, address)}"
        loads = [sum(twin.bank_of(LOCKSTEP, a) == bank for _, a in group) for bank in range(LOCKSTEP.banks)]
        bundle = sum(past <= g for past in STREAM.bundle_end)
        rows.append([g, bundle, *cells.values(), max(loads)])
    lanes = [f"lane {lane}" for lane in range(LOCKSTEP.lanes)]
    return markdown(["group", "bundle", *lanes, "fullest bank"], rows)


def _said(requests: list[tuple[int, int, int]]) -> str:
    return " ".join(f"{group}.{lane}" for group, lane, _ in requests)


def cycle_table(name: str) -> str:
    """What happens in each cycle until the last scatter has ended."""
    machine = MACHINES[name]
    cycles, out = play(machine)
    rows: list[list[object]] = []
    retired = list(np.maximum.accumulate(out.granted))
    for t in range(out.cycles):
        at = cycles[t] if t < len(cycles) else Cycle(visible=[], offered=[], granted=set())
        by_bank = [
            _said([r for r in at.offered if r in at.granted and twin.bank_of(machine, r[2]) == bank])
            for bank in range(machine.banks)
        ]
        refused = _said([request for request in at.offered if request not in at.granted])
        hidden = _said([request for request in at.visible if request not in at.offered])
        dispatched = " ".join(str(g) for g, when in enumerate(out.dispatched) if when == t)
        done = " ".join(str(g) for g, when in enumerate(retired) if when == t)
        consumed = " ".join(str(g) for g, when in enumerate(out.consumed) if when == t)
        writes = " ".join(str(b) for b, span in enumerate(zip(out.start, out.end, strict=True)) if t in range(*span))
        rows.append([t, dispatched, *by_bank, refused, hidden, done, consumed, writes])
    banks = [f"bank {bank}" for bank in range(machine.banks)]
    return markdown(["t", "dispatch", *banks, "refused", "hidden", "retire", "MAC", "scatter"], rows)


def group_table() -> str:
    """granted(g) and m(g) of each group."""
    outcomes = [play(machine)[1] for machine in MACHINES.values()]
    rows: list[list[object]] = []
    for g in range(len(GROUPS)):
        cells = [[out.granted[g], out.consumed[g]] for out in outcomes]
        rows.append([g, *(number for cell in cells for number in cell)])
    names = [f"{what}(g), {name}" for name in MACHINES for what in ("granted", "m")]
    return markdown(["group", *names], rows)


def bundle_table() -> str:
    """Ready, start, cost and end of each bundle."""
    rows: list[list[object]] = []
    for name, machine in MACHINES.items():
        out = play(machine)[1]
        for b, past in enumerate(STREAM.bundle_end):
            ready = out.consumed[past - 1] + machine.mac_latency
            addresses = ", ".join(str(address) for address in STREAM.scatter[b])
            rows.append([TITLES[name], b, addresses, out.cost[b], ready, out.start[b], out.end[b]])
    return markdown(["gather unit", "bundle", "output addresses", "c(b)", "ready(b)", "start(b)", "end(b)"], rows)


def total_table() -> str:
    """Cycles of the whole stream, and the most words that waited."""
    rows: list[list[object]] = []
    for name, machine in MACHINES.items():
        out = play(machine)[1]
        rows.append([TITLES[name], out.gather_cycles, out.cycles, out.waiting])
    return markdown(["gather unit", "gather_cycles", "cycles", "most waiting words"], rows)


def lost_table() -> str:
    """The cycles lost to each cause, and those that multiply."""
    header = ["gather unit", *CAUSES, "effectual", "total"]
    rows: list[list[object]] = []
    for name, machine in MACHINES.items():
        stream = request_stream()
        macs = len(stream.address)
        program = Program(
            visits=(Visit(stream=stream, runs=(TileRun(repeats=1, load_bytes=0, store_bytes=0),)),),
            macs_effectual=macs,
            slot_macs=macs,
        )
        facts = LayerFacts(
            layer="example", kind="trace", m=0, k=0, p=0, groups=1, density=None, macs_dense=macs, activation_bytes=0
        )
        cycles = run_program(facts, program, device(machine)).cycles
        assert cycles is not None
        assert not any(lost for cause, lost in cycles.lost.items() if cause not in CAUSES)
        lost = [f"{cycles.lost[cause]:g}" for cause in CAUSES]
        rows.append([TITLES[name], *lost, f"{cycles.effectual:g}", cycles.total])
    return markdown(header, rows)


def layout_table() -> str:
    """Where the columns of a 2x2 window lie: a layer with as many channels as banks, and one with fewer."""
    rows: list[list[object]] = []
    for channels, width in ((4, 5), (6, 5), (3, 5)):
        layer = MatrixLayer(
            name="conv", kind="conv2d", m=1, k=4 * channels,
            window=Window(kernel=(2, 2), in_hw=(2, width), out_hw=(1, width - 1)),
        )  # fmt: skip
        pitch = row_pitch(width, 2, channels, 4)
        offsets = window_offsets(layer.window, pitch, channel_pitch(channels, 4), np.arange(channels, dtype=np.int64))
        banks = column_banks(layer, 4)[0]
        places = [0, 1, channels, 2 * channels]
        cells = [f"{offsets[k]} → b{banks[k]}" for k in places]
        rows.append([channels, channel_pitch(channels, 4), pitch, *cells])
    header = ["Ci", "Cp", "pitch", "y 0, x 0, c 0", "y 0, x 0, c 1", "y 0, x 1, c 0", "y 1, x 0, c 0"]
    return markdown(header, rows)


TABLES: dict[str, Callable[[], str]] = {
    "stream": stream_table,
    "lockstep": lambda: cycle_table("lockstep"),
    "in order": lambda: cycle_table("in order"),
    "out of order": lambda: cycle_table("out of order"),
    "groups": group_table,
    "bundles": bundle_table,
    "totals": total_table,
    "lost": lost_table,
    "layout": layout_table,
}


def rewritten(text: str) -> str:
    """Return the document with every table made again. Raises KeyError for a table that nothing makes."""
    return TABLE.sub(lambda found: f"{found[1]}{TABLES[found[2]]()}\n", text)


if __name__ == "__main__":
    DOCUMENT.write_text(rewritten(DOCUMENT.read_text(encoding="utf-8")), encoding="utf-8")
