"""Pages of runs with very many variants, names that repeat or read alike, and flags beside numbers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import gatherline as gl
from gatherline.report.files import write_report
from gatherline.report.headline import headline_facts
from gatherline.report.page.layer_columns import Pool
from gatherline.report.page.no_faster_section import no_faster_section
from gatherline.report.page.page_size import LARGEST_BYTES, fewer_variants, variants_of
from gatherline.report.page.results import by_device
from gatherline.report.page.run_page import run_page
from gatherline.report.time_causes import TIME_CAUSES
from gatherline.report_file import read_report
from gatherline.request_error import RequestError
from tests.unit.report_rows import rows_of

PATTERNS = 40


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    report = gl.run("digits", patterns=["dense", "gs:16,1"], sparsities=[0.9], devices=["gs-tcm"])
    write_report(folder, report.manifest, report.rows, pictures=False)
    return folder


def rewritten(run: Path, folder: Path, rows: list[dict[str, Any]]) -> Path:
    report = json.loads((run / "report.json").read_text())
    (folder / "report.json").write_text(json.dumps({**report, "rows": rows}))
    return folder


def many(run: Path) -> list[dict[str, Any]]:
    rows = json.loads((run / "report.json").read_text())["rows"]
    dense, sparse = ([row for row in rows if (row["pattern"] == "dense") is of] for of in (True, False))
    return dense + [
        {**row, "pattern": f"gs:{at},1", "latency_s": row["latency_s"] * (1 + at / PATTERNS)}
        for at in range(1, PATTERNS + 1)
        for row in sparse
    ]


def test_a_page_that_would_be_too_large_shows_dense_and_the_fastest_and_says_so(run: Path, tmp_path: Path) -> None:
    folder = rewritten(run, tmp_path, many(run))
    whole = run_page(folder)
    assert "This page shows" not in whole
    largest = len(whole.encode()) * 3 // 4
    page = run_page(folder, largest)
    assert len(page.encode()) <= largest
    assert f"of the {PATTERNS + 1} variants</strong>" in page
    assert "gs:1,1" in page
    assert f"gs:{PATTERNS},1" not in page


def test_of_fewer_variants_the_fastest_and_dense_are_left(run: Path) -> None:
    rows = many(run)
    left = fewer_variants(rows, headline_facts(rows), 4)
    assert {one.pattern for one in variants_of(left)} == {"dense", "gs:1,1", "gs:2,1", "gs:3,1"}
    assert headline_facts(left)[0].best is headline_facts(rows)[0].best


def test_devices_that_read_alike_are_refused(run: Path, tmp_path: Path) -> None:
    rows = many(run)
    alike = [{**row, "device": "gs-tcm "} for row in rows]
    with pytest.raises(RequestError, match=r"rows\[\d+\]: device is 'gs-tcm ', which reads as 'gs-tcm' before it"):
        read_report(rewritten(run, tmp_path, rows + alike))


def test_flags_and_numbers_that_python_calls_equal_stay_apart() -> None:
    pool = Pool()
    places = [pool.column(values) for values in ([False, False], [0, 0], [True, False], [1, 0], [False, False])]
    assert places == [0, 1, 2, 3, 0]
    assert json.dumps(pool.unfolded()) == "[false, 0, [true, false], [1, 0]]"


def test_each_of_two_layers_of_one_name_is_compared_with_its_own_dense_layer() -> None:
    def row(pattern: str, seconds: float) -> dict[str, object]:
        of_layer = "dense" if pattern == "dense" else pattern
        return {
            "device": "d", "layer": "same", "pattern": pattern, "sparsity_target": None if pattern == "dense" else 0.5,
            "layer_pattern": of_layer, "density": 0.5, "latency_s": seconds,
        }  # fmt: skip

    rows = [row("dense", 1e-3), row("dense", 9e-3), row("gs:16,1", 2e-3), row("gs:16,1", 3e-3)]
    found = no_faster_section(by_device(rows, {}))
    assert (found["compared"], found["slow"]) == (2, 1)
    (line,) = found["lines"]  # type: ignore[misc]
    assert line["lost"][1] == pytest.approx(2e-3 - 1e-3)


@pytest.mark.slow
def test_resnet50_by_six_patterns_five_sparsities_and_five_devices_is_whole_and_under_5_mb(tmp_path: Path) -> None:
    """Rows as many as a run has, each with figures of its own: 31 variants on 5 devices, 122 layers."""
    patterns = ("unstructured", "gs:16,1", "block:4x1", "block:1x16", "n_of_m:2,4", "channel")
    drawn = np.random.default_rng(0)
    base = [row for row in rows_of((("dense", None),)) if row["device"] == "gs-tcm"]
    layers = [row for row in base if row["layer"] != "total"]
    layers += [row | {"layer": f"{row['layer']}.relu", "kind": "activation"} for row in layers + layers[:14]][:68]
    variants = [("dense", None), *((name, level) for name in patterns for level in (0.5, 0.7, 0.8, 0.9, 0.95))]
    rows = []
    for device in (f"device-{at}" for at in range(5)):
        for pattern, level in variants:
            for row in (*layers, base[-1]):
                parts = drawn.random(len(TIME_CAUSES)) * 1e-3
                rows.append(
                    row
                    | {"device": device, "pattern": pattern, "sparsity_target": level, "latency_s": float(parts.sum())}
                    | {cause.column: float(part) for cause, part in zip(TIME_CAUSES, parts, strict=True)}
                    | {"density": float(drawn.random()), "dram_bytes": int(drawn.integers(10**9))}
                )
    devices = {f"device-{at}": {"hash": "0" * 64, "summary": "a device"} for at in range(5)}
    write_report(tmp_path, {"complete": True, "devices": devices}, rows, pictures=False)
    page = run_page(tmp_path)
    assert "This page shows" not in page  # nothing is left out
    assert len(page.encode()) < LARGEST_BYTES
