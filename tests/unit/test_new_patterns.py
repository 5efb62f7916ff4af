"""Punched blocks, N:M both ways, balanced filters and channels first: layers, reasons, streams and kernels."""

from __future__ import annotations

import numpy as np
import pytest

from costmodel.devices.catalog import ALL_DEVICES as ROOFLINE_DEVICES
from costmodel.estimate import estimate
from gatherline.pipeline import run
from gatherline.request import RequestError, RunRequest, levels
from patterns.base import PatternError
from patterns.block import Block
from patterns.block_punched import BlockPunched
from patterns.catalog import ALL_PATTERNS, kind_of, parse_pattern
from patterns.channel_then import ChannelThen
from patterns.dense import Dense
from patterns.encodings.base import ByteWidths
from patterns.encodings.catalog import encoding
from patterns.gs import GatherScatter
from patterns.n_of_m import NOfM
from patterns.n_of_m_both import NOfMBoth
from simulator.devices.catalog import ALL_DEVICES as CYCLE_DEVICES
from simulator.devices.gs_tcm import GS_TCM
from simulator.simulate import simulate
from traces.builder import NetworkBuilder
from traces.layer import MatrixLayer, Network
from traces.masks import Level, trace_network
from traces.trace import LayerTrace

NEW = ("n_of_m_both:2,4", "block_punched:8x4", "block_punched:8", "filter_balanced", "channel+gs:16,1")


def normal(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape, dtype=np.float32)


