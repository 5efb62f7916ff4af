"""``docs/adding-a-device.md`` works as it stands: its marked blocks run, and the errors it shows are the command's."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import gatherline as gl
from costmodel.cpu_file import FOLDER, load_soc
from costmodel.device_file import KERNEL_TYPES, load_target
from costmodel.devices.catalog import ALL_DEVICES
from costmodel.spec import RooflineDevice
from gatherline import cli
from simulator.spec import DeviceError

DOCS = Path(__file__).parents[2] / "docs"
TEXT = (DOCS / "adding-a-device.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"<!-- run -->\n```sh\n(.*?)\n```", TEXT, re.DOTALL)
SIMULATE = f"#!{sys.executable}\nfrom gatherline.cli import main\nmain()\n"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which every block was run, one after another; the command is that of this checkout."""
    place = tmp_path_factory.mktemp("guide")
    commands = tmp_path_factory.mktemp("bin")
    (commands / "simulate").write_text(SIMULATE, encoding="utf-8")
    (commands / "simulate").chmod(0o755)
    path = os.pathsep.join([str(commands), str(Path(sys.executable).parent), os.environ["PATH"]])
    search = os.pathsep.join([str(DOCS.parent), os.environ.get("PYTHONPATH", "")])
    for block in BLOCKS:
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", block],
            cwd=place, env={**os.environ, "PATH": path, "PYTHONPATH": search}, stdin=subprocess.DEVNULL,
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"{block}\n{done.stderr}"
    return place


def test_every_marked_block_runs(folder: Path) -> None:
    assert len(BLOCKS) == TEXT.count("<!-- run -->") >= 4
    written = {name for block in BLOCKS for name in re.findall(r"> (\S+\.toml)", block)}
    assert {path.name for path in folder.glob("*.toml")} == written


def test_the_phone_of_the_guide_is_not_one_that_is_there_and_its_clock_makes_it_faster(folder: Path) -> None:
    names = {device.name for device in ALL_DEVICES}
    phone = load_target(folder / "snapdragon-870.toml")
    assert isinstance(phone, RooflineDevice)
    assert phone.name not in names
    groups = [(units, group.rate_hz) for units, group in phone.taking_part(8)]
    assert groups == [(1, 3.2e9), (3, 2.42e9), (4, 1.8e9 / 2)]  # an A55 has half the lanes of an A77
    assert load_target(folder / "little.toml").name == "its-little-cores"


def test_a_device_written_out_and_read_again_takes_the_same_time(folder: Path) -> None:
    report = gl.run("digits", patterns=["dense"], devices=["a100", str(folder / "mine.toml")])
    first, second = (row["latency_s"] for row in report.rows if row["layer"] == "total")
    assert first == second


def test_a_cycle_level_device_has_no_whole_table() -> None:
    with pytest.raises(DeviceError, match="gs-tcm is a cycle-level device"):
        gl.device_text("gs-tcm")


def test_the_runtimes_and_kernel_types_that_the_guide_names_are_those_there_are() -> None:
    runtimes = {path.stem for path in (FOLDER / "runtimes").glob("*.toml")}
    line = next(line for line in TEXT.splitlines() if line.startswith("| `runtime`"))
    assert set(re.findall(r"`([a-z0-9-]+)`", line)) - {"runtime"} <= runtimes
    row = next(line for line in TEXT.splitlines() if line.startswith("| `[[kernels]]`"))
    assert set(re.findall(r"`([a-z]+)`", row)) - {"type", "serves", "efficiency"} <= set(KERNEL_TYPES)
    assert all(load_soc(path).runtime in runtimes for path in (FOLDER / "socs").glob("*.toml"))


def test_the_errors_that_the_guide_shows_are_the_commands(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    shown = re.findall(r"^    (simulate: error: .*)$", TEXT, re.MULTILINE)
    soc = (folder / "snapdragon-870.toml").read_text(encoding="utf-8")
    files = (soc.replace("3_200_000_000", "0"), 'base = "a100"\n[levels.l2]\nbyte = 1\n')
    found = []
    for text in files:
        Path("d.toml").write_text(text, encoding="utf-8")
        found.append(("--device", "d.toml"))
        with pytest.raises(SystemExit) as ended:
            cli.main(["run", "digits", *found[-1]])
        assert ended.value.code == 2
    with pytest.raises(SystemExit):
        cli.main(["run", "digits", "--device", "raspberry-pi-4", "--dtype", "fp16"])
    assert capsys.readouterr().err.splitlines() == shown


@pytest.mark.parametrize("link", sorted(set(re.findall(r"\]\((?!http|#)([^)]+)\)", TEXT))))
def test_what_the_guide_links_to_exists(link: str) -> None:
    name, _, heading = link.partition("#")
    assert (DOCS / name).exists()
    headings = re.findall(r"^#+ (.+)$", (DOCS / name).read_text(encoding="utf-8"), re.MULTILINE) if heading else []
    found = {re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-") for text in headings}
    assert not heading or heading in found
