"""ZCU111 (XCZU28DR): engines sized by its DSPs, memories and LUTs, on the DDR4 of the programmable logic."""

from costmodel.fabric import Resources
from costmodel.fpga_device import BOARD_STORE, FINN, fpga

ZCU111 = fpga(
    name="zcu111",
    summary="ZCU111 (XCZU28DR), engines of this design at up to 200 MHz, DDR4 of the logic",
    clock_hz=200_000_000,
    total=Resources(dsp=4272, bram36=1080, uram=80, lut=425_000),
    shell=Resources(dsp=3, bram36=100, uram=0, lut=33_256),
    main_bytes_per_s=17_064_000_000,
    vector_macs=(("fp32", 38), ("fp16", 64), ("int8", 192)),
    sources={
        "units.0.clock_hz": "assumed: that of the ZCU102, the same family",
        "levels.dram": f"{BOARD_STORE} zcu111 preset: PL DDR4 21.33 GB/s; 80 % of it assumed",
        "fabric.total": f"{FINN}: XCZU28DR, LUT rounded there, 2160 BRAM18",
        "fabric.shell": f"assumed: one DDR4 controller as on an Alveo, {FINN}: 33256 LUT, 199 BRAM18, 3 DSP",
    },
)
