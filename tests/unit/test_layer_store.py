"""A level's bytes: every layer comes back exactly, and bytes that are anything else are refused in one line."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gatherline.loading import resolve_model
from patterns.dense import Dense
from patterns.gs import GatherScatter
from patterns.unstructured import Unstructured
from traces.layer import Arrangement, Layer, MatrixLayer, ProductLayer, UnsupportedLayer, VectorLayer, Window
from traces.layer_json import layer_json, layer_of
from traces.layer_store import level_bytes, read_level
from traces.stream import TraceError
from traces.trace import LayerTrace
from traces.workloads.catalog import built_in_names

CONV = MatrixLayer(
    name="conv", kind="conv2d", groups=2, m=3, k=18, batch=2, inputs=("x",), outputs=("y",), read_shapes=((1, 2), ()),
    window=Window(kernel=(3, 3), stride=(2, 1), padding=(0, 1, 2, 3), in_hw=(8, 9), out_hw=(4, 5)),
)  # fmt: skip
LAYERS: tuple[Layer, ...] = (
    CONV,
    ProductLayer(name="scores", m=3, k=4, p=5, instances=6, inputs=("a", "b")),
    VectorLayer(
        name="move", kind="move", op="Transpose", elements=0, channelwise=True, fused_into="conv",
        arrangement=Arrangement(kind="transpose", numbers=(0, 2, 1)),
    ),
    UnsupportedLayer(name="loop", op="Loop", reason="control flow"),
)  # fmt: skip


def traces() -> list[LayerTrace]:
    mask = np.random.default_rng(0).random((2, 3, 18)) < 0.3
    own = {"sparsity_target": 0.1 + 0.2, "weights_before": 200, "macs_before": 10**15, "reason": "why, ünïcode"}
    return [
        LayerTrace(layer=CONV, pattern=GatherScatter(banks=16, k=1), mask=mask, **own),  # type: ignore[arg-type]
        LayerTrace(layer=replace(CONV, name="all"), pattern=Dense(), mask=np.ones((2, 3, 18), dtype=np.bool_)),
        LayerTrace(layer=replace(CONV, name="none"), pattern=Unstructured(), mask=np.zeros((2, 3, 18), dtype=np.bool_)),
        *(LayerTrace(layer=layer, pattern=Dense()) for layer in LAYERS[1:]),
    ]


def test_traces_come_back_exactly() -> None:
    found = read_level(level_bytes(traces(), {"seed": 7}), "here")
    assert found.extra == {"seed": 7}
    for one, other in zip(traces(), found.traces(), strict=True):
        for field in ("layer", "pattern", "sparsity_target", "weights_before", "macs_before", "reason", "kept"):
            assert getattr(one, field) == getattr(other, field), field
        assert (one.mask is None and other.mask is None) or np.array_equal(one.mask, other.mask)  # type: ignore[arg-type]


def test_a_mask_takes_a_bit_a_weight_and_a_constant_one_none() -> None:
    assert len(read_level(level_bytes(traces()), "here").bits) == -(-CONV.weight_elements // 8)


def test_the_same_traces_have_the_same_bytes() -> None:
    assert level_bytes(traces()) == level_bytes(traces())


@settings(deadline=None, max_examples=30)
@given(st.integers(1, 3), st.integers(1, 9), st.integers(1, 40), st.floats(0, 1), st.integers(0, 99))
def test_masks_of_every_shape_come_back(groups: int, m: int, k: int, density: float, seed: int) -> None:
    mask = np.random.default_rng(seed).random((groups, m, k)) < density
    layer = MatrixLayer(name="l", kind="linear", groups=groups, m=m, k=k)
    trace = LayerTrace(layer=layer, pattern=Unstructured(), mask=mask)
    (found,) = read_level(level_bytes([trace, trace][:1]), "here").traces()
    assert found.mask is not None
    assert np.array_equal(found.mask, mask)
    assert found.mask.dtype == np.bool_


@pytest.mark.parametrize("name", ["digits", *(name for name in built_in_names() if "-" not in name)])
def test_layers_of_every_built_in_network_come_back(name: str) -> None:
    for layer in resolve_model(name).layers:
        plain = json.loads(json.dumps(layer_json(layer)))
        assert layer_of(plain, "here") == layer
        assert layer_json(layer_of(plain, "here")) == plain


def test_shapes_that_are_numpy_integers_come_back_as_ints() -> None:
    layer = ProductLayer(name="p", m=np.int64(3), k=4, p=5)  # type: ignore[arg-type]
    found = layer_of(layer_json(layer), "here")
    assert isinstance(found, ProductLayer)
    assert type(found.m) is int


def _header(change: Callable[[dict[str, Any]], None]) -> bytes:
    line, _, bits = level_bytes(traces()).partition(b"\n")
    header = json.loads(line)
    change(header)
    return json.dumps(header).encode() + b"\n" + bits


def _entry(**values: Any) -> Callable[[dict[str, Any]], None]:
    return lambda header: header["layers"][0].update(values)


def _layer(**values: Any) -> Callable[[dict[str, Any]], None]:
    return lambda header: header["layers"][0]["layer"].update(values)


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        (lambda header: header.update(schema=2), "schema is 2, and must be 1"),
        (lambda header: header.update(schema=True), "schema is True, and must be 1"),
        (lambda header: header.update(layers={}), "layers must be a list"),
        (lambda header: header.update(extra=[]), "extra an object"),
        (lambda header: header["layers"].pop(0), "its masks take 0 bytes, and it holds 14"),
        (lambda header: header["layers"].append(header["layers"][0]), "its masks take 28 bytes, and it holds 14"),
        (lambda header: header["layers"].append(7), "a layer must have"),
        (_entry(extra=1), "a layer must have"),
        (_entry(kept=-1), "kept is -1, and must be 0 to 108"),
        (_entry(kept=10**9), "kept is 1000000000, and must be 0 to 108"),
        (_entry(kept=1.0), "kept is 1.0, and must be int"),
        (_entry(reason=None), "reason is None, and must be str"),
        (_entry(weights_before="9"), "weights_before is '9', and must be int"),
        (_entry(pattern="magic:3"), "pattern 'magic:3' is not known"),
        (_entry(layer=[]), "a layer is list, and must be an object"),
        (_layer(layer="Conv"), "kind is 'Conv', and must be one of MatrixLayer"),
        (_layer(strength=3), "MatrixLayer has no field strength"),
        (_layer(kind="conv4d"), "MatrixLayer.kind is 'conv4d', and must be one of conv2d"),
        (_layer(m=0), "m is 0, and must be at least 1"),
        (_layer(m=True), "MatrixLayer.m is True, and must be int"),
        (_layer(m=10**12), "its masks take"),  # compared before anything of that size is allocated
        (_layer(inputs="x"), "inputs is 'x', and must be a list"),
        (_layer(window=[1]), "window is [1], and must be an object"),
        (_layer(window={"kernel": [3, 3, 3]}), "Window.kernel has 3 entries, and must have 2"),
        (lambda header: header["layers"][0]["layer"].pop("name"), "MatrixLayer needs the field name"),
    ],
)
def test_a_header_that_says_something_else_is_refused(change: Callable[[dict[str, Any]], None], rule: str) -> None:
    with pytest.raises(TraceError, match=r"^here: ") as raised:
        read_level(_header(change), "here")
    assert rule in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("data", [b"", b"\n", b"{}\n", b"[]\n", b"no json\n", b'{"schema": 1}', b"[" * 10**5 + b"\n"])
def test_bytes_without_a_header_are_refused(data: bytes) -> None:
    with pytest.raises(TraceError, match=r"^here: "):
        read_level(data, "here")


def test_bits_that_keep_another_number_than_was_stored_are_refused() -> None:
    data = bytearray(level_bytes(traces()))
    data[-2] ^= 1
    with pytest.raises(TraceError, match="layer conv: its mask keeps"):
        list(read_level(bytes(data), "here").traces())


def test_a_rule_that_its_spelling_does_not_bring_back_is_not_stored() -> None:
    class Nameless(Dense):
        @property
        def spelling(self) -> str:
            return "unstructured"

    with pytest.raises(TraceError, match="unstructured does not spell"):
        level_bytes([LayerTrace(layer=CONV, pattern=Nameless(), mask=np.ones((2, 3, 18), dtype=np.bool_))])
