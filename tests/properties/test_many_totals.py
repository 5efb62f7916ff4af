"""The total rows of many devices are those that each device's own results add up to, column by column."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest

from costmodel.devices.catalog import ALL_DEVICES
from costmodel.devices.zcu102 import ZCU102
from costmodel.estimate import estimate
from costmodel.many import estimate_many
from costmodel.spec import RooflineDevice, numbers
from costmodel.validation.bands import banded
from costmodel.varied import Varied
from gatherline.device_fields import with_fields
from gatherline.many_totals import layer_columns, total_rows
from gatherline.request import RunRequest, levels, lower
from gatherline.rows import RunFacts, outcome, total_row
from traces.layer import UnsupportedLayer
from traces.masks import trace_network
from traces.trace import LayerTrace

DEVICES = {device.name: device for device in ALL_DEVICES}
FIELDS = ("units.0.clock_hz", "levels.dram.total_bytes_per_s", "levels.l2.bytes", "overhead_s")


@cache
def traces(model: str, pattern: str, sparsity: float | None, shape: str | None) -> tuple[LayerTrace, ...]:
    asked = RunRequest(
        model=model, patterns=(pattern,), sparsities=() if sparsity is None else (sparsity,), input_shape=shape
    )
    network = lower(asked)
    found = tuple(trace_network(network, levels(network, asked)[0]).traces)
    return (*found, LayerTrace(layer=UnsupportedLayer(name="odd", op="Odd", reason="a test"), pattern=found[0].pattern))


def facts(device: RooflineDevice, dtype: str) -> RunFacts:
    return RunFacts(
        model="net", pattern="p", sparsity_target=0.8, device=device, dtype=dtype, batch=1, threads=1, synthetic=True,
        activation_peak_bytes=12_345, unsupported=("Odd (odd)",),
    )  # fmt: skip


def drawn(device: RooflineDevice, points: int) -> Varied:
    rng, known, columns = np.random.default_rng(3), numbers(device), []
    paths = [path for path in FIELDS if path in known]
    for path in paths:
        values = known[path] * np.exp2(rng.uniform(-1, 1, points))
        columns.append(np.rint(values).astype(np.int64) if isinstance(known[path], int) else values)
    return Varied(base=device, paths=tuple(paths), values=tuple(columns))


@pytest.mark.parametrize(
    ("name", "model", "pattern", "sparsity", "shape"),
    [
        ("snapdragon-855", "mobilenet_v1", "unstructured", 0.8, "1,3,64,64"),
        ("adreno-640", "digits", "unstructured", 0.8, None),
        ("adreno-640", "mobilenet_v1", "dense", None, "1,3,64,64"),
        ("a100", "digits", "n_of_m:2,4", 0.5, None),
        ("x86-avx512", "digits", "block:4x1", 0.7, None),
    ],
)
def test_each_point_s_total_row_is_its_own(
    name: str, model: str, pattern: str, sparsity: float | None, shape: str | None
) -> None:
    device = DEVICES[name]
    dtype: Any = "fp16" if "fp16" in device.dtypes else "fp32"
    varied, layers = drawn(device, 60), traces(model, pattern, sparsity, shape)
    rows = total_rows(
        facts(device, dtype), varied, [layer_columns(one, estimate_many(one, varied, dtype=dtype)) for one in layers]
    )
    assert len(rows) == varied.points
    for at in range(0, varied.points, 6):
        changes = {path: values[at].item() for path, values in zip(varied.paths, varied.values, strict=True)}
        own: Any = with_fields(device, changes)
        outcomes = [outcome(one, banded(estimate(one, own, dtype=dtype), dtype, 1)) for one in layers]
        expected = total_row(facts(own, dtype), outcomes)
        assert rows[at] == expected
        assert [*rows[at]] == [*expected]


def test_a_refused_point_has_the_reason_of_its_device_in_place_of_a_row() -> None:
    device = DEVICES["a100"]
    clocks = np.array([10**9, 0, 2 * 10**9])
    varied = Varied(base=device, paths=("units.0.clock_hz",), values=(clocks,))
    columns = [layer_columns(one, estimate_many(one, varied)) for one in traces("digits", "dense", None, None)]
    rows = total_rows(facts(device, "fp16"), varied, columns)
    assert [isinstance(row, str) for row in rows] == [False, True, False]
    assert "units.0.clock_hz is 0" in str(rows[1])


def test_a_count_that_no_row_holds_refuses_its_point_alone() -> None:
    device = DEVICES["a100"]
    varied = Varied(base=device, paths=("overhead_s",), values=(np.array([1e-6, 2e-6]),))
    columns = [layer_columns(one, estimate_many(one, varied)) for one in traces("digits", "dense", None, None)]
    large = replace(columns[0].found, macs_issued=np.array([1, 2**62]))
    rows = total_rows(facts(device, "fp16"), varied, [replace(columns[0], found=large)] * 2)
    assert not isinstance(rows[0], str)
    assert rows[1] == f"total: macs_issued is {2**63}, and a counter must be below 2^63"


def test_rows_of_an_fpga_are_made_one_by_one() -> None:
    with pytest.raises(AssertionError, match="FPGA"):
        total_rows(facts(ZCU102, "int8"), Varied(base=ZCU102, paths=(), values=()), [])
