"""ZCU102 (XCZU9EG): engines sized by its DSPs, memories and LUTs, on the processor's DDR4, which takes no fabric."""

from costmodel.fabric import Resources
from costmodel.fpga_device import BOARD_STORE, FINN, fpga

ZCU102 = fpga(
    name="zcu102",
    summary="ZCU102 (XCZU9EG), engines of this design at up to 200 MHz, DDR4 of the processor",
    clock_hz=200_000_000,
    total=Resources(dsp=2520, bram36=912, uram=0, lut=274_000),
    shell=Resources(dsp=0, bram36=0, uram=0, lut=0),
    main_bytes_per_s=13_656_000_000,
    vector_macs=(("fp32", 22), ("fp16", 37), ("int8", 112)),
    sources={
        "units.0.clock_hz": "arxiv.org/abs/2403.20230: EfficientViT accelerator on a ZCU102 at 200 MHz",
        "levels.dram": f"{BOARD_STORE} zcu102 preset: PS DDR4 17.07 GB/s; 80 % of it assumed",
        "fabric.total": f"{FINN}: XCZU9EG, LUT rounded there, 1824 BRAM18",
        "fabric.shell": "the DDR controller is hard; interconnect assumed to take nothing",
    },
)