def network(kernel: tuple[int, int] = (3, 3)) -> Network:
    """first - conv (kernel) - point - classifier; only the first and the last stay dense."""
    b = NetworkBuilder("net")
    b.input("x", (1, 3, 8, 8))
    pad = (kernel[0] // 2, kernel[1] // 2) * 2
    b.conv("first", "x", normal(1, 32, 3, 1, 1), "a")
    b.conv("conv", "a", normal(2, 48, 32, *kernel), "b", padding=pad)
    b.vector("relu", "activation", "Relu", ["b"], "c", (1, 48, 8, 8), channelwise=True)
    b.conv("point", "c", normal(3, 64, 48, 1, 1), "d")
    b.vector("pool", "pool", "GlobalAveragePool", ["d"], "e", (1, 64, 1, 1), channelwise=True)
    b.view("f", "e", (1, 64))
    b.linear("head", "f", normal(4, 10, 64), "y")
    return b.build(["y"])


def traces(spelling: str, sparsity: float, net: Network | None = None, **options: object) -> dict[str, LayerTrace]:
    level = Level(pattern=parse_pattern(spelling), sparsity=sparsity)
    found = trace_network(net or network(), level, **options).traces  # type: ignore[arg-type]
    return {trace.layer.name: trace for trace in found if isinstance(trace.layer, MatrixLayer)}


def mask_of(trace: LayerTrace) -> np.ndarray:
    assert trace.mask is not None
    return trace.mask


# punched blocks


def test_a_block_of_filters_and_channels_keeps_the_same_positions_in_all_its_kernels() -> None:
    mask = BlockPunched(height=8, width=4).project(np.abs(normal(0, 1, 16, 9 * 12)), 0.7)
    kernels = mask.reshape(16, 9, 12)  # filter, position, channel
    kept = []
    for filters in (slice(0, 8), slice(8, 16)):
        for channels in (slice(0, 4), slice(4, 8), slice(8, 12)):
            block = kernels[filters, :, channels]
            assert (block == block[:1, :, :1]).all()
            kept.append(int(block[0, :, 0].sum()))
    assert sum(kept) == round(0.3 * len(kept) * 9)
    assert len(set(kept)) > 1  # blocks may differ


def test_without_a_width_a_block_spans_all_channels() -> None:
    mask = BlockPunched(height=8).project(np.abs(normal(0, 2, 16, 9 * 5)), 0.5)
    kernels = mask.reshape(2, 2, 8, 9, 5)
    assert (kernels == kernels[:, :, :1, :, :1]).all()


@pytest.mark.parametrize(("kernel", "taps"), [((3, 3), 9), ((5, 5), 25), ((1, 3), 3)])
def test_a_layer_is_punched_at_the_positions_of_its_own_window(kernel: tuple[int, int], taps: int) -> None:
    found = traces("block_punched:8x4", 0.5, network(kernel))["conv"]
    assert found.pattern == BlockPunched(height=8, width=4, taps=taps)
    assert found.pattern.check(mask_of(found)) is None
    assert parse_pattern(found.pattern.spelling) == found.pattern
    assert found.density == pytest.approx(0.5, abs=8 * 4 / mask_of(found).size)
    assert found.reason == ""


@pytest.mark.parametrize(("spelling", "width"), [("block_punched:8x4", 4), ("block_punched:8", 1)])
def test_a_1x1_window_gets_blocks_and_says_so(spelling: str, width: int) -> None:
    found = traces(spelling, 0.5)["point"]
    assert found.pattern == Block(height=8, width=width)
    blocks = f"block:8x{width}"
    assert found.reason == f"{spelling} is for windows of several positions and not 1x1: {blocks}"
    assert np.array_equal(mask_of(found), parse_pattern(blocks).project(np.abs(network().weights["point"]), 0.5))


@pytest.mark.parametrize(("channels", "width"), [(12, 4), (13, 4), (10, 4), (3, 4), (6, None)])
def test_punched_blocks_are_stored_as_blocks_that_hold_nothing_else(channels: int, width: int | None) -> None:
    pattern = BlockPunched(height=4, width=width)
    mask = pattern.project(np.abs(normal(0, 1, 10, 9 * channels)), 0.6)
    stored = pattern.stored_as(9 * channels)
    assert isinstance(stored, Block)
    assert stored.check(mask) is None
    values = normal(1, 10, 9 * channels)
    store = encoding("bsr")
    back, got = store.decode(store.encode(mask[0], values, pattern, ByteWidths(value=4)), "float32")
    assert np.array_equal(back, mask[0])
    assert np.array_equal(got, np.where(mask[0], values, 0))


@pytest.mark.parametrize("spelling", ["block_punched:8x4", "block_punched:20x4", "block_punched:8"])
@pytest.mark.parametrize("device", CYCLE_DEVICES, ids=lambda device: device.name)
def test_punched_blocks_run_as_the_blocks_they_are(spelling: str, device: object) -> None:
    trace = traces(spelling, 0.8)["conv"]
    assert isinstance(trace.layer, MatrixLayer)
    same = LayerTrace(
        layer=trace.layer, pattern=trace.pattern.stored_as(trace.layer.k), mask=trace.mask, sparsity_target=0.8
    )
    mine, blocks = simulate(trace, device), simulate(same, device)  # type: ignore[arg-type]
    assert mine.encoding == blocks.encoding == "bsr"
    assert mine.cycles == blocks.cycles
    assert mine.counters == blocks.counters


def test_the_check_of_punched_blocks_names_the_block_and_the_position() -> None:
    pattern = BlockPunched(height=4, width=2)
    mask = np.zeros((2, 8, 9 * 4), dtype=np.bool_)
    mask.reshape(2, 8, 9, 4)[1, 4:8, 7, 2:4] = True
    assert pattern.check(mask) is None
    mask.reshape(2, 8, 9, 4)[1, 5, 7, 3] = False
    found = pattern.check(mask)
    assert found is not None
    assert (found.group, found.row, found.column) == (1, 4, 7 * 4 + 2)
    assert found.text.startswith("7 of the 8 kernels of this block keep position 7")


# channels first


def test_channels_first_leaves_smaller_layers_that_reach_the_total_sparsity() -> None:
    before = {layer.name: layer for layer in network().matrix_layers}
    found = traces("channel:0.5+gs:16,1", 0.9)
    conv, point, head = (found[name] for name in ("conv", "point", "head"))
    assert isinstance(conv.layer, MatrixLayer)
    assert isinstance(point.layer, MatrixLayer)
    assert isinstance(head.layer, MatrixLayer)
    assert (conv.layer.m, conv.layer.ci) == (24, 32)
    assert (point.layer.m, point.layer.k) == (32, 24)
    assert head.layer.k == 32
    for name in ("conv", "point"):
        trace = found[name]
        assert trace.pattern == GatherScatter(banks=16, k=1)
        assert trace.sparsity_target == 0.9
        assert trace.weights_before == before[name].weight_elements
        assert trace.macs_dense == before[name].macs
        assert trace.kept <= round(0.1 * before[name].weight_elements)
        assert trace.density == pytest.approx(0.1, abs=0.02)
    stays = "all its output channels stay: the classifier stays dense"
    assert head.reason == f"{stays}, and it loses the inputs that the layer before it lost"
    assert mask_of(head).all()


def test_without_a_ratio_channels_and_mask_each_leave_the_square_root() -> None:
    pattern = parse_pattern("channel+unstructured")
    assert isinstance(pattern, ChannelThen)
    ratio = 1 - 0.1**0.25
    assert pattern.channel_sparsity(0.9) == pytest.approx(ratio)
    point = traces("channel+unstructured", 0.9)["point"]
    assert isinstance(point.layer, MatrixLayer)
    assert (point.layer.m, point.layer.k) == (round((1 - ratio) * 64), round((1 - ratio) * 48))
    assert point.kept / point.layer.weight_elements == pytest.approx(0.1**0.5, abs=0.02)
    assert point.kept == round(0.1 * 64 * 48)


def test_a_global_threshold_after_channels_meets_the_total_over_the_pruned_layers() -> None:
    found = traces("channel:0.25+unstructured:global", 0.8)
    kept = sum(found[name].kept for name in ("conv", "point"))
    before = sum(found[name].weights_dense for name in ("conv", "point"))
    assert kept == pytest.approx(0.2 * before, abs=1)


def test_channels_that_remove_more_than_was_asked_are_reported_with_what_they_reach() -> None:
    point = traces("channel:0.75+block:1x4", 0.5)["point"]
    assert point.kept == 16 * 12
    reached = 1 - 16 * 12 / (64 * 48)
    assert point.reason == f"asked 0.5, reached {reached:.4g}: the channels alone remove that"
    assert mask_of(point).all()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("channel+", "must be spelled"),
        ("channel:1.5+gs:16,1", "must be spelled"),
        ("block:4x4+gs:16,1", "must be spelled"),
        ("channel+channel", "the second pattern is channel"),
        ("channel+dense", "the second pattern is dense"),
        ("channel+channel+gs:16,1", "the second pattern is channel"),
        ("channel+gs:16,3", "k is 3"),
        ("channel+nonsense", "'nonsense' is not known"),
        ("block_punched:0x4", "block_punched:0x4: filters, channels and positions must be at least 1"),
        ("block_punched", "must be spelled"),
        ("filter_balanced:3", "must be spelled"),
    ],
)
def test_a_wrong_spelling_is_refused_in_one_line(text: str, message: str) -> None:
    with pytest.raises(PatternError, match=message) as caught:
        parse_pattern(text)
    assert "\n" not in str(caught.value)


