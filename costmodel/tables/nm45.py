"""45 nm: energies of Horowitz, ISSCC 2014.

Its arithmetic and its 8 KB cache are measured at this node; registers and logic areas are scaled to it.
"""

from __future__ import annotations

from costmodel.tables import measured
from costmodel.tables.dram import DRAM_COSTS
from costmodel.tables.scaling import logic_area, scaled_area, scaled_density, scaled_energy
from costmodel.technology import Technology, cited

_DENSITY = scaled_density(measured.TRANSISTORS_PER_UM2, 7, 45)

NM45 = Technology(
    name="45nm",
    node_nm=45,
    summary="planar, 0.9 V; arithmetic and SRAM energies of Horowitz ISSCC 2014",
    supply_v=cited(0.9, "Horowitz ISSCC 2014"),
    fp32_mac_pj=measured.FP32_MAC_PJ,
    fp16_mac_pj=measured.FP16_MAC_PJ,
    int8_mac_pj=measured.INT8_MAC_45_PJ,
    register_pj_per_bit=scaled_energy(measured.REGISTER_PJ_PER_BIT, 32, 0.8, 45, 0.9),
    sram_bytes=measured.SRAM_8K_BYTES,
    sram_read_pj_per_bit=measured.SRAM_8K_READ_PJ_PER_BIT,
    sram_write_pj_per_bit=measured.SRAM_8K_WRITE_PJ_PER_BIT,
    wire_pf_per_mm=measured.WIRE_PF_PER_MM,
    wire_toggles=measured.WIRE_TOGGLES,
    fp32_mac_um2=logic_area(measured.FP32_MAC_TRANSISTORS, _DENSITY),
    fp16_mac_um2=logic_area(measured.FP16_MAC_TRANSISTORS, _DENSITY),
    int8_mac_um2=scaled_area(measured.INT8_MAC_28_UM2, 28, 45),
    flip_flop_um2=logic_area(measured.FLIP_FLOP_TRANSISTORS, _DENSITY),
    crosspoint_um2=logic_area(measured.CROSSPOINT_TRANSISTORS, _DENSITY),
    sram_bitcell_um2=cited(
        0.346, "Intel P1266, Bohr, January 2006: http://www.pcpro.co.uk/news/82953/intel-declares-itself-on-45nm-track"
    ),
    transistors_per_um2=_DENSITY,
    dram=DRAM_COSTS,
)
