"""Kernel patterns by hand: shapes, how many kernels go, which layers take them, bytes, streams, reasons."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from costmodel.devices.catalog import ALL_DEVICES as ROOFLINE_DEVICES
from costmodel.estimate import estimate
from costmodel.spec import RooflineDevice
from gatherline.inspection import obeyed
from patterns.base import PatternError
from patterns.encodings.base import ByteWidths, EncodingError
from patterns.encodings.kernel_pattern import KernelPatternEncoding
from patterns.kernel_pattern import REMOVED, KernelPattern
from patterns.unstructured import Unstructured
from simulator.devices.gs_tcm import GS_TCM
from simulator.schedule.sources import plan_streams
from simulator.simulate import simulate
from traces.builder import NetworkBuilder
from traces.layer import MatrixLayer, Network, Window
from traces.masks import Level, trace_network
from traces.trace import LayerTrace

PICTURES = (
    "... .## .##",
    "... ##. ##.",
    ".## .## ...",
    "##. ##. ...",
    "... ### .#.",
    ".#. .## .#.",
    ".#. ##. .#.",
    ".#. ### ...",
)
MEST_PICTURE = "... ..# ###"


def taps_of(picture: str) -> list[int]:
    return [tap for tap, mark in enumerate(picture.replace(" ", "")) if mark == "#"]


def kernels(*pictures: str) -> np.ndarray:
    """A row [9 x ci] of one kernel per picture, input channels innermost."""
    row = np.zeros((9, len(pictures)), dtype=np.bool_)
    for channel, picture in enumerate(pictures):
        row[taps_of(picture), channel] = True
    return row.reshape(-1)


def three_by_three(m: int, ci: int, size: int = 4) -> MatrixLayer:
    window = Window(kernel=(3, 3), padding=(1, 1, 1, 1), in_hw=(size, size), out_hw=(size, size))
    return MatrixLayer(name="conv", kind="conv2d", m=m, k=9 * ci, window=window)


def network(weight: np.ndarray, kernel: tuple[int, int]) -> Network:
    """A convolution between a first layer and a classifier, which stay dense. weight [m, ci, kh, kw]."""
    b = NetworkBuilder("net")
    b.input("x", (1, 3, 6, 6))
    rng = np.random.default_rng(5)
    stem = rng.standard_normal((weight.shape[1], 3, 1, 1), dtype=np.float32)
    pad = (kernel[0] // 2, kernel[1] // 2) * 2
    b.conv("stem", "x", stem, "a")
    b.conv("conv", "a", weight.astype(np.float32), "b", padding=pad)
    b.vector("pool", "pool", "GlobalAveragePool", ["b"], "c", (1, weight.shape[0], 1, 1), channelwise=True)
    b.view("d", "c", (1, weight.shape[0]))
    b.linear("fc", "d", rng.standard_normal((4, weight.shape[0]), dtype=np.float32), "y")
    return b.build(["y"])


def conv_trace(weight: np.ndarray, kernel: tuple[int, int], sparsity: float | None) -> LayerTrace:
    level = Level(pattern=KernelPattern(), sparsity=sparsity)
    (found,) = [each for each in trace_network(network(weight, kernel), level).traces if each.layer.name == "conv"]
    return found


def normal(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).standard_normal(shape, dtype=np.float32)


@pytest.mark.parametrize("shape", range(8))
def test_a_kernel_keeps_the_shape_that_holds_its_largest_weights(shape: int) -> None:
    mask = kernels(PICTURES[shape])
    scores = np.where(mask, 2.0, 1.0).astype(np.float32)[None, None]
    assert np.array_equal(KernelPattern().project(scores, 5 / 9)[0, 0], mask)
    assert KernelPattern().shape_ids(mask[None]).tolist() == [[shape]]


def test_the_mest_code_has_another_last_shape() -> None:
    scores = np.where(kernels(MEST_PICTURE), 2.0, 1.0).astype(np.float32)[None, None]
    assert np.array_equal(KernelPattern(last_shape="mest").project(scores, 5 / 9)[0, 0], kernels(MEST_PICTURE))
    assert not np.array_equal(KernelPattern().project(scores, 5 / 9)[0, 0], kernels(MEST_PICTURE))
    assert KernelPattern(last_shape="mest").check(kernels(PICTURES[7])[None, None]) is not None
    with pytest.raises(PatternError, match="last_shape is 'west', and must be centred or mest"):
        KernelPattern(last_shape="west")  # type: ignore[arg-type]


@pytest.mark.parametrize(("channels", "sparsity"), [(64, 0.7), (64, 5 / 9), (30, 0.9), (7, 0.6), (512, 0.95)])
def test_every_filter_loses_the_same_kernels_and_those_of_the_smallest_kept_norm(
    channels: int, sparsity: float
) -> None:
    weight = np.abs(normal(2, 5, 9 * channels))
    mask = KernelPattern().project(weight, sparsity)
    removed = 1 - (1 - sparsity) * 9 / 4
    stay = round((1 - removed) * channels)
    kept = mask.reshape(2, 5, 9, channels)
    per_kernel = kept.sum(axis=2)
    assert set(np.unique(per_kernel)) <= {0, 4}
    assert ((per_kernel > 0).sum(axis=2) == stay).all()
    whole = KernelPattern().project(weight, 0.5).reshape(2, 5, 9, channels)  # no kernel goes
    norm = (np.square(weight.reshape(2, 5, 9, channels), dtype=np.float64) * whole).sum(axis=2)
    for group, row in np.ndindex(2, 5):
        gone = norm[group, row][per_kernel[group, row] == 0]
        assert norm[group, row][per_kernel[group, row] > 0].min() >= max(gone, default=0.0)


def test_below_five_ninths_no_kernel_goes_and_the_row_says_that_density_is_four_ninths() -> None:
    found = conv_trace(normal(6, 8, 3, 3), (3, 3), 0.3)
    assert found.kept == 6 * 8 * 4
    assert found.reason == (
        f"asked 0.3, reached {5 / 9:.4g}: kernel_pattern keeps 4 of 9 at most: a sparsity below 5/9 is not to be had"
    )
    result = simulate(found, GS_TCM)
    assert result.density == 4 / 9
    assert found.reason in result.reason
    assert conv_trace(normal(6, 8, 3, 3), (3, 3), 5 / 9).reason == ""


def test_a_filter_is_never_left_without_a_kernel_and_the_row_says_so() -> None:
    found = conv_trace(normal(6, 2, 3, 3), (3, 3), 0.95)
    assert found.kept == 6 * 4
    reached = 1 - 4 / (9 * 2)
    assert found.reason == f"asked 0.95, reached {reached:.4g}: kernel_pattern keeps one kernel of each filter at least"


@pytest.mark.parametrize("kernel", [(1, 1), (5, 5), (1, 3), (3, 1)])
def test_another_window_gets_the_plain_ratio_and_says_so_even_with_nine_channels_a_row(kernel: tuple[int, int]) -> None:
    weight = normal(8, 9, *kernel)
    found = conv_trace(weight, kernel, 0.7)
    assert found.pattern == Unstructured()
    assert found.kept == round(0.3 * weight.size)
    assert np.array_equal(found.mask, Unstructured().project(np.abs(rows_of(weight)), 0.7))
    assert found.reason == (
        f"kernel_pattern is for 3x3 windows and not {kernel[0]}x{kernel[1]}: plain ratio, unstructured"
    )
    assert found.reason in simulate(found, GS_TCM).reason


def rows_of(weight: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(weight.transpose(0, 2, 3, 1)).reshape(1, weight.shape[0], -1)


def test_the_check_names_the_first_kernel_that_keeps_no_shape() -> None:
    mask = np.stack([kernels(PICTURES[0], PICTURES[4]), kernels(PICTURES[1], "#.. ##. ...")])[None]
    found = KernelPattern().check(mask)
    assert found is not None
    assert (found.group, found.row, found.column) == (0, 1, 1)
    assert "kernel of input channel 1 keeps 00 10 11 (row, column)" in found.text
    assert KernelPattern().explained(mask) == 3 / 4


def test_the_check_names_a_filter_with_fewer_kernels_than_another() -> None:
    mask = np.stack([kernels(PICTURES[0], PICTURES[4]), kernels(PICTURES[1], "... ... ...")])[None]
    found = KernelPattern().check(mask)
    assert found is not None
    assert (found.group, found.row, found.column) == (0, 1, 1)
    assert found.text == "this filter keeps 1 kernels, and another of this layer 2"
    assert KernelPattern().explained(mask) == 3 / 4


def test_bytes_are_four_values_an_index_and_three_bits_a_kernel_and_a_pointer_a_row() -> None:
    mask = np.stack([kernels(PICTURES[6], PICTURES[0], PICTURES[6]), kernels("... ... ...", *PICTURES[2:4])])
    values = np.arange(1, 1 + mask.size, dtype=np.float16).reshape(mask.shape)
    values[0, 1 * 3] = 0  # tap 01 of channel 0 is kept, and zero
    store = KernelPatternEncoding()
    widths = ByteWidths(value=2, index=1, pointer=4)
    size = store.size(mask, KernelPattern(), widths)
    assert size.slots == 5 * 4
    assert size.weight_bytes == 5 * 4 * 2
    assert size.index_bytes == 5 * 1 + -(-5 * 3 // 8) + (2 + 1) * 4
    encoded = store.encode(mask, values, KernelPattern(), widths)
    assert encoded.arrays["indices"].tolist() == [1, 0, 2, 1, 2]  # shape 0 before shape 6
    assert encoded.arrays["values"].view(np.float16)[4] == 0
    got_mask, got = store.decode(encoded, np.float16)
    assert np.array_equal(got_mask, mask)
    assert np.array_equal(got, np.where(mask, values, 0))


def test_a_kernel_that_keeps_part_of_a_shape_has_a_size_but_does_not_encode_and_one_outside_each_shape_neither() -> (
    None
):
    store, widths = KernelPatternEncoding(), ByteWidths()
    part = kernels(PICTURES[0], "##. ... ...")[None]
    assert store.size(part, KernelPattern(), widths).slots == 2 * 4
    with pytest.raises(EncodingError, match="row 0: the kernel of input channel 1 keeps part of a shape"):
        store.encode(part, np.ones(part.shape, dtype=np.float16), KernelPattern(), widths)
    outside = kernels(PICTURES[0], "#.. ... ..#")[None]
    with pytest.raises(EncodingError, match="row 0: the 3x3 kernel of input channel 1 keeps 00 22"):
        store.size(outside, KernelPattern(), widths)
    with pytest.raises(EncodingError, match="8 columns, and 3x3 kernels need a multiple of 9"):
        store.size(np.ones((1, 8), dtype=np.bool_), KernelPattern(), widths)
    with pytest.raises(EncodingError, match="pattern is unstructured, and must be kernel_pattern"):
        store.size(part, Unstructured(), widths)


def test_a_group_holds_up_to_l_channels_of_one_tap_of_one_shape_of_one_filter() -> None:
    ci, lanes = 20, GS_TCM.gather.lanes
    shapes = [*([0] * (lanes + 1)), 5, 5, 5]
    mask = np.stack([kernels(*(PICTURES[shape] for shape in shapes)), np.zeros(9 * ci, dtype=np.bool_)])[None]
    trace = LayerTrace(layer=three_by_three(2, ci), pattern=KernelPattern(), mask=mask)
    plan = plan_streams(trace, GS_TCM, None, "packed")
    assert plan.encoding == "kernel_pattern"
    source = plan.source(0, None)
    grouping = source.build(0, 2)
    assert grouping is not None
    sizes = [*[lanes] * 4, *[1] * 4, *[3] * 4]
    assert np.diff(grouping.group_ptr).tolist() == sizes
    assert grouping.macs.tolist() == sizes
    assert grouping.lane.tolist() == [lane for size in sizes for lane in range(size)]
    cuts = [(0, range(lanes)), (0, [lanes]), (5, range(lanes + 1, ci))]
    columns = [tap * ci + channel for shape, cut in cuts for tap in taps_of(PICTURES[shape]) for channel in cut]
    assert grouping.column.tolist() == columns
    assert grouping.bundle_end.tolist() == [len(sizes)]  # the second filter has nothing to do
    assert grouping.rows.tolist() == [0]
    assert grouping.slots == ci * 4
    widths = GS_TCM.widths
    kernel_bytes = 4 * widths.value_bytes + widths.index_bytes
    pointers = 3 * widths.pointer_bytes
    assert grouping.tile_bytes == ci * kernel_bytes + -(-ci * 3 // 8) + pointers
    assert grouping.tile_bytes == plan.weight_bytes + plan.index_bytes
    cut_bytes = lanes * kernel_bytes + lanes * 3 // 8
    assert source.bytes_per_group == -(-cut_bytes // 4)
    assert source.build(1, 2) is None


def test_zeros_inside_a_kept_shape_are_requested_and_are_no_effectual_macs() -> None:
    mask = kernels("##. #.. ...", PICTURES[5])[None, None]
    trace = LayerTrace(layer=three_by_three(1, 2), pattern=KernelPattern(), mask=mask)
    grouping = plan_streams(trace, GS_TCM, None, "packed").source(0, None).build(0, 1)
    assert grouping is not None
    assert (len(grouping.column), grouping.slots, int(grouping.macs.sum())) == (8, 8, 7)
    result = simulate(trace, GS_TCM)
    assert result.counters.macs_effectual == 7 * trace.layer.p  # type: ignore[union-attr]


def test_a_kernel_pruned_layer_runs_with_its_own_zeros_in_its_own_encoding() -> None:
    weight = normal(6, 8, 3, 3)
    mask = KernelPattern().project(np.abs(rows_of(weight)), 0.7)
    own = weight * mask.reshape(6, 3, 3, 8).transpose(0, 3, 1, 2)
    found = conv_trace(own, (3, 3), None)
    assert np.array_equal(found.mask, mask)
    assert (found.pattern, found.reason) == (KernelPattern(), "")
    assert simulate(found, GS_TCM).encoding == "kernel_pattern"
    assert obeyed(three_by_three(6, 8), mask)["kernel_pattern"] == 1.0


def test_zeros_of_no_kernel_pattern_run_packed_and_the_row_names_the_first_kernel() -> None:
    weight = normal(6, 8, 3, 3)
    weight[:, :, 1, 1] = 0
    found = conv_trace(weight, (3, 3), None)
    assert found.pattern == Unstructured()
    assert found.reason.startswith("the zeros of the model are no kernel_pattern: group 0, row 0: the 3x3 kernel of")
    assert simulate(found, GS_TCM).encoding == "packed"


def test_nine_channels_of_a_1x1_window_are_not_taken_for_kernels_by_the_detector() -> None:
    mask = kernels(*PICTURES)[None, None]
    assert "kernel_pattern" in obeyed(three_by_three(1, 8), mask)
    assert "kernel_pattern" not in obeyed(MatrixLayer(name="fc", kind="linear", m=1, k=72), mask)


def test_the_encoding_is_refused_for_a_layer_of_another_pattern_or_window() -> None:
    mask = np.zeros((1, 2, 72), dtype=np.bool_)
    mask[0, 0, 0] = True
    for layer, pattern in (
        (three_by_three(2, 8), Unstructured()),
        (MatrixLayer(name="conv", kind="linear", m=2, k=72), KernelPattern()),
    ):
        with pytest.raises(EncodingError, match="needs pattern kernel_pattern and a 3x3 window"):
            plan_streams(LayerTrace(layer=layer, pattern=pattern, mask=mask), GS_TCM, "kernel_pattern", "packed")


@pytest.mark.parametrize("device", ROOFLINE_DEVICES, ids=lambda device: device.name)
def test_a_device_without_a_kernel_for_it_runs_dense_and_says_so(device: RooflineDevice) -> None:
    found = conv_trace(normal(16, 16, 3, 3), (3, 3), 0.7)
    dtype = device.dtypes[0]
    result = estimate(found, device, dtype=dtype)
    dense = estimate(replace(found, mask=np.ones_like(found.mask)), device, dtype=dtype)
    assert result.latency_s == dense.latency_s
    assert "has no kernel for kernel_pattern" in result.reason
    assert "dense kernel, zeros computed" in result.reason


def test_removed_kernels_have_no_shape() -> None:
    assert KernelPattern().shape_ids(kernels("... ... ...", PICTURES[3])[None]).tolist() == [[REMOVED, 3]]
