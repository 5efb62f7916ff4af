"""``docs/devices.md`` and ``docs/device-sources.md`` are what their script writes now.

Every device has its errors and numbers on the first, and each number's source on the second.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from PIL import Image

from costmodel.cpu_file import FOLDER, load_core, load_fitted, load_runtime, load_soc
from costmodel.devices.catalog import ALL_DEVICES
from costmodel.spec import RooflineDevice, numbers, source_of
from costmodel.validation.folder import DeviceUse, open_folder
from gatherline.validation import point_rows

DOCS = Path(__file__).parents[2] / "docs"
sys.path.append(str(DOCS))  # the scripts that make the document are beside it
import device_errors  # noqa: E402
import device_list  # noqa: E402
import device_numbers  # noqa: E402
import device_pages  # noqa: E402
import device_sources  # noqa: E402
import draw_devices  # noqa: E402

PAGES = {name: (DOCS / name).read_text(encoding="utf-8") for name in (device_list.PAGE, device_list.SOURCES)}
TEXT, SOURCES = PAGES[device_list.PAGE], PAGES[device_list.SOURCES]
AGAIN = "run python docs/draw_devices.py"
EVERY = device_list.every_device()
OWN = [device for device in EVERY if device.name not in device_list.ASSEMBLED]  # with numbers of their own
READABLE = 400 << 10  # bytes of a page, beyond which browsers and hosts of code show it late or not at all
LINK = re.compile(r"\]\((?!http)([^)#]*)#?([^)]*)\)")


def section(heading: str, text: str = TEXT) -> str:
    found = re.search(rf"^### {re.escape(heading)}\n(.*?)(?=^##)", text + "\n##", re.DOTALL | re.MULTILINE)
    assert found, f"{heading}: {AGAIN}"
    return found[1]


def test_the_page_without_errors_is_what_the_script_writes_now() -> None:
    now = device_pages.page(device_errors.Measured(uses=open_folder().devices, validation=None))
    assert device_pages.without_measured(TEXT) == device_pages.without_measured(now), AGAIN


def test_the_page_of_sources_is_what_the_script_writes_now() -> None:
    assert device_sources.page() == SOURCES, AGAIN


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_small_enough_to_be_shown(name: str) -> None:
    assert (DOCS / name).stat().st_size < READABLE


def test_the_summary_has_every_device_once_in_the_order_of_the_catalogs() -> None:
    summary = TEXT.split("\n## All devices\n")[1].split("\n## ")[0]
    assert re.findall(r"^\| \[([^\]]+)\]", summary, re.MULTILINE) == [device.name for device in EVERY], AGAIN


@pytest.mark.parametrize("device", EVERY, ids=lambda device: device.name)
def test_every_device_has_a_section_with_its_numbers_and_a_link_to_their_sources(device: device_list.Target) -> None:
    own = section(device.name)
    if isinstance(device, RooflineDevice) and device.name in device_list.ASSEMBLED:
        entry = device_list.ASSEMBLED[device.name]
        for heading in (f"SoC {entry.soc}", f"runtime {entry.runtime}"):
            assert f"({device_list.SOURCES}#{device_list.anchor(heading)})" in own
            assert f"[{device.name}]({device_list.PAGE}#{device.name})" in section(heading, SOURCES)
        return
    assert f"({device_list.SOURCES}#{device.name})" in own
    for line in device_numbers.device_lines(device):
        row = f"| {device_numbers.cell(line.part)} | {device_numbers.cell(line.values)} |"
        assert row in own or line.part.startswith("kernels."), AGAIN


@pytest.mark.parametrize("device", OWN, ids=lambda device: device.name)
def test_every_number_of_a_device_is_beside_its_source_or_told_by_an_earlier_one(device: device_list.Target) -> None:
    own = section(device.name, SOURCES)
    assert f"]({device_list.PAGE}#{device.name})" in own
    lines = device_numbers.device_lines(device)
    assert lines
    for line in lines:
        assert all(text for text, _ in line.sources), f"{device.name}: {line.part} has no source"
        part = device_numbers.cell(line.part)
        same = re.search(rf"^\| {re.escape(part)} \| as \[([^\]]+)\]", own, re.MULTILINE)
        place = section(same[1], SOURCES) if same else own
        assert f"| {part} | {device_numbers.cell(line.values)} |" in place, AGAIN
        for text, _ in line.sources:
            assert re.search(rf"^\d+\. {re.escape(device_numbers.cell(text))}$", place, re.MULTILINE), (line.part, text)
    if isinstance(device, RooflineDevice):
        texts = {text for line in lines for text, _ in line.sources}
        assert {source_of(device, path) for path in numbers(device)} <= texts


CPU_FILES = sorted(path for folder in ("cores", "socs", "runtimes") for path in (FOLDER / folder).glob("*.toml"))


@pytest.mark.parametrize("path", CPU_FILES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_every_file_that_makes_cpus_has_a_section_with_its_sources(path: Path) -> None:
    kinds = {"cores": ("core", load_core), "socs": ("SoC", load_soc), "runtimes": ("runtime", load_runtime)}
    heading, load = kinds[path.parent.name]
    found = load(path)
    own = section(f"{heading} {found.name}", SOURCES)
    for source in found.sources.values():
        assert device_numbers.cell(source) in own


def test_every_fitted_number_is_on_the_page_once_with_its_source() -> None:
    for row in load_fitted():
        number = rf"\b{re.escape(f'{row.parameter} {row.dtype}'.strip())} {re.escape(f'{row.value:.4g}')}[ ,]"
        owner = re.escape(" ".join((row.runtime, row.core)).strip() or "any")
        line = rf"^\| {owner} \| [^|]*{number}[^|]*\| {re.escape(device_numbers.cell(row.source))} \|$"
        assert len(re.findall(line, SOURCES, re.MULTILINE)) == 1, (row, AGAIN)


def measured(*found: str) -> device_errors.Measured:
    """Return what tables say in which phone-a and phone-b stand for a76 of one SoC; ``found``: who has rows."""
    uses = tuple(
        DeviceUse(device=f"phone-{x}", soc="soc", processor="a76", runtimes=(x,), use="fit", note="") for x in "ab"
    )
    points = tuple(SimpleNamespace(device=SimpleNamespace(name=name)) for name in found)
    return device_errors.Measured(uses=uses, validation=SimpleNamespace(points=points))  # type: ignore[arg-type]


def test_a_device_without_rows_is_not_measured_whatever_it_stands_for() -> None:
    tables = measured("phone-b")
    assert tables.use_of("phone-a") == device_errors.NOT_MEASURED
    assert tables.use_of("phone-b") == device_errors.WORDS["fit"]


def test_a_device_without_rows_names_those_of_its_processor_that_have_some() -> None:
    none = "Not measured: no row of `validation/` is of a76 of soc under a."
    assert measured().standing("phone-a") == none
    assert measured("phone-b").standing("phone-a") == f"{none} Measured on this processor: [phone-b](#phone-b)."
    assert measured("phone-b").standing("phone-b") == "Fitted. Stands for a76 of soc under b."


def test_the_page_calls_no_device_without_rows_fitted_or_held_out() -> None:
    summary = TEXT.split("\n## All devices\n")[1].split("\n## ")[0]
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in summary.splitlines() if line.startswith("| [")]
    assert {use for _, _, _, use, count, *_ in rows if count == "0"} == {device_errors.NOT_MEASURED}
    assert device_errors.NOT_MEASURED not in {use for _, _, _, use, count, *_ in rows if count != "0"}


def test_kernels_that_differ_in_their_type_alone_stand_in_one_line() -> None:
    (device,) = (device for device in EVERY if device.name == "adreno-640")
    assert isinstance(device, RooflineDevice)
    parts = [line.part for line in device_numbers.device_lines(device)]
    assert "kernels.depthwise fp32, fp16" in parts
    assert len(parts) == len(set(parts))


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


@pytest.mark.parametrize("name", PAGES)
def test_every_link_of_a_page_leads_to_a_file_and_a_heading(name: str) -> None:
    headings = {
        page: {device_list.anchor(text) for text in re.findall(r"^#+ (.+)$", text, re.MULTILINE)}
        for page, text in PAGES.items()
    }
    for file, heading in set(LINK.findall(PAGES[name])):
        assert not file or (DOCS / file).exists(), file
        assert not heading or heading in headings[file or name], f"{file}#{heading}"


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
