"""What the README and the documents say of devices, bands and columns is what the program and the pages say."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from gatherline.report.columns import COLUMNS
from gatherline.report.table import EXPENDABLE
from gatherline.total_band import NOT_VALIDATED
from simulator.result import LayerResult

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
sys.path.append(str(DOCS))  # the scripts that make the documents are beside them
import device_list  # noqa: E402

README = (ROOT / "README.md").read_text(encoding="utf-8")
VALIDATION = (DOCS / "validation.md").read_text(encoding="utf-8")
READERS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(DOCS.glob("*.md"))]


def meaning(column: str) -> str:
    found = re.search(rf"^\| [^|]*`{column}`[^|]*\| (.*) \|$", README, re.MULTILINE)
    assert found, f"the README does not tell what {column} means"
    return found[1]


def test_the_readme_says_what_a_row_without_a_band_holds() -> None:
    assert LayerResult.__dataclass_fields__["validated"].default == NOT_VALIDATED
    assert f"or `{NOT_VALIDATED}`" in meaning("validated")
    assert "empty where" in meaning("latency_low_s")
    assert LayerResult.__dataclass_fields__["latency_low_s"].default is None


def test_the_readme_explains_slots_where_they_are_printed() -> None:
    assert "slots" in EXPENDABLE  # the printed column
    assert "weight_slots" in COLUMNS
    assert "printed as `slots`" in README
    assert "padding" in meaning("weight_slots")


def test_the_devices_of_the_examples_of_validation_have_rows() -> None:
    page = (DOCS / device_list.PAGE).read_text(encoding="utf-8")
    examples = re.findall(r'--device (\S+)|gl\.validate\(\["([^"]+)"', VALIDATION)
    assert examples
    for name in (a or b for a, b in examples):
        row = re.search(rf"^\| \[{re.escape(name)}\].*$", page, re.MULTILINE)
        assert row, name
        assert "not measured" not in row[0], name


@pytest.mark.parametrize("path", READERS, ids=lambda path: path.name)
def test_headings_of_the_pages_of_devices_that_a_document_links_to_exist(path: Path) -> None:
    for name in (device_list.PAGE, device_list.SOURCES):
        text = (DOCS / name).read_text(encoding="utf-8")
        headings = {device_list.anchor(found) for found in re.findall(r"^#+ (.+)$", text, re.MULTILINE)}
        wanted = re.findall(rf"\]\((?:docs/)?{re.escape(name)}#([^)]+)\)", path.read_text(encoding="utf-8"))
        assert set(wanted) <= headings
