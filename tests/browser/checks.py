"""What every page of ours must do in a browser; each check takes the page's file, so that a line adds a page.

``every_check`` runs them all. Left out: what a page says, which its own tests compare with the results.
"""

from __future__ import annotations

import io
import math
from pathlib import Path

import pypdf
from playwright.sync_api import Browser, Locator, Page

from tests.browser.browsing import WIDTHS, serious_problems, shown

THEMES = ("light", "dark")
PAPER_WIDTH = 703  # pixels of an A4 sheet between margins of 12 mm, at 96 an inch


def every_check(opened: Browser, path: Path, *, headline: str) -> None:
    """``headline``: words that the page must begin with on paper and without scripts too."""
    fits_every_width(opened, path)
    nothing_serious_for_axe(opened, path)
    works_without_scripts(opened, path, headline=headline)
    theme_switches(opened, path)
    tables_sort(opened, path)
    tables_filter(opened, path)
    charts_answer_keys_and_pointer(opened, path)
    prints(opened, path, headline=headline)


def fits_every_width(opened: Browser, path: Path, *, pictures: Path | None = None) -> None:
    """No complaint at any width in light and dark, and the body never scrolls sideways."""
    for width in WIDTHS:
        for theme in THEMES:
            with shown(opened, path, width=width, theme=theme) as (page, complaints):
                page.wait_for_load_state("load")
                wide = page.evaluate("document.documentElement.scrollWidth")
                if pictures is not None:
                    page.screenshot(path=pictures / f"{path.stem}-{width}-{theme}.png", full_page=True)
                assert complaints == []
                assert wide <= width, f"{wide} pixels wide at {width}: {_too_wide(page, width)}"


def nothing_serious_for_axe(opened: Browser, path: Path) -> None:
    for width, theme in ((1440, "light"), (1440, "dark"), (390, "light")):
        with shown(opened, path, width=width, theme=theme) as (page, _):
            assert serious_problems(page) == []


def works_without_scripts(opened: Browser, path: Path, *, headline: str) -> None:
    with shown(opened, path, scripts=False) as (page, complaints):
        assert headline in _spaces(page.locator("main").inner_text())
        assert page.locator("figure.chart svg").count() == 0
        assert complaints == []


def theme_switches(opened: Browser, path: Path) -> None:
    """The button changes ground and ink, says so, and changes them back."""
    with shown(opened, path, theme="light") as (page, complaints):
        ground = "getComputedStyle(document.body).backgroundColor"
        before = page.evaluate(ground)
        button = page.locator("#theme")
        assert button.get_attribute("aria-pressed") == "false"
        button.focus()
        page.keyboard.press("Enter")
        assert button.get_attribute("aria-pressed") == "true"
        assert page.evaluate(ground) != before
        button.click()
        assert page.evaluate(ground) == before
        assert complaints == []


def tables_sort(opened: Browser, path: Path) -> None:
    """Every column of every table that is seen: up, down, and as it was at the third press; missing values last."""
    with shown(opened, path) as (page, complaints):
        _open_all(page)
        tables = [table for table in page.locator("table.data").all() if table.is_visible()]
        assert tables
        for table in tables:
            for column in table.evaluate(_PRESS_HEADERS):
                _sorts(**column)
        button = tables[0].locator("thead th button").first
        button.focus()
        page.keyboard.press("Enter")
        assert tables[0].locator("thead th").first.get_attribute("aria-sort") == "ascending"
        assert complaints == []


# Presses each header three times; what the column's cells sort by before, and after each press, with aria-sort.
_PRESS_HEADERS = """(table) => {
  const row = table.tHead.rows[table.tHead.rows.length - 1];
  return [...row.cells].map((header, at) => {
    const cells = () => [...table.tBodies[0].rows].map((each) => each.cells[at])
      .map((cell) => (cell ? cell.dataset.value ?? cell.textContent : ""));
    const before = cells();
    const pressed = [1, 2, 3].map(() => {
      header.querySelector("button").click();
      return [header.getAttribute("aria-sort"), cells()];
    });
    return { type: header.dataset.type || "text", before, pressed };
  });
}"""


def _sorts(*, type: str, before: list[str], pressed: list[tuple[str | None, list[str]]]) -> None:
    assert [order for order, _ in pressed] == ["ascending", "descending", None]
    assert pressed[2][1] == before
    if type == "number":
        for order, cells in pressed[:2]:
            _in_order([_value(cell) for cell in cells], str(order))


def _in_order(values: list[float | None], order: str) -> None:
    known = [value for value in values if value is not None]
    assert values[: len(known)] == known, f"a missing value stands before others: {values[:20]}"
    assert known == sorted(known, reverse=order == "descending")


