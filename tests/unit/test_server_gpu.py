"""Server GPUs: waves of thread blocks, granularity, what 2:4 really gains, and the file that a GPU is."""

from __future__ import annotations

from dataclasses import replace
from math import ceil

import numpy as np
import pytest

from costmodel.devices.a100 import A100
from costmodel.devices.gtx_1080_ti import GTX_1080_TI
from costmodel.devices.h100 import H100
from costmodel.devices.h200 import H200
from costmodel.devices.jetson_agx_orin_gpu import JETSON_AGX_ORIN_GPU
from costmodel.devices.p100 import P100
from costmodel.devices.rtx_3090 import RTX_3090
from costmodel.devices.server_gpus import SERVER_GPUS
from costmodel.devices.titan_xp import TITAN_XP
from costmodel.devices.v100 import V100
from costmodel.estimate import KERNEL_GAP, estimate
from costmodel.server_gpu import ServerGpu, Sourced, server_gpu
from costmodel.server_gpu_kernels import numbers_of
from costmodel.server_gpu_tiles import TILE_LOSS_SIDE, GpuTile, GpuTileKernel, gpu_columns
from costmodel.spec import RooflineDevice
from patterns.block import Block
from patterns.dense import Dense
from patterns.n_of_m import NOfM
from patterns.unstructured import Unstructured
from simulator.result import LayerResult
from simulator.spec import DeviceError
from traces.layer import MatrixLayer, Window
from traces.trace import LayerTrace


def linear(m: int, k: int, tokens: int) -> MatrixLayer:
    return MatrixLayer(name="fc", kind="linear", m=m, k=k, window=Window(in_hw=(1, tokens), out_hw=(1, tokens)))


def conv(m: int, channels: int, size: int, kernel: int) -> MatrixLayer:
    edge = kernel // 2
    window = Window(kernel=(kernel, kernel), padding=(edge,) * 4, in_hw=(size, size), out_hw=(size, size))
    return MatrixLayer(name="conv", kind="conv2d", m=m, k=kernel * kernel * channels, window=window)


def dense(layer: MatrixLayer, device: RooflineDevice, dtype: str = "fp16") -> LayerResult:
    mask = np.broadcast_to(np.True_, (layer.groups, layer.m, layer.k))
    return estimate(LayerTrace(layer=layer, pattern=Dense(), mask=mask), device, dtype=dtype)


def two_of_four(layer: MatrixLayer, device: RooflineDevice, dtype: str = "fp16") -> LayerResult:
    mask = np.zeros((layer.groups, layer.m, layer.k), dtype=np.bool_)
    mask[:, :, ::2] = True
    return estimate(LayerTrace(layer=layer, pattern=NOfM(n=2, m=4), mask=mask), device, dtype=dtype)


def tile_kernel(device: RooflineDevice, name: str) -> GpuTileKernel:
    return next(kernel for kernel in device.kernels if kernel.name == name and isinstance(kernel, GpuTileKernel))


def one_tile(device: RooflineDevice, name: str) -> RooflineDevice:
    """Return ``device`` with the kernel of this name left with its first tile and no cut of K."""
    kernels = tuple(
        replace(kernel, tiles=kernel.tiles[:1], split_k=(1,))
        if isinstance(kernel, GpuTileKernel) and kernel.name == name
        else kernel
        for kernel in device.kernels
    )
    return replace(device, kernels=kernels)


# Tiles and waves


def test_one_tile_more_than_a_wave_holds_takes_two_waves() -> None:
    device = one_tile(V100, "tensor-gemm")
    kernel = tile_kernel(device, "tensor-gemm")
    tile, units = kernel.tiles[0], V100.unit_count
    full = dense(linear(tile.rows, 4096, tile.positions * units), device)
    more = dense(linear(tile.rows, 4096, tile.positions * units + 1), device)
    resident = kernel.resident_threads // tile.threads
    assert resident == 2  # the second wave runs beside the first, whose latency it hides
    hidden = [blocks * tile.threads / kernel.lanes for blocks in (1, 2)]
    hidden = [threads / (threads + kernel.latency_threads) for threads in hidden]
    assert more.bounds_s["compute"] / full.bounds_s["compute"] == pytest.approx(2 * hidden[0] / hidden[1])
    assert "1 on the fullest" in full.mapping
    assert "2 on the fullest" in more.mapping


