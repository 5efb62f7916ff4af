"""Winograd's work and traffic, written out by hand for layers whose tiles can be counted on paper."""

from __future__ import annotations

from dataclasses import replace
from math import ceil

import numpy as np
import pytest

from costmodel.devices.cpus import CPU_DEVICES
from costmodel.estimate import dense_cost, estimate
from costmodel.spec import WinogradKernel, WinogradSize
from costmodel.winograd import INPUT_OPERATIONS, OUTPUT_OPERATIONS, transforms, useful_macs, winograd_size
from patterns.dense import Dense
from patterns.unstructured import Unstructured
from traces.layer import MatrixLayer, Window
from traces.trace import LayerTrace

DEVICE = next(device for device in CPU_DEVICES if device.name == "raspberry-pi-4")


def kernel(dtype: str = "fp32") -> WinogradKernel:
    return next(each for each in DEVICE.kernels if isinstance(each, WinogradKernel) and dtype in each.dtypes)


def conv(m: int, ci: int, size: int, kernel_size: int = 3, stride: int = 1, dilation: int = 1) -> MatrixLayer:
    window = Window(
        kernel=(kernel_size, kernel_size),
        stride=(stride, stride),
        dilation=(dilation, dilation),
        in_hw=(size, size),
        out_hw=(size, size),
    )
    return MatrixLayer(name="conv", kind="conv2d", m=m, k=ci * kernel_size**2, window=window)


def correlation(values: np.ndarray, taps: np.ndarray) -> np.ndarray:
    return np.array([values[at : at + 3] @ taps for at in range(len(values) - 2)])


def test_the_1d_transforms_of_two_outputs_take_the_additions_that_are_counted() -> None:
    """F(2, 3) written out: 4 additions in, 4 out, 4 products where a direct one takes 6."""
    d, g = np.array([3.0, -1.0, 4.0, 2.0]), np.array([0.5, 2.0, -1.5])
    inputs = np.array([d[0] - d[2], d[1] + d[2], d[2] - d[1], d[1] - d[3]])
    weights = np.array([g[0], (g[0] + g[1] + g[2]) / 2, (g[0] - g[1] + g[2]) / 2, g[2]])
    products = inputs * weights
    outputs = np.array([products[0] + products[1] + products[2], products[1] - products[2] - products[3]])
    assert outputs == pytest.approx(correlation(d, g))
    assert INPUT_OPERATIONS[2] == 4  # one addition for each of four
    assert OUTPUT_OPERATIONS[2] == 4  # two for each of two


@pytest.mark.parametrize("outputs", [2, 4, 6])
def test_tiles_operations_and_elements_are_those_of_a_hand_count(outputs: int) -> None:
    layer, edge = conv(32, 16, 14), outputs + 2
    tiles = ceil(14 / outputs) ** 2
    work = transforms(layer, outputs)
    assert work.tiles == tiles
    assert work.places == edge**2
    assert work.input_elements == tiles * 16 * edge**2
    assert work.output_elements == tiles * 32 * edge**2
    # edge columns, then edge rows, are transformed on the way in; edge columns, then outputs rows, on the way out
    assert work.input_operations == tiles * 16 * (edge + edge) * INPUT_OPERATIONS[outputs]
    assert work.output_operations == tiles * 32 * (edge + outputs) * OUTPUT_OPERATIONS[outputs]


@pytest.mark.parametrize(("outputs", "saved"), [(2, 2.25), (4, 4.0), (6, 5.0625)])
def test_products_are_fewer_by_nine_outputs_over_places(outputs: int, saved: float) -> None:
    layer = conv(64, 64, 12 * outputs)
    assert layer.macs / useful_macs(layer, outputs) == pytest.approx(saved)


def test_compute_is_products_transforms_and_epilogue_over_their_rates() -> None:
    size = 48  # 12 x 12 tiles of 4 x 4: whole register tiles
    layer, own = conv(256, 256, size), kernel()
    own_four = replace(own, sizes=(WinogradSize(outputs=4),))
    device = replace(DEVICE, kernels=(own_four, *(each for each in DEVICE.kernels if each != own)))
    cost = dense_cost(layer, device, dtype="fp32")
    work = transforms(layer, 4)
    issued = 36 * 256 * 256 * 144
    operations = work.input_operations + work.output_operations
    epilogue = 256 * size**2 * own.epilogue_operations / 4
    cycles = issued / (4 * own.efficiency) + operations / (4 * own.transform_efficiency) + epilogue
    assert cost.macs_issued == issued
    assert cost.bounds_s["compute"] == pytest.approx(cycles / 1.8e9)
    assert cost.mapping.startswith("F(4x4,3x3), 144 tiles, 36 products")


def test_transformed_weights_and_spilled_buffers_count_as_memory() -> None:
    layer = conv(256, 256, 48)
    cost = dense_cost(layer, DEVICE, dtype="fp32")
    work, weights = transforms(layer, 4), 36 * 256 * 256 * 4
    buffers = (work.input_elements + work.output_elements) * 4
    assert cost.size.total_bytes == weights
    assert buffers > 2**20  # above the last cache: written once, read once
    activations = 256 * 48 * 48 * 4
    assert cost.dram_write_bytes == buffers + activations
    assert cost.dram_read_bytes >= weights + buffers + activations


def test_channels_choose_the_size_and_other_windows_run_the_gemm() -> None:
    own = kernel()
    assert winograd_size(conv(128, 64, 14), own) == WinogradSize(outputs=6, most_channels=128)
    assert winograd_size(conv(256, 64, 14), own) == WinogradSize(outputs=4)
    for layer in (conv(4, 3, 14), conv(64, 64, 14, stride=2), conv(64, 64, 14, dilation=2), conv(64, 64, 14, 1)):
        assert winograd_size(layer, own) is None
        assert dense_cost(layer, DEVICE, dtype="fp32").kernel.name == "gemm"
    grouped = replace(conv(64, 64, 14), groups=2)
    assert dense_cost(grouped, DEVICE, dtype="fp32").kernel.name == "gemm"


def test_xnnpack_has_no_winograd() -> None:
    other = next(device for device in CPU_DEVICES if device.name == "raspberry-pi-4-xnnpack")
    assert dense_cost(conv(64, 64, 14), other, dtype="fp32").kernel.name == "gemm"


def test_a_winograd_row_counts_the_products_it_cannot_do_without_as_effectual() -> None:
    layer = conv(64, 64, 24)
    trace = LayerTrace(layer=layer, pattern=Dense(), mask=np.ones((1, 64, layer.k), dtype=np.bool_))
    result = estimate(trace, DEVICE, dtype="fp32")
    assert result.kernel == "winograd"
    assert result.counters.macs_effectual == 64 * 64 * 24 * 24 * 64 // 36
    assert result.counters.macs_effectual <= result.counters.macs_issued < result.counters.macs_dense
    assert 0 < result.utilization <= 1


def test_a_3x3_layer_with_zeros_runs_winograd_at_the_dense_time_and_says_so() -> None:
    layer = conv(64, 64, 24)
    scores = np.random.default_rng(0).random((1, 64, layer.k), dtype=np.float32)
    made = LayerTrace(layer=layer, pattern=Unstructured(), mask=Unstructured().project(scores, 0.9))
    result = estimate(made, DEVICE, dtype="fp32")
    assert result.latency_s == dense_cost(layer, DEVICE, dtype="fp32").latency_s
    assert "dense kernel, zeros computed" in result.reason
