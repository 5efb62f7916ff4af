"""``docs/sweep.md``: its marked blocks run in order, and what Python returns is what the commands print."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import gatherline as gl
from gatherline.cli import main
from gatherline.sweep.store_file import FILE
from tests.unit.sweep_specs import BANKS, POINTS, written_spec

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "sweep.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"<!-- run -->\n```(python|sh)\n(.*?)\n```", TEXT, re.DOTALL)


def printed(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    """Return what a command that succeeds prints."""
    with pytest.raises(SystemExit) as ended:
        main([str(each) for each in arguments])
    assert ended.value.code == 0
    return capsys.readouterr().out


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a sweep that ran from Python."""
    place = tmp_path_factory.mktemp("sweep")
    assert gl.run_sweep(written_spec(place), place / "banks").computed == POINTS
    return place / "banks"


@pytest.mark.slow
def test_the_marked_blocks_run_one_after_another(tmp_path: Path) -> None:
    assert len(BLOCKS) == TEXT.count("<!-- run -->") >= 4
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    for language, code in BLOCKS:
        command = [sys.executable, "-c", code] if language == "python" else ["bash", "-euo", "pipefail", "-c", code]
        done = subprocess.run(
            command, cwd=tmp_path, env={**os.environ, "PATH": path}, stdin=subprocess.DEVNULL,
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"{code}\n{done.stderr}"
    assert (tmp_path / "again" / "lanes.csv").read_bytes() == (tmp_path / "lanes.csv").read_bytes()


def test_a_front_from_python_is_the_one_of_the_command(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = gl.front(folder, objectives=["latency_s"], maximise=["kept_l1"], most=["area_mm2=5.8mm2"])
    asked = ("--objective", "latency_s", "--maximise", "kept_l1", "--most", "area_mm2=5.8mm2")
    assert found.to_json() == printed(capsys, "front", folder, *asked, "--json")
    assert [row["number"] for row in found.rows] == [row["number"] for row in json.loads(found.to_json())["rows"]]
    assert all(float(str(row["area_mm2"])) <= 5.8 for row in found.rows)


def test_a_front_from_python_writes_the_files_of_the_command(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    printed(capsys, "front", folder, "--out", tmp_path / "command")
    written = gl.front(folder).write(tmp_path / "python")
    assert {path.name for path in written} == {path.name for path in (tmp_path / "command").iterdir()}
    for path in written:
        assert path.read_bytes() == (tmp_path / "command" / path.name).read_bytes()


def test_an_export_from_python_is_the_one_of_the_command(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    done = gl.export(folder, tmp_path / "python.csv")
    printed(capsys, "export", folder, "-o", tmp_path / "command.csv")
    assert (done.rows, done.points) == (POINTS, POINTS)
    assert done.path.read_bytes() == (tmp_path / "command.csv").read_bytes()


def test_a_dry_run_from_python_counts_the_points_and_stores_none(tmp_path: Path) -> None:
    told = gl.dry_run(written_spec(tmp_path))
    assert told.points == POINTS
    assert told.lines()[0].startswith(f"{POINTS} points, method grid")
    assert not list(tmp_path.rglob(FILE))
    with pytest.raises(ValueError, match=f"{POINTS} points, and --max-points is {POINTS - 1}"):
        gl.dry_run(written_spec(tmp_path, BANKS, "again.toml"), max_points=POINTS - 1)


def test_the_document_names_every_function_of_sweeps_and_every_command() -> None:
    for name in ("run_sweep", "dry_run", "front", "export"):
        assert f"gl.{name}(" in TEXT
        assert callable(getattr(gl, name))
    for command in ("sweep", "front", "export"):
        assert f"simulate {command} " in TEXT


def test_a_front_from_python_takes_the_points_that_where_names(folder: Path) -> None:
    rows = gl.front(folder, objectives=["latency_s"], where=["pattern=dense"]).rows
    assert rows
    assert {row["pattern"] for row in rows} == {"dense"}
