"""Specs that run: fields that share a column's name, searches that are resumed, and methods that share points."""

from __future__ import annotations

from pathlib import Path

import pytest

import gatherline as gl

HEAD = """
models = ["digits"]
patterns = ["dense", "gs:16,1"]
sparsities = [0.9]
[[devices]]
device = "gs-tcm"
"""


def run(folder: Path, text: str) -> list[dict[str, object]]:
    (folder / "spec.toml").write_text(f"{HEAD}{text}", encoding="utf-8")
    return list(gl.run_sweep(folder / "spec.toml", folder / "out").rows())


def test_a_clock_that_varies_is_the_clock_of_the_row(tmp_path: Path) -> None:
    rows = run(tmp_path, 'fields.clock_hz = ["500 MHz", "1 GHz"]\n')
    assert [row["clock_hz"] for row in rows] == [500_000_000, 1_000_000_000] * 2
    for slow, fast in zip(rows[::2], rows[1::2], strict=True):
        assert float(str(slow["latency_s"])) > float(str(fast["latency_s"]))


@pytest.mark.parametrize("name", ["nsga2", "tpe"])
def test_a_longer_search_goes_on_from_the_rows_of_a_shorter_one(name: str, tmp_path: Path) -> None:
    axes = "fields.gather.window = { from = 1, to = 64 }\nfields.weight_buffer.bytes_per_cycle = [16, 32, 64]\n"
    method = f'[method]\nname = "{name}"\npopulation = 6\npoints = '
    shorter = run(tmp_path, f"{axes}{method}12")
    longer = run(tmp_path, f"{axes}{method}24")
    assert [row["number"] for row in longer] == list(range(24))
    assert [row["key"] for row in longer[:12]] == [row["key"] for row in shorter]
    assert len({row["key"] for row in longer}) == 24


def test_points_of_one_method_serve_another(tmp_path: Path) -> None:
    axes = "fields.gather.ports = [1, 2, 4]\n"
    grid = {row["key"] for row in run(tmp_path, axes)}
    drawn = [row["key"] for row in run(tmp_path, f'{axes}[method]\nname = "random"\npoints = 4')]
    assert len(set(drawn)) == 4
    assert set(drawn) < grid
