"""Live activations while each layer runs, on networks small enough to add up by hand."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from traces.builder import NetworkBuilder
from traces.layer import Network
from traces.liveness import activation_schedule, peak_activation_elements
from traces.workloads.catalog import built_in


def ones(*shape: int) -> np.ndarray:
    return np.ones(shape, dtype=np.float32)


def chain() -> Network:
    net = NetworkBuilder("chain")
    net.input("x", (1, 8))
    net.linear("a", "x", ones(32, 8), "a")
    net.vector("relu", "activation", "relu", ["a"], "relu", (1, 32), channelwise=True)
    net.linear("b", "relu", ones(4, 32), "b")
    return net.build(["b"])


def test_a_chain_holds_one_input_and_one_output_at_a_time() -> None:
    assert [step.elements for step in activation_schedule(chain())] == [8 + 32, 32 + 32, 32 + 4]
    assert peak_activation_elements(chain()) == 32 + 32


def test_a_residual_stays_live_across_the_layers_it_skips() -> None:
    net = NetworkBuilder("residual")
    net.input("x", (1, 10))
    net.linear("wide", "x", ones(40, 10), "wide")
    net.linear("narrow", "wide", ones(10, 40), "narrow")
    net.vector("add", "add", "add", ["narrow", "x"], "sum", (1, 10))
    network = net.build(["sum"])
    assert [step.elements for step in activation_schedule(network)] == [10 + 40, 40 + 10 + 10, 10 + 10 + 10]
    assert activation_schedule(network)[1].tensors == ("x", "wide", "narrow")


def test_an_output_stays_live_to_the_end() -> None:
    net = NetworkBuilder("outputs")
    net.input("x", (1, 2))
    net.linear("early", "x", ones(7, 2), "early")
    net.linear("late", "x", ones(3, 2), "late")
    net.linear("last", "late", ones(5, 3), "last")
    steps = activation_schedule(net.build(["early", "last"]))
    assert [step.elements for step in steps] == [2 + 7, 2 + 7 + 3, 7 + 3 + 5]


def test_a_constant_is_live_all_the_time_and_a_view_moves_nothing() -> None:
    net = NetworkBuilder("constant")
    net.input("x", (1, 2, 3))
    net.constant("table", (1, 6))
    net.vector("add", "add", "add", [net.view("flat", "x", (1, 6)), "table"], "sum", (1, 6))
    net.linear("out", "sum", ones(1, 6), "out")
    assert [step.elements for step in activation_schedule(net.build(["out"]))] == [6 + 6 + 6, 6 + 6 + 1]


def test_an_input_waits_from_the_start_until_its_last_reader() -> None:
    net = NetworkBuilder("late")
    net.input("x", (1, 2))
    net.input("y", (1, 50))
    net.input("unread", (1, 1000))
    net.linear("a", "x", ones(3, 2), "a")
    net.linear("b", "y", ones(3, 50), "b")
    net.vector("add", "add", "add", ["a", "b"], "sum", (1, 3))
    steps = activation_schedule(net.build(["sum"]))
    assert [step.elements for step in steps] == [2 + 50 + 3, 50 + 3 + 3, 3 + 3 + 3]


def test_a_result_that_nothing_reads_lives_while_it_is_written() -> None:
    net = NetworkBuilder("dead")
    net.input("x", (1, 2))
    net.linear("dead", "x", ones(9, 2), "dead")
    net.linear("out", "x", ones(3, 2), "out")
    assert [step.elements for step in activation_schedule(net.build(["out"]))] == [2 + 9, 2 + 3]


def test_vgg16_peaks_where_its_first_activation_reads_and_writes_full_maps() -> None:
    assert peak_activation_elements(built_in("vgg16")) == 2 * 64 * 224 * 224


def test_a_residual_bottleneck_of_resnet50_peaks_with_its_shortcut_alive() -> None:
    network = built_in("resnet50")
    steps = {step.layer: step.elements for step in activation_schedule(network)}
    side = 56 * 56
    assert steps["layer1.1.conv3"] == side * (64 + 256 + 256)  # its input, its output, the shortcut
    assert steps["layer1.0.downsample.0"] == side * (64 + 256 + 256)


@st.composite
def networks(draw: st.DrawFn) -> Network:
    net = NetworkBuilder("random")
    extents = st.integers(1, 9)
    names = [net.input("x", (1, draw(extents)))]
    for index in range(draw(st.integers(1, 8))):
        reads = draw(st.lists(st.sampled_from(names), min_size=1, max_size=3))
        name, width = f"t{index}", draw(extents)
        if draw(st.booleans()) or index == 0:
            net.linear(name, reads[0], ones(width, net.shape(reads[0])[-1]), name)
        else:
            net.vector(name, "concat", "concat", reads, name, (1, width))
        names.append(name)
    outputs = draw(st.lists(st.sampled_from(names), min_size=1, max_size=2, unique=True))
    return net.build(outputs)


@settings(max_examples=80, deadline=None)
@given(networks())
def test_the_peak_holds_every_layer_and_no_more_than_everything(network: Network) -> None:
    steps = activation_schedule(network)
    peak = peak_activation_elements(network)
    assert len(steps) == len(network.layers)
    for step, layer in zip(steps, network.layers, strict=True):
        own = {*layer.inputs, *layer.outputs}
        assert own <= set(step.tensors)
        assert len(set(step.tensors)) == len(step.tensors)
        assert step.elements == sum(network.tensors[name].elements for name in step.tensors)
        assert peak >= step.elements
    assert peak <= sum(tensor.elements for tensor in network.tensors.values())
    assert set(network.outputs) <= set(steps[-1].tensors)


@settings(max_examples=80, deadline=None)
@given(networks())
def test_a_tensor_is_live_from_its_writer_to_its_last_reader_and_at_no_other_time(network: Network) -> None:
    steps = activation_schedule(network)
    for name in network.tensors:
        writers = [at for at, layer in enumerate(network.layers) if name in layer.outputs]
        readers = [at for at, layer in enumerate(network.layers) if name in layer.inputs]
        end = len(steps) - 1 if name in network.outputs else max([*readers, *writers], default=-1)
        live = [at for at, step in enumerate(steps) if name in step.tensors]
        assert live == list(range(writers[0] if writers else 0, end + 1))