def test_a_wave_takes_the_macs_of_a_tile_over_what_its_resident_threads_reach() -> None:
    device = one_tile(A100, "tensor-gemm")
    kernel = tile_kernel(device, "tensor-gemm")
    tile = kernel.tiles[0]
    result = dense(linear(tile.rows, 1024, tile.positions * A100.unit_count), device)
    threads = tile.threads / kernel.lanes
    loads = 1 + kernel.tile_loss * TILE_LOSS_SIDE * (1 / tile.rows + 1 / tile.positions)
    rate = 1024 * 1.41e9 * kernel.efficiency * threads / (threads + kernel.latency_threads)
    assert result.bounds_s["compute"] == pytest.approx(tile.rows * tile.positions * 1024 * loads / rate)


def test_columns_are_padded_to_the_step_of_the_kernel() -> None:
    kernel = tile_kernel(V100, "tensor-gemm")
    assert kernel.k_tile == 32
    one_more = dense(linear(256, 33, 8192), V100)
    full = dense(linear(256, 64, 8192), V100)
    assert one_more.counters.macs_issued == full.counters.macs_issued
    assert one_more.bounds_s["compute"] == full.bounds_s["compute"]


def test_input_channels_of_a_convolution_are_padded_tap_by_tap() -> None:
    kernel = tile_kernel(GTX_1080_TI, "cuda-conv-int8")
    assert gpu_columns(conv(64, 3, 56, 7), kernel) == 49 * kernel.channel_tile
    assert gpu_columns(conv(64, 64, 56, 3), kernel) == 9 * 64
    assert gpu_columns(linear(64, 147, 56), kernel) == 147
    first = dense(conv(64, 3, 112, 3), GTX_1080_TI, "int8")
    assert first.counters.macs_issued >= 112 * 112 * 64 * 9 * kernel.channel_tile


def test_few_thread_blocks_ask_for_a_share_of_the_bandwidth_of_l2() -> None:
    level = V100.levels[1]
    assert level.bytes_per_s(1) == pytest.approx(level.total_bytes_per_s / V100.unit_count, rel=1e-6)
    assert level.bytes_per_s(V100.unit_count) <= level.total_bytes_per_s


def test_a_long_k_with_few_tiles_is_cut_and_pays_for_it() -> None:
    result = dense(linear(512, 500_000, 16), V100)
    assert "K in 16" in result.mapping
    kernel = tile_kernel(V100, "tensor-gemm")
    assert result.bounds_s["overhead"] == pytest.approx(kernel.launch_s + kernel.split_s)


def test_each_time_step_of_a_recurrent_product_is_a_launch() -> None:
    steps = Window(in_hw=(1, 30), out_hw=(1, 30))
    layer = MatrixLayer(name="hh", kind="lstm_hidden", m=512, k=128, window=steps, serial=True)
    kernel = tile_kernel(A100, "tensor-gemm")
    assert dense(layer, A100).bounds_s["overhead"] == pytest.approx(30 * kernel.launch_s)


def test_a_cluster_reads_its_dense_operand_once_for_its_thread_blocks() -> None:
    layer = linear(4096, 4096, 16_384)
    device = one_tile(H100, "tensor-gemm")
    tile = tile_kernel(device, "tensor-gemm").tiles[0]
    alone = tuple(replace(k, cluster=1) if isinstance(k, GpuTileKernel) else k for k in device.kernels)
    output = layer.m * layer.p * 2
    share = tile_kernel(H100, "tensor-gemm").l2_share * H100.levels[1].total_bytes_per_s
    both, one = dense(layer, device), dense(layer, replace(device, kernels=alone))
    ratio = (tile.rows + tile.positions / 2) / (tile.rows + tile.positions)
    assert both.bounds_s["l2"] - output / share == pytest.approx(ratio * (one.bounds_s["l2"] - output / share))


