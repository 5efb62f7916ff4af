"""On every kind of device each layer that is no faster has a reason, and its number follows from its row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import gatherline as gl
from gatherline.advice.cause_names import CAUSE_NAMES
from gatherline.advice.evidence import MATERIAL_SHARE
from traces.layer import MatrixLayer, Network, Tensor, Window

DEVICES = (
    "gs-tcm",
    "gs-tcm-x4",
    "gs-tcm-sve8",
    "snapdragon-855",
    "x86-avx512",
    "adreno-640",
    "a100",
    "rtx-3090",
    "zcu102",
)
PATTERNS = (
    "unstructured",
    "n_of_m:1,4",
    "block:4x1",
    "block:1x16",
    "bank_balanced:8",
    "gs:16,1",
    "gs:16,16",
    "channel",
)
FREED = ("index_bytes", "load_imbalance", "padding", "dram_activations", "bank_conflicts")
QUICK = settings(
    deadline=None, max_examples=12, derandomize=True, suppress_health_check=[HealthCheck.too_slow], database=None
)


def random_network(seed: int, m: int, k: int, tokens: int) -> Network:
    """Three linear layers with weights of a seed; the middle one is pruned by default."""
    rng = np.random.default_rng(seed)
    sizes = [(m, k), (m, m), (8, m)]
    window = Window(in_hw=(1, tokens), out_hw=(1, tokens))
    layers = tuple(
        MatrixLayer(
            name=f"fc{at}", kind="linear", m=rows, k=columns, window=window, inputs=(f"x{at}",), outputs=(f"x{at + 1}",)
        )
        for at, (rows, columns) in enumerate(sizes)
    )
    widths = [k, m, m, 8]
    return Network(
        name="lines",
        layers=layers,
        tensors={f"x{at}": Tensor(name=f"x{at}", shape=(1, tokens, width)) for at, width in enumerate(widths)},
        inputs=("x0",),
        outputs=("x3",),
        weights={
            layer.name: rng.standard_normal((1, layer.m, layer.k), dtype=np.float32)
            * rng.lognormal(size=(1, layer.m, 1))
            for layer in layers
        },
    )


def why(model: Any, device: str, patterns: Sequence[str], sparsity: float, **options: Any) -> list[dict[str, object]]:
    dtype = "fp32" if device == "x86-avx512" else "fp16"
    report = gl.why(
        model,
        [device],
        patterns=patterns,
        sparsities=[sparsity],
        prune_all=True,
        tolerance=0.05,
        dtype=dtype,
        **options,
    )
    return report.rows


def check(rows: list[dict[str, object]]) -> int:
    """Check every row against the rules of ADR 0028, and return how many layers are no faster."""
    slow = 0
    for row in rows:
        dense, sparse = float(str(row["dense_latency_s"])), float(str(row["latency_s"]))
        if row["layer"] == "total":
            continue
        if row["verdict"] != "not faster":
            assert row["cause"] is None
            assert row["verdict"] == "kept" or sparse < dense
            continue
        slow += 1
        assert sparse >= dense
        assert row["cause"] in CAUSE_NAMES
        if row["cause"] != "none":
            check_finding(row, row["numbers"], dense, sparse)
        assert row["proof"]
    return slow


def check_finding(row: Mapping[str, Any], numbers: Any, dense: float, sparse: float) -> None:
    cause, lost = row["cause"], row["lost_s"]
    assert row["change"]
    for name in ("index_bytes", "weight_bytes", "macs_issued", "macs_effectual", "slots", "kept", "conflict_cycles"):
        if name in numbers:
            assert numbers[name] == row[name]
    if cause in FREED:
        assert row["without_s"] == pytest.approx(sparse - lost, rel=1e-9)
        assert lost > sparse - dense or lost >= MATERIAL_SHARE * sparse
        assert row["suffices"] is bool(row["without_s"] < row["dense_without_s"] * (1 - 1e-9))
    match cause:
        case "no_kernel":
            assert sparse == pytest.approx(dense, rel=1e-9) or row["device"] == "zcu102"  # which has another engine
        case "below_break_even":
            assert numbers["break_even_density"] < numbers["own_density"]
            assert row["without_s"] < dense
        case "index_bytes":
            assert numbers["dense_weight_bytes"] == row["dense_weight_bytes"]
            assert row["index_bytes"] >= min(row["weight_bytes"], row["dense_weight_bytes"] - row["weight_bytes"])
        case "load_imbalance":
            assert numbers["worst_row"] > numbers["mean_row"]
        case "padding":
            assert row["macs_issued"] > row["macs_effectual"]
        case "overhead":
            assert (
                numbers["overhead_s"] >= sparse / 2
                or numbers["overhead_s"] - numbers["dense_overhead_s"] > sparse - dense
            )
        case "dram_activations":
            assert (
                numbers["dram_bytes"] == row["dram_bytes"] >= numbers["activation_dram_bytes"] >= row["dram_bytes"] / 2
            )
        case "bank_conflicts":
            assert row["conflict_cycles"] > 0


@pytest.mark.parametrize("device", [name for name in DEVICES if name != "gs-tcm-x4"])
def test_every_layer_of_digits_that_is_no_faster_has_a_reason_that_recomputes(device: str) -> None:
    check(why("digits", device, PATTERNS, 0.3))


@given(
    device=st.sampled_from(DEVICES),
    pattern=st.sampled_from(PATTERNS),
    sparsity=st.sampled_from([0.05, 0.25, 0.5, 0.75, 0.95]),
    seed=st.integers(0, 100),
    m=st.sampled_from([16, 48, 80]),
    k=st.sampled_from([16, 40, 128]),
    tokens=st.sampled_from([1, 7, 64]),
    order=st.sampled_from(["packed", "csr"]),
)
@QUICK
def test_every_random_layer_that_is_no_faster_has_a_reason_that_recomputes(
    device: str, pattern: str, sparsity: float, seed: int, m: int, k: int, tokens: int, order: str
) -> None:
    network = random_network(seed, m, k, tokens)
    check(why(network, device, [pattern], sparsity, order=order))


def test_the_devices_of_the_properties_have_layers_that_are_no_faster_for_several_reasons() -> None:
    network = random_network(0, 80, 40, 7)
    rows = [
        row
        for device in ("gs-tcm", "snapdragon-855", "x86-avx512", "a100")
        for row in why(network, device, ["unstructured", "n_of_m:1,4", "block:4x1"], 0.25)
    ]
    assert check(rows) >= 10
    assert len({row["cause"] for row in rows if row["verdict"] == "not faster"}) >= 3
