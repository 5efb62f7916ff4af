"""What a run says of itself: verdicts that are not validated, what was reached, reasons in order, threads, engines."""

from __future__ import annotations

import io
from typing import Any

import pytest

from costmodel.devices.catalog import ALL_DEVICES
from gatherline.pipeline import run
from gatherline.report import table
from gatherline.report.columns import Row, complete_row
from gatherline.report.headline import headline_facts
from gatherline.report.remarks import (
    MARK,
    SHOWN_REASONS,
    headline,
    label,
    labels,
    reasons,
    remarks,
    short_label,
    sparsity,
)
from gatherline.report.selection import milliseconds, totals, variant
from gatherline.request import DEFAULT_DTYPE, RunRequest, devices_of
from simulator.spec import DeviceError

BAND = {"latency_low_s": 0.5, "latency_high_s": 2.0, "validated": "dense fp32"}
HALF = 0.5


def row(layer: str, pattern: str, seconds: float, **more: object) -> Row:
    """A row of one device, of a layer or the total."""
    asked = None if pattern == "dense" else 0.9
    facts: dict[str, object] = {
        "model": "net", "device": "phone", "device_kind": "mobile_cpu", "layer": layer, "kind": "conv2d",
        "pattern": pattern, "sparsity_target": asked, "sparsity_overall": asked, "latency_s": seconds, "density": 1.0,
        "dtype": "fp32", "batch": 1, "threads": 1, "encoding": "dense", "validated": "not validated",
    }  # fmt: skip
    return complete_row({**facts, **more})


def total(pattern: str, seconds: float, **more: object) -> Row:
    return row("total", pattern, seconds, **more)


def printed(rows: list[Row]) -> str:
    stream = io.StringIO()
    table.print_report(rows, stream)
    return stream.getvalue()


def ran(**asked: Any) -> list[Row]:
    return run(RunRequest(**asked)).rows


# The verdict
def test_a_speed_up_over_a_validated_dense_names_the_row_that_is_not_validated() -> None:
    (line,) = [headline(one) for one in headline_facts([total("dense", 2.0, **BAND), total("block:4x1", 1.0)])]
    assert line.endswith("2.00x dense (not validated: block:4x1 at 90 %).")


def test_a_speed_up_over_a_dense_that_is_not_validated_names_dense() -> None:
    (line,) = [headline(one) for one in headline_facts([total("dense", 2.0), total("block:4x1", 1.0, **BAND)])]
    assert line.endswith("2.00x dense (not validated: dense).")


def test_a_verdict_of_which_nothing_is_validated_says_only_that() -> None:
    (line,) = [headline(one) for one in headline_facts([total("dense", 2.0), total("block:4x1", 1.0)])]
    assert line.endswith("2.00x dense (not validated).")


def test_a_verdict_of_which_all_is_validated_says_nothing_of_it() -> None:
    (line,) = [headline(one) for one in headline_facts([total("dense", 2.0, **BAND), total("block:4x1", 1.0, **BAND)])]
    assert "validated" not in line


def test_a_band_that_is_only_of_the_dense_layers_does_not_validate_a_speed_up() -> None:
    sparse = row("a", "block:4x1", 0.1, encoding="bsr")
    (line,) = [
        headline(one) for one in headline_facts([total("dense", 2.0, **BAND), sparse, total("block:4x1", 1.0, **BAND)])
    ]
    told = "2.00x dense, 0.25x to 4.00x if errors are independent (not validated: sparse layers of block:4x1 at 90 %)."
    assert line.endswith(told)


def test_that_nothing_is_faster_than_dense_is_not_validated_where_what_was_tried_is_not() -> None:
    (line,) = [headline(one) for one in headline_facts([total("dense", 1.0, **BAND), total("gs:16,1", 2.0)])]
    assert line == "phone: nothing that was tried is faster than dense (1,000 ms) (not validated: gs:16,1 at 90 %)."


def test_a_device_with_some_bands_is_not_said_to_have_none() -> None:
    lines = remarks([total("dense", 2.0, **BAND), total("block:4x1", 1.0)])
    assert "No error band (not validated): phone (block:4x1 at 90 %)." in lines
    assert "No error band (not validated): phone." in remarks([total("dense", 2.0), total("block:4x1", 1.0)])


