"""Alveo U250 (XCU250): engines on four super logic regions as if they were one, and four channels of DDR4."""

from costmodel.fabric import Resources
from costmodel.fpga_device import FINN, fpga

U250 = fpga(
    name="u250",
    summary="Alveo U250, engines of this design at up to 300 MHz, four channels of DDR4",
    clock_hz=300_000_000,
    total=Resources(dsp=11_520, bram36=2304, uram=1280, lut=1_500_000),
    shell=Resources(dsp=24, bram36=702, uram=0, lut=253_024),
    main_bytes_per_s=61_600_000_000,
    vector_macs=(("fp32", 102), ("fp16", 170), ("int8", 512)),
    sources={
        "units.0.clock_hz": "assumed: the default kernel clock of Alveo platforms",
        "levels.dram": "docs.amd.com UG1393 2021.2: 77 GB/s on four DDR4 channels; 80 % of it assumed",
        "fabric.total": f"{FINN}: 4 x (2880 DSP, 1152 BRAM18, 320 URAM, 375000 LUT)",
        "fabric.shell": f"{FINN}: 4 x (3 DSP, 152 BRAM18, 30000 LUT) less than all, after UG1120, and four DDR4 "
        "controllers of 3 DSP, 199 BRAM18 and 33256 LUT",
    },
)
