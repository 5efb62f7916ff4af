"""Alveo U280 (XCU280): engines on three super logic regions as if they were one, and 32 ports of HBM2."""

from costmodel.fabric import Resources
from costmodel.fpga_device import FINN, fpga

U280 = fpga(
    name="u280",
    summary="Alveo U280, engines of this design at up to 300 MHz, 32 ports of HBM2",
    clock_hz=300_000_000,
    total=Resources(dsp=8496, bram36=1752, uram=960, lut=1_163_520),
    shell=Resources(dsp=3, bram36=221, uram=0, lut=374_776),
    main_bytes_per_s=368_000_000_000,
    vector_macs=(("fp32", 76), ("fp16", 128), ("int8", 384)),
    sources={
        "units.0.clock_hz": "assumed: the default kernel clock of Alveo platforms",
        "levels.dram": "docs.amd.com UG1393 2021.2: 460 GB/s on 32 pseudo channels of HBM2; 80 % of it assumed",
        "fabric.total": f"{FINN}: sum of the three regions",
        "fabric.shell": f"{FINN}: 3 DSP, 186 BRAM18 and 31800 LUT of region 0, after UG1120, and 32 HBM ports of 8 "
        "BRAM18 and 10718 LUT",
    },
)
