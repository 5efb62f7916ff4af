"""What DRAM costs, whatever the node of the chip beside it: a bit moved (device and interface), PHY and controller.

Leaves out: background and refresh power (static, left out with the rest), activates by their number (a bit carries its
share of an average access), termination.
"""

from __future__ import annotations

from costmodel.technology import DramCost, cited

_CACTI = "device constant of Accelergy-Project/accelergy-cacti-plug-in cacti_wrapper.py @291018b12cc9"
_HWCOMPONENTS = "Accelergy-Project/hwcomponents-cacti hwcomponents_cacti.py @de2520f3febb"
_LLMCOMPASS = "PrincetonUniversity/LLMCompass cost_model.py @2e015fd2ee75"

LPDDR4 = DramCost(
    pj_per_bit=cited(8, _CACTI),
    link_bits=32,
    phy_mm2=cited(1.45, f"assumed as DDR5 PHY per 32 bit at 6/7 nm: {_LLMCOMPASS}; PHYs do not scale (same file)"),
    controller_transistors=cited(90_446_400, f"assumed as DDR5 controller per 32 bit: {_LLMCOMPASS}"),
)
LPDDR4X = DramCost(
    pj_per_bit=cited(8, f"assumed as LPDDR4, its interface swings less: {_CACTI}"),
    link_bits=LPDDR4.link_bits,
    phy_mm2=LPDDR4.phy_mm2,
    controller_transistors=LPDDR4.controller_transistors,
)
LPDDR5 = DramCost(
    pj_per_bit=cited(8, f"assumed as LPDDR4 (4 to 8 is quoted; zigzag's 31.25 to 46.9 stands alone): {_CACTI}"),
    link_bits=LPDDR4.link_bits,
    phy_mm2=LPDDR4.phy_mm2,
    controller_transistors=LPDDR4.controller_transistors,
)
DDR4 = DramCost(
    # read currents of DRAMsim3's DDR4_8Gb_x8_3200.ini alone give 1.2 V x (168 - 52) mA x 4 x 0.63 ns x 8 / 512 = 5.5,
    # without activates, interface and background: a floor
    pj_per_bit=cited(
        70 * (1.2 / 1.5) ** 2, f"assumed: DDR3 70 ({_CACTI}, citing Chatterjee MICRO 2017) x (1.2 V/1.5 V)^2"
    ),
    link_bits=32,
    phy_mm2=LPDDR4.phy_mm2,
    controller_transistors=LPDDR4.controller_transistors,
)
HBM2 = DramCost(
    # 3.9 in the older plug-in; the newer library has 6.25, nearer to the 7.03 of TPUv4i's model: taken
    pj_per_bit=cited(6.25, _HWCOMPONENTS),
    link_bits=1024,
    phy_mm2=cited(10.45, f"HBM2e PHY per 1024 bit at 6/7 nm: {_LLMCOMPASS}; PHYs do not scale (same file)"),
    controller_transistors=cited(552_743_000, f"HBM2e controller: {_LLMCOMPASS}"),
)

DRAM_COSTS = {"lpddr4": LPDDR4, "lpddr4x": LPDDR4X, "lpddr5": LPDDR5, "ddr4": DDR4, "hbm2": HBM2}
