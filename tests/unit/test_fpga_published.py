"""The engine model beside a published design: one core of the DPU B4096 on a ZCU102. DEVIATIONS row 10.

The gap is asserted as a gap, so that closing it is noticed.
"""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from costmodel.device_file import load_cost_device
from costmodel.devices.zcu102 import ZCU102
from costmodel.estimate import estimate
from costmodel.fpga import engine_use
from costmodel.spec import EngineKernel
from patterns.dense import Dense
from traces.fusion import fuse
from traces.layer import Layer, MatrixLayer
from traces.trace import LayerTrace
from traces.workloads.catalog import built_in

VALIDATION = Path(__file__).parents[2] / "validation"
ROWS = list(csv.DictReader((VALIDATION / "zcu102_dpu.csv").read_text(encoding="utf-8").splitlines()))


def predicted_s(net: str) -> float:
    device = load_cost_device(VALIDATION / "zcu102_dpu.toml")
    return sum(estimate(dense_trace(layer), device, dtype="int8").latency_s for layer in fuse(built_in(net)).layers)


def dense_trace(layer: Layer) -> LayerTrace:
    shape = (layer.groups, layer.m, layer.k) if isinstance(layer, MatrixLayer) else None
    mask = None if shape is None else np.broadcast_to(np.True_, shape)  # no copy of a large network
    return LayerTrace(layer=layer, pattern=Dense(), mask=mask)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["name"])
def test_the_model_of_a_dpu_core_is_too_fast_by_a_fifth_to_a_half(row: dict[str, str]) -> None:
    error = predicted_s(row["net"]) / (float(row["e2e_latency_ms"]) / 1e3) - 1
    assert -0.5 < error < -0.2


def test_networks_rank_as_on_the_dpu() -> None:
    measured = {row["net"]: float(row["e2e_latency_ms"]) for row in ROWS}
    predicted = {net: predicted_s(net) for net in measured}
    assert sorted(measured, key=lambda net: measured[net]) == sorted(predicted, key=lambda net: predicted[net])


def test_the_luts_of_a_dpu_b3136_are_those_that_the_costs_were_taken_from() -> None:
    kernel = next(one for one in ZCU102.kernels if isinstance(one, EngineKernel) and not one.serves)
    assert ZCU102.fabric is not None
    costs = ZCU102.fabric.costs
    luts = costs.lut_control + 1568 * dict(costs.lut_per_mac)["int8"]  # 1568 products a cycle
    assert luts == pytest.approx(45_433, rel=0.01)
    device = load_cost_device(VALIDATION / "zcu102_dpu.toml")
    assert device.fabric is not None
    assert device.fabric.engine is not None
    use = engine_use(device, kernel, device.fabric.engine, "int8")
    assert 1.5 < use.dsp / 710 < 2.0  # PG338: 710 DSPs, which run at twice the clock
