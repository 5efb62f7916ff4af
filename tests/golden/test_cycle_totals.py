"""Golden cycle totals: they detect change, not truth. ``pytest tests/golden --update-golden`` writes them anew.

A total that moves is a model change: say in CHANGELOG.md which, by how much, and why.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gatherline.pipeline import run
from gatherline.request import RunRequest

TOTALS = Path(__file__).parent / "cycle_totals.json"

CASES: tuple[tuple[str, RunRequest], ...] = (
    ("digits as exported, gs-tcm", RunRequest(model="digits", devices=("gs-tcm",))),
    ("digits dense, gs-tcm-ooo", RunRequest(model="digits", patterns=("dense",), devices=("gs-tcm-ooo",))),
    (
        "digits in column order, gs-tcm-ooo",
        RunRequest(model="digits", order="csr", devices=("gs-tcm-ooo",)),
    ),
    (
        "mobilenet_v2 at 64 x 64, gs:16,1 at 0.8, gs-tcm",
        RunRequest(
            model="mobilenet_v2", input_shape="1,3,64,64", patterns=("gs:16,1",), sparsities=(0.8,), devices=("gs-tcm",)
        ),
    ),
    (
        "mobilenet_v2 at 64 x 64, block:1x16 at 0.8, gs-tcm",
        RunRequest(
            model="mobilenet_v2", input_shape="1,3,64,64", patterns=("block:1x16",), sparsities=(0.8,),
            devices=("gs-tcm",),
        ),
    ),
    (
        "resnet50 at 64 x 64, unstructured in column order at 0.9, gs-tcm-ooo",
        RunRequest(
            model="resnet50", input_shape="1,3,64,64", patterns=("unstructured",), sparsities=(0.9,), order="csr",
            devices=("gs-tcm-ooo",),
        ),
    ),
    (
        "resnet50 at 64 x 64, channel at 0.5, gs-tcm",
        RunRequest(
            model="resnet50", input_shape="1,3,64,64", patterns=("channel",), sparsities=(0.5,), devices=("gs-tcm",)
        ),
    ),
)  # fmt: skip


def _totals(request: RunRequest) -> dict[str, object]:
    row = next(row for row in run(request).rows if row["layer"] == "total")
    return {name: row[name] for name in ("cycles", "compute_cycles", "conflict_cycles", "dram_bytes")}


@pytest.mark.parametrize(("name", "request_"), CASES, ids=[name for name, _ in CASES])
def test_total_cycles_are_those_recorded(name: str, request_: RunRequest, pytestconfig: pytest.Config) -> None:
    recorded = json.loads(TOTALS.read_text(encoding="utf-8")) if TOTALS.exists() else {}
    found = _totals(request_)
    if pytestconfig.getoption("--update-golden"):
        recorded[name] = found
        TOTALS.write_text(json.dumps(recorded, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    assert found == recorded.get(name)
