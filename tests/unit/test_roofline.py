"""Roofline times of hand-sized layers, written out as the rule computes them. DESIGN section 6."""

from __future__ import annotations

from dataclasses import replace
from math import ceil
from typing import Any

import numpy as np
import pytest

from costmodel.devices.a100 import A100
from costmodel.devices.catalog import ALL_DEVICES
from costmodel.devices.cpus import SNAPDRAGON_855
from costmodel.devices.mobile_gpus import ADRENO_640
from costmodel.devices.zcu102 import ZCU102
from costmodel.estimate import estimate
from costmodel.roofline import restream_bytes
from costmodel.sparse import block_row_counts, largest_share, position_blocks
from costmodel.spec import Kernel, RooflineDevice, Units
from patterns.base import Pattern
from patterns.block import Block
from patterns.dense import Dense
from patterns.gs import GatherScatter
from patterns.n_of_m import NOfM
from patterns.unstructured import Unstructured
from simulator.spec import DeviceError
from traces.layer import MatrixLayer, VectorLayer, Window
from traces.layout import column_banks
from traces.trace import LayerTrace


def conv(m: int, k: int, size: int, kernel: int = 1) -> MatrixLayer:
    edge = kernel // 2
    window = Window(kernel=(kernel, kernel), padding=(edge,) * 4, in_hw=(size, size), out_hw=(size, size))
    return MatrixLayer(name="conv", kind="conv2d", m=m, k=k, window=window)


def linear(m: int, k: int, tokens: int, batch: int = 1) -> MatrixLayer:
    window = Window(in_hw=(1, tokens), out_hw=(1, tokens))
    return MatrixLayer(name="fc", kind="linear", m=m, k=k, batch=batch, window=window)


def trace(layer: MatrixLayer, pattern: Pattern, sparsity: float = 0.0) -> LayerTrace:
    scores = np.random.default_rng(1).random((layer.groups, layer.m, layer.k), dtype=np.float32)
    banks = column_banks(layer, getattr(pattern, "banks", 16))
    return LayerTrace(layer=layer, pattern=pattern, mask=pattern.project(scores, sparsity, banks))


def kernel_named(device: RooflineDevice, name: str, dtype: str = "fp16") -> Kernel:
    return next(kernel for kernel in device.kernels if kernel.name == name and dtype in kernel.dtypes)


# Dense kernels


def test_a_compute_bound_product_takes_its_macs_over_the_rate_plus_one_overhead() -> None:
    layer = conv(256, 256, 24)  # 256 rows and 576 positions: whole 8 x 12 tiles
    result = estimate(trace(layer, Dense()), SNAPDRAGON_855, dtype="fp32")
    kernel = kernel_named(SNAPDRAGON_855, "gemm", "fp32")
    cycles = 256 * 256 * 576 / (8 * kernel.efficiency) + 256 * 576 * kernel.epilogue_operations / 4
    assert result.bound == "compute"
    assert result.latency_s == pytest.approx(cycles / 2.84e9 + SNAPDRAGON_855.overhead_s)
    assert result.counters.macs_issued == result.counters.macs_dense


def test_four_threads_run_at_the_clock_of_the_slowest_core_less_what_threads_lose() -> None:
    layer = conv(256, 256, 24)
    result = estimate(trace(layer, Dense()), SNAPDRAGON_855, dtype="fp32", threads=4)
    kernel = kernel_named(SNAPDRAGON_855, "gemm", "fp32")
    cycles = 256 * 256 * 576 / (8 * kernel.efficiency) + 256 * 576 * kernel.epilogue_operations / 4
    loss, wake = SNAPDRAGON_855.thread_loss, SNAPDRAGON_855.thread_overhead_s
    assert loss is not None
    assert wake is not None
    assert result.bounds_s["compute"] == pytest.approx(cycles * (1 + 3 * loss) / (4 * 2.42e9))
    assert result.bounds_s["overhead"] == pytest.approx(SNAPDRAGON_855.overhead_s + 3 * wake)


