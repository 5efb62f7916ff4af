"""Products with one vector on GPUs: bytes, lines and waves from the mask, limits, what is refused and what flagged."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from costmodel import _spmv_kernel
from costmodel.device_file import device_text, load_cost_device
from costmodel.devices.catalog import ALL_DEVICES
from costmodel.devices.rtx_vectors import VECTOR_GPUS
from costmodel.devices.vector_kernels import read_numbers, unfitted, with_numbers
from costmodel.estimate import estimate, estimate_rows
from costmodel.fit.gpu_sparse import RANGES, Subject, left_out, quality, seconds
from costmodel.fit.gpu_sparse_rows import Point
from costmodel.problem import problem_of
from costmodel.spec import RooflineDevice
from costmodel.spmv import CsrMatrixKernel, CsrVectorKernel, GemvKernel, WarpRowKernel
from costmodel.spmv_rows import LONGEST_RUN, Rows, lines_of, macko_size, rows_of
from costmodel.validation.bands import family_of
from costmodel.validation.drawn import drawn_mask, drawn_rows
from costmodel.validation.folder import Use, open_folder
from costmodel.validation.measurement import Key, Measurement
from costmodel.validation.predict import Prediction
from costmodel.validation.speedup import speed_ups
from patterns.catalog import parse_pattern
from patterns.encodings.base import ByteWidths, Widths
from patterns.encodings.catalog import encoding
from patterns.unstructured import Unstructured
from simulator.result import LayerResult
from simulator.spec import DeviceError
from tests.reference.vector_products import last_end, stored_slots
from traces.layer import MatrixLayer, Window
from traces.trace import LayerTrace

PATTERN = Unstructured()


def device(name: str) -> RooflineDevice:
    return next(one for one in ALL_DEVICES if one.name == name)


MACKO, CSR = device("rtx-2080-super-macko"), device("rtx-2080-super")


def linear(m: int, k: int, positions: int = 1) -> MatrixLayer:
    window = Window(in_hw=(1, positions), out_hw=(1, positions))
    return MatrixLayer(name="layer", kind="linear", m=m, k=k, window=window)


def mask_of(m: int, k: int, density: float) -> np.ndarray:
    return drawn_mask(linear(m, k), PATTERN, density, 0).copy()


def run(mask: np.ndarray, on: RooflineDevice = MACKO, positions: int = 1) -> LayerResult:
    _, m, k = mask.shape
    return estimate(LayerTrace(layer=linear(m, k, positions), pattern=PATTERN, mask=mask), on, dtype="fp16")


def kernel_of(on: RooflineDevice, name: str) -> object:
    return next(kernel for kernel in on.kernels if kernel.name == name)


def macko_kernel() -> WarpRowKernel:
    found = kernel_of(MACKO, "macko-spmv")
    assert isinstance(found, WarpRowKernel)
    return found


def rows(kept: list[int], columns: int) -> Rows:
    counts = np.array(kept, dtype=np.int64)
    return Rows(columns=columns, kept=counts, slots=counts)


@pytest.mark.parametrize("k", [40, 43, 256])
@pytest.mark.parametrize("density", [0.0, 0.02, 0.1, 0.5, 1.0])
def test_a_row_stores_its_weights_and_a_zero_for_each_sixteen_columns_of_a_gap(k: int, density: float) -> None:
    mask = np.random.default_rng(1).random((2, 9, k)) < density
    found = rows_of(mask)
    for at, row in enumerate(mask.reshape(18, k)):
        ends = [-1, *np.flatnonzero(row), k]
        gaps = np.diff(ends) - 1
        assert found.kept[at] == row.sum()
        assert found.slots[at] == row.sum() + sum(gap // 16 for gap in gaps)


@settings(deadline=None)
@given(st.integers(1, 40), st.floats(0, 1), st.integers(0, 99))
def test_the_kernels_count_what_a_walk_along_the_row_counts(columns: int, density: float, seed: int) -> None:
    mask = np.random.default_rng(seed).random((1, 3, columns)) < density
    expected = [stored_slots(row.tolist(), LONGEST_RUN) for row in mask[0]]
    assert rows_of(mask).slots.tolist() == expected
    wide = np.repeat(mask, 8, axis=2)  # whole words of eight columns
    assert rows_of(wide).slots.tolist() == [stored_slots(row.tolist(), LONGEST_RUN) for row in wide[0]]


@settings(deadline=None)  # the first example may compile
@given(st.lists(st.floats(0, 10), max_size=30), st.integers(1, 9))
def test_blocks_end_when_each_goes_to_the_unit_that_is_free_first(seconds: list[float], units: int) -> None:
    found = _spmv_kernel.makespan(np.array(seconds, dtype=np.float64), units, np.zeros(units))
    assert found == pytest.approx(last_end(seconds, units))


def test_the_bytes_are_those_of_runs_of_four_bits_and_a_pointer_a_row() -> None:
    mask = np.zeros((1, 2, 64), dtype=bool)
    mask[0, 0, [2, 36, 46]] = True  # 2, then 33 zeros, then 9, then 17
    stored = 3 + 33 // 16 + 17 // 16 + 64 // 16
    padded = -(-stored // 8) * 8
    size = macko_size(rows_of(mask), 2)
    assert (size.slots, size.weight_bytes) == (padded, padded * 2)
    assert size.index_bytes == padded // 2 + (2 + 1) * 4


def test_one_row_that_ends_on_a_weight_is_our_run_length_encoding_and_two_pointers() -> None:
    mask = mask_of(1, 4096, 0.04)
    mask[0, 0, -1] = True
    other = encoding("run_length").size(mask[0], PATTERN, Widths(value_bits=16, index_bits=4))
    own = macko_size(rows_of(mask), 2)
    assert own.slots == -(-other.slots // 8) * 8
    assert own.index_bytes - 2 * 4 == own.slots // 2


def test_csr_has_the_bytes_of_its_encoding() -> None:
    mask = mask_of(64, 512, 0.3)
    size = encoding("csr").size(mask[0], PATTERN, ByteWidths(value=2, index=4, pointer=4))
    counters = run(mask, CSR).counters
    assert (counters.weight_bytes, counters.index_bytes) == (size.weight_bytes, size.index_bytes)


def test_gathers_of_a_full_row_touch_a_line_for_each_eight_lanes_and_of_a_thin_one_a_line_each() -> None:
    full = lines_of(rows([4096], 4096), 2, 32, 8, 128)[0] / 4096
    assert full == pytest.approx((1 + 31 * 8 * 2 / 128) / 32)  # a lane is 8 columns of 2 bytes from the next
    thin = lines_of(rows([4], 4096), 2, 32, 8, 128)[0] / 4
    assert thin == pytest.approx(1)
    assert lines_of(rows([0], 4096), 2, 32, 8, 128)[0] == 0


def test_drawn_rows_are_the_rows_of_the_drawn_mask() -> None:
    for m, k, density in ((300, 100, 0.05), (700, 8192, 0.3), (64, 64, 1.0), (500, 9000, 0.0005)):
        told, seen = drawn_rows(linear(m, k), density, 0), rows_of(mask_of(m, k, density))
        assert np.array_equal(told.kept, seen.kept)
        assert np.array_equal(told.slots, seen.slots)


def test_the_time_falls_with_the_density_on_every_kernel() -> None:
    for on in (MACKO, CSR, device("rtx-3090-macko"), device("rtx-3090")):
        times = [run(mask_of(4096, 4096, density), on).latency_s for density in (0.8, 0.5, 0.3, 0.1, 0.05)]
        assert times == sorted(times, reverse=True)


def test_from_rows_alone_it_takes_what_it_takes_from_the_mask() -> None:
    mask = mask_of(512, 4096, 0.3)
    by_rows = estimate_rows(linear(512, 4096), rows_of(mask), macko_kernel(), MACKO, dtype="fp16")
    assert by_rows == run(mask)


def test_a_full_matrix_moves_five_quarters_of_the_dense_bytes_and_is_slower_than_dense() -> None:
    full = np.ones((1, 4096, 4096), dtype=bool)
    sparse = estimate_rows(linear(4096, 4096), rows_of(full), macko_kernel(), MACKO, dtype="fp16")
    dense = run(full)
    assert dense.kernel == "gemv"
    assert sparse.counters.weight_bytes + sparse.counters.index_bytes == 4096 * 4096 * 5 // 2 + 4097 * 4
    assert sparse.latency_s > dense.latency_s


def test_rows_that_keep_nothing_cost_no_weights_in_csr_and_inserted_zeros_in_runs() -> None:
    half = mask_of(2048, 4096, 0.2)
    half[0, ::2] = False
    counted = rows_of(half)
    assert (counted.slots[::2] == 4096 // (LONGEST_RUN + 1)).all()
    assert run(half, CSR).counters.weight_bytes == int(counted.kept.sum()) * 2
    assert run(half).latency_s < run(mask_of(2048, 4096, 0.2)).latency_s


def test_one_row_that_has_all_the_weights_makes_the_whole_product_wait() -> None:
    columns, weights = 49_152, 49_152
    even = rows([weights // 1536] * 1536, columns)
    one = rows([weights] + [0] * 1535, columns)
    layer = linear(1536, columns)
    times = [estimate_rows(layer, each, macko_kernel(), MACKO, dtype="fp16").latency_s for each in (even, one)]
    passes = -(-weights // (32 * 8))
    assert times[1] > passes * macko_kernel().pass_s > times[0] - macko_kernel().start_s
    csr = kernel_of(CSR, "csr-spmv")
    assert isinstance(csr, CsrVectorKernel)
    squares = [estimate_rows(layer, each, csr, CSR, dtype="fp16").bounds_s["compute"] for each in (even, one)]
    assert squares == pytest.approx([1536 * 32**2 * csr.row_square_s, weights**2 * csr.row_square_s])


def test_a_block_more_than_the_units_hold_costs_a_wave() -> None:
    kernel, units = macko_kernel(), MACKO.unit_count
    gathers = []
    for blocks in (units, units + 1, 2 * units):
        found = estimate_rows(linear(32 * blocks, 4096), rows([409] * 32 * blocks, 4096), kernel, MACKO, dtype="fp16")
        gathers.append(found.bounds_s["gather"])
    assert gathers[1] == pytest.approx(2 * gathers[0])
    assert gathers[2] == pytest.approx(gathers[1])


def test_dense_weights_are_read_once_at_the_fitted_share_of_the_data_sheet() -> None:
    gemv = kernel_of(CSR, "gemv")
    assert isinstance(gemv, GemvKernel)
    found = run(np.ones((1, 4096, 8192), dtype=bool), CSR)
    moved = 2 * (4096 * 8192 + 4096 + 8192)
    assert found.bounds_s["dram"] == pytest.approx(moved / (gemv.dram_bytes_per_s * gemv.memory_share))
    assert found.latency_s == pytest.approx(found.bounds_s["dram"] + gemv.start_s, rel=1e-6)


def test_several_vectors_go_to_another_kernel() -> None:
    found = run(mask_of(256, 512, 0.1), MACKO, positions=8)
    assert found.kernel not in ("macko-spmv", "gemv")
    assert run(np.ones((1, 256, 512), dtype=bool), MACKO, positions=8).kernel != "gemv"


def test_a_density_below_the_measured_ones_is_flagged_and_says_so() -> None:
    inside, below = run(mask_of(4096, 4096, 0.06)), run(mask_of(4096, 4096, 0.02))
    assert not inside.extrapolated
    assert below.extrapolated
    assert "outside what was measured: density 0.02" in below.reason
    assert "m 64 is outside" in run(mask_of(64, 4096, 0.3)).reason


def test_a_data_type_that_was_not_measured_runs_on_another_kernel_and_one_the_gpu_has_not_is_an_error() -> None:
    trace = LayerTrace(layer=linear(4096, 4096), pattern=PATTERN, mask=mask_of(4096, 4096, 0.5))
    assert estimate(trace, MACKO, dtype="int8").kernel != "macko-spmv"
    with pytest.raises(DeviceError, match="dtype is 'bf16', and rtx-2080-super-macko has"):
        estimate(trace, MACKO, dtype="bf16")


def test_a_device_with_these_kernels_is_written_and_read_back(tmp_path: Path) -> None:
    for on in (MACKO, CSR):
        file = tmp_path / "gpu.toml"
        file.write_text(device_text(on), encoding="utf-8")
        assert load_cost_device(file) == on


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("kernel,parameter,value\n", "line 1: columns are"),
        ("kernel,parameter,value,source\ngemv,start_s,none,x\n", "line 2: value is 'none', and must be a number"),
        ("kernel,parameter,value,source\ngemv,start_s,-1,x\n", "line 2: value is -1.0 from 'x': must be above 0"),
        ("kernel,parameter,value,source\ngemv,start_s,1,\n", "must be above 0, with a source"),
    ],
)
def test_a_damaged_table_of_numbers_is_named_with_line_and_rule(tmp_path: Path, text: str, rule: str) -> None:
    (tmp_path / "numbers.csv").write_text(text, encoding="utf-8")
    with pytest.raises(DeviceError, match=rule):
        read_numbers(tmp_path / "numbers.csv")


def test_a_number_that_a_kernel_has_not_is_refused() -> None:
    with pytest.raises(DeviceError, match="kernel gemv: has no number pass_s"):
        with_numbers(unfitted(VECTOR_GPUS[0].facts)["gemv"], {"pass_s": 1.0})


def test_the_written_numbers_are_all_of_them_and_from_the_gpu_that_the_draw_gives() -> None:
    tested = left_out()
    fitted = next(gpu.soc for gpu in VECTOR_GPUS if gpu.soc not in tested)
    stored = read_numbers()
    assert {(number.kernel, number.parameter) for number in stored} == {
        (kernel, name) for kernel, names in RANGES.items() for name in names
    }
    assert all(number.source.endswith(f"rows of {fitted}") for number in stored if number.kernel != "csrmm")
    uses = {use.soc: use.use for use in open_folder().devices if use.runtimes == ("macko",)}
    assert uses == {gpu.soc: "fit" if gpu.soc == fitted else "held_out" for gpu in VECTOR_GPUS}


def test_a_kernel_that_predicts_what_was_measured_has_no_error() -> None:
    gpu, layer = VECTOR_GPUS[0], linear(4096, 4096)
    numbers = {number.parameter: number.value for number in read_numbers() if number.kernel == "macko-spmv"}
    start = unfitted(gpu.facts)["macko-spmv"]
    key = Key(soc=gpu.soc, processor=gpu.soc, threads=1, dtype="fp16", runtime="macko")
    row = Measurement(table="t", line=2, machine="x", key=key, model="x", net="x", seconds=1.0)
    point = Point(row=row, problem=problem_of(layer, 2), rows=drawn_rows(layer, 0.3, 0))
    exact = replace(point, row=replace(row, seconds=seconds(with_numbers(start, numbers), gpu.base, point)))
    slow = replace(point, row=replace(row, seconds=exact.row.seconds * 2))
    for points, error in (((exact, exact), 0.0), ((slow,), 0.5)):
        subject = Subject(soc=gpu.soc, base=gpu.base, start=start, points=points)
        assert quality(subject, numbers).median == pytest.approx(error)


def test_patterns_with_more_structure_run_on_their_own_kernels_not_on_rows_of_runs() -> None:
    mask = np.ones((1, 64, 64), dtype=bool)
    mask[0, :32, :32] = False
    trace = LayerTrace(layer=linear(64, 64), pattern=parse_pattern("block:32x32"), mask=mask)
    assert estimate(trace, MACKO, dtype="fp16").kernel == "tensor-bsr"


def test_csr_times_a_matrix_gathers_a_sector_for_each_position_unless_weights_share_it() -> None:
    pascal = device("gtx-1080-ti")
    kernel = kernel_of(pascal, "csrmm")
    assert isinstance(kernel, CsrMatrixKernel)
    few, full = rows([1] * 8000, 2560), rows([2560] * 8000, 2560)
    for counted, sectors in ((few, 2560 / 8 * (1 - (1 - 1 / 2560) ** 8)), (full, 2560 / 8)):
        found = estimate_rows(linear(8000, 2560, 1500), counted, kernel, pascal, dtype="fp32")
        moved = sectors * 8000 * 1500 * kernel.far_cost_bytes
        assert found.bounds_s["gather"] == pytest.approx(moved / pascal.levels[-2].total_bytes_per_s)
        assert found.latency_s == pytest.approx(found.bounds_s["gather"] + found.bounds_s["dram"] + kernel.start_s)
    near = estimate_rows(linear(8000, 2560, 4), few, kernel, pascal, dtype="fp32")
    first = pascal.levels[0]
    assert 2560 * 4 * 4 <= (first.bytes or 0) < 2560 * 1500 * 4
    assert near.mapping.endswith(first.name)


def test_csr_times_a_matrix_is_slower_than_dense_where_deepbench_has_it_so() -> None:
    pascal = device("titan-xp")
    trace = LayerTrace(layer=linear(7680, 2560, 1500), pattern=PATTERN, mask=mask_of(7680, 2560, 0.1))
    found = estimate(trace, pascal, dtype="fp32")
    assert found.kernel == "csrmm"
    assert not found.extrapolated
    assert "the dense kernel would take" in found.reason  # 47 ms against 5 ms were measured


def test_a_product_with_one_vector_is_a_family_of_its_own_so_that_no_whole_matrix_gets_its_band() -> None:
    full = np.ones((1, 4096, 4096), dtype=bool)
    assert family_of(run(full)) == "dense_vector"
    assert family_of(run(full, positions=8)) == "dense"
    assert family_of(run(mask_of(4096, 4096, 0.1), CSR)) == "csr_vector"


def test_a_sparse_library_without_a_dense_product_is_compared_with_the_one_beside_it_and_no_other_is() -> None:
    def point(
        runtime: str, pattern: str, measured: float, predicted: float
    ) -> tuple[str, Use, Measurement, Prediction]:
        key = Key(soc="gpu", processor="gpu", threads=1, dtype="fp16", runtime=runtime)
        density = 1.0 if pattern == "dense" else 0.5
        row = Measurement(
            table="t", line=2, machine="x", key=key, model="x", net="gemm/8x1x8", seconds=measured,
            pattern=pattern, density_low=density, density_high=density,
        )  # fmt: skip
        said = Prediction(low_s=predicted, high_s=predicted, family="x", macs_least=1, macs_most=1, density=density)
        return f"gpu-{runtime}", "held_out", row, said

    dense, macko = point("cublas", "dense", 4.0, 5.0), point("macko", "unstructured", 2.0, 2.0)
    other = point("ncnn", "unstructured", 1.0, 1.0)
    (ratio,) = speed_ups([dense, macko, other])
    assert (ratio.device, ratio.measured, ratio.predicted) == ("gpu-macko", 4.0 / 2.0, 5.0 / 2.0)