def test_channels_first_needs_a_sparsity_as_channel_does() -> None:
    request = RunRequest(model="net", patterns=("channel+gs:16,1",))
    with pytest.raises(RequestError, match=r"pattern channel\+gs:16,1 needs a sparsity"):
        levels(network(), request)


# what cannot be reached, rows and kernels


@pytest.mark.parametrize(
    ("spelling", "sparsity", "reached", "why"),
    [
        ("n_of_m:2,4", 0.9, 0.5, "n_of_m:2,4 keeps at most 2 of every 4"),
        ("n_of_m_both:2,4", 0.9, 0.5, "n_of_m_both:2,4 keeps at most 2 of every 4"),
        ("bank_balanced:16", 0.99, 1 - 16 / 288, "bank_balanced:16 keeps one weight of each segment at least"),
        ("filter_balanced", 0.999, 1 - 1 / 288, "filter_balanced keeps one weight of each row at least"),
        ("block:48x288", 0.9, 1.0, "block:48x288 has only 1 blocks here"),
        ("block_punched:48", 0.99, 1.0, "block_punched:48 has only 9 positions here"),
        ("kernel_pattern", 0.3, 5 / 9, "kernel_pattern keeps 4 of 9 at most: a sparsity below 5/9 is not to be had"),
    ],
)
def test_a_sparsity_out_of_reach_is_reported_with_what_was_reached(
    spelling: str, sparsity: float, reached: float, why: str
) -> None:
    trace = traces(spelling, sparsity, match="slots")["conv"]  # a density that overshoots would be trimmed
    assert f"asked {sparsity:g}, reached {reached:.4g}: {why}" in trace.reason
    assert f"asked {sparsity:g}, reached {reached:.4g}: {why}" in simulate(trace, GS_TCM).reason