def test_a_fully_connected_layer_at_batch_one_waits_for_its_weights() -> None:
    result = estimate(trace(linear(1000, 2048, 1), Dense()), SNAPDRAGON_855, dtype="fp32")
    assert result.bound == "dram"
    achieved = SNAPDRAGON_855.levels[-1].unit_bytes_per_s
    assert result.latency_s == pytest.approx(1000 * 2048 * 4 / achieved + SNAPDRAGON_855.overhead_s)
    assert result.counters.dram_bytes == 1000 * 2048 * 4  # its activations stay on the chip


def test_rows_and_positions_are_padded_to_a_register_tile() -> None:
    wide = tuple(replace(level, unit_bytes_per_s=10**15, total_bytes_per_s=10**15) for level in SNAPDRAGON_855.levels)
    result = estimate(trace(conv(10, 64, 5), Dense()), replace(SNAPDRAGON_855, levels=wide), dtype="fp32")
    sizes = {ceil(10 / 8) * 8 * ceil(25 / 12) * 12, ceil(10 / 8) * 8 * ceil(25 / 4) * 4, ceil(10 / 16) * 16 * 25}
    assert result.counters.macs_issued == min(sizes) * 64


def test_activations_above_the_last_cache_go_to_dram() -> None:
    small, large = conv(64, 64, 56), conv(64, 64, 224)
    assert 2 * 64 * 56 * 56 * 2 <= 2 * 2**20 < 2 * 64 * 224 * 224 * 2
    weights = 64 * 64 * 2
    held = estimate(trace(small, Dense()), SNAPDRAGON_855)
    spilled = estimate(trace(large, Dense()), SNAPDRAGON_855)
    assert held.counters.dram_bytes == weights
    assert spilled.counters.dram_bytes == weights + 2 * 64 * 224 * 224 * 2


def test_a_matrix_product_restreams_two_macs_over_the_root_of_the_cache() -> None:
    assert restream_bytes(1024**3, 2, 2 * 64 * 64) == 2 * 1024**3 * 2 // 64


def test_serial_steps_read_held_weights_from_dram_once_and_start_once_on_a_cpu() -> None:
    steps = Window(in_hw=(1, 30), out_hw=(1, 30))
    layer = MatrixLayer(name="hh", kind="lstm_hidden", m=512, k=128, window=steps, serial=True)
    result = estimate(trace(layer, Dense()), SNAPDRAGON_855)
    assert result.counters.dram_read_bytes == 512 * 128 * 2
    assert result.bounds_s["overhead"] == SNAPDRAGON_855.overhead_s
    on_gpu = estimate(trace(layer, Dense()), A100)
    assert on_gpu.bounds_s["overhead"] == pytest.approx(A100.overhead_s + 29 * A100.step_overhead_s)


def test_a_fused_activation_has_no_launch_and_an_addition_has_one() -> None:
    relu = VectorLayer(name="relu", kind="activation", op="Relu", elements=10_000, fused_into="conv")
    add = VectorLayer(name="add", kind="add", op="Add", elements=10_000, input_elements=20_000, output_elements=10_000)
    for device in ALL_DEVICES:
        fused = estimate(LayerTrace(layer=relu, pattern=Dense()), device, dtype=device.dtypes[0])
        alone = estimate(LayerTrace(layer=add, pattern=Dense()), device, dtype=device.dtypes[0])
        assert "overhead" not in fused.bounds_s
        assert "fused into conv" in fused.reason
        assert alone.latency_s > device.overhead_s


# Sparse kernels


def test_a_csr_row_kernel_counts_loads_multiplies_and_decode_of_each_kept_weight() -> None:
    layer = conv(64, 256, 8)  # 64 positions: two blocks of 32, four fp16 vectors each
    made = trace(layer, Unstructured(), 0.9)
    result = estimate(made, SNAPDRAGON_855)
    kept, blocks, vectors = made.kept, 2, 4
    second = 2.84e9 * kernel_named(SNAPDRAGON_855, "spmm-32x1").efficiency
    ends = 64 * blocks * 10  # mispredicted exits
    loads = kept * blocks * (vectors + 1 + 1 + 3)  # activations, weight, index, prefetches
    multiplies = kept * blocks * vectors
    others = kept * blocks * 3 / 4 + 64 * blocks * vectors * 4 / 4
    assert result.kernel == "spmm-32x1"
    assert result.bounds_s["gather"] == pytest.approx((loads / 2 + ends) / second)
    assert result.bounds_s["compute"] == pytest.approx((kept * blocks * max(vectors / 2, 4) + ends) / second)
    assert result.bounds_s["issue"] == pytest.approx(((loads + multiplies) / 4 + others + ends) / second)
    assert result.counters.macs_issued == kept * 64


