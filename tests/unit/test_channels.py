"""Channel pruning: a really smaller network that computes what the masked one does, and why a layer kept all."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from patterns.base import PatternError
from traces.builder import NetworkBuilder
from traces.channels import ChannelPlan, prune_channels
from traces.layer import Arrangement, MatrixLayer, ModelError, Network, VectorLayer
from traces.workloads.catalog import built_in

Arrays = dict[str, np.ndarray]


def random_weights(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def convolve(layer: MatrixLayer, weights: np.ndarray, x: np.ndarray) -> np.ndarray:
    """A convolution straight from its definition; x (N, C, H, W)."""
    window, (kh, kw) = layer.window, layer.window.kernel
    top, left, bottom, right = window.padding
    padded = np.pad(x, ((0, 0), (0, 0), (top, bottom), (left, right)))
    oh, ow = window.out_hw
    out = np.zeros((x.shape[0], layer.groups * layer.m, oh, ow))
    kernels = weights.reshape(layer.groups, layer.m, kh, kw, layer.ci)
    for group in range(layer.groups):
        channels = padded[:, group * layer.ci : (group + 1) * layer.ci]
        for y in range(oh):
            for z in range(ow):
                rows = y * window.stride[0] + np.arange(kh) * window.dilation[0]
                columns = z * window.stride[1] + np.arange(kw) * window.dilation[1]
                patch = channels[:, :, rows][:, :, :, columns]
                out[:, group * layer.m : (group + 1) * layer.m, y, z] = np.einsum(
                    "ncyz,myzc->nm", patch, kernels[group]
                )
    return out


def run(network: Network, weights: Arrays, x: np.ndarray) -> np.ndarray:
    """Run the network in float64 on its first input; return its first output, flat."""
    values: Arrays = {network.inputs[0]: x}
    for layer in network.layers:
        shape = network.tensors[layer.outputs[0]].shape
        read = [values[name] for name in layer.inputs]
        if isinstance(layer, MatrixLayer) and layer.kind == "linear":
            out = read[0].reshape(layer.p, layer.k) @ weights[layer.name][0].T.astype(np.float64)
        elif isinstance(layer, MatrixLayer):
            maps = read[0] if read[0].ndim == 4 else read[0][:, :, None, :]
            out = convolve(layer, weights[layer.name].astype(np.float64), maps)
        elif layer.kind == "activation":
            out = np.maximum(read[0], 0)
        elif layer.kind == "add":
            out = read[0] + read[1]
        elif layer.kind == "mul":
            out = read[0] * read[1]
        elif layer.kind == "concat":
            out = np.concatenate(read, axis=1)
        elif layer.kind == "pool":
            out = read[0].mean(axis=(2, 3), keepdims=True)
        else:
            raise AssertionError(f"the evaluator does not know {layer.kind}")
        values[layer.outputs[0]] = out.reshape(shape)
    return values[network.outputs[0]].reshape(-1)


def masked(network: Network, plan: ChannelPlan) -> Arrays:
    """The original weights with every removed output channel set to zero."""
    weights = {}
    for layer in network.matrix_layers:
        rows = np.zeros(layer.groups * layer.m, dtype=bool)
        rows[plan.kept[layer.name]] = True
        weights[layer.name] = network.weights[layer.name] * rows.reshape(layer.groups, layer.m, 1)
    return weights


def assert_same_numbers(network: Network, plan: ChannelPlan) -> None:
    x = np.random.default_rng(9).standard_normal(network.tensors[network.inputs[0]].shape)
    small = {layer.name: plan.network.weights[layer.name] for layer in plan.network.matrix_layers}
    for layer in plan.network.matrix_layers:
        assert small[layer.name].shape == (layer.groups, layer.m, layer.k)
    expected = run(network, masked(network, plan), x)
    assert np.abs(expected).max() > 0
    np.testing.assert_allclose(run(plan.network, small, x), expected, rtol=1e-9, atol=1e-9)


def relu(net: NetworkBuilder, x: str) -> str:
    return net.vector(f"{x}.relu", "activation", "relu", [x], f"{x}.relu", net.shape(x), channelwise=True)


def classifier(batch: int = 2, channels: int = 8, side: int = 6) -> Network:
    """Convolution, depthwise, strided convolution, flatten of a map, two linear layers."""
    net = NetworkBuilder("classifier")
    x = net.input("x", (batch, 3, side, side))
    x = relu(net, net.conv("stem", x, random_weights(1, channels, 3, 3, 3), "stem", padding=(1, 1, 1, 1)))
    depthwise = random_weights(2, channels, 1, 3, 3)
    x = relu(net, net.conv("dw", x, depthwise, "dw", padding=(1, 1, 1, 1), groups=channels))
    x = relu(net, net.conv("down", x, random_weights(3, 2 * channels, channels, 3, 2), "down", stride=(2, 2)))
    shape = net.shape(x)
    features = shape[1] * shape[2] * shape[3]
    flat = net.view("flat", x, (batch, features))
    x = relu(net, net.linear("fc1", flat, random_weights(4, 10, features), "fc1"))
    return net.build([net.linear("fc2", x, random_weights(5, 5, 10), "fc2")])


def test_the_smaller_network_computes_what_the_masked_one_does() -> None:
    network = classifier()
    plan = prune_channels(network, 0.5)
    assert_same_numbers(network, plan)
    assert plan.reasons == {"fc2": "network output"}


def test_layers_tensors_and_weights_really_shrink() -> None:
    network = classifier()
    plan = prune_channels(network, 0.5)
    layers = {layer.name: layer for layer in plan.network.layers}
    assert (layers["stem"].m, layers["stem"].k) == (8 // 2, 3 * 3 * 3)
    assert (layers["dw"].groups, layers["dw"].m, layers["dw"].k) == (8 // 2, 1, 3 * 3)
    assert (layers["down"].m, layers["down"].k) == (16 // 2, 3 * 2 * 8 // 2)
    assert (layers["fc1"].m, layers["fc1"].k) == (10 // 2, 2 * 3 * 16 // 2)
    assert (layers["fc2"].m, layers["fc2"].k) == (5, 10 // 2)
    for name in ("stem", "stem.relu", "dw", "dw.relu", "down", "down.relu", "fc1", "fc1.relu"):
        assert plan.network.tensors[name].elements * 2 == network.tensors[name].elements
        assert plan.network.tensors[name].shape[1] * 2 == network.tensors[name].shape[1]
    for before, after in zip(network.layers, plan.network.layers, strict=True):
        if isinstance(before, VectorLayer) and isinstance(after, VectorLayer):
            assert after.elements * 2 == before.elements
            assert after.input_elements * 2 == before.input_elements == network.tensors[before.inputs[0]].elements
            assert after.output_elements * 2 == before.output_elements
    assert network.layers[0].m == 8  # the original stays as it was


def test_the_rows_of_smallest_l2_norm_go() -> None:
    network = classifier()
    kept = prune_channels(network, 0.25).kept["down"]
    norms = np.linalg.norm(network.weights["down"][0].astype(np.float64), axis=1)
    assert np.array_equal(kept, np.sort(np.argsort(norms)[16 // 4 :]))
    assert kept.dtype == np.int64


def test_a_depthwise_layer_follows_its_producer() -> None:
    plan = prune_channels(classifier(), 0.5, keep=frozenset({"dw"}))
    assert np.array_equal(plan.kept["dw"], plan.kept["stem"])
    assert "dw" not in plan.reasons


def test_a_layer_in_keep_keeps_all_and_its_consumer_all_columns() -> None:
    network = classifier()
    plan = prune_channels(network, 0.5, keep=frozenset({"stem"}))
    assert np.array_equal(plan.kept["stem"], np.arange(8))
    assert plan.reasons["stem"] == "in keep"
    assert "stays" not in plan.reasons["dw"]
    assert "its channels are those of its input" in plan.reasons["dw"]
    assert_same_numbers(network, plan)


def test_sparsity_zero_changes_no_layer_and_no_weight() -> None:
    network = classifier()
    plan = prune_channels(network, 0.0)
    assert plan.network.layers == network.layers
    assert plan.network.tensors == network.tensors
    assert all(np.array_equal(plan.network.weights[name], network.weights[name]) for name in network.weights)


def test_one_dimensional_convolutions_shrink_too() -> None:
    net = NetworkBuilder("sound")
    x = net.input("x", (2, 4, 11))
    x = relu(net, net.conv("a", x, random_weights(1, 6, 4, 3), "a", padding=(0, 1, 0, 1), stride=(1, 2)))
    net.conv("b", x, random_weights(2, 5, 6, 3), "b", dilation=(1, 2))
    network = net.build(["b"])
    plan = prune_channels(network, 0.5)
    assert plan.network.matrix_layers[1].k == 3 * 6 // 2
    assert_same_numbers(network, plan)


def test_a_gate_of_a_tensor_by_its_own_activation_passes_channels() -> None:
    net = NetworkBuilder("swish")
    x = net.conv("a", net.input("x", (1, 3, 4, 4)), random_weights(1, 6, 3, 1, 1), "a")
    gate = relu(net, x)
    x = net.vector("swish", "mul", "mul", [x, gate], "swish", net.shape(x), channelwise=True)
    net.conv("b", x, random_weights(2, 5, 6, 1, 1), "b")
    network = net.build(["b"])
    plan = prune_channels(network, 0.5)
    assert len(plan.kept["a"]) == 6 // 2
    assert_same_numbers(network, plan)


def test_two_consumers_both_follow() -> None:
    net = NetworkBuilder("fork")
    x = net.conv("a", net.input("x", (1, 3, 4, 4)), random_weights(1, 6, 3, 1, 1), "a")
    net.conv("b", x, random_weights(2, 5, 6, 1, 1), "b")
    net.conv("c", x, random_weights(3, 5, 6, 3, 3), "c", padding=(1, 1, 1, 1))
    net.vector("add", "add", "add", ["b", "c"], "sum", net.shape("b"), channelwise=True)
    network = net.build(["sum"])
    plan = prune_channels(network, 0.5)
    assert [(layer.m, layer.k) for layer in plan.network.matrix_layers] == [(3, 3), (5, 3), (5, 9 * 3)]
    assert plan.reasons == {"b": "network output", "c": "network output"}
    assert_same_numbers(network, plan)


def tied(join: str) -> Network:
    """A network whose first convolution "a" meets something that ties its channels."""
    net = NetworkBuilder(join)
    x = net.input("x", (1, 6, 4, 4))
    a = net.conv("a", x, random_weights(1, 6, 6, 1, 1), "a")
    if join == "residual":
        a = net.vector("join", "add", "add", [a, x], "join", net.shape(a), channelwise=True)
    elif join == "concat":
        a = net.vector("join", "concat", "concat", [a, x], "join", (1, 12, 4, 4))
    elif join == "grouped":
        a = net.conv("join", a, random_weights(2, 6, 3, 1, 1), "join", groups=2)
    elif join == "attention":
        a = net.product("join", a, a, "join", (1, 6, 6, 1), m=6, k=16, p=6)
        a = net.view("scores", a, (1, 6, 6, 1))
    elif join == "norm":
        a = net.vector("join", "norm", "layer_norm", [a], "join", net.shape(a))
    elif join == "unsupported":
        net.unsupported("join", "Mystery", "not lowered", [a], [("join", (1, 6, 4, 4))])
        a = "join"
    elif join == "spatial":
        a = net.linear("join", net.view("rows", a, (1, 6, 16)), random_weights(2, 6, 16), "join")
        return net.build([a])
    net.conv("b", a, random_weights(3, 5, net.shape(a)[1], 1, 1), "b")
    return net.build(["b"])


@pytest.mark.parametrize(
    ("join", "reason"),
    [
        ("residual", "tied by add join"),
        ("concat", "tied by concat join"),
        ("grouped", "tied by conv2d join"),
        ("attention", "tied by product join"),
        ("norm", "tied by norm join"),
        ("unsupported", "tied by unsupported join"),
        ("spatial", "tied by linear join"),
    ],
)
def test_where_ties_keep_channels_a_join_is_named(join: str, reason: str) -> None:
    network = tied(join)
    plan = prune_channels(network, 0.5, ties="keep")
    assert plan.reasons["a"] == reason
    assert np.array_equal(plan.kept["a"], np.arange(6))
    assert plan.network.layers[0] == network.layers[0]


@pytest.mark.parametrize(
    ("join", "reason"),
    [
        ("residual", "tied by add join to channels that stay"),  # those of the network's input
        ("attention", "tied by product join"),
        ("norm", "tied by norm join"),
        ("unsupported", "tied by unsupported join"),
        ("spatial", "tied by linear join"),
    ],
)
def test_channels_that_cannot_be_followed_stay_and_the_layer_is_named(join: str, reason: str) -> None:
    plan = prune_channels(tied(join), 0.5)
    assert plan.reasons["a"] == reason
    assert np.array_equal(plan.kept["a"], np.arange(6))


def test_where_ties_keep_channels_a_grouped_convolution_keeps_its_outputs() -> None:
    plan = prune_channels(tied("grouped"), 0.5, ties="keep")
    assert plan.reasons["join"].startswith("grouped convolution")


def test_a_recurrent_layer_keeps_its_gates_and_ties_what_feeds_it() -> None:
    net = NetworkBuilder("recurrent")
    x = net.linear("embed", net.input("x", (7, 1, 4)), random_weights(1, 6, 4), "embed")
    hidden, inner = random_weights(2, 4 * 5, 6), random_weights(3, 4 * 5, 5)
    x = net.recurrent("lstm", x, hidden, inner, "lstm", cell="lstm", steps=7, batch=1)
    net.linear("out", x, random_weights(4, 3, 5), "out")
    plan = prune_channels(net.build(["out"]), 0.5)
    assert plan.reasons["embed"] == "tied by lstm_input lstm.ih"
    assert plan.reasons["lstm.ih"] == plan.reasons["lstm.hh"] == "recurrent: its outputs are gates"


def test_tokens_folded_into_features_lose_the_columns_of_a_feature_in_every_token() -> None:
    net = NetworkBuilder("tokens")
    x = net.linear("a", net.input("x", (2, 3, 4)), random_weights(1, 6, 4), "a")
    net.linear("b", net.view("folded", x, (2, 3 * 6)), random_weights(2, 5, 18), "b")
    network = net.build(["b"])
    plan = prune_channels(network, 0.5)
    assert np.array_equal(plan.columns["b"], (np.arange(3)[:, None] * 6 + plan.kept["a"]).reshape(-1))
    assert_same_numbers(network, plan)


def test_a_map_read_under_another_batch_ties_a_convolution() -> None:
    net = NetworkBuilder("batch")
    x = net.conv("a", net.input("x", (2, 3, 4, 4)), random_weights(1, 6, 3, 1, 1), "a")
    net.conv("b", net.view("v", x, (8, 6, 2, 2)), random_weights(2, 5, 6, 1, 1), "b")
    plan = prune_channels(net.build(["b"]), 0.5)
    assert plan.reasons["a"] == "tied by conv2d b"


def test_a_sum_over_pixels_is_not_taken_for_a_sum_over_as_many_channels() -> None:
    net = NetworkBuilder("pixels")
    x = net.conv("a", net.input("x", (1, 3, 4, 4)), random_weights(1, 16, 3, 1, 1), "a")
    net.linear("b", net.view("rows", x, (1, 16, 4 * 4)), random_weights(2, 5, 4 * 4), "b")
    plan = prune_channels(net.build(["b"]), 0.5)
    assert plan.reasons["a"] == "tied by linear b"


def test_parameters_that_all_channels_share_stay_and_others_scale() -> None:
    net = NetworkBuilder("slopes")
    x = net.conv("a", net.input("x", (1, 3, 4, 4)), random_weights(1, 6, 3, 1, 1), "a")
    x = net.vector("one", "activation", "prelu", [x], "one", net.shape(x), weight_elements=1, channelwise=True)
    x = net.vector("each", "norm", "batch_norm", [x], "each", net.shape(x), weight_elements=12, channelwise=True)
    net.conv("b", x, random_weights(2, 5, 6, 1, 1), "b")
    layers = {layer.name: layer for layer in prune_channels(net.build(["b"]), 0.5).network.layers}
    assert (layers["one"].weight_elements, layers["each"].weight_elements) == (1, 12 // 2)
    assert layers["each"].stored_weight_elements == 12 // 2


def test_work_that_does_not_divide_among_channels_is_an_error() -> None:
    net = NetworkBuilder("odd")
    x = net.conv("a", net.input("x", (1, 3, 4, 4)), random_weights(1, 6, 3, 1, 1), "a")
    x = net.vector("odd", "activation", "relu", [x], "odd", net.shape(x), elements=97, channelwise=True)
    net.conv("b", x, random_weights(2, 5, 6, 1, 1), "b")
    with pytest.raises(ModelError, match="layer odd: elements is 97, and must be a multiple of its 96 elements"):
        prune_channels(net.build(["b"]), 0.5)


def test_a_kept_layer_that_does_not_exist_is_an_error() -> None:
    with pytest.raises(ModelError, match="keep names head, and no layer has this name"):
        prune_channels(classifier(), 0.5, keep=frozenset({"head"}))


@pytest.mark.parametrize("sparsity", [-0.1, 1.0])
def test_a_sparsity_outside_its_range_is_an_error(sparsity: float) -> None:
    with pytest.raises(PatternError):
        prune_channels(classifier(), sparsity)
    with pytest.raises(PatternError):
        prune_channels(tied("residual"), sparsity, keep=frozenset({"a", "b"}))


def test_resnet50_halves_every_convolution_on_both_sides() -> None:
    network = built_in("resnet50", input_shape=(1, 3, 64, 64))
    plan = prune_channels(network, 0.5)
    assert plan.reasons == {"fc": "network output"}
    for before, after in zip(network.matrix_layers, plan.network.matrix_layers, strict=True):
        rows = 1 if before.name == "fc" else 2
        columns = 1 if before.name == "conv1" else 2
        assert after.macs * rows * columns == before.macs
    macs = {layer.name: layer.macs for layer in network.matrix_layers}
    ends = macs["conv1"] + macs["fc"]
    assert plan.network.macs == ends // 2 + (network.macs - ends) // 4
    assert plan.network.synthetic
    assert plan.network.digest == network.digest


def test_resnet50_ties_the_outputs_of_every_stage() -> None:
    plan = prune_channels(built_in("resnet50", input_shape=(1, 3, 64, 64)), 0.25)
    stage = [f"layer2.{block}.conv3" for block in range(4)]
    for name in (*stage, "layer2.0.downsample.0"):
        assert np.array_equal(plan.kept[name], plan.kept[stage[0]])
    group = next(group for group in plan.groups if stage[0] in group.layers)
    assert set(group.layers) == {*stage, "layer2.0.downsample.0"}
    assert (group.channels, group.kept) == (512, 512 * 3 // 4)


def test_where_ties_keep_channels_resnet50_prunes_inside_its_bottlenecks_alone() -> None:
    network = built_in("resnet50", input_shape=(1, 3, 64, 64))
    plan = prune_channels(network, 0.5, ties="keep")
    for layer in plan.network.matrix_layers:
        tied_by_add = layer.name.endswith((".conv3", ".downsample.0"))
        assert (layer.name in plan.reasons) == (tied_by_add or layer.name == "fc")
    before = {layer.name: layer.macs for layer in network.matrix_layers}
    after = {layer.name: layer.macs for layer in plan.network.matrix_layers}
    assert after["layer2.1.conv1"] * 2 == before["layer2.1.conv1"]  # rows
    assert after["layer2.1.conv2"] * 4 == before["layer2.1.conv2"]  # rows and columns
    assert after["layer2.1.conv3"] * 2 == before["layer2.1.conv3"]  # columns


def test_one_layer_in_keep_holds_all_that_are_tied_to_it() -> None:
    network = residual()
    plan = prune_channels(network, 0.5, keep=frozenset({"b"}))
    assert plan.reasons["b"] == "in keep"
    assert plan.reasons["a"] == "tied by add join to channels that stay"
    assert len(plan.kept["a"]) == len(plan.kept["b"]) == 8


def residual() -> Network:
    """Two convolutions of the input, added, and read by a third."""
    net = NetworkBuilder("residual")
    x = net.input("x", (1, 3, 4, 4))
    a = net.conv("a", x, random_weights(1, 8, 3, 1, 1), "a")
    b = net.conv("b", x, random_weights(2, 8, 3, 3, 3), "b", padding=(1, 1, 1, 1))
    x = net.vector("join", "add", "add", [a, b], "join", net.shape(a), channelwise=True)
    return net.build([net.conv("c", x, random_weights(3, 5, 8, 1, 1), "c")])


def test_the_score_of_a_tied_channel_is_the_norm_of_all_its_rows() -> None:
    network = residual()
    plan = prune_channels(network, 0.5)
    energy = sum((network.weights[name][0].astype(np.float64) ** 2).sum(axis=1) for name in ("a", "b"))
    assert np.array_equal(plan.kept["a"], np.sort(np.argsort(energy)[8 // 2 :]))
    assert np.array_equal(plan.kept["b"], plan.kept["a"])
    assert_same_numbers(network, plan)


def joined(widths: tuple[int, ...] = (6, 4)) -> Network:
    """Two convolutions of the input side by side, read by a third in one."""
    net = NetworkBuilder("joined")
    x = net.input("x", (1, 3, 4, 4))
    parts = [
        net.conv(name, x, random_weights(seed, width, 3, 1, 1), name)
        for seed, (name, width) in enumerate(zip("ab", widths, strict=True))
    ]
    concat = Arrangement(kind="concat", numbers=(1,))
    x = net.vector("join", "concat", "concat", parts, "join", (1, sum(widths), 4, 4), arrangement=concat)
    return net.build([net.conv("c", x, random_weights(3, 5, sum(widths), 3, 3), "c")])


def test_a_concat_lays_channels_side_by_side_and_each_part_is_a_group() -> None:
    network = joined()
    plan = prune_channels(network, 0.5)
    assert [(group.layers, group.channels, group.kept) for group in plan.groups] == [(("a",), 6, 3), (("b",), 4, 2)]
    assert np.array_equal(plan.columns["c"], np.concatenate([plan.kept["a"], 6 + plan.kept["b"]]))
    assert_same_numbers(network, plan)


def test_a_concat_that_does_not_say_its_axis_holds_its_parts() -> None:
    network = joined()
    layers = tuple(
        dataclasses.replace(layer, arrangement=None) if isinstance(layer, VectorLayer) else layer
        for layer in network.layers
    )
    plan = prune_channels(dataclasses.replace(network, layers=layers), 0.5)
    assert plan.reasons["a"] == plan.reasons["b"] == "tied by concat join"


def grouped(width: int = 12, groups: int = 3, per_group: int = 8) -> Network:
    net = NetworkBuilder("grouped")
    x = relu(net, net.conv("a", net.input("x", (1, 3, 4, 4)), random_weights(1, width, 3, 1, 1), "a"))
    weights = random_weights(2, groups * per_group, width // groups, 3, 3)
    x = relu(net, net.conv("b", x, weights, "b", padding=(1, 1, 1, 1), groups=groups))
    return net.build([net.conv("c", x, random_weights(3, 5, groups * per_group, 1, 1), "c")])


def test_a_grouped_convolution_keeps_as_many_inputs_and_outputs_in_every_group() -> None:
    network = grouped()
    plan = prune_channels(network, 0.25)
    for name, width in (("a", 12 // 3), ("b", 8)):
        assert np.bincount(plan.kept[name] // width).tolist() == [width * 3 // 4] * 3
    layer = plan.network.matrix_layers[1]
    assert (layer.groups, layer.m, layer.k) == (3, 8 * 3 // 4, 3 * 3 * 4 * 3 // 4)
    assert_same_numbers(network, plan)


def test_groups_that_would_become_unequal_keep_their_channels_and_say_so() -> None:
    net = NetworkBuilder("unequal")
    x = net.input("x", (1, 3, 4, 4))
    parts = [net.conv(n, x, random_weights(s, w, 3, 1, 1), n) for s, (n, w) in enumerate([("a", 6), ("b", 2)])]
    concat = Arrangement(kind="concat", numbers=(1,))
    x = net.vector("join", "concat", "concat", parts, "join", (1, 8, 4, 4), arrangement=concat)
    x = net.conv("c", x, random_weights(3, 4, 4, 1, 1), "c", groups=2)  # a holds 4 of the first group, 2 of the second
    network = net.build([net.conv("d", x, random_weights(4, 3, 4, 1, 1), "d")])
    plan = prune_channels(network, 0.3)  # 3 of 4 stay; of 2 and of 2 one each
    assert all(np.array_equal(plan.kept[name], np.arange(width)) for name, width in (("a", 6), ("b", 2)))
    assert "its groups would become unequal" in plan.reasons["a"]
    assert_same_numbers(network, plan)


def test_a_depthwise_layer_with_two_outputs_a_channel_loses_both() -> None:
    net = NetworkBuilder("multiplier")
    x = net.conv("a", net.input("x", (1, 3, 4, 4)), random_weights(1, 6, 3, 1, 1), "a")
    x = net.conv("b", x, random_weights(2, 12, 1, 3, 3), "b", groups=6)
    network = net.build([net.conv("c", x, random_weights(3, 5, 12, 1, 1), "c")])
    plan = prune_channels(network, 0.5)
    assert np.array_equal(plan.kept["b"], (2 * plan.kept["a"][:, None] + np.arange(2)).reshape(-1))
    assert_same_numbers(network, plan)


def test_a_group_keeps_one_channel_and_says_that_the_ratio_asked_for_none() -> None:
    network = residual()
    plan = prune_channels(network, 0.99)
    assert len(plan.kept["a"]) == len(plan.kept["b"]) == 1
    assert plan.reasons["a"] == "sparsity 0.99 would remove all 8 of a group, and one stays"
    assert_same_numbers(network, plan)


def test_a_pruned_network_can_be_pruned_again() -> None:
    network = prune_channels(joined((8, 4)), 0.5).network
    plan = prune_channels(network, 0.5)
    assert [len(plan.kept[name]) for name in "ab"] == [8 // 4, 4 // 4]
    assert_same_numbers(network, plan)


@settings(max_examples=25, deadline=None)
@given(st.sampled_from(["residual", "joined", "grouped"]), st.floats(0, 0.99), st.integers(1, 5), st.integers(1, 5))
def test_tied_networks_compute_what_the_masked_ones_do(kind: str, sparsity: float, one: int, two: int) -> None:
    network = {"residual": residual, "joined": lambda: joined((one, two)), "grouped": lambda: grouped(2 * one, 2, two)}[
        kind
    ]()
    plan = prune_channels(network, sparsity)
    for group in plan.groups:
        assert group.kept == max(1, round((1 - sparsity) * group.channels))
    assert_same_numbers(network, plan)


def test_mobilenet_v1_shrinks_from_end_to_end() -> None:
    network = built_in("mobilenet_v1", input_shape=(1, 3, 32, 32))
    plan = prune_channels(network, 0.5)
    assert set(plan.reasons) == {"classifier"}
    for before, after in zip(network.matrix_layers, plan.network.matrix_layers, strict=True):
        outputs = 1 if before.name == "classifier" else 2
        assert after.groups * after.m * outputs == before.groups * before.m


def test_attention_ties_projections_and_leaves_the_feed_forward_layer_free() -> None:
    plan = prune_channels(built_in("deit_tiny", input_shape=(1, 3, 32, 32)), 0.75)
    free = [name for name, rows in plan.kept.items() if name not in plan.reasons]
    assert free == [f"blocks.{block}.mlp.fc1" for block in range(12)]
    assert all(len(plan.kept[name]) == 768 // 4 for name in free)
    assert plan.reasons["blocks.0.attn.qkv"] == "tied by product blocks.0.attn.scores"


@settings(max_examples=15, deadline=None)
@given(st.integers(1, 2), st.integers(1, 9), st.integers(4, 7), st.floats(0, 0.99, allow_nan=False), st.booleans())
def test_numbers_survive_any_sparsity_and_width(
    batch: int, channels: int, side: int, sparsity: float, keep_stem: bool
) -> None:
    network = classifier(batch, channels, side)
    plan = prune_channels(network, sparsity, keep=frozenset({"stem"} if keep_stem else ()))
    for layer in network.matrix_layers:
        rows = plan.kept[layer.name]
        assert 1 <= len(rows) <= layer.groups * layer.m
        assert (np.diff(rows) > 0).all()
    x = np.random.default_rng(0).standard_normal((batch, 3, side, side))
    np.testing.assert_allclose(
        run(plan.network, dict(plan.network.weights), x), run(network, masked(network, plan), x), rtol=1e-9, atol=1e-9
    )
