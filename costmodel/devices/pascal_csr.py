"""Pascal cards with the CSR product times a matrix that DeepBench timed on them (cuSPARSE 8.0, fp32).

Leaves out: other libraries' layouts of the dense operand, which coalesce.
"""

from __future__ import annotations

from costmodel.devices.gtx_1080_ti import GTX_1080_TI
from costmodel.devices.titan_x_pascal import TITAN_X_PASCAL
from costmodel.devices.titan_xp import TITAN_XP
from costmodel.devices.vector_kernels import with_csr_matrix
from costmodel.spec import RooflineDevice

PASCAL_BASES: tuple[tuple[RooflineDevice, int], ...] = (  # the data sheet's rate, as in the device's own file
    (GTX_1080_TI, 484_000_000_000),
    (TITAN_X_PASCAL, 480_000_000_000),
    (TITAN_XP, 547_700_000_000),
)
PASCAL_DEVICES: tuple[RooflineDevice, ...] = tuple(
    with_csr_matrix(base, dram_bytes_per_s=rate, dram_source=f"{base.name}: {base.sources['levels.dram']}")
    for base, rate in PASCAL_BASES
)
