"""One estimate for many devices gives each of them what its own estimate gives, exactly."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from costmodel.device_rules import check_rules
from costmodel.devices.a100 import A100
from costmodel.devices.catalog import ALL_DEVICES
from costmodel.devices.cpus import SNAPDRAGON_855
from costmodel.devices.mobile_gpus import ADRENO_640
from costmodel.devices.zcu102 import ZCU102
from costmodel.estimate import estimate
from costmodel.many import COUNTS, SECONDS, TEXTS, ManyResults, estimate_many
from costmodel.measured import MeasuredKernel, Regime
from costmodel.spec import RooflineDevice
from costmodel.validation.bands import banded
from costmodel.varied import Varied
from gatherline.device_fields import device_fields, with_fields
from patterns.base import Pattern
from patterns.block import Block
from patterns.dense import Dense
from patterns.encodings.base import EncodingError
from patterns.gs import GatherScatter
from patterns.n_of_m import NOfM
from patterns.unstructured import Unstructured
from simulator.result import LayerResult
from simulator.spec import Device, DeviceError
from traces.layer import Layer, MatrixLayer, ProductLayer, UnsupportedLayer, VectorLayer, Window
from traces.layout import column_banks
from traces.trace import LayerTrace

DEVICES = {device.name: device for device in ALL_DEVICES}
ONE_OF_EACH_KIND = ("snapdragon-855", "x86-avx512", "adreno-640", "a100")
MORE = ("snapdragon-855-paddle", "adreno-640-tflite", "rtx-2080-super-macko", "gtx-1080-ti")
CHECKED = 3  # points held against their own estimates


def conv(m: int, k: int, size: int, window: int = 1, groups: int = 1) -> MatrixLayer:
    edge = window // 2
    space = Window(kernel=(window, window), padding=(edge,) * 4, in_hw=(size, size), out_hw=(size, size))
    kind: Any = "depthwise" if groups > 1 else "conv2d"
    return MatrixLayer(name="conv", kind=kind, m=m, k=k, groups=groups, window=space)


def linear(m: int, k: int, tokens: int) -> MatrixLayer:
    return MatrixLayer(name="fc", kind="linear", m=m, k=k, window=Window(in_hw=(1, tokens), out_hw=(1, tokens)))


def masked(layer: MatrixLayer, pattern: Pattern, sparsity: float) -> LayerTrace:
    scores = np.random.default_rng(1).random((layer.groups, layer.m, layer.k), dtype=np.float32)
    banks = column_banks(layer, getattr(pattern, "banks", 16))
    return LayerTrace(layer=layer, pattern=pattern, mask=pattern.project(scores, sparsity, banks))


@cache
def traces() -> tuple[LayerTrace, ...]:
    """A dozen layers: dense, depthwise, sparse by several patterns, on one position and many, and without weights."""
    hidden = MatrixLayer(
        name="lstm", kind="lstm_hidden", m=256, k=64, serial=True, window=Window(in_hw=(1, 20), out_hw=(1, 20))
    )
    others: tuple[Layer, ...] = (
        ProductLayer(name="scores", instances=3, m=50, k=64, p=50),
        VectorLayer(
            name="add", kind="add", op="Add", elements=200_000, input_elements=400_000, output_elements=200_000
        ),
        VectorLayer(name="soft", kind="softmax", op="Softmax", elements=90, input_elements=90, output_elements=90),
        VectorLayer(name="relu", kind="activation", op="Relu", elements=90, input_elements=90, fused_into="fc"),
        UnsupportedLayer(name="odd", op="Odd", reason="of a test"),
    )
    return (
        masked(conv(64, 576, 28, window=3), Dense(), 0.0),
        masked(conv(1, 9, 28, window=3, groups=48), Dense(), 0.0),
        masked(conv(96, 128, 28), Unstructured(), 0.8),
        masked(conv(96, 130, 7), Unstructured(), 0.95),
        masked(conv(64, 64, 14), NOfM(n=2, m=4), 0.5),
        masked(conv(64, 64, 14), Block(height=4, width=1), 0.8),
        masked(linear(128, 256, 1), Unstructured(), 0.9),
        masked(linear(128, 256, 33), NOfM(n=2, m=4), 0.5),
        masked(linear(128, 256, 33), Block(height=32, width=32), 0.5),
        masked(linear(128, 256, 33), GatherScatter(banks=16, k=1), 0.8),
        masked(hidden, Unstructured(), 0.8),
        *(LayerTrace(layer=layer, pattern=Dense()) for layer in others),
    )


def own(trace: LayerTrace, device: RooflineDevice, dtype: str, changes: dict[str, Any]) -> LayerResult | str:
    """What the point's own estimate is, or why there is none."""
    try:
        other = with_fields(device, changes)
        assert not isinstance(other, Device)
        check_rules(other)
        return banded(estimate(trace, other, dtype=dtype), dtype, 1)
    except (DeviceError, EncodingError, ArithmeticError, AssertionError) as error:
        return str(error)


