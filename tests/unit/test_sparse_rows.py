"""Row kernels, position block by position block: what a column, a row's end and a heavy row cost on a core."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from costmodel.cpu_device import cpu_device
from costmodel.estimate import estimate
from costmodel.sparse import block_row_counts, largest_share, position_blocks
from costmodel.spec import RooflineDevice, RowKernel
from patterns.base import Mask
from patterns.unstructured import Unstructured
from simulator.result import LayerResult
from traces.layer import MatrixLayer, Window
from traces.trace import LayerTrace

A53 = cpu_device("snapdragon-625", "snapdragon-625", "paddle-lite")
A77 = cpu_device("snapdragon-865", "snapdragon-865", "paddle-lite")
EIGEN = cpu_device("raspberry-pi-3b-eigen", "raspberry-pi-3b", "eigen")


def pointwise(m: int, k: int, positions: int) -> MatrixLayer:
    window = Window(in_hw=(1, positions), out_hw=(1, positions))
    return MatrixLayer(name="conv", kind="conv2d", m=m, k=k, window=window)


def first_columns(m: int, k: int, kept: int) -> Mask:
    mask = np.zeros((1, m, k), dtype=np.bool_)
    mask[:, :, :kept] = True
    return mask


def run(layer: MatrixLayer, mask: Mask, device: RooflineDevice, dtype: str = "fp32", threads: int = 1) -> LayerResult:
    return estimate(LayerTrace(layer=layer, pattern=Unstructured(), mask=mask), device, dtype=dtype, threads=threads)


def row_kernel(device: RooflineDevice, dtype: str = "fp32") -> RowKernel:
    return next(each for each in device.kernels if isinstance(each, RowKernel) and dtype in each.dtypes)


def cycles(result: LayerResult, device: RooflineDevice, bound: str, dtype: str = "fp32") -> float:
    return result.bounds_s[bound] * device.units[0].clock_hz * row_kernel(device, dtype).efficiency


def test_one_position_left_over_costs_a_quarter_of_a_block_of_32_and_not_a_32nd() -> None:
    """The chain of one accumulator, 4 cycles a column, bounds a block of one position as it does one of 32."""
    mask = first_columns(8, 64, 32)
    whole, ragged = (run(pointwise(8, 64, positions), mask, A77) for positions in (32, 33))
    more = cycles(ragged, A77, "compute") - cycles(whole, A77, "compute")
    assert position_blocks(33, 32) == [(1, 32), (1, 1)]
    assert more == pytest.approx(8 * (32 * 4 + 10))  # and a mispredicted exit a row
    assert cycles(whole, A77, "compute") == pytest.approx(8 * (32 * max(8 / 2, 4) + 10))


def test_the_rest_of_a_pipelined_kernel_waits_for_its_loads_on_a_core_in_order() -> None:
    mask = first_columns(8, 64, 32)  # 64 columns x 3 lines x 64 B are within the first cache
    rest = run(pointwise(8, 64, 16), mask, A53)
    one_load = 4  # load to use
    column = 4 + 4 / 0.5 + 1 + one_load  # multiplies, vector loads, weight
    assert cycles(rest, A53, "gather") == pytest.approx(8 * (32 * column + 10 + 4 * 4))


def test_an_index_that_an_address_needs_is_waited_for_before_the_activation() -> None:
    mask = first_columns(8, 64, 32)
    result = run(pointwise(8, 64, 1), mask, EIGEN, "int8")
    chain = 2 * 4  # the index, then the activation
    column = 16 / 8 + 1 + 1  # one vector operation, and two loads of a byte, one after another
    assert cycles(result, EIGEN, "gather", "int8") == pytest.approx(8 * (32 * (column + chain) + 10 + 2))


def test_columns_beyond_the_first_cache_cost_a_core_in_order_more_and_a_reordering_one_bandwidth() -> None:
    near, far = 64, 4096  # channels of 64 positions: 12 KB and 786 KB of lines
    for device in (A53, A77):
        results = [run(pointwise(8, k, 64), first_columns(8, k, 32), device) for k in (near, far)]
        gathers = [cycles(result, device, "gather") for result in results]
        assert (gathers[1] > gathers[0]) == (device is A53)
        moved = [result.bounds_s["l2"] for result in results]
        lines = 2 * 8 * 32 * 3 * 64  # blocks, rows, columns, lines of a block and the one behind it
        rate = device.levels[1].bytes_per_s(1)
        assert moved[1] - moved[0] >= lines / rate


def test_one_position_at_a_time_reads_columns_that_share_lines() -> None:
    """2560 bytes of a vector stay in the first cache; as lines of their own they would be 160 KB."""
    near, far = (
        cycles(run(pointwise(8, k, 1), first_columns(8, k, 32), EIGEN, "int8"), EIGEN, "gather", "int8")
        for k in (64, 2560)
    )
    assert near == far


def test_a_heavy_row_makes_its_thread_the_slow_one_where_rows_are_cut() -> None:
    mask = first_columns(8, 64, 4)
    mask[0, 0, :] = True  # 64 + 7 x 4 = 92 kept, of which the first of two threads has 64 + 3 x 4
    counts = block_row_counts(mask, 1, 1)
    assert largest_share(counts, 1, 2, "rows") == (64 + 3 * 4) / (64 + 7 * 4)
    assert largest_share(counts, 4, 2, "positions") == 1 / 2  # every thread meets the heavy row
    even = run(pointwise(8, 64, 4), first_columns(8, 64, 8), EIGEN, "int8", threads=2)
    heavy = run(pointwise(8, 64, 4), mask, EIGEN, "int8", threads=2)
    assert "1.65" in heavy.mapping  # 76 / 92 of the work, twice
    assert heavy.bounds_s["gather"] > even.bounds_s["gather"]


def test_sparse_int8_of_paddle_lite_widens_its_products() -> None:
    mask = first_columns(8, 64, 32)
    result = run(pointwise(8, 64, 32), mask, A53, "int8")
    assert result.kernel == "spmm-int8-32x1"
    operations = 2 * 6  # two vectors of 16: two widening multiplies and four widening adds each
    assert cycles(result, A53, "compute", "int8") == pytest.approx(8 * (32 * operations + 10))
    assert row_kernel(A53, "int8").mix == replace(row_kernel(A53).mix, epilogue=20, multiply_operations=6)
