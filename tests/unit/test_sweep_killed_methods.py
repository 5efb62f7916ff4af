"""Sweeps by each method that draws or searches, killed as they run: they end as if they had not been."""

from __future__ import annotations

from pathlib import Path

import pytest

from gatherline.sweep.spec_file import read_spec
from gatherline.sweep.sweep import sweep
from tests.unit.sweep_specs import written_spec
from tests.unit.test_sweep_command import killed_until_done, table

SPEC = """
models = ["digits"]
patterns = ["dense", "gs:16,1", "block:4x1"]
sparsities = [0.5, 0.8, 0.9]
[[devices]]
device = "gs-tcm"
[devices.fields]
"gather.window" = { from = 1, to = 16, steps = 16 }
clock_hz = { from = "100 MHz", to = "2 GHz", steps = 20 }
"dram.latency_cycles" = { from = 10, to = 200, steps = 20 }
"""
POINTS, KILLS = 300, 3


@pytest.mark.slow
@pytest.mark.parametrize("method", ["random", "sobol", "tpe"])
def test_a_sweep_killed_at_a_random_member_goes_on_to_the_same_rows(tmp_path: Path, method: str) -> None:
    asked = f'{SPEC}[method]\nname = "{method}"\npoints = {POINTS}\nseed = 7\n'
    spec = written_spec(tmp_path, asked + ("population = 30\n" if method == "tpe" else ""))
    whole = sweep(read_spec(spec), tmp_path / "whole")
    assert whole.points == POINTS
    assert killed_until_done(tmp_path / "killed", spec, KILLS, seed=POINTS) == KILLS
    assert table(tmp_path / "killed") == table(tmp_path / "whole")
