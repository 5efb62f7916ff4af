"""PYNQ-Z2 (XC7Z020): engines on a small 7-series part, whose DSPs take one int8 product, and a 32-bit DDR3."""

from dataclasses import replace

from costmodel.fabric import Resources
from costmodel.fpga_device import BOARD_STORE, FINN, ULTRASCALE_COSTS, fpga

PYNQ_Z2 = fpga(
    name="pynq-z2",
    summary="PYNQ-Z2 (XC7Z020), engines of this design at up to 100 MHz, DDR3 of the processor",
    clock_hz=100_000_000,
    total=Resources(dsp=220, bram36=140, uram=0, lut=53_200),
    shell=Resources(dsp=0, bram36=0, uram=0, lut=0),
    main_bytes_per_s=3_360_000_000,
    vector_macs=(("fp32", 2), ("fp16", 3), ("int8", 8)),
    costs=replace(ULTRASCALE_COSTS, positions_per_dsp=(("fp32", 1), ("fp16", 1), ("int8", 1))),
    sources={
        "units.0.clock_hz": "assumed: the usual fabric clock of its overlays",
        "levels.dram": f"{BOARD_STORE} pynq-z2 preset: 32 bits of DDR3-1050, 4.2 GB/s; 80 % of it assumed",
        "fabric.total": f"{FINN}: XC7Z020, 280 BRAM18",
        "fabric.shell": "the DDR controller is hard; interconnect assumed to take nothing",
        "fabric.costs.positions_per_dsp": "assumed: Xilinx WP486 packs two in a DSP48E2, and 7-series has the DSP48E1",
    },
)