def told_apart(found: ManyResults, at: int, expected: LayerResult | str) -> None:
    refusal = found.refused[at]
    if isinstance(expected, str):
        assert refusal is not None
        assert expected.rpartition(": ")[2] in refusal
        assert np.isnan(found.latency_s[at])
        return
    assert refusal is None
    for name in SECONDS:
        value = getattr(expected, name)
        assert np.isnan(getattr(found, name)[at]) if value is None else getattr(found, name)[at] == value, name
    for name in COUNTS:
        assert getattr(found, name)[at] == getattr(expected.counters, name), name
    for name in (*TEXTS, "utilization", "extrapolated"):
        assert getattr(found, name)[at] == getattr(expected, name), name


def drawn(device: RooflineDevice, path: str, factors: list[float]) -> Any:
    base = device_fields(device)[path].value
    values = np.array([float(base) * factor for factor in factors])
    return np.round(values).astype(np.int64) if isinstance(base, int) else values


def agree(device: RooflineDevice, paths: list[str], factors: list[list[float]], layers: tuple[LayerTrace, ...]) -> None:
    columns = tuple(drawn(device, path, own) for path, own in zip(paths, factors, strict=True))
    varied = Varied(base=device, paths=tuple(paths), values=columns)
    dtype = "fp32" if "fp32" in device.dtypes else device.dtypes[0]
    for trace in layers:
        found = estimate_many(trace, varied, dtype=dtype)
        for at in range(CHECKED):
            changes = {path: values[at].item() for path, values in zip(paths, columns, strict=True)}
            told_apart(found, at, own(trace, device, dtype, changes))


@settings(max_examples=8, deadline=None)
@given(st.data())
@pytest.mark.parametrize("name", ONE_OF_EACH_KIND)
def test_each_of_many_devices_gets_what_its_own_estimate_gives(name: str, data: st.DataObject) -> None:
    device = DEVICES[name]
    paths = data.draw(st.lists(st.sampled_from(sorted(device_fields(device))), min_size=1, max_size=4, unique=True))
    factor = st.floats(0.4, 2.5)
    factors = [data.draw(st.lists(factor, min_size=9, max_size=9)) for _ in paths]
    agree(device, paths, factors, traces())


@pytest.mark.slow
@pytest.mark.parametrize("name", [*ONE_OF_EACH_KIND, *MORE])
def test_every_field_of_a_device_can_vary(name: str) -> None:
    device, rng = DEVICES[name], np.random.default_rng(5)
    for path in device_fields(device):
        agree(device, [path], [rng.uniform(0.3, 3.0, 10).tolist()], traces()[::3])


@pytest.mark.slow
@pytest.mark.parametrize("name", [device.name for device in ALL_DEVICES if device.fabric is None])
def test_every_device_can_vary(name: str) -> None:
    device, rng = DEVICES[name], np.random.default_rng(7)
    known = sorted(device_fields(device))
    paths = [str(path) for path in rng.choice(known, size=3, replace=False)]
    agree(device, paths, rng.uniform(0.5, 2.0, (3, 12)).tolist(), traces())


def varied(device: RooflineDevice, **values: Any) -> Varied:
    """``units__clock``: dots of a path are two underscores here."""
    paths = tuple(path.replace("__", ".") for path in values)
    return Varied(base=device, paths=paths, values=tuple(np.asarray(column) for column in values.values()))


def test_devices_that_take_different_paths_are_told_apart_by_point() -> None:
    trace = traces()[0]
    sizes = np.linspace(2**14, 2**22, 200).astype(np.int64)
    found = estimate_many(trace, varied(A100, levels__l2__bytes=sizes), dtype="fp16")
    assert len(set(found.dram_bytes.tolist())) > 1
    for at in range(0, 200, 20):
        told_apart(found, at, own(trace, A100, "fp16", {"levels.l2.bytes": int(sizes[at])}))