def test_a_mask_that_was_trimmed_to_the_density_asked_has_reached_it() -> None:
    trace = traces("filter_balanced", 0.999)["conv"]
    assert trace.kept == round(0.001 * 48 * 288)
    assert trace.reason == ""


def test_a_models_own_zeros_are_named_where_they_take_a_mask_past_what_its_rule_keeps() -> None:
    net = network()
    weight = net.weights["conv"]
    weight[np.abs(weight) < np.quantile(np.abs(weight), 0.8)] = 0
    trace = traces("n_of_m:2,4", 0.9, net)["conv"]
    assert trace.kept < 0.5 * mask_of(trace).size
    reached = 1 - trace.kept / mask_of(trace).size
    rule = "n_of_m:2,4 keeps at most 2 of every 4"
    assert trace.reason == f"asked 0.9, reached {reached:.4g}: {rule}, and zeros of the model stay zero"


def test_what_is_within_reach_is_reported_with_no_reason() -> None:
    for spelling, sparsity in (
        ("n_of_m:2,4", 0.5), ("n_of_m_both:1,4", 0.75), ("filter_balanced", 0.9), ("block_punched:8x4", 0.9),
    ):  # fmt: skip
        assert traces(spelling, sparsity)["conv"].reason == ""


def test_n_of_m_both_ways_runs_packed_and_as_n_of_m_where_asked() -> None:
    trace = traces("n_of_m_both:2,4", 0.5)["conv"]
    assert trace.pattern == NOfMBoth(n=2, m=4)
    assert simulate(trace, GS_TCM).encoding == "packed"
    assert isinstance(trace.layer, MatrixLayer)
    one_way = LayerTrace(layer=trace.layer, pattern=NOfM(n=2, m=4), mask=trace.mask, sparsity_target=0.5)
    asked, plain = (simulate(each, GS_TCM, encoding="n_of_m") for each in (trace, one_way))
    assert asked.cycles == plain.cycles
    assert asked.counters == plain.counters
    a100 = next(device for device in ROOFLINE_DEVICES if device.name == "a100")
    assert estimate(trace, a100, dtype="fp16").kernel == estimate(one_way, a100, dtype="fp16").kernel == "tensor-2:4"


@pytest.mark.parametrize("spelling", NEW)
def test_each_new_pattern_runs_on_every_device_and_no_kernel_means_dense_and_says_so(spelling: str) -> None:
    rooflines = [device for device in ROOFLINE_DEVICES if "fp32" in device.dtypes]
    names = tuple(device.name for device in (*CYCLE_DEVICES[:2], *rooflines))
    request = RunRequest(model="net", patterns=(spelling,), sparsities=(0.5,), devices=names, dtype="fp32")
    report = run(request, network=network())
    rows = [row for row in report.rows if row["layer"] == "conv"]
    assert [row["device"] for row in rows] == list(names)
    for row in rows:
        assert row["pattern"] == spelling
        assert row["density"] == pytest.approx(0.5, abs=0.06)
        assert row["latency_s"] > 0  # type: ignore[operator]
        if row["model_kind"] == "roofline" and row["encoding"] == "dense":
            assert "dense kernel" in str(row["reason"])
    assert all(row["pattern"] == spelling for row in report.rows)


def test_every_family_finds_its_own_example() -> None:
    for kind in ALL_PATTERNS:
        assert kind_of(kind.example) is kind
        assert parse_pattern(kind.example).spelling == kind.example


def test_a_layer_kept_dense_is_not_told_what_a_rule_cannot_reach() -> None:
    found = traces("n_of_m:2,4", 0.9)
    assert found["first"].reason == "the first layer stays dense"
    assert isinstance(found["head"].pattern, Dense)