def tables_filter(opened: Browser, path: Path) -> None:
    """The box of a table keeps the rows that hold what is typed, and counts them aloud."""
    with shown(opened, path) as (page, complaints):
        _open_all(page)
        for table in page.locator("table.data[data-filter]").all():
            if not table.is_visible():
                continue
            box = table.locator("xpath=ancestor::div[contains(@class, 'scroll')][1]")
            field = box.locator("xpath=preceding-sibling::div[contains(@class, 'tools')][1]//input")
            count = box.locator("xpath=preceding-sibling::div[contains(@class, 'tools')][1]//*[@role='status']")
            rows = table.locator("tbody tr")
            before = rows.count()
            if not before:
                continue
            word = _spaces(rows.first.locator("th, td").first.inner_text())
            field.fill(word)
            texts = rows.all_inner_texts()
            assert 1 <= len(texts) <= before
            assert all(each in text.lower() for text in texts for each in word.lower().split())
            field.fill("\N{SNOWMAN} no row holds this")
            assert rows.count() == 0
            assert "0 of " in count.inner_text()
            assert count.get_attribute("aria-live") == "polite"
            field.fill("")
            assert rows.count() == before
        assert complaints == []


def charts_answer_keys_and_pointer(opened: Browser, path: Path) -> None:
    """Every chart that is seen is drawn, has a name, tells its points by arrow keys and pointer, and hides a series."""
    with shown(opened, path) as (page, complaints):
        _open_all(page)
        tip = page.locator("#tip")
        for figure in page.locator("figure.chart").all():
            if not figure.is_visible():
                continue
            picture = figure.locator(".plot svg")
            assert picture.get_attribute("aria-label")
            figure.scroll_into_view_if_needed()
            picture.focus()
            for key in ("ArrowRight", "ArrowDown"):  # along a series, along bars
                page.keyboard.press(key)
            if figure.locator(".marks[d*='M'], .segment").count():
                assert tip.is_visible()
                assert tip.inner_text().strip()
                assert page.locator(".hidden-text[aria-live]").inner_text().strip()
            page.keyboard.press("Escape")
            assert tip.is_hidden()
            _hides_a_series(figure)
        assert complaints == []


def _hides_a_series(figure: Locator) -> None:
    buttons = figure.locator(".legend button")
    if not buttons.count():
        return
    before = figure.locator(".plot").inner_html()
    pressed = [button for button in buttons.all() if button.get_attribute("aria-pressed") == "true"]
    for button in pressed:
        button.click()
        assert button.get_attribute("aria-pressed") == "false"
    assert figure.locator(".plot .segment, .plot .series").count() == 0
    for button in pressed:
        button.click()
    after = figure.locator(".plot").inner_html()
    assert _without_names(after) == _without_names(before)


def _without_names(markup: str) -> int:
    """Return how many shapes a drawing has: textures get a new name each time."""
    return markup.count("<path") + markup.count("<rect") + markup.count("<text")


def prints(opened: Browser, path: Path, *, headline: str) -> None:
    """The headline stands on the first sheet, and nothing is wider than a sheet, which would shrink all of it."""
    with shown(opened, path, width=PAPER_WIDTH) as (page, _):
        page.emulate_media(media="print")
        wide = page.evaluate("document.documentElement.scrollWidth")
        assert wide <= PAPER_WIDTH, f"{wide} pixels wide on paper: {_too_wide(page, PAPER_WIDTH)}"
    with shown(opened, path) as (page, complaints):
        paper = pypdf.PdfReader(io.BytesIO(page.pdf(format="A4")))
        assert headline.replace(" ", "") in "".join(paper.pages[0].extract_text().split())
        assert complaints == []


def _open_all(page: Page) -> None:
    page.evaluate("for (const part of document.querySelectorAll('details')) part.open = true")


def _value(text: str) -> float | None:
    try:
        value = float(text.strip().replace(",", "").replace(" ", "").removesuffix("%").removesuffix("x"))
    except ValueError:
        return None
    return None if math.isnan(value) else value


def _spaces(text: str) -> str:
    return " ".join(text.split())


_TOO_WIDE = """(width) => [...document.querySelectorAll("main *")]
  .filter((one) => one.getBoundingClientRect().right > width + 1 && !one.closest(".scroll"))
  .slice(0, 5).map((one) => one.outerHTML.slice(0, 120))"""


def _too_wide(page: Page, width: int) -> list[str]:
    return [str(each) for each in page.evaluate(_TOO_WIDE, width)]
