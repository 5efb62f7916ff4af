"""What every roofline device must do with every layer kind and every pattern. DESIGN section 6."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from costmodel.devices.catalog import ALL_DEVICES
from costmodel.devices.cpus import CPU_DEVICES
from costmodel.devices.mobile_gpus import MOBILE_GPUS
from costmodel.estimate import estimate
from costmodel.spec import VALUE_BYTES, RooflineDevice, numbers, source_of
from patterns.base import Pattern
from patterns.block import Block
from patterns.channel import Channel
from patterns.dense import Dense
from patterns.gs import GatherScatter
from patterns.n_of_m import NOfM
from patterns.unstructured import Unstructured
from simulator.result import TIME, LayerResult
from simulator.spec import DeviceError
from traces.layer import (
    Layer,
    MatrixKind,
    MatrixLayer,
    ProductLayer,
    UnsupportedLayer,
    VectorLayer,
    Window,
)
from traces.layout import column_banks
from traces.trace import LayerTrace

PATTERNS: tuple[Pattern, ...] = (
    Dense(),
    Unstructured(),
    NOfM(n=2, m=4),
    NOfM(n=4, m=8),
    Block(height=4, width=1),
    Block(height=1, width=16),
    Block(height=16, width=16),
    Channel(),
    GatherScatter(banks=16, k=1),
    GatherScatter(banks=8, k=8),
)


def _window(kernel: int, size: int) -> Window:
    edge = kernel // 2
    return Window(kernel=(kernel, kernel), padding=(edge, edge, edge, edge), in_hw=(size, size), out_hw=(size, size))


def _tokens(count: int) -> Window:
    return Window(in_hw=(1, count), out_hw=(1, count))


def _matrix(kind: MatrixKind, m: int, k: int, window: Window, groups: int = 1, serial: bool = False) -> MatrixLayer:
    return MatrixLayer(name=kind, kind=kind, groups=groups, m=m, k=k, window=window, serial=serial)


MATRIX_LAYERS: tuple[MatrixLayer, ...] = (
    _matrix("conv2d", 64, 128, _window(1, 14)),
    _matrix("conv2d", 64, 9 * 64, _window(3, 14)),
    _matrix("conv2d", 32, 9 * 16, _window(3, 14), groups=4),
    _matrix("conv1d", 64, 5 * 32, Window(kernel=(1, 5), in_hw=(1, 54), out_hw=(1, 50))),
    _matrix("depthwise", 1, 9, _window(3, 14), groups=64),
    _matrix("linear", 128, 256, _tokens(1)),
    _matrix("linear", 128, 256, _tokens(50)),
    _matrix("lstm_input", 256, 64, _tokens(20)),
    _matrix("lstm_hidden", 256, 64, _tokens(20), serial=True),
    _matrix("gru_input", 192, 64, _tokens(20)),
    _matrix("gru_hidden", 192, 64, _tokens(20), serial=True),
)
OTHER_LAYERS: tuple[Layer, ...] = (
    ProductLayer(name="scores", instances=4, m=50, k=32, p=50),
    *(
        VectorLayer(
            name=kind, kind=kind, op=kind, elements=4096, weight_elements=64, input_elements=4096, output_elements=4096
        )
        for kind in (
            "pool", "norm", "activation", "softmax", "add", "mul", "embedding", "concat", "move", "reduce", "gates",
        )
    ),
)  # fmt: skip


def masked(layer: MatrixLayer, pattern: Pattern, sparsity: float = 0.75, seed: int = 0) -> LayerTrace:
    scores = np.random.default_rng(seed).random((layer.groups, layer.m, layer.k), dtype=np.float32)
    banks = column_banks(layer, getattr(pattern, "banks", 16))
    return LayerTrace(layer=layer, pattern=pattern, mask=pattern.project(scores, sparsity, banks))


def check_row(result: LayerResult, target: RooflineDevice) -> None:
    assert np.isfinite(result.latency_s)
    assert result.latency_s > 0
    assert 0 <= result.utilization <= 1
    assert result.bound in result.bounds_s
    assert result.bounds_s[result.bound] == max(result.bounds_s.values())
    assert tuple(result.time_s) == TIME
    assert min(result.time_s.values()) >= 0
    assert sum(result.time_s.values()) == pytest.approx(result.latency_s, rel=1e-12)
    others = [value for name, value in result.bounds_s.items() if name != "overhead"]
    assert result.latency_s == max(others) + result.bounds_s.get("overhead", 0.0)
    assert set(result.bounds_s) <= {"compute", "gather", "issue", "overhead", *(level.name for level in target.levels)}
    assert (result.device, result.device_kind, result.model_kind) == (target.name, target.kind, "roofline")
    assert result.cycles is None
    assert (result.validated, result.latency_low_s, result.latency_high_s) == ("not validated", None, None)
    counters = result.counters
    assert counters.macs_effectual <= counters.macs_dense
    for field in dataclasses.fields(counters):
        value = getattr(counters, field.name)
        assert isinstance(value, int)
        assert value >= 0


# CPUs, and mobile GPUs, share their kernels' code and differ in data: of each runtime and kind some run every layer
REPRESENTATIVE = {
    "adreno-640",
    "adreno-430",
    "mali-g610",
    "snapdragon-855",
    "snapdragon-625",
    "rk3588",
    "kirin-970",
    "x86-avx512",
}
FULL = [target for target in ALL_DEVICES if target not in (*CPU_DEVICES, *MOBILE_GPUS) or target.name in REPRESENTATIVE]
devices = pytest.mark.parametrize("target", FULL, ids=lambda target: target.name)
every_device = pytest.mark.parametrize("target", ALL_DEVICES, ids=lambda target: target.name)


@devices
@pytest.mark.parametrize("pattern", PATTERNS, ids=lambda pattern: pattern.spelling)
def test_every_layer_kind_with_every_pattern_gets_a_finite_row_with_its_bound_named(
    target: RooflineDevice, pattern: Pattern
) -> None:
    for layer in MATRIX_LAYERS:
        if layer.kind == "depthwise" and pattern.spelling != "dense":
            pattern_here: Pattern = Unstructured()
        else:
            pattern_here = pattern
        for dtype in target.dtypes:
            trace = masked(layer, pattern_here)
            result = estimate(trace, target, dtype=dtype)
            check_row(result, target)
            assert result.counters.macs_issued >= result.counters.macs_effectual
            assert result.kernel
            assert result.mapping
            if result.encoding == "dense" and pattern_here.spelling != "dense":
                assert result.reason, f"{layer.kind} runs dense for {pattern.spelling} and does not say why"


@devices
@pytest.mark.parametrize("layer", OTHER_LAYERS, ids=lambda layer: layer.name)
def test_layers_without_weights_cost_time(target: RooflineDevice, layer: Layer) -> None:
    for dtype in target.dtypes:
        check_row(estimate(LayerTrace(layer=layer, pattern=Dense()), target, dtype=dtype), target)


@every_device
def test_an_unsupported_layer_is_named_and_costs_nothing(target: RooflineDevice) -> None:
    layer = UnsupportedLayer(name="nms", op="NonMaxSuppression", reason="data-dependent shape")
    result = estimate(LayerTrace(layer=layer, pattern=Dense()), target, dtype=target.dtypes[0])
    assert result.latency_s == 0.0
    assert "NonMaxSuppression" in result.reason
    assert "not counted" in result.reason


@devices
@pytest.mark.parametrize("layer", MATRIX_LAYERS, ids=lambda layer: f"{layer.kind}-{layer.k}-{layer.p}")
def test_more_kept_weights_are_never_faster_in_the_unstructured_kernel(
    target: RooflineDevice, layer: MatrixLayer
) -> None:
    results = [
        estimate(masked(layer, Unstructured(), sparsity), target, dtype=target.dtypes[0])
        for sparsity in (0.99, 0.9, 0.7, 0.5, 0.1)
    ]
    assert len({result.kernel for result in results}) == 1
    times = [result.latency_s for result in results]
    assert times == sorted(times)


@devices
def test_a_full_mask_never_meets_a_sparse_kernel(target: RooflineDevice) -> None:
    sparse = {kernel.name for kernel in target.kernels if kernel.serves}
    for pattern in PATTERNS:
        for layer in MATRIX_LAYERS:
            full = np.ones((layer.groups, layer.m, layer.k), dtype=np.bool_)
            result = estimate(LayerTrace(layer=layer, pattern=pattern, mask=full), target, dtype=target.dtypes[0])
            assert result.kernel not in sparse
            assert result.encoding == "dense"


@devices
def test_every_encoding_that_a_kernel_reads_can_be_asked_for(target: RooflineDevice) -> None:
    trace = masked(_matrix("linear", 128, 256, _tokens(50)), Unstructured())
    for encoding in sorted({kernel.encoding for kernel in target.kernels}):
        check_row(estimate(trace, target, dtype=target.dtypes[0], encoding=encoding), target)
    with pytest.raises(DeviceError, match="run-length"):
        estimate(trace, target, dtype=target.dtypes[0], encoding="run-length")


@every_device
def test_every_number_has_a_source_and_a_device_without_one_cannot_be_built(target: RooflineDevice) -> None:
    for path in numbers(target):
        assert source_of(target, path), path
    for text in target.sources.values():
        assert len(text) > 5
    fewer = {path: text for path, text in target.sources.items() if path != "overhead_s"}
    with pytest.raises(DeviceError, match=r"overhead_s .* without a source"):
        dataclasses.replace(target, sources=fewer)


@every_device
def test_an_unknown_dtype_is_refused_with_the_ones_there_are(target: RooflineDevice) -> None:
    trace = masked(MATRIX_LAYERS[0], Dense())
    with pytest.raises(DeviceError) as raised:
        estimate(trace, target, dtype="int4")
    assert "int4" in str(raised.value)
    for dtype in target.dtypes:
        assert dtype in str(raised.value)


@devices
def test_the_same_input_gives_the_same_row(target: RooflineDevice) -> None:
    trace = masked(MATRIX_LAYERS[0], Unstructured())
    assert estimate(trace, target, dtype=target.dtypes[0]) == estimate(trace, target, dtype=target.dtypes[0])


@every_device
def test_a_pool_moves_its_input_and_output_once_not_once_a_tap(target: RooflineDevice) -> None:
    layer = VectorLayer(name="pool", kind="pool", op="MaxPool", elements=9 * 64, input_elements=256, output_elements=64)
    result = estimate(LayerTrace(layer=layer, pattern=Dense()), target, dtype=target.dtypes[0])
    assert result.counters.activation_bytes == (256 + 64) * VALUE_BYTES[target.dtypes[0]]
    assert result.counters.vector_elements == 9 * 64
