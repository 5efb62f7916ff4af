"""What seconds are made of, on hand-sized layers: ADR 0030. That they add up for everything: ``tests/conformance``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from fractions import Fraction
from math import ceil

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import gatherline as gl
from costmodel.devices.a100 import A100
from costmodel.devices.catalog import ALL_DEVICES
from costmodel.devices.cpus import SNAPDRAGON_855
from costmodel.devices.mobile_gpus import ADRENO_640
from costmodel.devices.zcu102 import ZCU102
from costmodel.estimate import estimate
from costmodel.gpu_kernel import ThreadKernel
from costmodel.roofline import restream_bytes
from costmodel.server_gpu_tiles import GpuTileKernel
from costmodel.spec import MemoryLevel, RooflineDevice
from costmodel.spmv import GemvKernel
from costmodel.time_parts import NO_TIME, TimeParts, roofline_time_s
from gatherline.report.time_causes import TIME_CAUSES
from gatherline.report_file import check_value
from gatherline.request_error import RequestError
from gatherline.rows import LayerOutcome, RunFacts, layer_row, total_row
from patterns.base import Mask, Pattern
from patterns.dense import Dense
from patterns.gs import GatherScatter
from patterns.unstructured import Unstructured
from simulator.devices.gs_tcm import GS_TCM
from simulator.devices.gs_tcm_sve8 import GS_TCM_SVE8
from simulator.result import CAUSES, TIME, Counters, Cycles, LayerResult
from simulator.simulate import simulate
from simulator.spec import Core, Device
from simulator.time_by_cause import cycle_time_s
from traces.layer import MatrixLayer, ProductLayer, VectorLayer, Window
from traces.trace import LayerTrace

MACKO = next(device for device in ALL_DEVICES if device.name == "rtx-3090-macko")
CLOCK_HZ = 1_000_000_000


def linear(m: int, k: int, tokens: int) -> MatrixLayer:
    window = Window(in_hw=(1, tokens), out_hw=(1, tokens))
    return MatrixLayer(name="fc", kind="linear", m=m, k=k, window=window)


def dense(layer: MatrixLayer) -> LayerTrace:
    return LayerTrace(layer=layer, pattern=Dense(), mask=np.ones((layer.groups, layer.m, layer.k), dtype=np.bool_))


def masked(layer: MatrixLayer, mask: Mask, pattern: Pattern) -> LayerTrace:
    return LayerTrace(layer=layer, pattern=pattern, mask=mask)


def even_rows(m: int, k: int, kept: int) -> Mask:
    mask = np.zeros((1, m, k), dtype=np.bool_)
    mask[:, :, :kept] = True
    return mask


def cycles_of(result: LayerResult, name: str) -> float:
    return result.time_s[name] * CLOCK_HZ


def test_the_names_are_those_of_the_columns() -> None:
    assert tuple(cause.name for cause in TIME_CAUSES) == TIME == tuple(NO_TIME)


# Cycle-level devices


def test_cycles_go_to_the_cause_that_lost_them() -> None:
    layer = linear(32, 64, 4)
    mask = even_rows(32, 64, 32)
    mask[0, 0] = True  # one row is twice as long as the others
    result = simulate(masked(layer, mask, Unstructured()), GS_TCM)
    assert result.cycles is not None
    lost = result.cycles.lost
    assert GS_TCM.clock_hz == CLOCK_HZ
    assert cycles_of(result, "compute") == pytest.approx(result.cycles.effectual + lost["vector"])
    assert cycles_of(result, "imbalance") == pytest.approx(lost["imbalance"] + lost["padding"])
    assert cycles_of(result, "conflict") == pytest.approx(lost["conflict"] + lost["scatter"])
    waiting = lost["interval"] + lost["dram"] + lost["core"]
    assert cycles_of(result, "weights") + cycles_of(result, "activations") == pytest.approx(waiting)
    assert result.time_s["overhead"] == 0.0


def test_conflicts_have_time_in_column_order_and_none_in_a_dense_layer_or_one_that_is_strictly_gs() -> None:
    layer = linear(16, 64, 4)
    same_bank = np.zeros((1, 16, 64), dtype=np.bool_)
    same_bank[:, :, ::16] = True  # all kept columns lie in bank 0
    conflicts = simulate(masked(layer, same_bank, Unstructured()), GS_TCM, order="csr")
    strict = np.zeros((1, 16, 64), dtype=np.bool_)
    strict[0, np.arange(16), np.arange(16)] = True  # one group, each bank once
    assert conflicts.time_s["conflict"] > 0
    assert simulate(masked(layer, strict, GatherScatter(banks=16, k=1)), GS_TCM).time_s["conflict"] == 0.0
    assert simulate(dense(layer), GS_TCM).time_s["conflict"] == 0.0


def test_waiting_for_dram_is_shared_out_by_the_bytes_of_weights_and_activations() -> None:
    layer = linear(64, 256, 2)
    result = simulate(dense(layer), GS_TCM)
    assert result.cycles is not None
    weights, rest = 64 * 256 * 2, 2 * (64 + 256) * 2  # fp16, each once: weights; inputs and outputs
    assert result.counters.dram_bytes == weights + rest
    lost = result.cycles.lost
    waiting, share = lost["dram"] + lost["core"], weights / (weights + rest)
    assert waiting > 0
    assert cycles_of(result, "weights") == pytest.approx(waiting * share + lost["interval"])
    assert cycles_of(result, "activations") == pytest.approx(waiting * (1 - share))


def test_a_loss_below_nothing_counts_as_nothing_and_takes_from_those_after_it() -> None:
    lost = dict.fromkeys(("core", "dram", "scatter", "interval", "padding", "vector"), Fraction(0))
    lost |= {"conflict": Fraction(-30), "imbalance": Fraction(50), "dram": Fraction(20)}
    found = seconds_of(lost, effectual=60)
    # 100, less 20 of DRAM is 80; without conflicts 110, with even rows 60: 20 less than the least so far
    assert found == {"compute": 60, "conflict": 0, "imbalance": 20, "weights": 5, "activations": 15, "overhead": 0}


def seconds_of(lost: dict[str, Fraction], effectual: int, buffer_share: Fraction = Fraction(1)) -> dict[str, float]:
    """Cycles as seconds; a quarter of the bytes are weights."""
    total = effectual + sum(lost.values())
    assert total == int(total)
    return cycle_time_s(
        lost, total=int(total), effectual=Fraction(effectual), weight_share=Fraction(1, 4), buffer_share=buffer_share,
        clock_hz=1,
    )  # fmt: skip


@pytest.mark.parametrize("cause", CAUSES[:-1])  # of the vector unit it is time that is spent, never saved
def test_any_cause_may_cost_less_than_nothing_and_the_rest_still_adds_up(cause: str) -> None:
    lost = dict.fromkeys(CAUSES, Fraction(10)) | {cause: Fraction(-25)}
    found = seconds_of(lost, effectual=40)
    assert sum(found.values()) == sum(lost.values()) + 40 == 40 + 7 * 10 - 25
    assert min(found.values()) >= 0
    assert found["compute"] == 40 + 10  # what is done is done, whatever its way


@given(
    losses=st.lists(st.integers(-1000, 1000), min_size=len(CAUSES), max_size=len(CAUSES)),
    effectual=st.integers(0, 1000),
    of_buffer=st.fractions(0, 1),
)
def test_seconds_add_up_and_none_is_negative_whatever_was_lost(
    losses: list[int], effectual: int, of_buffer: Fraction
) -> None:
    lost = {cause: Fraction(value) for cause, value in zip(CAUSES, losses, strict=True)}
    lost["vector"] = abs(lost["vector"])
    lost["imbalance"] += max(0, -(effectual + sum(lost.values())))  # no layer takes less than nothing
    found = seconds_of(lost, effectual, of_buffer)
    assert sum(found.values()) == pytest.approx(float(effectual + sum(lost.values())), abs=1e-9)
    assert min(found.values()) >= 0


def test_rows_of_a_layer_that_gained_by_a_conflict_hold_the_gain_and_seconds_that_add_up() -> None:
    lost = dict.fromkeys(CAUSES, Fraction(0)) | {"conflict": Fraction(-30), "imbalance": Fraction(50)}
    cycles = Cycles(
        total=80, compute=80, gather=70, conflict=-30, stall=0, waiting_words=0, effectual=60.0,
        lost={cause: float(value) for cause, value in lost.items()},
    )  # fmt: skip
    result = LayerResult(
        layer="fc", kind="linear", m=1, k=1, p=1, groups=1, density=1.0, device=GS_TCM.name, device_kind=GS_TCM.kind,
        model_kind="cycle", latency_s=80.0, counters=Counters(), cycles=cycles, time_s=seconds_of(lost, effectual=60),
    )  # fmt: skip
    facts = RunFacts(
        model="one", pattern="dense", sparsity_target=None, device=GS_TCM, dtype="fp16", batch=1, threads=1,
        synthetic=False, activation_peak_bytes=0,
    )  # fmt: skip
    told = LayerOutcome(result=result, pattern="dense", kept=1, weights_dense=1)
    for row, count in ((layer_row(facts, told), 1), (total_row(facts, [told, told]), 2)):
        assert sum(number_of(row, cause.column) for cause in TIME_CAUSES) == number_of(row, "latency_s") == 80 * count
        assert number_of(row, "time_conflict_s") == 0.0
        assert number_of(row, "lost_conflict_cycles") == -30 * count
        lost_cycles = sum(number_of(row, f"lost_{cause}_cycles") for cause in CAUSES)
        assert lost_cycles + number_of(row, "effectual_cycles") == number_of(row, "cycles") == 80 * count
        for name, value in row.items():
            check_value("rows[0]", name, value)  # as ``simulate report`` reads it
    with pytest.raises(RequestError, match=r"rows\[0\]: cycles is -1, and must be a whole number from 0"):
        check_value("rows[0]", "cycles", -1)


def number_of(row: Mapping[str, object], column: str) -> float:
    value = row[column]
    assert isinstance(value, int | float)
    return value


def on_core(bytes_per_cycle: int = 32, issue_width: int = 2, interval: Fraction | None = None) -> Device:
    return replace(
        GS_TCM_SVE8,
        weight_buffer=replace(GS_TCM_SVE8.weight_buffer, bytes_per_cycle=bytes_per_cycle),
        core=replace(GS_TCM_SVE8.core or Core(issue_width=2), issue_width=issue_width),
        gather=replace(GS_TCM_SVE8.gather, interval=interval),
    )


SAME_TILES = "rows=8 tile=1x4 channels=64 strips=1x1x1 order=rcp"  # whatever the mapper finds best


def run_on(device: Device) -> tuple[LayerResult, Mapping[str, float]]:
    trace = masked(linear(32, 64, 4), even_rows(32, 64, 32), Unstructured())
    result = simulate(trace, device, mapping=SAME_TILES if device.core else None)
    assert result.cycles is not None
    assert result.cycles.lost["interval"] > 0
    return result, result.cycles.lost | {"work": result.cycles.effectual + result.cycles.lost["vector"]}


def test_waiting_for_a_core_to_issue_is_compute_and_for_the_weight_buffer_weights() -> None:
    plain, lost = run_on(on_core())
    assert cycles_of(plain, "compute") == pytest.approx(lost["work"] + lost["interval"])
    assert cycles_of(plain, "weights") + cycles_of(plain, "activations") == pytest.approx(lost["dram"])
    of_weights = cycles_of(plain, "weights") / lost["dram"]
    # a weight buffer that is no limit, twice as wide: not a cycle moves; a core that issues more: compute falls
    assert run_on(on_core(bytes_per_cycle=64))[0].time_s == plain.time_s
    wide, wide_lost = run_on(on_core(issue_width=3))
    assert cycles_of(wide, "compute") < cycles_of(plain, "compute")
    assert cycles_of(wide, "weights") == pytest.approx(wide_lost["dram"] * of_weights)
    # a group of 8 lanes x 4 bytes at 2 bytes a cycle takes 16 cycles, and no issue width changes that
    starved, starved_lost = run_on(on_core(bytes_per_cycle=2))
    assert cycles_of(starved, "compute") == pytest.approx(starved_lost["work"])
    waiting = starved_lost["dram"] * of_weights
    assert cycles_of(starved, "weights") == pytest.approx(waiting + starved_lost["interval"])
    assert run_on(on_core(bytes_per_cycle=2, issue_width=4))[0].time_s == starved.time_s
    assert cycles_of(run_on(on_core(bytes_per_cycle=4))[0], "weights") < cycles_of(starved, "weights")


def test_waiting_at_an_interval_of_the_gather_units_own_is_compute() -> None:
    own = Fraction(9)
    for device in (replace(GS_TCM, gather=replace(GS_TCM.gather, interval=own)), on_core(interval=own)):
        result, lost = run_on(device)
        assert cycles_of(result, "compute") == pytest.approx(lost["work"] + lost["interval"])


def test_a_device_without_a_core_waits_for_its_weight_buffer() -> None:
    buffer = replace(GS_TCM.weight_buffer, bytes_per_cycle=2)
    result, lost = run_on(replace(GS_TCM, weight_buffer=buffer))
    assert cycles_of(result, "compute") == pytest.approx(lost["work"])
    assert cycles_of(result, "weights") >= lost["interval"]


# Rooflines


def test_even_rows_leave_nothing_to_imbalance_and_uneven_ones_what_they_take_more() -> None:
    layer = linear(64, 512, 32)
    skewed = np.zeros((1, 64, 512), dtype=np.bool_)
    skewed[0, :16] = True  # the first of four threads has all the work
    even = estimate(masked(layer, even_rows(64, 512, 128), Unstructured()), SNAPDRAGON_855, threads=4)
    slow = estimate(masked(layer, skewed, Unstructured()), SNAPDRAGON_855, threads=4)
    assert even.kernel == slow.kernel != "gemm"
    assert even.time_s["imbalance"] == pytest.approx(0.0, abs=1e-15)
    body_s = slow.latency_s - slow.bounds_s["overhead"]
    assert slow.time_s["imbalance"] == pytest.approx(body_s * 3 / 4)
    assert slow.time_s["overhead"] == slow.bounds_s["overhead"]


def test_a_dense_kernel_spends_the_share_of_removed_weights_on_padding() -> None:
    layer = linear(256, 256, 576)
    zeros = even_rows(256, 256, 64)
    full = estimate(dense(layer), SNAPDRAGON_855, dtype="fp32")
    quarter = estimate(masked(layer, zeros, Unstructured()), SNAPDRAGON_855, dtype="fp32", encoding="dense")
    kernel = next(each for each in SNAPDRAGON_855.kernels if each.name == "gemm" and "fp32" in each.dtypes)
    products_s = 256 * 256 * 576 / (8 * kernel.efficiency) / 2.84e9
    assert full.bound == quarter.bound == "compute"
    assert full.time_s["imbalance"] == pytest.approx(0.0, abs=1e-12)  # whole tiles
    assert quarter.time_s["imbalance"] == pytest.approx(products_s * 3 / 4)
    assert quarter.latency_s == full.latency_s


def test_padding_the_fullest_multiprocessor_and_bare_latency_are_imbalance_on_a_server_gpu() -> None:
    m, k, tokens = 4096, 4096, 4097  # one position more than whole tiles hold
    result = estimate(dense(linear(m, k, tokens)), A100)
    kernel = next(each for each in A100.kernels if each.name == result.kernel)
    assert isinstance(kernel, GpuTileKernel)
    rows, positions, blocks, units, fullest = map(int, re.findall(r"\d+", result.mapping))
    tile = next(each for each in kernel.tiles if (each.rows, each.positions) == (rows, positions))
    assert blocks == (m // rows) * ceil(tokens / positions)
    assert fullest == ceil(blocks / units)
    a_lane = max(kernel.resident_threads // tile.threads, 1) * tile.threads / kernel.lanes
    hidden = a_lane / (a_lane + kernel.latency_threads)
    useful = hidden * m * tokens / (units * fullest * rows * positions)
    assert result.bound == "compute"
    assert result.time_s["imbalance"] == pytest.approx(result.bounds_s["compute"] * (1 - useful))


def test_shader_cores_that_few_threads_fill_wait() -> None:
    few = estimate(dense(linear(16, 4096, 64)), ADRENO_640)  # 4 x 16 threads of 4 x 4
    kernel = next(each for each in ADRENO_640.kernels if each.name == few.kernel)
    assert isinstance(kernel, ThreadKernel)
    filled = 4 * 16 / (ADRENO_640.unit_count * kernel.fill_threads)
    assert few.bound == "compute"
    assert few.time_s["imbalance"] == pytest.approx(few.bounds_s["compute"] * (1 - filled))


def with_slow_memory(device: RooflineDevice) -> RooflineDevice:
    main = device.levels[-1]
    slow = MemoryLevel(name=main.name, bytes=None, unit_bytes_per_s=10_000_000, total_bytes_per_s=10_000_000)
    return replace(device, levels=(*device.levels[:-1], slow))


@pytest.mark.parametrize("device", [SNAPDRAGON_855, A100, ADRENO_640, ZCU102], ids=lambda device: device.name)
def test_a_layer_that_waits_for_memory_is_weights_and_activations_by_their_bytes(device: RooflineDevice) -> None:
    slow = with_slow_memory(device)
    few = estimate(dense(linear(64, 64, 2)), slow)  # activations stay on the chip
    assert few.bound == slow.levels[-1].name
    assert few.time_s["weights"] == pytest.approx(few.latency_s - few.bounds_s["overhead"])
    tokens = ceil(slow.levels[-2].bytes / (64 + 64) / 2) + 64  # type: ignore[operator]  # and here they do not
    many = estimate(dense(linear(64, 64, tokens)), slow)
    weights, once = 64 * 64 * 2, 64 * 64 * 2 + tokens * (64 + 64) * 2
    again = many.counters.dram_bytes - once
    assert again == max(restream_bytes(64 * 64 * tokens, 2, slow.levels[-2].bytes or 0) - once, 0)
    share = (weights + again / 2) / many.counters.dram_bytes
    body_s = many.latency_s - many.bounds_s["overhead"]
    assert many.time_s["weights"] == pytest.approx(body_s * share)
    assert many.time_s["activations"] == pytest.approx(body_s * (1 - share))


def test_a_product_of_activations_waits_for_no_weights() -> None:
    layer = ProductLayer(name="scores", instances=64, m=512, k=64, p=512)
    for device in (SNAPDRAGON_855, A100, ADRENO_640, ZCU102):
        result = estimate(LayerTrace(layer=layer, pattern=Dense()), with_slow_memory(device))
        assert result.time_s["weights"] == 0.0
        assert result.time_s["activations"] > 0.0 or device.levels[-2].bytes > 64 * 512 * (64 + 64 + 512) * 2  # type: ignore[operator]


def test_element_work_is_compute_or_its_bytes() -> None:
    layer = VectorLayer(
        name="norm", kind="norm", op="norm", elements=1 << 20, weight_elements=1 << 18, input_elements=1 << 20,
        output_elements=1 << 20,
    )  # fmt: skip
    result = estimate(LayerTrace(layer=layer, pattern=Dense()), with_slow_memory(SNAPDRAGON_855))
    moved = (1 << 20) + (1 << 20) + (1 << 18)
    assert result.counters.dram_bytes == 2 * moved
    body_s = result.latency_s - result.bounds_s["overhead"]
    assert result.time_s["weights"] == pytest.approx(body_s * (1 << 18) / moved)
    assert result.time_s["overhead"] == SNAPDRAGON_855.overhead_s


def test_reading_and_computing_that_do_not_overlap_are_no_overhead() -> None:
    result = estimate(dense(linear(4096, 4096, 1)), MACKO)
    kernel = next(each for each in MACKO.kernels if each.name == result.kernel)
    assert isinstance(kernel, GemvKernel)
    assert result.bounds_s["overhead"] > kernel.start_s
    assert result.time_s["overhead"] == kernel.start_s
    weights, vectors = 4096 * 4096 * 2, (4096 + 4096) * 2
    body_s = result.latency_s - kernel.start_s
    assert result.time_s["weights"] == pytest.approx(body_s * weights / (weights + vectors))


def test_a_server_gpus_tiles_start_by_their_own_field_and_its_element_work_by_the_devices() -> None:
    trace = dense(linear(64, 64, 2))
    kernel = next(each for each in A100.kernels if each.name == estimate(trace, A100).kernel)
    assert isinstance(kernel, GpuTileKernel)
    assert estimate(trace, replace(A100, overhead_s=0.0)).time_s["overhead"] == kernel.launch_s > 0
    at_once = tuple(replace(each, launch_s=0.0) if isinstance(each, GpuTileKernel) else each for each in A100.kernels)
    assert estimate(trace, replace(A100, kernels=at_once)).time_s["overhead"] == 0.0
    addition = LayerTrace(layer=VectorLayer(name="add", kind="add", op="Add", elements=64), pattern=Dense())
    assert estimate(addition, A100).time_s["overhead"] == A100.overhead_s
    assert estimate(addition, replace(A100, overhead_s=0.0)).time_s["overhead"] == 0.0


def test_a_share_that_cannot_be_is_refused() -> None:
    parts = TimeParts(useful={"compute": 1.5}, weights={})
    with pytest.raises(AssertionError, match=r"compute has a share of 1\.5, and must have 0 to 1"):
        roofline_time_s(1.0, {"compute": 1.0}, parts)


def test_columns_of_a_total_are_the_sums_of_its_layers_and_make_up_the_latency() -> None:
    rows = gl.run("digits", patterns=["gs:16,1"], sparsities=[0.9], devices=["gs-tcm", "zcu102", "adreno-640"]).rows
    for total in (row for row in rows if row["layer"] == "total"):
        layers = [row for row in rows if row["device"] == total["device"] and row is not total]
        columns = [cause.column for cause in TIME_CAUSES]
        for column in columns:
            assert total[column] == sum(row[column] for row in layers)  # type: ignore[misc]
        assert sum(total[column] for column in columns) == pytest.approx(total["latency_s"], rel=1e-9)  # type: ignore[misc]
