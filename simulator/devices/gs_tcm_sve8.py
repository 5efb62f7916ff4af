"""The core of Sun et al., arXiv 2112.10898: 8 fp16 lanes, a tightly coupled memory and a gather/scatter engine on it.

A matrix-vector machine: a word is one value, and positions follow each other. A product is run by vector instructions
(``Core``); a software-triggered prefetcher streams weights; results go to cacheable memory, under gs_scatter to the
second half of the scratchpad. Structure and instruction counts follow the paper's description and the kernels its
authors published; clock, latencies, widths of issue and prefetch are not public, and are assumed.
Leaves out: caches and their misses (weights come through the prefetch buffer), the core's register and queue limits.
"""

from __future__ import annotations

from simulator.devices.gs_tcm import GS_TCM
from simulator.spec import (
    Core,
    Device,
    GatherUnit,
    MacArray,
    ScatterUnit,
    Scratchpad,
    VectorUnit,
    WeightBuffer,
    Widths,
)

KERNELS = "published kernels: alibaba-archive/sparse-computation-using-TCM-and-gather-scatter-engine, test-sve/src"

GS_TCM_SVE8 = Device(
    name="gs-tcm-sve8",
    summary="the core of arXiv 2112.10898: 8 fp16 lanes, 64 KB scratchpad, vector instructions (latencies assumed)",
    clock_hz=1_000_000_000,  # assumed
    vector=1,  # a gather returns 8 values of one position, not of 8 positions
    scratchpad=Scratchpad(
        banks=8,  # one for each lane
        activation_bytes=32 * 1024,  # 64 KB in two halves, in turn for activations, or the second for results
        output_bytes=32 * 1024,  # of one buffer: half the scratchpad; elsewhere results have as much in the cache
        scatter_half=True,  # results of gs_scatter; that tiles of a layer take turns within a half is assumed
    ),
    gather=GatherUnit(lanes=8, window=1, order="in_order", ports=1, latency=2),  # 8 x 16 bit; window, latency assumed
    weight_buffer=WeightBuffer(bytes=128 * 1024, bytes_per_cycle=32),  # assumed: prefetched ahead; two loads a cycle
    mac=MacArray(latency=4),  # assumed
    scatter=ScatterUnit(rmw_cycles=1, ports=1),  # assumed: a vector store a cycle
    vector_unit=VectorUnit(elements_per_cycle=8),  # its 8 lanes
    core=Core(issue_width=2),  # assumed; the report has 1, 2 and 4
    dram=GS_TCM.dram,  # assumed to be the same
    widths=Widths(value_bytes=2, index_bytes=2, pointer_bytes=4, sum_bytes=4),  # fp16, 16-bit indices, 32-bit pointers
    sources={
        "*": "assumed",
        "gather.lanes": f"8 x fp16 of a 128-bit vector; {KERNELS}",
        "scratchpad.banks": "one for each lane: GS(8,k) of arXiv 2112.10898",
        "scratchpad.activation_bytes": f"64 KB in two halves; {KERNELS} (32768 values of 2 bytes)",
        "core.gather_instructions": f"two vector loads, a gather, a multiply-add; {KERNELS}",
        "core.block_instructions": "value load, index load, vector or broadcast load, multiply-add; "
        f"block 8x1: {KERNELS}; block 1x8: assumed alike",
        "core.dense_instructions": "weight load and multiply-add; an activation load for 8 rows",
        "widths": f"fp16 values, 16-bit indices, 32-bit pointers; {KERNELS}; 32-bit sums assumed",
    },
)
