"""The page of a sweep in a real browser: every check of a page, and that what it says can be reached."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Browser

from gatherline.report.page.sweep_page import sweep_page
from tests.browser.browsing import shown
from tests.browser.checks import every_check
from tests.unit.test_sweep_page import TWO, bend, stored

BAD = "<b>\U0001f600</b>"


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of a sweep with fronts, maps, refused points, a broken constraint and a name with markup."""
    folder = tmp_path_factory.mktemp("sweep")
    dense = {"pattern": "dense", "sparsity_target": None, "latency_s": 12e-3, "kept_l1": 1.0}
    points = [
        *bend(6),
        {**dense, "gather.window": 1},
        *({**point, "pattern": pattern, "sparsity_target": 0.5 + 0.1 * at, "gather.window": 2}
          for pattern in ("block:4x4", BAD) for at, point in enumerate(bend(3))),
        {**dense, "device": "raspberry-pi-4", "latency_low_s": 10e-3, "latency_high_s": 14e-3},
        *({"refused": "24 banks are no power of two", "scratchpad.banks": 24} for _ in range(2)),
    ]  # fmt: skip
    spec = TWO + '[constraints]\nlatency_s = { most = "24 ms" }\n'
    path = folder / "report.html"
    path.write_text(sweep_page(stored(folder, points, spec)), encoding="utf-8")
    return path


@pytest.mark.slow
def test_the_page_of_a_sweep_does_what_every_page_does(opened: Browser, page: Path) -> None:
    every_check(opened, page, headline="Sweep banks")


@pytest.mark.slow
def test_the_front_is_drawn_and_its_lines_are_named(opened: Browser, page: Path) -> None:
    with shown(opened, page) as (shown_page, complaints):
        assert shown_page.locator("#front figure.chart svg").first.is_visible()
        lines = shown_page.locator("svg.parallel polyline")
        rows = shown_page.locator("#front table.data tbody tr")
        assert lines.count() == rows.count()
        assert "on gs-tcm" in lines.first.locator("title").text_content()
        assert complaints == []


@pytest.mark.slow
def test_a_filter_of_the_points_leaves_those_of_a_pattern(opened: Browser, page: Path) -> None:
    with shown(opened, page) as (shown_page, complaints):
        shown_page.locator("#points input").fill("block:4x4")
        rows = shown_page.locator("#points table.data tbody tr")
        assert rows.count() == len(bend(3))
        assert all("block:4x4" in text for text in rows.all_inner_texts())
        assert shown_page.locator("#points b").count() == 0  # a name is text
        assert complaints == []


@pytest.mark.slow
def test_on_a_phone_what_to_choose_for_each_device_needs_no_scroll_to_the_side(opened: Browser, page: Path) -> None:
    with shown(opened, page, width=390) as (shown_page, complaints):
        table = shown_page.get_by_role("table", name="What to choose for each device")
        cells = table.get_by_role("row").nth(0).get_by_role("cell")
        ends = [cell.bounding_box() for cell in cells.all()]
        assert len(ends) > 3
        assert all(box is not None and box["x"] + box["width"] <= 390 for box in ends)
        assert complaints == []


@pytest.mark.slow
def test_what_is_folded_is_on_paper(opened: Browser, page: Path, tmp_path: Path) -> None:
    from pypdf import PdfReader

    with shown(opened, page) as (shown_page, _):
        folded = shown_page.locator("#effects details:not([open]) caption").all_text_contents()
        shown_page.pdf(path=tmp_path / "page.pdf", format="A4")
    text = " ".join(" ".join(leaf.extract_text() for leaf in PdfReader(tmp_path / "page.pdf").pages).split())
    assert folded
    assert all(caption in text for caption in folded)


@pytest.mark.slow
def test_points_of_the_front_its_knee_and_points_out_of_bounds_have_shapes_of_their_own(
    opened: Browser, page: Path
) -> None:
    with shown(opened, page) as (shown_page, complaints):
        chart = shown_page.locator("#front figure.chart").first
        marks = {
            name: chart.locator(f'.legend button:has-text("{name}") path').get_attribute("d")
            for name in ("breaks a constraint", "dense", "gs:16,1", "on the front", "knee")
        }
        assert len(set(marks.values())) == len(marks)
        drawn = chart.locator(".plot g.series").evaluate_all("all => all.map((one) => one.dataset.name)")
        assert drawn[-2:] == ["on the front", "knee"]
        assert complaints == []
