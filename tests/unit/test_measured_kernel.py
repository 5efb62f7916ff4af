"""Kernels of measured cost: what is counted, which level serves, and what leaves the calibrated range."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from costmodel.estimate import estimate
from costmodel.measured import MeasuredKernel, Range, Regime, counts, measured_cost
from costmodel.problem import Problem
from costmodel.roofline import Run
from costmodel.spec import MemoryLevel, RooflineDevice, Units
from patterns.base import Pattern
from patterns.block import Block
from patterns.dense import Dense
from patterns.encodings.base import EncodedSize
from patterns.unstructured import Unstructured
from simulator.spec import DeviceError
from traces.layer import MatrixLayer, Window
from traces.trace import LayerTrace

LEVELS = (
    MemoryLevel(name="l1", bytes=4096, unit_bytes_per_s=10**11, total_bytes_per_s=10**11),
    MemoryLevel(name="l2", bytes=65536, unit_bytes_per_s=10**11, total_bytes_per_s=10**11),
    MemoryLevel(name="dram", bytes=None, unit_bytes_per_s=10**10, total_bytes_per_s=10**10),
)
COSTS = (("call_s", 1e-6), ("row_s", 1e-8), ("slot_s", 2e-9), ("block_l1_s", 3e-9), ("block_l2_s", 4e-9),
         ("vector_s", 1e-9), ("single_s", 5e-10))  # fmt: skip


def kernel(name: str = "csr", **changes: Any) -> MeasuredKernel:
    fields: dict[str, Any] = {
        "name": name, "runtime": "test", "encoding": name, "serves": ("unstructured",), "kinds": ("linear",),
        "dtypes": ("fp32",), "unit": "vector", "efficiency": 1.0, "regimes": (Regime(positions=None, costs=COSTS),),
        "median_error": 0.1, "p90_error": 0.25,
    }  # fmt: skip
    return MeasuredKernel(**{**fields, **changes})


def device(*kernels: MeasuredKernel, units: int = 1) -> RooflineDevice:
    gemm = kernel("dense", serves=(), kinds=("linear",), regimes=(Regime(positions=None, costs=(("mac_s", 1e-10),)),))
    return RooflineDevice(
        name="host", summary="", kind="cpu", units=(Units(count=units, clock_hz=10**9),), static_threads=True,
        matrix_macs_per_cycle=(("fp32", 32),), vector_macs_per_cycle=(("fp32", 32),), levels=LEVELS, overhead_s=1e-6,
        vector_efficiency=0.5, kernels=(gemm, *kernels),
        sources=dict.fromkeys(
            ("units", "matrix_macs_per_cycle", "vector_macs_per_cycle", "levels", "overhead_s", "step_overhead_s",
             "vector_efficiency", "kernels"),
            "assumed",
        ),
    )  # fmt: skip


def problem(m: int = 16, k: int = 8, positions: int = 45, steps: int = 1) -> Problem:
    return Problem(
        groups=1, m=m, k=k, positions=positions, steps=steps, value_bytes=4, input_elements=k * positions,
        output_elements=m * positions, weighted=True,
    )  # fmt: skip


def trace(pattern: Pattern, m: int = 16, k: int = 64, positions: int = 45, density: float = 0.25) -> LayerTrace:
    layer = MatrixLayer(
        name="layer", kind="linear", groups=1, m=m, k=k, window=Window(in_hw=(1, positions), out_hw=(1, positions))
    )
    scores = np.random.default_rng(0).random((1, m, k), dtype=np.float32)
    return LayerTrace(layer=layer, pattern=pattern, mask=pattern.project(scores, 1 - density))


def test_positions_are_cut_into_blocks_then_vectors_then_single_ones() -> None:
    found = counts(
        m=3, k=5, positions=32 * 2 + 8 * 1 + 3, slots=7, stored_bytes=70, value_bytes=4, levels=LEVELS,
        block_positions=32, vector_positions=8,
    )  # fmt: skip
    assert found["block_l1_s"] == 7 * 2
    assert (found["vector_s"], found["single_s"]) == (7 * 1, 7 * 3)
    assert (found["row_s"], found["element_s"], found["mac_s"]) == (3, 3 * 5, 3 * 5 * 75)
    assert (found["input_s"], found["output_s"]) == (5 * 75, 3 * 75)


@pytest.mark.parametrize(("k", "level"), [(4096 // 4 // 32, "l1"), (4096 // 4 // 32 + 1, "l2"), (1024, "dram")])
def test_the_innermost_level_that_holds_the_activations_serves_the_blocks(k: int, level: str) -> None:
    found = counts(
        m=1, k=k, positions=32, slots=1, stored_bytes=8, value_bytes=4, levels=LEVELS, block_positions=32,
        vector_positions=8,
    )  # fmt: skip
    assert [name for name in found if name.startswith("block_")] == [f"block_{level}_s"]


def test_the_cost_is_the_sum_of_what_is_counted() -> None:
    size = EncodedSize(weight_bytes=400, index_bytes=200, slots=100)
    cost = measured_cost(problem(), kernel(), Run(device=device(kernel()), dtype="fp32", units=1), size)
    work = 16 * 1e-8 + 100 * (2e-9 + 3e-9 * 1 + 1e-9 * 1 + 5e-10 * 5)
    assert cost.bounds_s["compute"] == pytest.approx(work)
    assert cost.bounds_s["overhead"] == 1e-6
    assert cost.bounds_s["dram"] == pytest.approx(600 / 10**10)
    assert cost.latency_s == pytest.approx(work + 1e-6)


def test_each_step_of_a_serial_layer_pays_its_call() -> None:
    size = EncodedSize(weight_bytes=400, index_bytes=200, slots=100)
    ran = Run(device=device(kernel()), dtype="fp32", units=1)
    once, thrice = (measured_cost(problem(steps=steps), kernel(), ran, size) for steps in (1, 3))
    assert thrice.bounds_s["overhead"] == pytest.approx(3 * once.bounds_s["overhead"])
    assert thrice.bounds_s["compute"] == pytest.approx(3 * once.bounds_s["compute"])


def test_further_threads_take_away_only_the_share_that_was_measured() -> None:
    size = EncodedSize(weight_bytes=400, index_bytes=200, slots=100)

    def work_s(share: float, units: int) -> float:
        one = kernel(parallel_share=share)
        ran = Run(device=device(one, units=4), dtype="fp32", units=units)
        return measured_cost(problem(), one, ran, size).bounds_s["compute"]

    assert work_s(0.0, 4) == work_s(0.0, 1)
    assert work_s(0.5, 4) == pytest.approx(work_s(0.5, 1) / (1 + 3 * 0.5))


def test_no_cost_beats_the_peak_of_the_device() -> None:
    free = kernel(regimes=(Regime(positions=None, costs=(("call_s", 1e-9),)),))
    size = EncodedSize(weight_bytes=400, index_bytes=200, slots=100)
    cost = measured_cost(problem(), free, Run(device=device(free), dtype="fp32", units=1), size)
    assert cost.bounds_s["compute"] == pytest.approx(100 * 45 / (32 * 10**9))


def test_the_regime_is_that_of_the_positions() -> None:
    one, few, many = (Regime(positions=end, costs=(("call_s", 1.0),)) for end in (1, 15, None))
    split = kernel(regimes=(one, few, many))
    assert [split.regime(positions) for positions in (1, 2, 15, 16)] == [one, few, few, many]


@pytest.mark.parametrize("ends", [(), (1,), (None, 1), (15, 1, None), (1, 1, None)])
def test_regimes_that_do_not_rise_to_an_open_end_are_refused(ends: tuple[int | None, ...]) -> None:
    with pytest.raises(DeviceError, match="kernel csr: regimes end at"):
        kernel(regimes=tuple(Regime(positions=end, costs=COSTS) for end in ends))


def test_a_term_that_nothing_counts_is_refused_with_the_nearest() -> None:
    odd = kernel(regimes=(Regime(positions=None, costs=(("slots_s", 1e-9),)),))
    size = EncodedSize(weight_bytes=4, index_bytes=2, slots=1)
    with pytest.raises(DeviceError, match="kernel csr: costs has the unknown key slots_s; did you mean slot_s"):
        measured_cost(problem(), odd, Run(device=device(odd), dtype="fp32", units=1), size)


def test_a_row_carries_the_error_that_held_out_matrices_showed() -> None:
    result = estimate(trace(Unstructured()), device(kernel()), dtype="fp32")
    assert result.kernel == "csr"
    assert result.latency_low_s == pytest.approx(result.latency_s / 1.25)
    assert result.latency_high_s == pytest.approx(result.latency_s * 1.25)
    assert result.validated == "calibrated on one host, held-out shapes: median error 10%, 90 % within 25%"
    assert not result.extrapolated


def test_a_shape_outside_the_calibrated_range_is_flagged_and_named() -> None:
    narrow = kernel(ranges=(Range(name="k", least=128, most=256), Range(name="m", least=1, most=64)))
    result = estimate(trace(Unstructured()), device(narrow), dtype="fp32")
    assert result.extrapolated
    assert result.reason.endswith("outside what was calibrated: k 64 is outside 128 to 256")


def test_a_mask_goes_only_to_a_kernel_that_serves_its_pattern() -> None:
    blocks = kernel("bsr", serves=("block",))
    here = device(blocks, kernel())
    assert estimate(trace(Block(height=4, width=1)), here, dtype="fp32").kernel == "bsr"
    assert estimate(trace(Unstructured()), here, dtype="fp32").kernel == "csr"
    assert estimate(trace(Dense()), here, dtype="fp32").kernel == "dense"
    asked = estimate(trace(Unstructured()), here, dtype="fp32", encoding="bsr")
    assert asked.kernel == "dense"
    assert "bsr takes masks of block" in asked.reason


def test_the_device_has_to_name_a_source_for_measured_costs_too() -> None:
    whole = device(kernel())
    with pytest.raises(DeviceError, match="without a source"):
        replace(whole, sources={name: text for name, text in whole.sources.items() if name != "kernels"})
