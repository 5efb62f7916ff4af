"""16 nm: all energies scaled from 45, 32 and 28 nm; the SRAM cell is TSMC's.

No source at hand measures this node.
"""

from __future__ import annotations

from costmodel.tables import measured
from costmodel.tables.dram import DRAM_COSTS
from costmodel.tables.scaling import logic_area, scaled_area, scaled_density, scaled_energy
from costmodel.technology import Technology, cited

_DENSITY = scaled_density(measured.TRANSISTORS_PER_UM2, 7, 16)

NM16 = Technology(
    name="16nm",
    node_nm=16,
    summary="FinFET, 0.8 V; all energies scaled (the default)",
    supply_v=cited(0.8, "assumed, as the scaling rule has it"),
    fp32_mac_pj=scaled_energy(measured.FP32_MAC_PJ, 45, 0.9, 16, 0.8),
    fp16_mac_pj=scaled_energy(measured.FP16_MAC_PJ, 45, 0.9, 16, 0.8),
    int8_mac_pj=scaled_energy(measured.INT8_MAC_28_PJ, 28, 0.8, 16, 0.8),
    register_pj_per_bit=scaled_energy(measured.REGISTER_PJ_PER_BIT, 32, 0.8, 16, 0.8),
    sram_bytes=measured.SRAM_8K_BYTES,
    sram_read_pj_per_bit=scaled_energy(measured.SRAM_8K_READ_PJ_PER_BIT, 45, 0.9, 16, 0.8),
    sram_write_pj_per_bit=scaled_energy(measured.SRAM_8K_WRITE_PJ_PER_BIT, 45, 0.9, 16, 0.8),
    wire_pf_per_mm=measured.WIRE_PF_PER_MM,
    wire_toggles=measured.WIRE_TOGGLES,
    fp32_mac_um2=logic_area(measured.FP32_MAC_TRANSISTORS, _DENSITY),
    fp16_mac_um2=logic_area(measured.FP16_MAC_TRANSISTORS, _DENSITY),
    int8_mac_um2=scaled_area(measured.INT8_MAC_28_UM2, 28, 16),
    flip_flop_um2=logic_area(measured.FLIP_FLOP_TRANSISTORS, _DENSITY),
    crosspoint_um2=logic_area(measured.CROSSPOINT_TRANSISTORS, _DENSITY),
    sram_bitcell_um2=cited(
        0.07,
        "TSMC, Chen et al., JSSC 50.1, 2015, 0.074 elsewhere: https://en.wikichip.org/wiki/16_nm_lithography_process",
    ),
    transistors_per_um2=_DENSITY,
    dram=DRAM_COSTS,
)
