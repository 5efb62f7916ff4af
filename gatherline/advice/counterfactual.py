"""A layer or a device with one thing taken away, so that the same models can say what it cost.

Left out: what no model lets go of by itself; idle lanes and padding come from counts and the attribution of cycles.
"""

from __future__ import annotations

from dataclasses import replace
from math import ceil

import numpy as np

from costmodel.sparse import block_row_counts
from costmodel.spec import RooflineDevice
from costmodel.spmv import StreamKernel
from gatherline.request import Target
from patterns.base import Mask
from patterns.block import Block
from simulator.spec import Device, Dram
from traces.layer import MatrixLayer
from traces.trace import LayerTrace

WIDEST_BYTES = 8  # of an index or a pointer: 64 bits
FAST = 1e6  # times as fast: no layer waits for it
MOST_BYTES_PER_S = (1 << 48) - 1  # that a gather machine's DRAM may have


def other_index_width(device: RooflineDevice, kernel: str) -> tuple[RooflineDevice, int]:
    """Return ``device`` with indices of one byte more in ``kernel`` (less where they are the widest), and the step."""
    return _with_width(device, kernel, "index_bytes")


def other_pointer_width(device: RooflineDevice, kernel: str) -> tuple[RooflineDevice, int]:
    """Return ``device`` with pointers of one byte more in ``kernel``, or less where they are the widest."""
    return _with_width(device, kernel, "pointer_bytes")


def _with_width(device: RooflineDevice, kernel: str, name: str) -> tuple[RooflineDevice, int]:
    widths = [getattr(one, name) for one in device.kernels if one.name == kernel]
    step = 1 if max(widths) < WIDEST_BYTES else -1
    kernels = tuple(
        replace(one, **{name: getattr(one, name) + step}) if one.name == kernel else one for one in device.kernels
    )
    return replace(device, kernels=kernels), step


def with_faster_weight_buffer(device: Device, times: float) -> Device:
    """Return ``device`` with a weight buffer that delivers ``times`` the bytes a cycle."""
    buffer = device.weight_buffer
    return replace(device, weight_buffer=replace(buffer, bytes_per_cycle=ceil(buffer.bytes_per_cycle * times)))


def with_fast_dram(device: Target) -> Target:
    """Return ``device`` with a main memory that nothing waits for."""
    if isinstance(device, Device):
        rate = min(int(device.dram.bytes_per_s * FAST), MOST_BYTES_PER_S)
        burst = device.dram.burst_bytes
        return replace(device, dram=Dram(bytes_per_s=rate, burst_bytes=burst, latency_cycles=1))
    main = device.levels[-1]
    faster = replace(
        main,
        unit_bytes_per_s=int(main.unit_bytes_per_s * FAST),
        total_bytes_per_s=int(main.total_bytes_per_s * FAST),
    )
    kernels = tuple(
        replace(one, dram_bytes_per_s=int(one.dram_bytes_per_s * FAST)) if isinstance(one, StreamKernel) else one
        for one in device.kernels
    )
    return replace(device, levels=(*device.levels[:-1], faster), kernels=kernels)


def without_conflicts(device: Device) -> Device:
    """Return ``device`` with a port for every lane in every bank."""
    return replace(device, gather=replace(device.gather, ports=device.gather.lanes))


def with_batch(trace: LayerTrace, times: int) -> LayerTrace:
    """Return ``trace`` with ``times`` as many samples in flight."""
    layer = trace.layer
    assert isinstance(layer, MatrixLayer)
    return replace(trace, layer=replace(layer, batch=layer.batch * times))


def evened(trace: LayerTrace) -> LayerTrace:
    """Return ``trace`` with as many kept weights, or blocks of its pattern, in each row, as nearly as whole numbers go.

    Rows with too many lose some at even distances, rows with too few gain some at random places (seed 0); no other
    place moves.
    """
    assert trace.mask is not None
    pattern = trace.pattern
    rows, columns = (pattern.height, pattern.width) if isinstance(pattern, Block) else (1, 1)
    mask = _evened_blocks(trace.mask, rows, columns)
    return replace(trace, mask=mask)


def _evened_blocks(mask: Mask, rows: int, columns: int) -> Mask:
    groups, m, k = mask.shape
    padded = np.pad(mask, ((0, 0), (0, -m % rows), (0, -k % columns)))
    down, across = padded.shape[1] // rows, padded.shape[2] // columns
    blocks = padded.reshape(groups, down, rows, across, columns).transpose(0, 1, 3, 2, 4).copy()
    kept = block_row_counts(mask, rows, columns).reshape(-1)
    flat = blocks.reshape(groups * down, across, rows, columns)
    target = np.full(kept.size, int(kept.sum()) // kept.size)
    target[np.argsort(-kept, kind="stable")[: int(kept.sum()) % kept.size]] += 1  # the fullest rows keep the rest
    random = np.random.default_rng(0)
    for row in np.flatnonzero(kept != target):
        full = flat[row].any(axis=(1, 2))
        there, free = np.flatnonzero(full), np.flatnonzero(~full)
        more = int(target[row] - kept[row])
        if more > 0:
            flat[row, random.permutation(free)[:more]] = True
        else:
            flat[row, there[np.linspace(0, there.size - 1, -more).astype(np.int64)]] = False
    whole = flat.reshape(groups, down, across, rows, columns).transpose(0, 1, 3, 2, 4)
    return np.ascontiguousarray(whole.reshape(padded.shape)[:, :m, :k])
