"""``docs/devices.md`` is what its script writes now: every device with its numbers, each with its source."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest
from PIL import Image

from costmodel.cpu_file import FOLDER, load_core, load_fitted, load_runtime, load_soc
from costmodel.devices.catalog import ALL_DEVICES
from costmodel.spec import RooflineDevice, numbers, source_of
from costmodel.validation.folder import open_folder
from gatherline.validation import point_rows

DOCS = Path(__file__).parents[2] / "docs"
sys.path.append(str(DOCS))  # the scripts that make the document are beside it
import device_errors  # noqa: E402
import device_numbers  # noqa: E402
import device_pages  # noqa: E402
import draw_devices  # noqa: E402

TEXT = (DOCS / "devices.md").read_text(encoding="utf-8")
AGAIN = "run python docs/draw_devices.py"
EVERY = device_pages.every_device()


def section(heading: str) -> str:
    found = re.search(rf"^### {re.escape(heading)}\n(.*?)(?=^##)", TEXT + "\n##", re.DOTALL | re.MULTILINE)
    assert found, f"{heading}: {AGAIN}"
    return found[1]


def test_the_page_without_errors_is_what_the_script_writes_now() -> None:
    now = device_pages.page(device_errors.Measured(uses=open_folder().devices, validation=None))
    assert device_pages.without_measured(TEXT) == device_pages.without_measured(now), AGAIN


def test_the_summary_has_every_device_once_in_the_order_of_the_catalogs() -> None:
    summary = TEXT.split("\n## All devices\n")[1].split("\n## ")[0]
    assert re.findall(r"^\| \[([^\]]+)\]", summary, re.MULTILINE) == [device.name for device in EVERY], AGAIN


@pytest.mark.parametrize("device", EVERY, ids=lambda device: device.name)
def test_every_device_has_a_section_with_its_numbers_and_their_sources(device: device_pages.Target) -> None:
    own = section(device.name)
    if isinstance(device, RooflineDevice) and device.name in device_pages.ASSEMBLED:
        entry = device_pages.ASSEMBLED[device.name]
        for kind, name in (("soc", entry.soc), ("runtime", entry.runtime)):
            assert f"(#{kind}-{name})" in own
        return
    for line in device_numbers.device_lines(device):
        row = f"| {device_numbers.cell(line.part)} | {device_numbers.cell(line.values)} |"
        assert row in own, AGAIN
        assert line.source, f"{device.name}: {line.part} has no source"
    if isinstance(device, RooflineDevice):
        for path in numbers(device):
            assert device_numbers.cell(str(source_of(device, path))) in own, path


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*s/*.toml")), ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_every_file_that_makes_cpus_has_a_section_with_its_sources(path: Path) -> None:
    kinds = {"cores": ("core", load_core), "socs": ("SoC", load_soc), "runtimes": ("runtime", load_runtime)}
    if path.parent.name not in kinds:
        pytest.skip("no file of a CPU")
    heading, load = kinds[path.parent.name]
    found = load(path)
    own = section(f"{heading} {found.name}")
    for source in found.sources.values():
        assert device_numbers.cell(source) in own


def test_every_fitted_number_is_on_the_page_with_its_source() -> None:
    for row in load_fitted():
        value = f" | {row.value:.4g} | {device_numbers.cell(row.source)} |"
        assert value in TEXT, (row, AGAIN)


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("clock_hz", 1_410_000_000, "1,410 MHz"),
        ("unit_bytes_per_s", 7_219 * 10**9, "7,219 GB/s"),
        ("bytes", 40 << 20, "40 MiB"),
        ("bytes", 164 << 10, "164 KiB"),
        ("vector_bytes", 16, "16 B"),
        ("overhead_s", 4e-6, "4 us"),
        ("efficiency", 0.63, "0.63"),
        ("bytes_per_cycle", 32, "32 B/cycle"),
        ("rrd_s", 15, "15"),  # clock cycles between rows of one bank group and another: no seconds
    ],
)
def test_a_number_has_the_unit_that_its_name_ends_in(name: str, value: float, says: str) -> None:
    assert device_numbers.quantity(name, value) == says


def test_a_source_cannot_break_out_of_its_cell() -> None:
    assert device_numbers.cell("a | b\n<c>") == "a \\| b &lt;c>"


@pytest.mark.parametrize("name", sorted(set(re.findall(r"\]\((?!http|#)([^)#]+)", TEXT))))
def test_a_file_that_the_page_links_to_exists(name: str) -> None:
    assert (DOCS / name).exists()


def test_every_heading_that_the_page_links_to_exists() -> None:
    headings = {device_pages.anchor(text) for text in re.findall(r"^#+ (.+)$", TEXT, re.MULTILINE)}
    assert set(re.findall(r"\]\(#([^)]+)\)", TEXT)) <= headings


@pytest.mark.slow
def test_the_errors_and_the_picture_are_those_of_today() -> None:
    measured = draw_devices.compared()
    assert device_pages.page(measured) == TEXT, AGAIN
    assert measured.validation is not None
    with Image.open(DOCS / "images" / "validation.png") as picture:
        assert picture.info[draw_devices.DIGEST] == draw_devices.digest(point_rows(measured.validation)), AGAIN
    compared = {point.device.name for point in measured.validation.points}
    for device in ALL_DEVICES:
        assert ("| family | type | rows |" in section(device.name)) == (device.name in compared)