# What was reached
def test_a_pattern_that_cannot_reach_its_target_shows_both() -> None:
    assert sparsity(total("n_of_m:2,4", 1.0, sparsity_reached=0.5)) == "50 % (90 asked)"
    assert sparsity(total("gs:16,1", 1.0, sparsity_reached=0.9013)) == "90 %"
    assert sparsity(total("dense", 1.0)) == ""


def test_the_sparsity_reached_is_of_the_layers_that_were_pruned() -> None:
    rows = ran(model="digits", patterns=("dense", "n_of_m:1,2"), sparsities=(0.9,), devices=("a100",))
    dense, pruned = totals(rows)
    own = [one for one in rows if one["layer"] in ("conv2", "conv3") and one["pattern"] == "n_of_m:1,2"]
    weights = [int(str(one["m"])) * int(str(one["k"])) for one in own]
    kept = sum(float(str(one["density"])) * size for one, size in zip(own, weights, strict=True))
    assert dense["sparsity_reached"] is None
    assert pruned["sparsity_reached"] == pytest.approx(1 - kept / sum(weights))
    assert float(str(pruned["density"])) > 1 - float(str(pruned["sparsity_reached"]))  # conv1 and fc stay dense


# Reasons
def test_missing_kernels_come_first_and_other_reasons_last() -> None:
    lost = "the dense kernel would take less time than this sparse one"
    rows = [
        row("a", "gs:16,1", 1.0, reason="the first layer stays dense"),
        row("b", "gs:16,1", 1.0, reason=f"asked 0.9; {lost}", dense_kernel_s=HALF),
        row("c", "gs:16,1", 1.0, reason="asked 0.9; phone has no kernel for gs: dense kernel, zeros computed"),
        row("d", "gs:16,1", 1.0, reason=f"asked 0.9; {lost}", dense_kernel_s=HALF),
    ]
    took, dense = milliseconds(2.0), milliseconds(2 * HALF)
    assert reasons(rows) == [
        "phone has no kernel for gs: dense kernel, zeros computed: c",
        f"phone: gs:16,1 at 90 % takes {took} ms where the dense kernel would take {dense} ms: b, d",
        "phone: the first layer stays dense: a",
        "phone: asked 0.9: b, c, d",
    ]


def test_equal_parts_of_reasons_are_one_line_with_a_count_of_layers() -> None:
    rows = [row(f"l{at}", "gs:16,1", 1.0, reason=f"asked 0.9; own {at}") for at in range(SHOWN_REASONS)]
    assert f"phone: asked 0.9: {SHOWN_REASONS} layers (l0, l1, l2, ...)" in reasons(rows)
    assert "1 more reason:" in reasons(rows)[-1]


def test_a_layer_whose_dense_kernel_is_faster_has_its_time_in_a_column() -> None:
    rows = ran(
        model="mobilenet_v1", patterns=("dense", "n_of_m:2,4"), sparsities=(0.5,), devices=("snapdragon-855",),
        dtype="fp32", input_shape="1,3,32,32",
    )  # fmt: skip
    dense = {one["layer"]: one["latency_s"] for one in rows if one["pattern"] == "dense"}
    slower = [one for one in rows if one["dense_kernel_s"] is not None]
    assert slower
    for one in slower:
        assert one["dense_kernel_s"] == dense[one["layer"]]
        assert float(str(one["dense_kernel_s"])) < float(str(one["latency_s"]))
        assert "the dense kernel would take" in str(one["reason"])


# Marks, titles and errors
def test_an_extrapolated_total_is_marked_in_its_row_and_the_mark_is_explained_once() -> None:
    text = printed([total("dense", 2.0, **BAND, extrapolated=True), total("gs:16,1", 1.0, **BAND)])
    dense, pruned = (next(line for line in text.splitlines() if line.startswith(name)) for name in ("dense", "gs:16"))
    assert f"{milliseconds(2.0)} {MARK}" in dense
    assert MARK not in pruned
    assert text.count(f"{MARK} Extrapolated") == 1
    assert f"{MARK} Extrapolated" not in printed([total("dense", 2.0)])


