"""Numbers that a source gives for one node; the files of the nodes take them as they are or scale them.

Where sources disagree: docs/energy.md.
"""

from __future__ import annotations

from costmodel.technology import cited

HOROWITZ = "Horowitz ISSCC 2014, 45 nm 0.9 V, transcribed in https://pmc.ncbi.nlm.nih.gov/articles/PMC8934428/table/T3"
HOROWITZ_CODE = "Horowitz ISSCC 2014, 45 nm 0.9 V, as quoted in stillwater-sc/universal energy/generic_45nm.hpp"
TPU = "7 nm model of TPUv4i: Accelergy-Project/accelforge examples/arches/tpu_v4i.yaml @1c1929c28dbf"
UPCYCLE = "int8 MAC, 28 nm, 1 ns: VerticalResearchGroup/upcycle upcycle/pat/reflib.py; 0.8 V assumed"
EYERISS_LIKE = (
    "register file 12 x 16 bit, 32 nm, read 0.202 + write 0.177 pJ over 16 bit: Accelergy-Project/"
    "timeloop-accelergy-exercises eyeriss_like @2d5510807128; 0.8 V assumed"
)
LLMCOMPASS = "PrincetonUniversity/LLMCompass cost_model.py @2e015fd2ee75"

# 45 nm, 0.9 V
FP32_MAC_PJ = cited(3.7 + 0.9, f"fp32 multiply 3.7 + fp32 add 0.9: {HOROWITZ}")
FP16_MAC_PJ = cited(1.1 + 0.9, f"fp16 multiply 1.1 ({HOROWITZ_CODE}) + fp32 add 0.9 ({HOROWITZ})")
INT8_MAC_45_PJ = cited(0.2 + 0.1, f"int8 multiply 0.2 ({HOROWITZ_CODE}) + int32 add 0.1 ({HOROWITZ})")
SRAM_8K_BYTES = cited(8 * 1024, HOROWITZ)
SRAM_8K_READ_PJ_PER_BIT = cited(10 / 64, f"8 KB cache, 10 pJ for 64 bit: {HOROWITZ}")
SRAM_8K_WRITE_PJ_PER_BIT = cited(10 / 64 * 0.293 / 0.249, f"assumed: the read x 0.293/0.249, as in {TPU}")
# 32 nm
REGISTER_PJ_PER_BIT = cited((0.202 + 0.177) / 16, EYERISS_LIKE)
# 28 nm
INT8_MAC_28_PJ = cited(0.2831, UPCYCLE)
INT8_MAC_28_UM2 = cited(336.672, UPCYCLE)
# 7 nm
INT8_MAC_7_PJ = cited(0.084, TPU)
SRAM_4M_BYTES = cited(4 * 1024 * 1024, f"VMEM, {TPU}")
SRAM_4M_READ_PJ_PER_BIT = cited(0.249, f"VMEM, {TPU}")
SRAM_4M_WRITE_PJ_PER_BIT = cited(0.293, f"VMEM, {TPU}")
TRANSISTORS_PER_UM2 = cited(114.2, f"logic density at 6 nm, taken for 7 nm: {LLMCOMPASS}")

# any node: transistors
FP32_MAC_TRANSISTORS = cited(134_069, f"transistors, FPU64 685,300 x (23/52)^2: {LLMCOMPASS}")
FP16_MAC_TRANSISTORS = cited(25_344, f"transistors, FPU64 685,300 x (10/52)^2: {LLMCOMPASS}")
FLIP_FLOP_TRANSISTORS = cited(24, "transistors, assumed: a D flip-flop cell")
CROSSPOINT_TRANSISTORS = cited(12, "transistors, assumed: a two-input multiplexer cell for a bit of a lane and a bank")

WIRE_PF_PER_MM = cited(
    0.2,
    "on-chip wire 2e-10 F/m: Accelergy-Project/hwcomponents-library library/misc.py @8b56f7e70d07; same at any node",
)
WIRE_TOGGLES = cited(0.25, "assumed: a bit differs from the last one half of the time, and costs C V^2 / 2 then")
