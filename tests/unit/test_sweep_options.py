"""Options that a device does not have make no points of their own, and what is told of a sweep while it runs."""

from __future__ import annotations

from io import StringIO
from pathlib import Path

import pytest

import gatherline as gl
from gatherline.request import device_named
from gatherline.sweep.effective import effective_options, equal_points
from gatherline.sweep.point import RunOptions
from gatherline.sweep.progress_lines import ProgressLines
from gatherline.sweep.spec_file import parse_spec

OPTIONS = """
models = ["digits"]
patterns = ["dense"]
devices = ["gs-tcm", "a100", "snapdragon-855"]
[run]
threads = [1, 2]
order = ["packed", "csr"]
"""
DIFFERENT = {"gs-tcm": 2, "a100": 1, "snapdragon-855": 2}  # orders, nothing, threads
ASKED = RunOptions(threads=4, order="csr", mapping="8x8x8", technology="45nm", dtype="int8", encoding="csr")


@pytest.mark.parametrize(
    ("device", "kept"),
    [
        ("gs-tcm", {"order": "csr", "mapping": "8x8x8", "technology": "45nm"}),
        ("snapdragon-855", {"threads": 4}),
        ("a100", {}),
    ],
)
def test_an_option_that_a_device_does_not_have_is_as_if_it_was_not_asked(device: str, kept: dict[str, object]) -> None:
    expected = RunOptions(dtype="int8", encoding="csr", **kept)  # type: ignore[arg-type]
    assert effective_options(ASKED, device_named(device)) == expected


def test_points_that_differ_in_such_an_option_are_computed_once_and_keep_their_numbers(tmp_path: Path) -> None:
    spec = tmp_path / "spec.toml"
    spec.write_text(OPTIONS, encoding="utf-8")
    done = gl.run_sweep(spec, tmp_path / "out")
    rows = list(done.rows())
    assert [row["number"] for row in rows] == list(range(4 * len(DIFFERENT)))
    assert done.computed == sum(DIFFERENT.values())
    for device, count in DIFFERENT.items():
        assert len({row["key"] for row in rows if row["device"] == device}) == count


@pytest.mark.parametrize("method", ["", '[method]\nname = "random"\npoints = 100'])
def test_equal_points_are_counted_ahead(method: str) -> None:
    spec = parse_spec(f"{OPTIONS}{method}", Path("spec.toml"))
    assert equal_points(spec, 10) == {device: 4 - count for device, count in DIFFERENT.items()}


def test_a_line_a_minute_says_how_many_how_fast_and_how_long() -> None:
    now_s, out = [0.0], StringIO()
    told = ProgressLines(out, clock=lambda: now_s[0])
    told.start(10_000, "sweep")
    for now_s[0], count in ((1.0, 100), (59.0, 100), (60.0, 1000), (61.0, 100), (119.0, 500), (121.0, 1200)):
        told.step("pace", count)
    now_s[0] = 200.0
    told.step("pace", 0)
    told.stop()
    rate = (100 + 500 + 1200) / 61
    assert out.getvalue().splitlines() == [
        f"1,200 of 10,000 points, {1200 / 60:.3g} a second, about {(10_000 - 1200) / 20 / 60:.0f} min left",
        f"3,000 of 10,000 points, {rate:.3g} a second, about {7000 / rate / 60:.0f} min left",
        "3,000 of 10,000 points, 0 a second",
    ]
