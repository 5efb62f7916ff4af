"""What most of a row's time went to: causes of one bound together, so that the words agree with the row's bound."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest

import gatherline as gl
from costmodel.devices.cpus import SNAPDRAGON_855
from costmodel.estimate import estimate
from gatherline.report.largest_cause import MEMORY, WORK, largest_cause
from patterns.dense import Dense
from simulator.result import TIME
from traces.layer import MatrixLayer, Window
from traces.trace import LayerTrace

MATRIX = MatrixLayer(name="fc", kind="linear", m=64, k=4096, window=Window(in_hw=(1, 1), out_hw=(1, 1)))
MEMORY_LEVELS = ("l1", "l2", "l3", "dram", "shared", "texture")


def row_of(bound: str | None, **spent: float) -> dict[str, object]:
    return {f"time_{name}_s": spent.get(name, 0.0) for name in TIME} | {"bound": bound}


def test_weights_and_activations_count_together_and_the_larger_is_named() -> None:
    row = row_of("dram", compute=0.4, weights=0.35, activations=0.25)
    assert largest_cause(row) == ("memory, above all weights", 0.35 + 0.25)
    assert largest_cause(row_of("l2", weights=2.0)) == ("memory (weights)", 2.0)
    assert largest_cause(row_of("l2", activations=2.0)) == ("memory (activations)", 2.0)


def test_what_a_bound_that_computes_is_made_of_counts_together() -> None:
    row = row_of("compute", compute=0.25, imbalance=0.3, conflict=0.05, weights=0.4)
    assert largest_cause(row) == ("work, above all imbalance and padding", pytest.approx(0.6))
    assert largest_cause(row_of("issue", compute=0.5, weights=0.4)) == ("compute", 0.5)
    assert largest_cause(row_of("padding", imbalance=0.5, weights=0.4)) == ("imbalance and padding", 0.5)
    assert largest_cause(row_of("conflict", conflict=0.5, weights=0.4)) == ("conflicts", 0.5)


def test_beside_a_memory_that_binds_each_cause_of_the_work_stands_alone() -> None:
    assert largest_cause(row_of("dram", compute=0.3, imbalance=0.3, weights=0.2, activations=0.2)) == (
        "memory, above all weights", 0.4
    )  # fmt: skip


def test_overhead_is_named_where_it_is_more_than_either() -> None:
    assert largest_cause(row_of("compute", compute=0.2, weights=0.3, overhead=0.5)) == ("overhead", 0.5)
    assert largest_cause(row_of(None, compute=0.2, imbalance=0.4, overhead=0.5)) == (
        "work, above all imbalance and padding", pytest.approx(0.6)
    )  # fmt: skip


def test_a_part_too_small_to_show_is_no_part() -> None:
    assert largest_cause(row_of("compute", compute=1.0, imbalance=1e-17)) == ("compute", 1.0)


def test_a_row_that_does_not_tell_its_causes_has_none() -> None:
    assert largest_cause({"bound": "dram", "latency_s": 1.0}) is None
    assert largest_cause(row_of("dram", weights=1.0) | {"time_compute_s": None}) is None
    assert largest_cause(row_of("dram")) is None  # it took no time


def test_the_words_of_every_layer_of_a_roofline_agree_with_its_bound() -> None:
    rows = gl.run(
        "digits", patterns=["dense", "unstructured", "block:4x4"], sparsities=[0.8],
        devices=["a100", "adreno-640", "snapdragon-855", "zcu102"],
    ).rows  # fmt: skip
    result = estimate(LayerTrace(layer=MATRIX, pattern=Dense(), mask=np.ones((1, 64, 4096), np.bool_)), SNAPDRAGON_855)
    waiting = {f"time_{name}_s": result.time_s[name] for name in TIME} | {"bound": result.bound, "layer": "fc"}
    bounds = set()
    for row in (*rows, waiting):
        if row["layer"] != "total":
            found = largest_cause(row)
            assert found is not None
            assert kind_of(found[0]) == kind_of_bound(str(row["bound"])), row
            assert found[1] == pytest.approx(seconds_of(row, kind_of(found[0])))
            bounds.add(kind_of(found[0]))
    assert bounds == {"memory", "work", "overhead"}


def kind_of(words: str) -> str:
    return "memory" if words.startswith("memory") else "overhead" if words == "overhead" else "work"


def kind_of_bound(bound: str) -> str:
    return "memory" if bound in MEMORY_LEVELS else "overhead" if bound == "overhead" else "work"


def seconds_of(row: Mapping[str, object], kind: str) -> float:
    names = {"memory": MEMORY, "work": WORK, "overhead": ("overhead",)}[kind]
    return sum(float(str(row[f"time_{name}_s"])) for name in names)
