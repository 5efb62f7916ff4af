"""Activations and batch norms are applied while outputs leave: ADR 0004."""

from __future__ import annotations

import numpy as np
import pytest

from patterns.dense import Dense
from simulator.devices.gs_tcm import GS_TCM
from simulator.simulate import simulate
from traces.builder import NetworkBuilder
from traces.fusion import fuse
from traces.layer import Layer, Network, UnsupportedLayer, VectorLayer
from traces.liveness import peak_activation_elements
from traces.masks import Level, trace_network
from traces.trace import LayerTrace

MAP = (1, 8, 4, 4)


def _start() -> tuple[NetworkBuilder, str]:
    build = NetworkBuilder("net")
    x = build.input("x", MAP)
    return build, build.conv("conv", x, np.ones((8, 8, 3, 3), dtype=np.float32), "a", padding=(1, 1, 1, 1))


def _relu(build: NetworkBuilder, name: str, source: str, out: str, *, channelwise: bool = True) -> str:
    return build.vector(name, "activation", "Relu", [source], out, MAP, channelwise=channelwise)


def _norm(build: NetworkBuilder, name: str, source: str, out: str, op: str) -> str:
    return build.vector(name, "norm", op, [source], out, MAP, weight_elements=16, channelwise=True)


def _by_name(network: Network) -> dict[str, Layer]:
    return {layer.name: layer for layer in network.layers}


def _fused(network: Network) -> dict[str, str]:
    return {layer.name: layer.fused_into for layer in network.layers if isinstance(layer, VectorLayer)}


@pytest.mark.parametrize(
    "op", ["BatchNormalization", "aten.batch_norm.default", "_native_batch_norm_legit_no_training"]
)
def test_a_norm_and_an_activation_go_into_the_convolution_before_them(op: str) -> None:
    build, x = _start()
    x = _relu(build, "relu", _norm(build, "norm", x, "b", op), "c")
    before = build.build([x])
    after = fuse(before)
    assert _fused(after) == {"norm": "conv", "relu": "conv"}
    layers = _by_name(after)
    assert layers["conv"].outputs == ("c",)
    assert after.outputs == ("c",)
    for name in ("norm", "relu"):
        layer = layers[name]
        assert isinstance(layer, VectorLayer)
        assert (layer.input_elements, layer.output_elements, layer.outputs) == (0, 0, ())
        assert layer.elements == 8 * 4 * 4
    assert set(after.tensors) == {"x", "c"}
    assert after.macs == before.macs
    assert [layer.name for layer in after.layers] == [layer.name for layer in before.layers]
    assert fuse(after) == after or _fused(fuse(after)) == _fused(after)


@pytest.mark.parametrize("op", ["LayerNormalization", "GroupNormalization", "Softmax"])
def test_a_norm_over_several_elements_stays_a_layer(op: str) -> None:
    build, x = _start()
    network = build.build([_norm(build, "norm", x, "b", op)])
    assert _fused(fuse(network)) == {"norm": ""}


def test_an_activation_whose_input_is_read_twice_stays_a_layer() -> None:
    build, a = _start()
    b = _relu(build, "relu", a, "b")
    c = build.vector("add", "add", "Add", [a, b], "c", MAP)
    network = build.build([c])
    assert fuse(network) == network


def test_an_activation_whose_input_is_a_result_of_the_network_stays_a_layer() -> None:
    build, a = _start()
    b = _relu(build, "relu", a, "b")
    assert _fused(fuse(build.build([a, b]))) == {"relu": ""}


def test_an_activation_of_the_networks_input_stays_a_layer() -> None:
    build = NetworkBuilder("net")
    x = _relu(build, "relu", build.input("x", MAP), "b")
    x = build.conv("conv", x, np.ones((8, 8, 3, 3), dtype=np.float32), "a", padding=(1, 1, 1, 1))
    assert _fused(fuse(build.build([x]))) == {"relu": ""}


def test_nothing_is_fused_into_an_operator_that_is_not_known() -> None:
    build, a = _start()
    build.unsupported("odd", "Odd", "no rule", [a], [("o", MAP)])
    network = build.build([_relu(build, "relu", "o", "b")])
    assert _fused(fuse(network)) == {"relu": ""}
    assert isinstance(_by_name(fuse(network))["odd"], UnsupportedLayer)


def test_an_activation_that_mixes_elements_or_changes_their_number_stays_a_layer() -> None:
    build, a = _start()
    b = build.vector("glu", "activation", "Glu", [a], "b", (1, 4, 4, 4), channelwise=True)
    assert _fused(fuse(build.build([b]))) == {"glu": ""}
    build, a = _start()
    assert _fused(fuse(build.build([_relu(build, "relu", a, "b", channelwise=False)]))) == {"relu": ""}


def test_an_activation_after_an_addition_goes_into_the_addition() -> None:
    build, a = _start()
    b = build.conv("second", a, np.ones((8, 8, 1, 1), dtype=np.float32), "b")
    c = build.vector("add", "add", "Add", [a, b], "c", MAP)
    network = fuse(build.build([_relu(build, "relu", c, "d")]))
    assert _fused(network) == {"add": "", "relu": "add"}
    assert _by_name(network)["add"].outputs == ("d",)


def test_fusing_moves_fewer_bytes_and_counts_the_same_work() -> None:
    build, x = _start()
    x = _relu(build, "relu", _norm(build, "norm", x, "b", "BatchNormalization"), "c")
    before = build.build([x])
    after = fuse(before)
    assert peak_activation_elements(after) <= peak_activation_elements(before)
    level = Level(pattern=Dense(), sparsity=None)
    results = [simulate(trace, GS_TCM) for trace in trace_network(after, level).traces]
    apart = [
        simulate(LayerTrace(layer=layer, pattern=Dense()), GS_TCM)
        for layer in before.layers
        if isinstance(layer, VectorLayer)
    ]
    fused = [result for result in results if result.layer != "conv"]
    assert sum(result.counters.dram_bytes for result in fused) == 0
    assert sum(result.counters.dram_bytes for result in apart) > 0
    assert [result.counters.vector_elements for result in fused] == [8 * 4 * 4] * 2
    assert all("fused into conv" in result.reason for result in fused)
    assert results[1].counters.weight_bytes == 16 * GS_TCM.widths.value_bytes  # the norm's scale and shift stay stored
