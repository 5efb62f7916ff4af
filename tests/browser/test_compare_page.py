"""The page of a comparison in a real browser: it opens without complaint, sorts, filters, fits a phone."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Browser

from gatherline.comparison.comparison import compare
from gatherline.pipeline_types import Report
from tests.browser.browsing import WIDTHS, serious_problems, shown
from tests.unit.compared_rows import MANIFEST, network

pytestmark = pytest.mark.slow
EVIL = "<img src=x onerror=document.title='taken'> 🙂"
LAYERS = ("conv1", EVIL, "conv3", "fc")


@pytest.fixture(scope="module")
def page_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    before = [*network(layers=LAYERS), *network(layers=LAYERS, device="zcu102")]
    after = network(layers=LAYERS, more={EVIL: 90, "conv3": 7})
    found = compare(
        Report(manifest=MANIFEST, rows=before),
        Report(manifest={**MANIFEST, "version": "0.2.0"}, rows=after),
        rules=["cycles > +1%", "peak_memory_bytes > 20MB"],
    )
    path = tmp_path_factory.mktemp("page") / "comparison.html"
    path.write_text(found.html(), encoding="utf-8")
    return path


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", WIDTHS)
def test_it_opens_without_complaints_or_serious_problems_and_fits(
    opened: Browser, page_file: Path, width: int, theme: str
) -> None:
    with shown(opened, page_file, width=width, theme=theme) as (page, complaints):
        page.wait_for_selector("figure.chart svg")
        assert serious_problems(page) == []
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert page.title() == "Before and after"
        assert complaints == []


def test_the_verdict_is_seen_without_scrolling_and_layers_sort_and_filter(opened: Browser, page_file: Path) -> None:
    with shown(opened, page_file) as (page, complaints):
        badge = page.locator(".badge.bad").first
        assert badge.inner_text() == "broken"
        box = badge.bounding_box()
        assert box is not None
        assert box["y"] < 900
        layers = page.locator("#layers table.data")
        first = layers.locator("tbody tr th").first
        assert first.inner_text() == EVIL
        heading = layers.get_by_role("button", name="change", exact=True)
        heading.press("Enter")
        assert layers.locator("thead th[aria-sort=ascending]").count() == 1
        assert first.inner_text() == "conv1"
        page.get_by_label("Filter layers").fill("conv3")
        assert layers.locator("tbody tr").count() == 1
        assert complaints == []


def test_a_bar_tells_its_numbers_to_the_keyboard(opened: Browser, page_file: Path) -> None:
    with shown(opened, page_file) as (page, _):
        picture = page.locator("figure.chart svg[role=application]").first
        picture.focus()
        page.keyboard.press("ArrowDown")
        assert "compute 1 µs" in page.locator("#tip").inner_text()
