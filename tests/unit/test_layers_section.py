"""The section of layers: what its data hold of every row, how little room they take, and the words about a layer."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gatherline.report.page.layer_columns import LARGEST_WHOLE, facts_of, layer_columns
from gatherline.report.page.layer_words import BOUNDS, KERNELS, OTHER_BOUND, Place, amount, duration, sentences, share
from gatherline.report.page.layers_section import SLOWEST, layers_section
from gatherline.report.page.render import data_json
from gatherline.report.time_causes import TIME_CAUSES
from simulator.result import CAUSES

SECONDS = {"compute": 4e-3, "conflict": 1e-3, "imbalance": 0.0, "weights": 3e-3, "activations": 2e-3, "overhead": 0.0}
MANIFEST = {"model": "net"}


def row(
    layer: str, *, device: str = "d", pattern: str = "dense", scale: float = 1.0, **changed: object
) -> dict[str, Any]:
    times = {f"time_{name}_s": seconds * scale for name, seconds in SECONDS.items()}
    asked = None if pattern == "dense" else 0.9
    of_row = {
        "layer": layer, "device": device, "pattern": pattern, "sparsity_target": asked, "kind": "conv2d",
        "m": 8, "k": 9, "p": 16, "groups": 1, "density": 1.0, "latency_s": sum(SECONDS.values()) * scale,
        "macs_effectual": 1152, "dram_bytes": 4096, "utilization": 0.25, "bound": "dram", "kernel": "gemm",
        "encoding": "csr", "validated": "not validated", "reason": "", "peak_macs_per_s": 1e9, "dram_bytes_per_s": 1e8,
        **times,
    }  # fmt: skip
    return {**of_row, **changed}


def network(*, device: str = "d", pattern: str = "dense", scale: float = 1.0, count: int = 3) -> list[dict[str, Any]]:
    layers = [row(f"l{at}", device=device, pattern=pattern, scale=scale * (at + 1)) for at in range(count)]
    total = row("total", device=device, pattern=pattern, latency_s=sum(each["latency_s"] for each in layers))
    return [*layers, total]


def unpacked(data: dict[str, Any]) -> dict[tuple[str, str, str], dict[str, object]]:
    """The facts of every layer as a page reads them: by device, variant and layer."""
    found: dict[tuple[str, str, str], dict[str, object]] = {}
    for run in data["runs"]:
        columns = {name: data["columns"][at] for name, at in run["columns"].items()}
        layers = columns["layer"] if isinstance(columns["layer"], list) else [columns["layer"]]
        for place, layer in enumerate(layers):
            facts: dict[str, object] = {}
            for name, column in columns.items():
                value = column[place] if isinstance(column, list) else column
                facts[name] = data["texts"][value] if name in data["names"]["texts"] else value
            key = (
                data["devices"][run["device"]]["name"],
                data["variants"][run["variant"]]["label"],
                data["layers"][layer],
            )
            found[key] = facts
    return found


def section(rows: list[dict[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(data_json(layers_section(rows, MANIFEST)["data"]))
    return found


def test_data_hold_every_fact_of_every_layer() -> None:
    rows = [*network(), *network(pattern="gs:16,1", scale=0.5), *network(device="e", scale=3.0)]
    found = unpacked(section(rows))
    wanted = [each for each in rows if each["layer"] != "total"]
    assert len(found) == len(wanted)
    for each in wanted:
        asked = "dense" if each["pattern"] == "dense" else f"{each['pattern']}, 90 % removed"
        facts = found[each["device"], asked, each["layer"]]
        for name, value in facts_of(each).items():
            assert facts[name] == value


def test_a_column_that_runs_have_in_common_stands_once() -> None:
    one, three = layer_columns(network()[:-1]), layer_columns([*network()[:-1], *network(device="e")[:-1]])
    assert three.pool.unfolded() == one.pool.unfolded()
    assert len(three.runs) == 2


def test_a_value_that_holds_for_all_layers_stands_alone() -> None:
    columns = layer_columns(network(count=50)[:-1])
    run = next(iter(columns.runs.values()))
    assert columns.pool.unfolded()[run["utilization"]] == 0.25
    assert isinstance(columns.pool.unfolded()[run["latency_s"]], list)


def test_layers_of_one_name_stay_two_layers() -> None:
    columns = layer_columns([row("same", scale=1.0), row("same", scale=2.0)])
    assert columns.layers == ("same", "same")
    run = next(iter(columns.runs.values()))
    assert columns.pool.unfolded()[run["layer"]] == [0, 1]


def test_counts_are_whole_and_times_have_five_digits() -> None:
    facts = facts_of(row("l", macs_effectual=123_456_789, latency_s=1.23456789e-3, utilization=1.0))
    assert facts["macs_effectual"] == 123_456_789
    assert facts["latency_s"] == 1.2346e-3
    assert isinstance(facts["utilization"], int)
    assert facts_of(row("l", latency_s=10 * LARGEST_WHOLE))["latency_s"] == 10 * LARGEST_WHOLE


def test_the_slowest_layers_are_those_of_the_variant_that_is_fastest() -> None:
    rows = [*network(count=30), *network(pattern="gs:16,1", scale=0.5, count=30)]
    (slowest,) = layers_section(rows, MANIFEST)["slowest"]  # type: ignore[misc]
    assert slowest.variant == "gs:16,1, 90 % removed"
    assert [each.layer for each in slowest.layers] == [f"l{at}" for at in range(29, 29 - SLOWEST, -1)]
    assert slowest.layers[0].time == duration(10e-3 * 0.5 * 30)
    assert slowest.layers[0].cause == f"memory, above all weights {duration((3e-3 + 2e-3) * 0.5 * 30)}"
    assert slowest.count == 30


def test_a_variant_has_the_name_that_the_rest_of_the_page_gives_it() -> None:
    rows = [*network(), *network(pattern="channel")]
    rows = [{**each, "sparsity_reached": 0.967} if each["layer"] == "total" else each for each in rows]
    found = section(rows)
    assert [each["label"] for each in found["variants"]] == ["dense", "channel, 97 % removed (90 % asked)"]
    assert [(each["pattern"], each["sparsity"]) for each in found["variants"]] == [("dense", None), ("channel", 0.9)]


def test_a_run_without_totals_or_layers_or_causes_has_a_section() -> None:
    layers_only, totals_only = network()[:-1], network()[-1:]
    assert section(layers_only)["runs"][0]["total_s"] == pytest.approx(10e-3 * (1 + 2 + 3))
    assert section(totals_only)["runs"] == []
    assert layers_section(totals_only, {})["slowest"] == []
    old = [{**each, **{cause.column: None for cause in TIME_CAUSES}} for each in network()]
    assert layers_section(old, {})["slowest"][0].layers[0].cause == "-"  # type: ignore[index]


def test_a_layer_is_told_in_words_from_its_numbers() -> None:
    place = Place(layer="conv", device="d", total_s=40e-3, rank=2, count=3)
    told = sentences(facts_of(row("conv", density=0.1)), place, facts_of(row("conv", scale=2.0)), "dense")
    assert told[0] == "conv takes 10 ms, 25 % of the network's 40 ms on d: number 2 of 3 by time."
    made = told.index(f"The largest single cause is compute: 4 ms, 40 % of the layer's time ({TIME_CAUSES[0].text}).")
    assert told[made - 1] == f"It is limited by dram: {BOUNDS['dram']}. The bars count that as weights and activations."
    assert told[made + 1] == "Then weights 3 ms (30 %); activations 2 ms (20 %); conflicts 1 ms (10 %)."
    assert "It has 1.15 k multiply-adds with a kept weight and reaches 25 % of the device's peak." in told
    assert "It runs on the kernel gemm, its weights stored as csr, 10 % of them kept." in told
    assert (
        "Compared with dense, where it takes 20 ms: -10 ms (-50 %), of it compute -4 ms; weights -3 ms; "
        "activations -2 ms; conflicts -1 ms."
    ) in told
    assert told[-1] == "How sure: no error band (not validated)."


def told_of(facts: dict[str, Any], beside: dict[str, Any] | None = None) -> list[str]:
    place = Place(layer="conv", device="d", total_s=40e-3, rank=1, count=3)
    return sentences(facts_of(facts), place, None if beside is None else facts_of(beside), "dense" if beside else "")


def test_the_bound_and_the_largest_cause_never_contradict() -> None:
    compute, dram = TIME_CAUSES[0], BOUNDS["dram"]
    assert f"It is limited by compute: {BOUNDS['compute']}." in told_of(row("conv", bound="compute"))
    gather = f"It is limited by gather: {BOUNDS['gather']}. The bars count that as compute."
    assert gather in told_of(row("conv", bound="gather"))
    busy = row("conv", time_weights_s=1e-3, time_activations_s=0.0)
    assert (
        f"Its bound is dram ({dram}), while most of its time is compute ({compute.text}): both are at work."
        in told_of(busy)
    )


def test_a_slow_sparse_layer_is_told_beside_dense() -> None:
    dense = row("conv", bound="compute", utilization=0.84)
    sparse = row(
        "conv", bound="gather", utilization=0.11, macs_effectual=1152 // 2, kernel="spmm-32x1", dense_kernel_s=4e-3
    )
    told = told_of(sparse, dense)
    assert (
        f"It does {1152 // 2} multiply-adds, 50 % of those of dense, each in {0.84 / 0.11:.3g} times the time: "
        "it reaches 11 % of the device's peak, dense 84 %."
    ) in told
    assert "The kernel of dense is gemm, not spmm-32x1." in told
    assert f"The kernel spmm-32x1 {KERNELS['spmm']}." in told
    assert not [line for line in told_of(dense, dense) if line.startswith("It does ")]


def test_a_low_use_of_the_peak_names_the_kernel_only_where_its_work_binds() -> None:
    why = f"the kernel depthwise {KERNELS['depthwise']}."
    slow = row("conv", bound="compute", utilization=0.24, kernel="depthwise")
    assert any(line.endswith(why) for line in told_of(slow))
    assert not any(why in line for line in told_of({**slow, "bound": "dram"}))
    assert not any(why in line for line in told_of({**slow, "utilization": 0.9}))


def test_what_a_row_does_not_tell_is_not_made_up() -> None:
    bare = {"layer": "x", "device": "d", "pattern": "dense", "latency_s": 0.0}
    place = Place(layer="x", device="d", total_s=0.0, rank=1, count=1)
    told = sentences(facts_of(bare), place, None, "gs")
    assert told == [
        "x takes 0 s, - of the network's 0 s on d: number 1 of 1 by time.",
        "gs has no such layer.",
        "What its time is made of is not told apart (written by an older version: run it again).",
        "How sure: no error band (not validated).",
    ]


def test_a_band_reason_and_dense_kernel_are_told() -> None:
    facts = facts_of(
        row("l", latency_low_s=5e-3, latency_high_s=20e-3, validated="418 rows", reason="stays dense.",
            dense_kernel_s=8e-3, extrapolated=True)
    )  # fmt: skip
    told = sentences(facts, Place(layer="l", device="d", total_s=10e-3, rank=1, count=1), None, "")
    assert "How sure: from 5 ms to 20 ms (418 rows)." in told
    assert "The run notes: stays dense." in told
    assert "The device's dense kernel would take 8 ms." in told
    assert told[-1] == "It is outside the range that was fitted or validated."


def test_times_shares_and_counts_read_in_three_digits() -> None:
    assert [duration(each) for each in (None, 0.0, 1e-300, 5.42e-7, 1.125e-3, 0.0123, 5.0, 1e6)] == [
        "-", "0 s", "under 0.001 ns", "542 ns", "1.13 ms", "12.3 ms", "5 s", "over 1000000 s",
    ]  # fmt: skip
    assert [share(each) for each in (None, 0.0, 1e-9, 0.005, 0.0996, 0.1, 1.0)] == [
        "-", "0 %", "under 0.1 %", "0.5 %", "10 %", "10 %", "100 %",
    ]  # fmt: skip
    assert [amount(each) for each in (0, 999, 1_234_567, 10**13)] == ["0", "999", "1.23 M", "10 T"]


def test_every_cause_of_a_bound_has_words() -> None:
    assert {cause: BOUNDS.get(cause, OTHER_BOUND) for cause in CAUSES if cause not in BOUNDS} == {}
