"""The words of a run's page lead to their list, masks are picked by layer and variant, and the page fits on paper."""

from __future__ import annotations

from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page
from pypdf import PdfReader

from gatherline.report.page.run_page import run_page
from tests.browser.browsing import shown
from tests.browser.results import DIGITS_DEVICES, digits_folder

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = digits_folder(tmp_path_factory.mktemp("digits"))
    (folder / "page.html").write_text(run_page(folder), encoding="utf-8")
    return folder / "page.html"


@pytest.fixture
def page(opened: Browser, digits: Path) -> Iterator[Page]:
    with shown(opened, digits) as (page, complaints):
        yield page
        assert complaints == []


def test_a_word_is_explained_where_it_is_first_used_and_leads_to_the_list(page: Page) -> None:
    links = page.locator("a.word")
    targets = [link.get_attribute("href") for link in links.all()]
    assert len(targets) > 5
    assert len(set(targets)) == len(targets)
    first = links.first
    entry = page.locator(f"#words {first.get_attribute('href')}")
    assert first.get_attribute("title") == entry.locator("xpath=following-sibling::dd[1]").inner_text()
    assert page.locator("nav a[href='#words']").count() == 1


def test_a_mask_is_picked_by_its_layer_and_its_variant(page: Page) -> None:
    layer, variant = page.locator("#masks select").nth(0), page.locator("#masks [data-choice]:not([hidden]) select")
    layer.select_option(index=1)
    variant.select_option(index=1)
    heads = [head for head in page.locator("#masks h3").all() if head.is_visible()]
    chosen = [box.evaluate("(box) => box.selectedOptions[0].text") for box in (layer, variant)]
    assert [head.inner_text().replace("\N{NO-BREAK SPACE}", " ") for head in heads] == [": ".join(chosen)]


def test_paper_says_which_device_it_shows_and_begins_with_the_answer(page: Page) -> None:
    pages = PdfReader(BytesIO(page.pdf(format="A4"))).pages
    first = " ".join(pages[0].extract_text().split())
    assert "At a glance" in first
    told = " ".join(" ".join(one.extract_text() for one in pages).split())
    assert f"sections of one device at a time show {DIGITS_DEVICES[0]}" in told
    assert len(pages) <= 12