# 2:4


@pytest.mark.parametrize("device", [A100, H100, H200, RTX_3090, JETSON_AGX_ORIN_GPU], ids=lambda one: one.name)
def test_two_of_four_gains_less_than_its_tensor_cores_do(device: RooflineDevice) -> None:
    layer = linear(4096, 4096, 16_384)  # bound by its multiply-adds
    sparse, full = two_of_four(layer, device), dense(layer, device)
    assert sparse.kernel == "tensor-2:4"
    assert 2 * sparse.counters.macs_issued == full.counters.macs_issued
    assert 1 < full.latency_s / sparse.latency_s < 2


def test_two_of_four_gains_nothing_where_launches_or_activations_bind() -> None:
    small = linear(256, 256, 64)
    wide = linear(1280, 64, 65_792)  # a short K: the output is most of what moves
    for layer in (small, wide):
        assert two_of_four(layer, A100).latency_s >= dense(layer, A100).latency_s
    assert "the dense kernel would take" in two_of_four(wide, A100).reason


def test_two_of_four_reads_the_dense_operand_in_full() -> None:
    layer = linear(4096, 4096, 16_384)
    kernel, full = tile_kernel(A100, "tensor-2:4"), tile_kernel(A100, "tensor-gemm")
    tile = kernel.tiles[0]
    assert (kernel.tiles, kernel.l2_share) == (full.tiles, full.l2_share)
    sparse = two_of_four(layer, one_tile(A100, "tensor-2:4"))
    blocks = ceil(layer.m / tile.rows) * ceil(layer.p / tile.positions)
    index = sparse.counters.index_bytes / sparse.counters.weight_bytes
    block = layer.k * 2 * (tile.rows / 2 * (1 + index) + tile.positions)
    output = layer.m * layer.p * 2
    l2_s = (blocks * block + output) / (A100.levels[1].total_bytes_per_s * kernel.l2_share)
    assert sparse.bounds_s["l2"] == pytest.approx(l2_s, rel=1e-6)


def test_two_of_four_copies_its_output_once_more() -> None:
    layer = linear(4096, 4096, 16_384)
    kernel = tile_kernel(A100, "tensor-2:4")
    moved = 2 * layer.m * layer.p * 2 / A100.levels[2].total_bytes_per_s
    assert two_of_four(layer, A100).bounds_s["overhead"] == pytest.approx(2 * kernel.launch_s + moved)


def test_two_of_four_runs_dense_where_the_hardware_does_not_skip() -> None:
    layer = linear(1024, 1024, 4096)
    for device in (V100, P100):
        result = two_of_four(layer, device)
        assert result.encoding == "dense"
        assert result.latency_s == dense(layer, device).latency_s
        assert f"{device.name} has no kernel for n_of_m" in result.reason


def test_only_ampere_and_later_have_two_of_four() -> None:
    found = {device.name for device in SERVER_GPUS if any(kernel.encoding == "n_of_m" for kernel in device.kernels)}
    later = ("a100", "h100", "h200", "rtx-3090", "rtx-4090", "jetson-agx-orin-gpu")
    assert found == {device.name for device in SERVER_GPUS if device.name.removesuffix("-macko") in later}


# Sparse kernels beside dense ones


