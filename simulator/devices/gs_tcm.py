"""A gather-scatter processor with tightly coupled memory: one core, 16 lanes, 16 banks, lockstep groups.

All numbers are assumed: a plausible edge accelerator around the GS patterns of Sun et al., arXiv 2112.10898. The
paper's own core is a preset of its own.
"""

from __future__ import annotations

from dataclasses import replace

from simulator.memory.timings import LPDDR4X_4267
from simulator.spec import (
    Device,
    Dram,
    GatherUnit,
    MacArray,
    ScatterUnit,
    Scratchpad,
    SecondLevel,
    VectorUnit,
    WeightBuffer,
    Widths,
)

GS_TCM = Device(
    name="gs-tcm",
    summary="gather/scatter core, 16 lanes x 16 positions, lockstep groups (numbers assumed)",
    clock_hz=1_000_000_000,  # assumed
    vector=16,  # assumed
    scratchpad=Scratchpad(
        banks=16,  # assumed
        activation_bytes=256 * 1024,  # assumed; each of two buffers
        output_bytes=64 * 1024,  # assumed; 128 KiB as two buffers, so that DMA out overlaps compute (ADR 0003)
    ),
    gather=GatherUnit(lanes=16, window=1, order="in_order", ports=1, latency=2),  # assumed
    weight_buffer=WeightBuffer(bytes=128 * 1024, bytes_per_cycle=64),  # assumed; each of two buffers
    mac=MacArray(latency=3),  # assumed
    scatter=ScatterUnit(rmw_cycles=1, ports=1),  # assumed
    vector_unit=VectorUnit(elements_per_cycle=64),  # assumed
    # LPDDR4X-4267, 2 x 16 bit: 17.07 GB/s; 50 ns from the bus to the scratchpad at 1 GHz are assumed
    dram=Dram.timed(LPDDR4X_4267, latency_cycles=50),
    widths=Widths(value_bytes=2, index_bytes=2, pointer_bytes=4, sum_bytes=4),  # fp16, 16-bit indices, 32-bit sums
    sources={
        "*": "assumed",
        "dram.bytes_per_s": "LPDDR4X-4267 at 2 x 16 bit (JEDEC rate x width), peak",
        "dram.burst_bytes": "LPDDR4 burst length 16 x 16 bit",
        "dram.timing": "DRAMsim3 LPDDR4_8Gb_x16_2400.ini; scaled to 4.267 GT/s, queue and turnaround: assumed",
    },
)

GS_TCM_OOO = replace(
    GS_TCM,
    name="gs-tcm-ooo",
    summary="gs-tcm with a window of 8 groups and out-of-order grants (numbers assumed)",
    gather=replace(GS_TCM.gather, window=8, order="out_of_order"),
)

GS_TCM_X4 = replace(
    GS_TCM,
    name="gs-tcm-x4",
    summary="four gs-tcm cores on one DRAM, with a second level of 2 MiB (numbers assumed)",
    cores=4,  # assumed
    second_level=SecondLevel(bytes=2 * 1024 * 1024, bytes_per_cycle=64),  # assumed; the port moves a burst a cycle
)