@pytest.mark.parametrize(
    ("kind", "threads", "says"),
    [("mobile_cpu", 1, ", 1 thread"), ("cpu", 1, ", 1 thread"), ("cpu", 4, ", 4 threads"), ("mobile_gpu", 1, "")],
)
def test_the_title_tells_the_threads_of_a_cpu(kind: str, threads: int, says: str) -> None:
    title = printed([total("dense", 1.0, device_kind=kind, threads=threads)]).splitlines()[0]
    assert title.endswith(f"batch 1{says}")


def test_the_engine_of_an_fpga_stands_under_its_table_with_the_variant_it_was_built_for() -> None:
    rows = ran(model="digits", patterns=("dense", "gs:16,1"), sparsities=(0.9,), devices=("zcu102",), dtype="int8")
    for one in totals(rows):
        assert f"{short_label(one)}: {one['mapping']}" in printed(rows).splitlines()
        assert str(one["mapping"]).startswith("dense-engine: " if one["pattern"] == "dense" else "gs-engine: ")


def test_a_default_dtype_that_a_device_has_not_is_said_to_be_the_default() -> None:
    (device,) = (one for one in ALL_DEVICES if one.name == "raspberry-pi-4")
    has = ", ".join(device.dtypes)
    with pytest.raises(DeviceError) as error:
        devices_of(RunRequest(model="digits", devices=("raspberry-pi-4",)))
    assert str(error.value) == f"dtype is '{DEFAULT_DTYPE}' (the default), and raspberry-pi-4 has {has}: give --dtype"
    with pytest.raises(DeviceError, match="dtype is 'int8', and adreno-640 has"):
        devices_of(RunRequest(model="digits", devices=("adreno-640",), dtype="int8"))


def test_a_variant_has_one_name_with_what_was_asked_only_where_it_removes_another_share() -> None:
    def named(asked: float | None, reached: float | None, pattern: str = "channel") -> str:
        return label({"pattern": pattern, "sparsity_target": asked, "sparsity_reached": reached})

    assert named(0.5, 0.6864) == "channel, 69 % removed (50 % asked)"
    assert named(0.5, 0.5001) == named(0.5, None) == "channel, 50 % removed"
    assert named(0.9, 0.997) == "channel, 99.7 % removed (90 % asked)"
    assert named(0.9, 0.8945) == "channel, 89 % removed (90 % asked)"
    assert named(0.9, 0.8949) == "channel, 89 % removed (90 % asked)"
    assert named(0.95, 0.95) == "channel, 95 % removed"
    assert named(None, 0.3) == "channel (own zeros)"
    assert named(None, None, "dense") == "dense"
    row = {"layer": "total", "pattern": "channel", "sparsity_target": 0.5, "sparsity_reached": 0.6864}
    assert labels([row]) == {variant(row): label(row)}


def test_patterns_that_miss_a_kernel_or_lose_as_much_in_the_same_layers_share_a_line() -> None:
    missing = "phone has no kernel for {}: dense kernel, zeros computed"
    slower = {"reason": "the dense kernel would take less time than this sparse one", "dense_kernel_s": 0.5}
    found = reasons(
        [
            *(row("a", name, 1.0, reason=missing.format(name)) for name in ("gs:16,1", "block:4x1")),
            row("b", "channel", 1.0, reason=missing.format("channel")),
            *(row("c", name, 1.0, **slower) for name in ("unstructured", "n_of_m:2,4")),
            row("c", "block:1x16", 2.0, **slower),
        ]
    )
    assert found == [
        f"{missing.format('gs:16,1, block:4x1')}: a",
        f"{missing.format('channel')}: b",
        "phone: unstructured at 90 %, n_of_m:2,4 at 90 % take 1,000 ms where the dense kernel would take 500 ms: c",
        "phone: block:1x16 at 90 % takes 2,000 ms where the dense kernel would take 500 ms: c",
    ]