def test_sparser_blocks_take_less_time_and_beat_the_dense_kernel() -> None:
    layer = linear(1024, 1024, 8192)
    scores = np.random.default_rng(0).random((1, 1024, 1024), dtype=np.float32)
    pattern = Block(height=64, width=64)
    times = []
    for sparsity in (0.5, 0.8, 0.9):
        made = LayerTrace(layer=layer, pattern=pattern, mask=pattern.project(scores, sparsity))
        times.append(estimate(made, A100).latency_s)
    assert times == sorted(times, reverse=True)
    assert times[-1] < dense(layer, A100).latency_s


def test_unstructured_masks_go_to_the_cuda_cores() -> None:
    layer = linear(1024, 1024, 512)
    scores = np.random.default_rng(0).random((1, 1024, 1024), dtype=np.float32)
    made = LayerTrace(layer=layer, pattern=Unstructured(), mask=Unstructured().project(scores, 0.95))
    for device in (V100, P100):
        result = estimate(made, device, dtype="fp32")
        assert (result.kernel, result.encoding) == ("csr-spmm", "csr")


# Generations


def test_the_same_chip_with_faster_memory_is_faster_only_where_memory_binds() -> None:
    vector = linear(8192, 8192, 1)
    square = linear(8192, 8192, 8192)
    assert dense(vector, H200).latency_s < dense(vector, H100).latency_s
    assert dense(square, H200).latency_s == pytest.approx(dense(square, H100).latency_s)


def test_a_data_type_that_a_gpu_has_not_is_refused_by_name() -> None:
    for device, dtype in ((P100, "int8"), (TITAN_XP, "fp16")):
        with pytest.raises(DeviceError, match=f"dtype is '{dtype}', and {device.name} has"):
            dense(linear(64, 64, 64), device, dtype)


def test_a_product_beyond_those_fitted_is_flagged_and_one_within_is_not() -> None:
    kernel = tile_kernel(V100, "tensor-gemm")
    least, most = kernel.calibrated_macs
    within, tiny = linear(1024, 1024, 1024), linear(8, 8, 8)
    assert 8**3 < least <= 1024**3 <= most
    assert not dense(within, V100).extrapolated
    assert dense(tiny, V100).extrapolated
    assert f"outside what the kernel was fitted to: multiply-adds below {least:.3g}" in dense(tiny, V100).reason


def in_blocks(layer: MatrixLayer, side: int, density: float, device: RooflineDevice) -> LayerResult:
    scores = np.random.default_rng(0).random((1, layer.m, layer.k), dtype=np.float32)
    pattern = Block(height=side, width=side)
    mask = pattern.project(scores, 1 - density)
    return estimate(LayerTrace(layer=layer, pattern=pattern, mask=mask), device, dtype="fp16")


def test_blocks_beyond_what_their_kernel_was_calibrated_on_are_flagged_with_how() -> None:
    of_vit_b = linear(3072, 768, 256 * 197)  # a layer of the rows behind the number: batch 256
    within = in_blocks(of_vit_b, 64, 0.2, A100)
    assert within.kernel == "tensor-bsr"
    assert not within.extrapolated
    small = in_blocks(linear(192, 768, 197), 16, 0.99, A100)
    assert small.extrapolated
    least = 3072 * 768 * 256 * 197
    assert (
        f"outside what the kernel was fitted to: blocks other than 64x64, density above 0.2, multiply-adds below "
        f"{least:.3g}" in small.reason
    )


def test_a_kernel_that_gains_more_than_was_removed_is_a_gap_between_models_and_no_gain() -> None:
    layer = linear(192, 768, 197)
    nearly_all = in_blocks(layer, 16, 0.99, A100)
    assert nearly_all.latency_s < 0.99 * dense(layer, A100).latency_s
    assert KERNEL_GAP in nearly_all.reason
    assert KERNEL_GAP not in in_blocks(layer, 16, 0.5, A100).reason


# A GPU as data


