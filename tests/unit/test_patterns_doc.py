"""``docs/patterns.md`` says what the code gives: tables are made again, pictures show today's masks and bytes."""

from __future__ import annotations

import re
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from patterns.catalog import ALL_PATTERNS, kind_of, parse_pattern
from patterns.encodings.catalog import ALL_ENCODINGS

DOCS = Path(__file__).parents[2] / "docs"
sys.path.append(str(DOCS))  # the scripts that make the document are beside it
import draw_patterns  # noqa: E402
import encoding_strips  # noqa: E402
import pattern_panels  # noqa: E402
import pattern_tables  # noqa: E402

TEXT = (DOCS / "patterns.md").read_text(encoding="utf-8")
AGAIN = "run python docs/draw_patterns.py"
SHEETS = {sheet.name: sheet for sheet in (*pattern_panels.pattern_sheets(), *encoding_strips.layout_sheets())}
PANELS = [panel for sheet in pattern_panels.pattern_sheets() for panel in sheet.panels]
LAYOUTS = [layout for sheet in encoding_strips.layout_sheets() for layout in sheet.layouts]


def test_every_made_part_of_the_document_is_what_the_code_makes() -> None:
    found = [name for _, name, _, _ in pattern_tables.MADE.findall(TEXT)]
    assert sorted(found) == sorted(pattern_tables.TABLES)
    assert pattern_tables.rewritten(TEXT) == TEXT, AGAIN


def test_a_wrong_number_in_the_document_is_noticed() -> None:
    part = next(found[0] for found in pattern_tables.MADE.finditer(TEXT) if found[2] == "sizes")
    assert "423,524" in part
    assert pattern_tables.rewritten(part.replace("423,524", "423,525")) == part


@pytest.mark.parametrize("name", sorted(SHEETS))
def test_a_picture_shows_what_the_code_gives_now(name: str) -> None:
    with Image.open(DOCS / "images" / "patterns" / f"{name}.png") as picture:
        assert picture.info[draw_patterns.DIGEST] == draw_patterns.digest(SHEETS[name]), AGAIN
    assert f"(images/patterns/{name}.png)" in TEXT


def test_there_are_no_other_pictures_and_they_are_small_together() -> None:
    files = list((DOCS / "images" / "patterns").iterdir())
    assert {file.stem for file in files} == set(SHEETS)
    assert sum(file.stat().st_size for file in files) < 1.5e6


def test_a_picture_is_drawn_by_its_code() -> None:
    sheet = SHEETS["kernels"]
    assert isinstance(sheet, pattern_panels.Sheet)
    made = np.asarray(draw_patterns.raster(draw_patterns.draw_patterns(sheet)).convert("RGB"), dtype=np.float64)
    with Image.open(DOCS / "images" / "patterns" / "kernels.png") as picture:
        kept = np.asarray(picture.convert("RGB"), dtype=np.float64)
    assert made.shape == kept.shape
    assert np.abs(made - kept).mean() < 0.01 * 255  # fonts are drawn a little differently elsewhere


def test_every_pattern_has_a_section_and_a_drawing() -> None:
    names = {kind.name for kind in ALL_PATTERNS}
    assert set(re.findall(r"^### `(.+)`$", TEXT, re.MULTILINE)) == names
    assert {kind_of(panel.title.split(", levels")[0]).name for panel in PANELS} == names


def test_every_encoding_has_a_line_and_a_drawing() -> None:
    names = {member.name for member in ALL_ENCODINGS}
    lines = re.findall(r"^- (`[^:]+`):", TEXT, re.MULTILINE)
    assert {name for line in lines for name in re.findall("`(.+?)`", line)} == names
    assert {layout.title for layout in LAYOUTS} == names


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: f"{layout.title} {layout.subtitle}")
def test_the_boxes_hold_each_weight_of_the_drawn_matrix_once(layout: encoding_strips.Layout) -> None:
    weights = sorted(cell for row in layout.matrix for cell in row if cell)
    width = len(weights[0])
    stored: list[str] = []
    for strip in layout.strips:
        if strip.name == "values":
            stored += [box for box, of in zip(strip.boxes, strip.classes, strict=True) if of >= 0]
        elif strip.name.startswith("group"):
            parts = [0, *strip.breaks, len(strip.boxes)]
            values = [place for first, past in list(pairwise(parts))[::2] for place in range(first, past)]
            stored += [strip.boxes[place] for place in values if strip.classes[place] >= 0]
    assert sorted(stored) == weights
    assert all(len(box) == width for box in stored)
    sizes = [int(strip.note.rpartition("= ")[2].removesuffix(" B")) for strip in layout.strips]
    assert layout.subtitle.endswith(f"{sum(sizes)} bytes")


@pytest.mark.parametrize("panel", [one for one in PANELS if "group in" in one.marks_are], ids=lambda panel: panel.title)
def test_each_drawn_group_is_free_of_bank_conflicts_and_full(panel: pattern_panels.Panel) -> None:
    rule = parse_pattern(panel.title.rpartition("+")[2])
    for first, past, text in panel.row_notes:
        groups: dict[str, list[tuple[int, int]]] = {}
        for row in range(first, past):
            for column, mark in enumerate(panel.marks[row]):
                if mark:
                    groups.setdefault(mark, []).append((row, column % rule.banks))
        assert text == "removed" or len(groups) == int(text.split()[0])
        for places in groups.values():
            rows = [row for row, _ in places]
            assert sorted(bank for _, bank in places) == list(range(rule.banks))
            assert max(map(rows.count, rows)) <= rule.k


def test_what_the_text_says_of_the_numbers_is_so() -> None:
    goals = {"gs:8,1": 0.997, "gs:16,1": 0.996}
    of_free = {spelling: pattern_tables.weight_kept(spelling)[2] for spelling in (*goals, "block:1x8")}
    assert all(of_free[spelling] >= goal for spelling, goal in goals.items())
    assert 0.5 < of_free["block:1x8"] < 0.6
    asked = round((1 - pattern_panels.SPARSITY) * pattern_panels.ROWS * pattern_panels.COLUMNS)
    assert int(pattern_panels.projected("gs:4,4").sum()) > asked
    scatter = next(layout for layout in LAYOUTS if layout.subtitle.startswith("gs_scatter"))
    order = next(strip.boxes for strip in scatter.strips if strip.name == "rows")
    assert order != sorted(order)


@pytest.mark.parametrize("name", sorted(set(re.findall(r"\]\((?!http|#)([^)#]+)", TEXT))))
def test_a_file_that_the_document_links_to_exists(name: str) -> None:
    assert (DOCS / name).exists()


@pytest.mark.parametrize("name", sorted(set(re.findall(r"\]\((?:[^)]*README\.md)?#([^)]+)\)", TEXT))))
def test_a_heading_that_the_document_links_to_exists(name: str) -> None:
    readme = (DOCS.parent / "benchmarks" / "README.md").read_text(encoding="utf-8")
    headings = re.findall(r"^#+ (.+)$", TEXT + readme, re.MULTILINE)
    assert name in {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