def test_four_row_blocks_load_an_activation_once_for_four_rows() -> None:
    layer = conv(64, 256, 8)
    blocks = estimate(trace(layer, Block(height=4, width=1), 0.9), SNAPDRAGON_855, dtype="fp32")
    single = estimate(trace(layer, Unstructured(), 0.9), SNAPDRAGON_855, dtype="fp32")
    assert (blocks.kernel, single.kernel) == ("spmm-32x4", "spmm-32x1")
    assert blocks.bounds_s["gather"] < single.bounds_s["gather"] / 3
    second = 2.84e9 * kernel_named(SNAPDRAGON_855, "spmm-32x1").efficiency
    exits = (64 - 64 / 4) * 2 * 10 / second  # a mispredicted one for each row, or four rows, and position block
    assert blocks.bounds_s["compute"] == pytest.approx(single.bounds_s["compute"] - exits, rel=0.02)


def test_xnnpack_takes_1x1_windows_and_runs_3x3_dense_and_says_so() -> None:
    result = estimate(trace(conv(64, 9 * 64, 14, kernel=3), Unstructured(), 0.9), SNAPDRAGON_855)
    assert (result.kernel, result.encoding) == ("gemm", "dense")
    assert "3x3" in result.reason
    assert result.counters.macs_effectual < result.counters.macs_dense / 8


def test_rows_cut_over_threads_cost_what_the_fullest_thread_does() -> None:
    layer = linear(64, 512, 32)
    mask = np.zeros((1, 64, 512), dtype=np.bool_)
    mask[0, :16] = True  # the first of four threads has all the work
    skewed = LayerTrace(layer=layer, pattern=Unstructured(), mask=mask)
    even_mask = np.zeros((1, 64, 512), dtype=np.bool_)
    even_mask[0, :, :128] = True
    even = LayerTrace(layer=layer, pattern=Unstructured(), mask=even_mask)
    slow = estimate(skewed, SNAPDRAGON_855, threads=4)
    fast = estimate(even, SNAPDRAGON_855, threads=4)
    assert slow.bounds_s["compute"] == pytest.approx(4 * fast.bounds_s["compute"])


def test_two_of_four_halves_the_issued_macs_only_where_the_hardware_skips() -> None:
    layer = linear(4096, 1024, 13_008)
    for device in (SNAPDRAGON_855, ADRENO_640, A100, ZCU102):
        sparse = estimate(trace(layer, NOfM(n=2, m=4), 0.5), device)
        dense = estimate(trace(layer, Dense()), device)
        if device is A100:
            assert sparse.kernel == "tensor-2:4"
            assert 2 * sparse.counters.macs_issued == dense.counters.macs_issued
            efficiency = kernel_named(A100, "tensor-2:4").efficiency / kernel_named(A100, "tensor-gemm").efficiency
            ratio = dense.bounds_s["compute"] / sparse.bounds_s["compute"]
            assert ratio == pytest.approx(2 * efficiency, rel=0.01)
        else:
            assert sparse.kernel != "tensor-2:4"


def test_a_mask_that_breaks_two_of_four_runs_dense_on_the_a100_and_says_where() -> None:
    layer = linear(64, 64, 64)
    mask = np.zeros((1, 64, 64), dtype=np.bool_)
    mask[0, 3, 4:7] = True
    result = estimate(LayerTrace(layer=layer, pattern=NOfM(n=2, m=4), mask=mask), A100)
    assert result.kernel == "tensor-gemm"
    assert "row 3, column 4" in result.reason


def test_a_pattern_without_a_kernel_runs_dense_at_the_dense_time_and_says_so() -> None:
    layer = conv(64, 256, 14)
    for pattern in (Unstructured(), Block(height=4, width=1), GatherScatter(banks=16, k=1), NOfM(n=2, m=4)):
        result = estimate(trace(layer, pattern, 0.75), ADRENO_640)
        dense = estimate(trace(layer, Dense()), ADRENO_640)
        assert result.latency_s == dense.latency_s
        assert (result.encoding, result.counters.weight_bytes) == ("dense", 64 * 256 * 2)
        assert "adreno-640 has no kernel for" in result.reason