def test_the_bound_is_that_of_each_point() -> None:
    slow = np.geomspace(1e7, 1e12, 40).astype(np.int64)
    found = estimate_many(
        traces()[0],
        varied(A100, levels__dram__unit_bytes_per_s=slow, levels__dram__total_bytes_per_s=slow),
        dtype="fp16",
    )
    assert found.bound[0] == "dram"
    assert found.bound[-1] != "dram"
    assert len(found.bound) == 40
    assert list(found.bound) == found.bound[:]


def test_a_device_that_a_rule_refuses_says_which_and_loses_no_other_point() -> None:
    found = estimate_many(
        traces()[0], varied(SNAPDRAGON_855, units__0__clock_hz=np.array([10**9, 0, 2 * 10**9, 3])), dtype="fp32"
    )
    assert [text is None for text in found.refused] == [True, False, True, False]
    assert "units.0.clock_hz is 0, and must be above 0" in str(found.refused[1])
    assert "it is in Hz" in str(found.refused[3])
    assert np.isnan(found.latency_s).tolist() == [False, True, False, True]
    assert found.kernel[1] == ""


def test_a_device_with_fewer_cores_than_threads_is_refused_alone() -> None:
    counts = np.repeat(np.array([1, 2, 4]), 8)
    base = replace(SNAPDRAGON_855, units=SNAPDRAGON_855.units[:1])
    found = estimate_many(traces()[0], varied(base, units__0__count=counts), dtype="fp32", threads=2)
    assert [text is None for text in found.refused] == (counts >= 2).tolist()
    assert "threads is 2" in str(found.refused[0])


def test_without_a_field_there_is_one_point_the_base() -> None:
    found = estimate_many(traces()[0], Varied(base=ADRENO_640, paths=(), values=()), dtype="fp16", bands=False)
    assert found.latency_s.tolist() == [estimate(traces()[0], ADRENO_640, dtype="fp16").latency_s]
    assert np.isnan(found.latency_low_s).all()


def test_an_fpga_varies_point_by_point() -> None:
    trace = traces()[2]
    wide = np.array([10**9, 4 * 10**9, 19 * 10**9])
    found = estimate_many(trace, varied(ZCU102, levels__dram__total_bytes_per_s=wide), dtype="int8")
    for at, value in enumerate(wide.tolist()):
        told_apart(found, at, own(trace, ZCU102, "int8", {"levels.dram.total_bytes_per_s": value}))


def test_a_text_that_tells_a_varied_number_tells_each_point_its_own() -> None:
    kernel = MeasuredKernel(
        name="csr", runtime="test", encoding="csr", serves=("unstructured",), kinds=("linear",), dtypes=("fp32",),
        unit="vector", efficiency=1.0, regimes=(Regime(positions=None, costs=(("slot_s", 1e-9),)),),
        median_error=0.1, p90_error=0.2,
    )  # fmt: skip
    base = replace(
        SNAPDRAGON_855,
        kernels=(kernel, *SNAPDRAGON_855.kernels),
        sources={**SNAPDRAGON_855.sources, "kernels.csr": "a test"},
    )
    errors = np.linspace(0.2, 0.5, 12)
    found = estimate_many(traces()[6], varied(base, kernels__csr__p90_error=errors), dtype="fp32")
    assert [f"within {error:.0%}" in text for error, text in zip(errors, found.validated, strict=True)] == [True] * 12
    assert found.latency_high_s.tolist() == [
        seconds * (1 + error) for seconds, error in zip(found.latency_s.tolist(), errors.tolist(), strict=True)
    ]


def test_fields_that_a_device_lacks_and_values_of_another_type_are_refused() -> None:
    with pytest.raises(DeviceError, match=r"no field levels\.l9\.bytes"):
        varied(A100, levels__l9__bytes=np.array([1]))
    with pytest.raises(DeviceError, match="float64, and must be of int"):
        varied(A100, levels__l2__bytes=np.array([1.5]))
    with pytest.raises(DeviceError, match="all as long"):
        varied(A100, levels__l2__bytes=np.array([1, 2]), overhead_s=np.array([1.0]))
