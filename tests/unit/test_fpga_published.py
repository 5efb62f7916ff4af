"""The engine model beside a published design: one core of the DPU B4096 on a ZCU102. DEVIATIONS row 10.

The gap is asserted as a gap, so that closing it is noticed.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from costmodel.devices.zcu102 import ZCU102
from costmodel.devices.zcu102_dpu import ZCU102_DPU
from costmodel.fpga import engine_use
from costmodel.spec import EngineKernel
from costmodel.validation.folder import open_folder
from costmodel.validation.measurement import Measurement
from costmodel.validation.predict import Predictor, predict
from costmodel.validation.readers import measurements

FOLDER = open_folder(Path(__file__).parents[2] / "validation")
ROWS = [row for row in measurements(FOLDER) if row.table == "zcu102_dpu" and row.net]


@pytest.fixture(scope="module")
def predictor() -> Predictor:
    return Predictor(device=ZCU102_DPU, folder=FOLDER.path)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.model)
def test_the_model_of_a_dpu_core_is_too_fast_by_a_fifth_to_three_quarters(
    row: Measurement, predictor: Predictor
) -> None:
    assert -3 / 4 < predict(predictor, row).low_s / row.seconds - 1 < -1 / 5


def test_the_luts_of_a_dpu_b3136_are_those_that_the_costs_were_taken_from() -> None:
    kernel = next(one for one in ZCU102.kernels if isinstance(one, EngineKernel) and not one.serves)
    assert ZCU102.fabric is not None
    costs = ZCU102.fabric.costs
    luts = costs.lut_control + 1568 * dict(costs.lut_per_mac)["int8"]  # 1568 products a cycle
    assert luts == pytest.approx(45_433, rel=0.01)
    assert ZCU102_DPU.fabric is not None
    assert ZCU102_DPU.fabric.engine is not None
    use = engine_use(ZCU102_DPU, kernel, ZCU102_DPU.fabric.engine, "int8")
    assert 1.5 < use.dsp / 710 < 2.0  # PG338: 710 DSPs, which run at twice the clock