def spec(**changed: object) -> ServerGpu:
    fields: dict[str, object] = {
        "name": "mine",
        "summary": "a GPU of a test",
        "gemm_libraries": (("fp32", "cublas-10.1"), ("fp16", "cublas-10.1")),
        "sms": Sourced(10, "assumed"),
        "clock_hz": Sourced(1e9, "assumed"),
        "cuda_macs": (("fp32", Sourced(64, "assumed")), ("fp16", Sourced(128, "assumed"))),
        "tensor_macs": (("fp16", Sourced(512, "assumed")),),
        "shared_bytes": Sourced(65_536, "assumed"),
        "l2_bytes": Sourced(4_194_304, "assumed"),
        "l2_bytes_per_s": Sourced(1e12, "assumed"),
        "dram_bytes_per_s": Sourced(4e11, "assumed"),
        "dram_attained": Sourced(0.8, "assumed"),
    }
    return ServerGpu(**{**fields, **changed})  # type: ignore[arg-type]


def test_a_gpu_is_built_from_its_numbers_alone() -> None:
    device = server_gpu(spec())
    assert device.peak_macs_per_s("fp16", 10) == 10 * 512 * 1e9
    assert device.peak_macs_per_s("fp32", 10) == 10 * 64 * 1e9
    assert device.levels[2].total_bytes_per_s == pytest.approx(0.8 * 4e11)
    assert device.sources["units.0.count"] == "assumed"


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"sms": Sourced(0, "assumed")}, "device mine: sms is 0, and must be above 0"),
        ({"clock_hz": Sourced(-1.0, "assumed")}, "device mine: clock_hz is -1.0, and must be above 0"),
        ({"l2_bytes": Sourced(1.0, " ")}, "device mine: l2_bytes is 1.0 without a source"),
        ({"dram_attained": Sourced(1.2, "assumed")}, "device mine: dram_attained is 1.2, and must be at most 1"),
        ({"two_of_four": ("int8",)}, "device mine: two_of_four names int8, and tensor_macs has no such type"),
        ({"gemm_libraries": (("fp32", "cublas-10.1"),)}, "device mine: gemm_libraries lacks fp16"),
        ({"cuda_macs": (("fp32", Sourced(64, "assumed")),)}, "device mine: cuda_macs lacks fp16"),
    ],
)
def test_an_impossible_number_names_the_device_the_field_and_the_rule(changed: dict[str, object], says: str) -> None:
    with pytest.raises(DeviceError) as found:
        spec(**changed)
    assert says in str(found.value)


def test_a_tile_of_nothing_and_a_memory_without_l2_are_refused() -> None:
    with pytest.raises(DeviceError, match=r"tiles.rows is 0, and must be at least 1"):
        GpuTile(rows=0, positions=64, threads=128, warp_rows=32, warp_positions=32)
    sources = {path: why for path, why in V100.sources.items() if not path.startswith("levels.l2")}
    flat = replace(V100, levels=(V100.levels[0], V100.levels[2]), sources=sources)
    with pytest.raises(DeviceError, match=r"device v100: kernel tensor-gemm needs three levels"):
        dense(linear(64, 64, 64), flat)


def test_a_library_without_numbers_is_named() -> None:
    with pytest.raises(DeviceError, match=r"library cublas-1, fp32: efficiency is missing"):
        server_gpu(spec(gemm_libraries=(("fp32", "cublas-1"), ("fp16", "cublas-10.1"))))


def test_every_gpu_reaches_less_than_its_peak() -> None:
    for device in SERVER_GPUS:
        for dtype in device.dtypes:
            result = dense(linear(4096, 4096, 8192), device, dtype)
            assert 0.4 < result.utilization < 1, (device.name, dtype)


def test_no_fitted_number_belongs_to_a_shape() -> None:
    for device in SERVER_GPUS:
        for kernel in device.kernels:
            if isinstance(kernel, GpuTileKernel) and not kernel.serves:
                own = numbers_of(kernel.runtime, kernel.dtypes[0])
                assert kernel.efficiency == own["efficiency"].value
                assert kernel.launch_s == own["launch_s"].value
