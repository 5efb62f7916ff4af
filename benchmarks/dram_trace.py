"""Writes the DRAM requests of one layer, a burst a line, in text that other DRAM simulators read.

Run: ``python -m benchmarks.dram_trace --model resnet50 --layer LAYER --pattern gs:16,1 --sparsity 0.9``.
``--format plain`` is ``0xADDRESS R`` or ``W`` (Ramulator's memory trace); ``dramsim3`` is ``0xADDRESS READ CYCLE``,
with the DRAM cycle in which the transfer is asked for. Weights, inputs, outputs and partial sums lie in regions of
their own (ADR 0012). Prints what the trace holds and what our own DRAM does with it.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

from gatherline.pipeline import RunRequest, lower
from patterns.catalog import parse_pattern
from simulator.devices.catalog import ALL_DEVICES
from simulator.engine import Transfer
from simulator.memory.dram import DramState
from simulator.simulate import layer_transfers
from simulator.spec import Device
from traces.masks import Level, trace_network
from traces.trace import LayerTrace


def lines(transfers: list[Transfer], device: Device, form: str) -> Iterator[str]:
    """Yield one line a burst: every burst that a transfer touches, in the order of asking."""
    burst_bytes = device.dram.burst_bytes
    ticks_hz = device.clock_hz if device.dram.timing is None else device.dram.timing.clock_hz
    for transfer in transfers:
        first = transfer.address // burst_bytes
        last = (transfer.address + transfer.size_bytes - 1) // burst_bytes
        if form == "plain":
            tail = "W" if transfer.is_write else "R"
        else:
            tail = f"{'WRITE' if transfer.is_write else 'READ'} {-(-transfer.cycle * ticks_hz // device.clock_hz)}"
        for burst in range(first, last + 1):
            yield f"0x{burst * burst_bytes:x} {tail}"


def layer_trace(model: str, layer: str, pattern: str, sparsity: float) -> LayerTrace:
    network = lower(RunRequest(model=model))
    traces = trace_network(network, Level(pattern=parse_pattern(pattern), sparsity=sparsity)).traces
    known = {trace.layer.name: trace for trace in traces}
    if layer not in known:
        raise SystemExit(f"model {model} has no layer {layer!r}; it has {', '.join(known)}")
    return known[layer]


def main() -> None:
    devices = {device.name: device for device in ALL_DEVICES}
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--model", default="digits")
    parser.add_argument("--layer", default="conv2")
    parser.add_argument("--pattern", default="gs:16,1")
    parser.add_argument("--sparsity", type=float, default=0.9)
    parser.add_argument("--device", choices=sorted(devices), default="gs-tcm")
    parser.add_argument("--format", choices=("plain", "dramsim3"), default="plain")
    parser.add_argument("--out", type=Path, default=Path("out/benchmarks/dram_trace.txt"))
    asked = parser.parse_args()
    device = devices[asked.device]
    transfers = layer_transfers(layer_trace(asked.model, asked.layer, asked.pattern, asked.sparsity), device)
    asked.out.parent.mkdir(parents=True, exist_ok=True)
    with asked.out.open("w", encoding="ascii") as text:
        count = sum(text.write(line + "\n") and 1 for line in lines(transfers, device, asked.format))
    moved = sum(transfer.size_bytes for transfer in transfers)
    print(f"{asked.out}: {count} bursts of {device.dram.burst_bytes} bytes, {len(transfers)} transfers, {moved} bytes")
    if (timing := device.dram.timing) is not None:
        state = DramState(timing)
        end = 0
        for transfer in transfers:
            end = max(end, state.serve(transfer.address, transfer.size_bytes, transfer.is_write, 0)[1])
        rate = moved * timing.clock_hz / end if end else 0.0
        print(
            f"all at once on {timing.name}: {rate / 1e9:.2f} of {timing.bytes_per_s / 1e9:.2f} GB/s, "
            f"{state.activates} activates, {state.refreshes} refreshes"
        )


if __name__ == "__main__":
    main()
