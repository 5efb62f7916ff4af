"""7 nm: int8 and SRAM energies of a TPUv4i model, the rest scaled from 45 and 32 nm.

The SRAM's reference is a macro of 4 MB here, 8 KB at the other nodes: the rule over sizes bridges a factor of 512.
"""

from __future__ import annotations

from costmodel.tables import measured
from costmodel.tables.dram import DRAM_COSTS
from costmodel.tables.scaling import logic_area, scaled_area, scaled_energy
from costmodel.technology import Technology, cited

_DENSITY = measured.TRANSISTORS_PER_UM2

NM7 = Technology(
    name="7nm",
    node_nm=7,
    summary="FinFET, 0.7 V; int8 and SRAM energies of a TPUv4i model, floating point scaled",
    supply_v=cited(0.7, "assumed, as the scaling rule has it"),
    fp32_mac_pj=scaled_energy(measured.FP32_MAC_PJ, 45, 0.9, 7, 0.7),
    fp16_mac_pj=scaled_energy(measured.FP16_MAC_PJ, 45, 0.9, 7, 0.7),
    int8_mac_pj=measured.INT8_MAC_7_PJ,
    register_pj_per_bit=scaled_energy(measured.REGISTER_PJ_PER_BIT, 32, 0.8, 7, 0.7),
    sram_bytes=measured.SRAM_4M_BYTES,
    sram_read_pj_per_bit=measured.SRAM_4M_READ_PJ_PER_BIT,
    sram_write_pj_per_bit=measured.SRAM_4M_WRITE_PJ_PER_BIT,
    wire_pf_per_mm=measured.WIRE_PF_PER_MM,
    wire_toggles=measured.WIRE_TOGGLES,
    fp32_mac_um2=logic_area(measured.FP32_MAC_TRANSISTORS, _DENSITY),
    fp16_mac_um2=logic_area(measured.FP16_MAC_TRANSISTORS, _DENSITY),
    int8_mac_um2=scaled_area(measured.INT8_MAC_28_UM2, 28, 7),
    flip_flop_um2=logic_area(measured.FLIP_FLOP_TRANSISTORS, _DENSITY),
    crosspoint_um2=logic_area(measured.CROSSPOINT_TRANSISTORS, _DENSITY),
    sram_bitcell_um2=cited(0.027, "TSMC, ISSCC 2017: https://en.wikichip.org/wiki/7_nm_lithography_process"),
    transistors_per_um2=_DENSITY,
    dram=DRAM_COSTS,
)