def test_a_sparse_kernel_that_loses_says_what_dense_would_take() -> None:
    layer = linear(1024, 1024, 2048)
    made = trace(layer, Unstructured(), 0.5)
    sparse, dense = estimate(made, A100), estimate(made, A100, encoding="dense")
    assert sparse.kernel == "csr-spmm"
    assert dense.latency_s < sparse.latency_s
    assert sparse.dense_kernel_s == dense.latency_s
    assert "the dense kernel would take less time" in sparse.reason
    assert dense.dense_kernel_s is None


def test_csr_bytes_follow_the_size_formula() -> None:
    made = trace(conv(64, 256, 8), Unstructured(), 0.9)
    counters = estimate(made, SNAPDRAGON_855).counters
    assert counters.weight_bytes == made.kept * 2
    assert counters.index_bytes == made.kept * 4 + (64 + 1) * 4


def test_positions_are_cut_into_blocks_and_halves() -> None:
    assert position_blocks(49, 32) == [(1, 32), (1, 16), (1, 1)]
    for positions in range(1, 200):
        assert sum(count * size for count, size in position_blocks(positions, 32)) == positions


def test_block_rows_count_blocks_that_keep_anything() -> None:
    mask = np.zeros((1, 5, 6), dtype=np.bool_)
    mask[0, 0, 0] = mask[0, 1, 1] = mask[0, 4, 5] = True
    assert block_row_counts(mask, 2, 2).tolist() == [[1, 0, 1]]
    assert block_row_counts(mask, 1, 1).tolist() == [[1, 1, 0, 0, 1]]


def test_the_largest_share_is_at_least_an_even_one() -> None:
    counts = np.array([[4, 1, 1, 2]])
    assert largest_share(counts, 1, 2, "rows") == (4 + 1) / 8
    assert largest_share(counts, 3, 2, "positions") == 2 / 3
    assert largest_share(counts, 1, 8, "dynamic") == 4 / 8
    assert largest_share(counts, 8, 2, "dynamic") == 1 / 2


# Bad arguments


def test_threads_beyond_the_cores_are_refused_and_a_gpu_says_that_it_has_none() -> None:
    made = trace(conv(16, 16, 8), Dense())
    with pytest.raises(DeviceError, match="threads is 9"):
        estimate(made, SNAPDRAGON_855, threads=9)
    with pytest.raises(DeviceError, match="threads is 0"):
        estimate(made, A100, threads=0)
    assert "threads has no meaning on a100" in estimate(made, A100, threads=4).reason


def test_int8_on_a_device_without_it_is_refused() -> None:
    with pytest.raises(DeviceError, match="'int8', and adreno-640 has fp32, fp16"):
        estimate(trace(conv(16, 16, 8), Dense()), ADRENO_640, dtype="int8")


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"units": (Units(count=10**30, clock_hz=10**9),)}, "units are 1000000000000000000000000000000, and must be"),
        ({"overhead_s": 1e308}, r"overhead_s is 1e\+308, and must be at most 1e\+18"),
        (
            {"levels": (replace(SNAPDRAGON_855.levels[0], name="compute"), SNAPDRAGON_855.levels[-1])},
            "levels.0.name is",
        ),
        ({"levels": (replace(SNAPDRAGON_855.levels[0], name=""), SNAPDRAGON_855.levels[-1])}, "levels.0.name is ''"),
        ({"levels": (replace(SNAPDRAGON_855.levels[0], name="dram"), SNAPDRAGON_855.levels[-1])}, "levels.1.name is"),
        (
            {"kernels": (replace(SNAPDRAGON_855.kernels[0], memory_share=0.0), *SNAPDRAGON_855.kernels[1:])},
            "memory_share is 0.0, and must be above 0",
        ),
    ],
)
def test_a_device_that_would_stall_or_hide_a_bound_cannot_be_built(changed: dict[str, Any], says: str) -> None:
    sources = {name: text for name, text in SNAPDRAGON_855.sources.items() if not name.startswith(("levels", "units"))}
    sources |= {"levels": "a test", "units": "a test"}
    with pytest.raises(DeviceError, match=says):
        replace(SNAPDRAGON_855, **changed, sources=sources)
