"""Threads of a CPU: whole blocks of rows each, and operators without a product."""

from __future__ import annotations

from dataclasses import replace

import pytest

from costmodel.cpu_device import cpu_device
from costmodel.dense import dense_size, depthwise_cost, tile_cost
from costmodel.problem import problem_of
from costmodel.roofline import Run
from costmodel.spec import DepthwiseKernel, TileKernel, WinogradKernel
from costmodel.vector import BY_NAME, estimate_vector, operations
from costmodel.winograd import transforms, winograd_cost
from traces.layer import MatrixLayer, VectorKind, VectorLayer, Window

DEVICE = cpu_device("raspberry-pi-4", "raspberry-pi-4", "ncnn")  # fp32: registers of 8 rows, 4 lanes
MAP = Window(in_hw=(12, 12), out_hw=(12, 12))
BORDERED = Window(kernel=(3, 3), padding=(1, 1, 1, 1), in_hw=(12, 12), out_hw=(12, 12))


def on(threads: int) -> Run:
    return Run(device=DEVICE, dtype="fp32", units=threads)


def seconds_of_products(rows: int, threads: int, **changed: object) -> float:
    kernel = next(each for each in DEVICE.kernels if isinstance(each, TileKernel))
    bare = replace(kernel, packs=False, epilogue_operations=0, tiles=kernel.tiles[:1], **changed)  # type: ignore[arg-type]
    problem = problem_of(MatrixLayer(name="conv", kind="conv2d", m=rows, k=64, window=MAP), 4)
    return tile_cost(problem, bare, on(threads), dense_size(problem)).bounds_s["compute"]


def test_threads_take_whole_blocks_of_rows_so_a_layer_of_few_rows_leaves_some_idle() -> None:
    assert seconds_of_products(3 * 8, 4) == seconds_of_products(4 * 8, 4)  # the fourth thread had nothing
    assert seconds_of_products(5 * 8, 4) == pytest.approx(2 * seconds_of_products(4 * 8, 4))  # one has two blocks
    assert seconds_of_products(3 * 8, 1) == pytest.approx(3 / 4 * seconds_of_products(4 * 8, 1))
    assert seconds_of_products(3 * 8, 4, cut="tiles") < seconds_of_products(3 * 8, 4)


def test_threads_take_whole_vectors_of_channels_of_a_depthwise_convolution() -> None:
    kernel = replace(next(each for each in DEVICE.kernels if isinstance(each, DepthwiseKernel)), epilogue_operations=0)

    def compute_s(channels: int, threads: int) -> float:
        layer = MatrixLayer(name="dw", kind="depthwise", groups=channels, m=1, k=9, window=BORDERED)
        problem = problem_of(layer, 4)
        return depthwise_cost(problem, kernel, on(threads), dense_size(problem)).bounds_s["compute"]

    assert compute_s(5 * 4, 4) == pytest.approx(compute_s(8 * 4, 4))  # two vectors for one thread either way
    assert compute_s(5 * 4, 1) == pytest.approx(5 / 8 * compute_s(8 * 4, 1))


def test_threads_take_whole_blocks_of_rows_of_winograds_products() -> None:
    kernel = next(each for each in DEVICE.kernels if isinstance(each, WinogradKernel))
    outputs = kernel.sizes[0].outputs
    layer = MatrixLayer(name="conv", kind="conv2d", m=5 * 8, k=9 * 32, window=BORDERED)
    free = replace(kernel, epilogue_operations=0, transform_efficiency=1.0)
    run = on(4)

    def compute_s(used: WinogradKernel) -> float:
        return winograd_cost(layer, problem_of(layer, 4), used, run, outputs).bounds_s["compute"]

    issued = winograd_cost(layer, problem_of(layer, 4), free, run, outputs).macs_issued
    even = issued / (run.macs_per_cycle(kernel) * kernel.efficiency) / (run.clock_hz * 4)
    assert transforms(layer, outputs).tiles == 2 * 2
    assert compute_s(free) - compute_s(replace(free, cut="tiles")) == pytest.approx((2 * 4 / 5 - 1) * even)


def element_work(op: str, kind: VectorKind = "move", threads: int = 1) -> float:
    layer = VectorLayer(name="x", kind=kind, op=op, elements=4000, input_elements=1, output_elements=1)
    return estimate_vector(layer, on(threads), explained=False).bounds_s["compute"]


def test_an_operators_element_work_is_by_its_name_else_by_its_kind() -> None:
    assert element_work("HardSwish", "activation") == pytest.approx(BY_NAME["hardswish"] * element_work("Concat"))
    assert element_work("Softmax", "softmax") == pytest.approx(10 * element_work("Concat"))
    assert operations(VectorLayer(name="x", kind="activation", op="ReLU", elements=1)) == 1


def test_a_permutation_moves_one_element_at_a_time_and_boxes_are_decoded_by_one_thread() -> None:
    lanes = dict(DEVICE.vector_macs_per_cycle)["fp32"]
    assert element_work("Permute") == pytest.approx(lanes * element_work("Concat"))
    assert element_work("DetectionOutput", threads=4) == element_work("DetectionOutput")
    assert element_work("Permute", threads=4) < element_work("Permute")
