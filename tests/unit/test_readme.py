"""The blocks of README.md that are marked ``<!-- run -->`` run, in order, in one empty folder.

Those marked ``<!-- run slow -->`` run in their places among them, in the slow tests.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from costmodel.devices.catalog import ALL_DEVICES as ROOFLINE_DEVICES
from patterns.catalog import ALL_PATTERNS, kind_of, parse_pattern
from simulator.devices.catalog import ALL_DEVICES as CYCLE_DEVICES

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"<!-- run( slow)? -->\n```(python|sh)\n(.*?)\n```", re.DOTALL)


def run_block(language: str, code: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run one block as a reader would: ``simulate`` and ``python`` are those of this environment."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    command = [sys.executable, "-c", code] if language == "python" else ["bash", "-euo", "pipefail", "-c", code]
    return subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, "PATH": path},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("slow", [False, pytest.param(True, marks=pytest.mark.slow)], ids=["quick", "all"])
def test_the_marked_blocks_run_one_after_another(slow: bool, tmp_path: Path) -> None:
    blocks = [(language, code) for mark, language, code in BLOCK.findall(README) if slow or not mark]
    assert len(blocks) == README.count("<!-- run -->") + slow * README.count("<!-- run slow -->") >= 3
    for language, code in blocks:
        done = run_block(language, code, tmp_path)
        assert done.returncode == 0, f"{code}\n{done.stderr}"


def test_a_block_that_fails_is_noticed(tmp_path: Path) -> None:
    assert run_block("sh", "simulate run no-such-model\ntrue", tmp_path).returncode == 2
    assert run_block("python", "raise SystemExit(3)", tmp_path).returncode == 3


@pytest.mark.parametrize("name", sorted(set(re.findall(r"\]\((?!http)([^)#]+)\)", README))))
def test_a_file_that_the_readme_links_to_exists(name: str) -> None:
    assert (ROOT / name).exists()


def first_cells(heading: str) -> list[str]:
    """Return the words in code quotes of the first column of the table under ``heading``."""
    section = README.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    return [
        name for cell in re.findall(r"^\| (`[^|]*) \|", section, re.MULTILINE) for name in re.findall("`(.+?)`", cell)
    ]


def test_every_pattern_of_the_readme_is_known_and_none_is_missing() -> None:
    spellings = [parse_pattern(name).spelling for name in first_cells("Patterns")]
    assert spellings == first_cells("Patterns")
    families = {kind_of(spelling).name for spelling in spellings}
    assert families == {kind.name for kind in ALL_PATTERNS}


def test_the_devices_of_the_readme_are_there_and_each_kind_is_shown() -> None:
    named = first_cells("Devices")
    assert named[: len(CYCLE_DEVICES)] == [device.name for device in CYCLE_DEVICES]
    kinds = {device.name: device.kind for device in ROOFLINE_DEVICES}
    assert {kinds[name] for name in named[len(CYCLE_DEVICES) :]} == set(kinds.values())


def test_every_command_is_in_the_readme() -> None:
    from typer.main import get_command

    from gatherline.cli import app

    commands = get_command(app).commands  # type: ignore[attr-defined]
    assert commands
    missing = [name for name in commands if f"simulate {name}" not in README]
    assert not missing
