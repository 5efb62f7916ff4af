"""Which layers are pruned, and with what mask: DESIGN section 3."""

from __future__ import annotations

import numpy as np
import pytest

from patterns.bank_balanced import BankBalanced
from patterns.base import Pattern, PatternError
from patterns.block import Block
from patterns.catalog import parse_pattern
from patterns.channel import Channel
from patterns.dense import Dense
from patterns.gs import GatherScatter
from patterns.unstructured import Unstructured
from traces.builder import NetworkBuilder
from traces.layer import MatrixLayer, Network, ProductLayer
from traces.layout import column_banks
from traces.masks import Level, Match, kept_dense, pattern_banks, slots, trace_network
from traces.trace import LayerTrace

RULES = ("unstructured", "unstructured:global", "n_of_m:1,4", "block:4x1", "block:1x16", "bank_balanced:16",
         "gs:16,1", "gs:16,4", "gs_scatter:16,16")  # fmt: skip


def _weights(seed: int, *shape: int, zeros: float = 0.0, scale: float = 1.0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    values = rng.standard_normal(shape) * scale
    return np.where(rng.random(shape) < zeros, 0.0, values).astype(np.float32)


def _network(zeros: float = 0.0, scale: float = 1.0) -> Network:
    """first conv - relu - depthwise - middle conv - relu - pointwise - pool - classifier."""
    build = NetworkBuilder("net")
    x = build.input("x", (1, 16, 8, 8))
    x = build.conv("first", x, _weights(1, 32, 16, 3, 3, zeros=zeros, scale=scale), "a", padding=(1, 1, 1, 1))
    x = build.vector("relu", "activation", "Relu", [x], "b", (1, 32, 8, 8), channelwise=True)
    x = build.conv("dw", x, _weights(2, 32, 1, 3, 3, zeros=zeros, scale=scale), "c", padding=(1, 1, 1, 1), groups=32)
    x = build.conv("middle", x, _weights(3, 48, 32, 3, 3, zeros=zeros, scale=scale), "d", padding=(1, 1, 1, 1))
    x = build.vector("relu2", "activation", "Relu", [x], "e", (1, 48, 8, 8), channelwise=True)
    x = build.conv("point", x, _weights(4, 32, 48, 1, 1, zeros=zeros, scale=scale), "f")
    x = build.vector("pool", "pool", "GlobalAveragePool", [x], "g", (1, 32, 1, 1), channelwise=True)
    x = build.view("h", x, (1, 32))
    build.linear("head", x, _weights(5, 16, 32, zeros=zeros, scale=scale), "y")
    return build.build(["y"])


def _traces(
    network: Network, spelling: str, sparsity: float | None, *, prune_all: bool = False, match: Match = "density"
) -> dict[str, LayerTrace]:
    level = Level(pattern=parse_pattern(spelling), sparsity=sparsity)
    found = trace_network(network, level, prune_all=prune_all, match=match).traces
    return {trace.layer.name: trace for trace in found if isinstance(trace.layer, MatrixLayer)}


def _mask(trace: LayerTrace) -> np.ndarray:
    assert trace.mask is not None
    return trace.mask


@pytest.mark.parametrize("spelling", [*RULES, "channel"])
def test_first_classifier_and_depthwise_layers_stay_as_they_are(spelling: str) -> None:
    traces = _traces(_network(), spelling, 0.75)
    for name in ("first", "dw", "head"):
        trace = traces[name]
        if spelling == "channel" and name != "first":
            assert _mask(trace).all()  # inputs that a producer no longer makes may go
            continue
        assert _mask(trace).all()
        assert "stay" in trace.reason
        assert isinstance(trace.pattern, Dense)
        assert trace.density == 1.0
        assert trace.sparsity_target == 0.75
    for name in ("middle", "point"):
        density = traces[name].density
        assert density is not None
        assert density < 1.0


@pytest.mark.parametrize("spelling", RULES)
def test_all_prunes_every_layer_that_it_can(spelling: str) -> None:
    if spelling == "bank_balanced:16":
        with pytest.raises(PatternError, match="layer dw: bank_balanced:16: a row has 9 columns"):
            _traces(_network(), spelling, 0.75, prune_all=True)
        return
    traces = _traces(_network(), spelling, 0.75, prune_all=True)
    for trace in traces.values():
        if trace.layer.kind == "depthwise":
            continue
        density = trace.density
        assert density is not None
        assert density < 0.6
        assert trace.reason == ""


def test_nothing_is_kept_dense_of_a_network_without_weights() -> None:
    build = NetworkBuilder("net")
    x = build.input("x", (1, 4, 8))
    build.product("qk", x, x, "y", (1, 4, 4), m=4, k=8, p=4)
    network = build.build(["y"])
    assert kept_dense(network, prune_all=False) == {}
    (trace,) = trace_network(network, Level(pattern=Unstructured(), sparsity=0.5)).traces
    assert trace.mask is None
    assert isinstance(network.layers[0], ProductLayer)
    assert trace.macs_dense == 4 * 8 * 4


@pytest.mark.parametrize("zeros", [0.3, 0.9])
@pytest.mark.parametrize("sparsity", [0.5, 0.8])
@pytest.mark.parametrize("spelling", [rule for rule in RULES if not rule.startswith("block")])
def test_a_models_own_zeros_never_come_back(spelling: str, sparsity: float, zeros: float) -> None:
    network = _network(zeros=zeros)
    everything = not spelling.startswith("bank_balanced")  # a depthwise row is shorter than its segments
    for name, trace in _traces(network, spelling, sparsity, prune_all=everything).items():
        assert not _mask(trace)[network.weights[name] == 0].any()


def test_without_a_target_the_mask_is_the_models_own() -> None:
    network = _network(zeros=0.6)
    for name, trace in _traces(network, "unstructured", None).items():
        assert (_mask(trace) == (network.weights[name] != 0)).all()
        assert trace.sparsity_target is None


def test_dense_keeps_everything_whatever_the_zeros() -> None:
    for trace in _traces(_network(zeros=0.6), "dense", None).values():
        assert _mask(trace).all()


@pytest.mark.parametrize("sparsity", [0.0, 0.5, 0.9, 0.99])
def test_unstructured_keeps_the_wanted_share_of_every_pruned_layer(sparsity: float) -> None:
    network = _network()
    for name in ("middle", "point"):
        trace = _traces(network, "unstructured", sparsity)[name]
        size = network.weights[name].size
        assert trace.kept == round((1 - sparsity) * size)
        scores = np.abs(network.weights[name])
        if 0 < trace.kept < size:
            assert scores[_mask(trace)].min() >= scores[~_mask(trace)].max()


@pytest.mark.parametrize("sparsity", [0.5, 0.9])
def test_a_global_target_holds_over_the_pruned_layers_together(sparsity: float) -> None:
    network = _network()
    network.weights["middle"][...] *= np.float32(0.1)
    traces = _traces(network, "unstructured:global", sparsity)
    pruned = [traces[name] for name in ("middle", "point")]
    assert sum(trace.kept for trace in pruned) == round((1 - sparsity) * sum(_mask(trace).size for trace in pruned))
    lowest = min(np.abs(network.weights[t.layer.name])[_mask(t)].min() for t in pruned if t.kept)
    highest = max(np.abs(network.weights[t.layer.name])[~_mask(t)].max() for t in pruned)
    assert lowest > highest
    assert traces["middle"].density < traces["point"].density  # type: ignore[operator]


@pytest.mark.parametrize(
    "spelling", ["gs:16,1", "gs:16,4", "gs:16,16", "gs:8,2", "gs_scatter:16,1", "bank_balanced:16"]
)
@pytest.mark.parametrize("sparsity", [0.5, 0.77, 0.9])
def test_matched_density_keeps_no_more_than_the_target(spelling: str, sparsity: float) -> None:
    for name in ("middle", "point"):
        trace = _traces(_network(), spelling, sparsity)[name]
        assert trace.kept <= round((1 - sparsity) * _mask(trace).size)
        assert trace.kept >= 0.8 * (1 - sparsity) * _mask(trace).size


@pytest.mark.parametrize(
    "spelling", ["unstructured", "gs:16,1", "gs:16,16", "gs_scatter:16,4", "bank_balanced:16", "block:4x1"]
)
@pytest.mark.parametrize("sparsity", [0.5, 0.9, 0.99])
def test_matched_slots_pay_for_no_more_slots_than_the_target(spelling: str, sparsity: float) -> None:
    for name in ("middle", "point"):
        trace = _traces(_network(), spelling, sparsity, match="slots")[name]
        assert isinstance(trace.layer, MatrixLayer)
        banks = column_banks(trace.layer, pattern_banks(trace.pattern))
        size = _mask(trace).size
        paid = slots(trace.pattern, _mask(trace), banks)
        if isinstance(trace.pattern, Block):
            assert paid == trace.kept == int((1 - sparsity) * size / 4) * 4
        elif isinstance(trace.pattern, BankBalanced) and paid > (1 - sparsity) * size:  # each segment keeps one
            assert _mask(trace).sum() == trace.layer.m * 16
            assert f"pays for {paid}" in trace.reason
            continue
        assert paid <= (1 - sparsity) * size
        assert trace.reason == ""
        assert trace.kept > 0 or (1 - sparsity) * size < 16  # not even one group


def _slots_by_hand(mask: np.ndarray, banks: np.ndarray, width: int, k: int) -> int:
    total = 0
    for group in range(mask.shape[0]):
        for first in range(0, mask.shape[1], width // k):
            rows = mask[group, first : first + width // k]
            load = [int(rows[:, banks[group] == bank].sum()) for bank in range(width)]
            total += max(*load, *(-(-int(row.sum()) // k) for row in rows)) * width
    return total


@pytest.mark.parametrize("k", [1, 4, 16])
def test_slots_of_gs_are_konigs_groups_times_the_banks(k: int) -> None:
    pattern = GatherScatter(banks=16, k=k)
    trace = _traces(_network(), pattern.spelling, 0.9)["middle"]
    assert isinstance(trace.layer, MatrixLayer)
    banks = column_banks(trace.layer, 16)
    assert slots(pattern, _mask(trace), banks) == _slots_by_hand(_mask(trace), banks, 16, k)


@pytest.mark.parametrize("match", ["density", "slots"])
@pytest.mark.parametrize("spelling", RULES)
def test_the_size_of_the_weights_changes_no_mask(spelling: str, match: Match) -> None:
    """A power of two is exact, so scores keep their order."""
    plain = _traces(_network(), spelling, 0.9, match=match)
    tiny = _traces(_network(scale=2.0**-60), spelling, 0.9, match=match)
    for name, trace in plain.items():
        assert (_mask(trace) == _mask(tiny[name])).all()


def test_channel_pruning_gives_smaller_dense_layers_and_densities_of_the_original() -> None:
    network = _network()
    traced = trace_network(network, Level(pattern=Channel(), sparsity=0.5))
    traces = {trace.layer.name: trace for trace in traced.traces if isinstance(trace.layer, MatrixLayer)}
    middle, point = traces["middle"], traces["point"]
    assert isinstance(middle.layer, MatrixLayer)
    assert isinstance(point.layer, MatrixLayer)
    assert (middle.layer.m, point.layer.k) == (24, 24)
    assert middle.density == pytest.approx(24 / 48)
    for name, trace in traces.items():
        assert _mask(trace).all()
        before = next(layer for layer in network.matrix_layers if layer.name == name)
        assert trace.macs_dense == before.macs
        assert trace.density == _mask(trace).size / before.weight_elements
        if trace.density == 1.0:
            assert isinstance(trace.pattern, Dense)
    assert traces["first"].reason == "all its output channels stay: the first layer stays dense"


@pytest.mark.parametrize("spelling", ["channel", "channel+unstructured"])
def test_a_layer_that_stays_says_what_it_loses_with_the_layer_before_it(spelling: str) -> None:
    build = NetworkBuilder("net")
    x = build.input("x", (1, 16, 8, 8))
    x = build.conv("first", x, _weights(1, 32, 16, 3, 3), "a", padding=(1, 1, 1, 1))
    x = build.conv("middle", x, _weights(3, 48, 32, 3, 3), "b", padding=(1, 1, 1, 1))
    x = build.conv("dw", x, _weights(2, 48, 1, 3, 3), "c", padding=(1, 1, 1, 1), groups=48)
    x = build.vector("pool", "pool", "GlobalAveragePool", [x], "d", (1, 48, 1, 1), channelwise=True)
    build.linear("head", build.view("e", x, (1, 48)), _weights(5, 16, 48), "y")
    traces = _traces(build.build(["y"]), spelling, 0.5)
    assert traces["dw"].reason == "keeps its own weights, loses the channels that the layer before it lost"
    assert traces["dw"].density < 1
    assert traces["head"].reason == (
        "all its output channels stay: the classifier stays dense, "
        "and it loses the inputs that the layer before it lost"
    )
    assert traces["first"].reason == "all its output channels stay: the first layer stays dense"


def test_traces_come_in_the_order_of_the_layers_and_one_for_each() -> None:
    network = _network()
    for pattern in (Unstructured(), Channel(), Dense()):
        level = Level(pattern=pattern, sparsity=None if isinstance(pattern, Dense) else 0.5)
        traced = trace_network(network, level)
        names = [trace.layer.name for trace in traced.traces]
        assert names == [layer.name for layer in network.layers] == [layer.name for layer in traced.network.layers]


@pytest.mark.parametrize("spelling", RULES)
def test_masks_obey_their_rule_where_the_target_is_the_rules_own(spelling: str) -> None:
    pattern: Pattern = parse_pattern(spelling)
    trace = _traces(_network(), spelling, 0.75)["middle"]
    assert isinstance(trace.layer, MatrixLayer)
    if spelling.startswith(("n_of_m", "block", "unstructured")):
        assert pattern.check(_mask(trace), column_banks(trace.layer, pattern_banks(pattern))) is None
    else:
        assert pattern.explained(_mask(trace), column_banks(trace.layer, pattern_banks(pattern))) > 0.85
