"""The page of a run in a browser: what every page does, and the layers' section compared with its rows."""

from __future__ import annotations

import html
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from playwright.sync_api import Browser, Page

from gatherline.report.page.layer_columns import facts_of
from gatherline.report.page.layer_words import Place, duration, sentences
from gatherline.report.page.run_page import run_page
from gatherline.report.remarks import removed_label
from gatherline.report.selection import Variant, layers, of_device, of_variant, printable, text, totals, variant
from gatherline.report.time_causes import TIME_CAUSES
from tests.browser.browsing import shown
from tests.browser.checks import every_check, fits_every_width, nothing_serious_for_axe, tables_sort
from tests.browser.results import DIGITS_DEVICES, MANY, NAMES, digits_folder, hostile_folder

pytestmark = pytest.mark.slow
DENSE = Variant(pattern="dense", sparsity=None)
GS = Variant(pattern="gs:16,1", sparsity=0.9)


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = digits_folder(tmp_path_factory.mktemp("digits"))
    (folder / "page.html").write_text(run_page(folder), encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = hostile_folder(tmp_path_factory.mktemp("hostile"))
    (folder / "page.html").write_text(run_page(folder), encoding="utf-8")
    return folder / "page.html"


@pytest.fixture
def page(opened: Browser, digits: Path) -> Iterator[Page]:
    with shown(opened, digits / "page.html") as (page, complaints):
        yield page
        assert complaints == []


def rows_of(digits: Path) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads((digits / "report.json").read_text())["rows"]
    return rows


def pick(page: Page, device: str, pattern: Variant, beside: Variant | None = DENSE) -> None:
    page.locator("#choice-device").select_option(value=device)
    page.locator("#layer-variant").select_option(label=removed_label(pattern, None))
    page.locator("#layer-beside").select_option(label="nothing" if beside is None else removed_label(beside, None))


def shown_variant(page: Page) -> str:
    return str(page.locator("#layer-variant").evaluate("(box) => box.selectedOptions[0].text"))


def told(page: Page) -> list[str]:
    return page.locator("#layer-why p, #layer-why li").all_inner_texts()


def test_the_page_of_a_run_does_what_every_page_does(opened: Browser, digits: Path) -> None:
    every_check(opened, digits / "page.html", headline="digits")


def test_the_words_about_a_layer_are_those_of_its_rows(page: Page, digits: Path) -> None:
    rows = rows_of(digits)
    for device in DIGITS_DEVICES:
        pick(page, device, GS)
        of_run = of_variant(of_device(layers(rows), device), GS)
        dense = {text(row, "layer"): row for row in of_variant(of_device(layers(rows), device), DENSE)}
        (total,) = of_variant(of_device(totals(rows), device), GS)
        slowest = sorted(of_run, key=lambda row: -facts_of(row)["latency_s"])  # type: ignore[operator]
        for rank, row in enumerate(slowest, start=1):
            name = text(row, "layer")
            page.locator("#layer-name").fill(name)
            page.locator("#layer-name").press("Enter")
            place = Place(layer=name, device=device, total_s=total["latency_s"], rank=rank, count=len(of_run))  # type: ignore[arg-type]
            assert told(page) == sentences(facts_of(row), place, facts_of(dense[name]), DENSE.label)


def test_a_bar_a_point_and_a_row_choose_the_layer_they_show(page: Page, digits: Path) -> None:
    pick(page, "gs-tcm", GS)
    bars = page.locator("#layer-bars .plot svg")
    bars.scroll_into_view_if_needed()
    label = page.locator("#layer-bars .row-label").nth(1)
    label.click()
    assert page.locator("#layer-name").input_value() == label.text_content()
    page.locator("#layer-table button.link", has_text="conv1").click()
    assert page.locator("#layer-name").input_value() == "conv1"
    assert told(page)[0].startswith("conv1 takes ")
    roofline = page.locator("#layer-roofline .plot svg")
    roofline.focus()
    page.keyboard.press("ArrowDown")  # the points of the variant, after those it is compared with
    page.keyboard.press("End")
    name = page.locator("#tip").inner_text().splitlines()[0]
    page.keyboard.press("Enter")
    assert page.locator("#layer-name").input_value() == name


def test_a_bar_tells_its_layer_under_the_pointer(page: Page, digits: Path) -> None:
    pick(page, "gs-tcm", DENSE, None)
    page.locator("#layer-bars").scroll_into_view_if_needed()
    page.locator("#layer-bars .row-label", has_text="conv2").hover()
    (row,) = (
        each
        for each in rows_of(digits)
        if (each["device"], each["layer"]) == ("gs-tcm", "conv2") and variant(each) == DENSE
    )
    lines = page.locator("#tip").inner_text().splitlines()
    assert lines[0] == "conv2"
    assert lines[1].startswith(f"{duration(facts_of(row)['latency_s'])}, ")  # type: ignore[arg-type]
    causes = {cause.title: facts_of(row)[cause.column] for cause in TIME_CAUSES}
    assert dict(line.split(": ") for line in lines[2:]) == {
        title: duration(seconds) for title, seconds in causes.items() if seconds  # type: ignore[arg-type]
    }  # fmt: skip


def table_of_layers(page: Page) -> list[list[object]]:
    found: list[list[object]] = page.locator("#layer-table tbody tr").evaluate_all(
        "(rows) => rows.map((row) => [row.cells[0].textContent, Number(row.cells[1].dataset.value)])"
    )
    return found


def test_the_table_of_layers_has_the_numbers_of_the_rows(page: Page, digits: Path) -> None:
    for device in DIGITS_DEVICES:
        pick(page, device, GS)
        wanted = of_variant(of_device(layers(rows_of(digits)), device), GS)
        with_weights = [row for row in wanted if row["density"] is not None]
        assert 0 < len(with_weights) < len(wanted) <= 10
        page.locator("#layer-also").uncheck()
        assert table_of_layers(page) == [[row["layer"], facts_of(row)["latency_s"]] for row in with_weights]
        page.locator("#layer-also").check()
        assert table_of_layers(page) == [[row["layer"], facts_of(row)["latency_s"]] for row in wanted]


def test_bars_stand_slowest_first_or_as_in_the_network(page: Page, digits: Path) -> None:
    pick(page, "snapdragon-855", GS)
    rows = of_variant(of_device(layers(rows_of(digits)), "snapdragon-855"), GS)
    labels = page.locator("#layer-bars .row-label")
    slowest = sorted(rows, key=lambda row: -facts_of(row)["latency_s"])  # type: ignore[operator]
    assert labels.all_text_contents() == [text(row, "layer") for row in slowest]
    page.locator("#layer-order").select_option("network")
    assert labels.all_text_contents() == [text(row, "layer") for row in rows]


def test_what_is_picked_stands_in_the_address_and_a_link_opens_it_again(
    opened: Browser, page: Page, digits: Path
) -> None:
    pick(page, "adreno-640", GS, None)
    page.locator("#layer-table button.link", has_text="conv3").click()
    address = "#" + page.url.partition("#")[2]
    before = told(page)
    with shown(opened, digits / "page.html", address=address) as (again, complaints):
        assert again.locator("#layer-device").evaluate("(box) => box.selectedOptions[0].text") == "adreno-640"
        assert shown_variant(again) == removed_label(GS, None)
        assert again.locator("#layer-beside").evaluate("(box) => box.selectedOptions[0].text") == "nothing"
        assert told(again) == before
        assert again.locator("#layers").evaluate("(part) => part.getBoundingClientRect().top < window.innerHeight")
        assert complaints == []


def test_a_link_with_names_that_are_not_there_opens_the_page_as_it_is(opened: Browser, digits: Path) -> None:
    address = "#layers?" + urlencode({"device": "nobody's", "pattern": "<b>", "layer": "none"})
    with shown(opened, digits / "page.html", address=address) as (page, complaints):
        assert page.locator("#layer-device").evaluate("(box) => box.selectedOptions[0].text") == DIGITS_DEVICES[0]
        assert told(page)
        asked = 'the device "nobody\'s" and the variant "<b>" and the layer "none"'
        assert page.locator("#layers .absent").all_inner_texts() == [
            f"The link asks for {asked}, which this page has not."
        ]
        assert complaints == []
    with shown(opened, digits / "page.html", address="#heat?device=other") as (page, complaints):
        assert page.locator("#heat .absent").all_inner_texts() == [
            'The link asks for the device "other", which is not in this page.'
        ]
        assert complaints == []


def test_a_page_inside_another_one_works_though_it_may_keep_no_address(
    opened: Browser, digits: Path, tmp_path: Path
) -> None:
    inside = html.escape((digits / "page.html").read_text(encoding="utf-8"), quote=True)
    outer = tmp_path / "outer.html"
    outer.write_text(
        f'<!doctype html><iframe width=1300 height=800 sandbox="allow-scripts" srcdoc="{inside}"></iframe>',
        encoding="utf-8",
    )
    with shown(opened, outer) as (page, complaints):
        frame = page.frames[1]
        frame.locator("#choice-device").select_option(value=DIGITS_DEVICES[1])
        frame.locator("#layer-order").select_option(value="network")
        frame.locator("#layer-table button.link").first.dispatch_event("click")
        assert frame.locator("#layer-device").evaluate("(box) => box.selectedOptions[0].text") == DIGITS_DEVICES[1]
        assert [each for each in complaints if "replaceState" in each] == []


def test_a_very_long_name_takes_a_few_lines(opened: Browser, digits: Path, tmp_path: Path) -> None:
    report = json.loads((digits / "report.json").read_text())
    first = next(row["layer"] for row in report["rows"] if row["layer"] != "total")
    long = "n" * 3000
    rows = [{**row, "layer": long if row["layer"] == first else row["layer"]} for row in report["rows"]]
    (tmp_path / "report.json").write_text(json.dumps({**report, "rows": rows}))
    (tmp_path / "page.html").write_text(run_page(tmp_path), encoding="utf-8")
    with shown(opened, tmp_path / "page.html", width=390) as (page, complaints):
        page.locator("label.filter input").first.wait_for()
        heights = page.locator("tbody tr").evaluate_all("(rows) => rows.map((row) => row.offsetHeight)")
        assert max(heights) < 600
        assert page.locator(f'.clamp[title="{long}"]').count() > 0
        assert complaints == []


def test_a_filter_finds_nothing_across_two_cells(page: Page) -> None:
    filter_box = page.locator("#totals input[type=search]")
    cells = page.locator("#totals tbody tr").first.locator("th, td").all_inner_texts()
    filter_box.fill(cells[0].strip()[-3:] + cells[1].strip()[:3])
    assert page.locator("#totals tbody tr").count() == 0


def test_another_device_keeps_the_variant_and_a_name_that_is_no_layer_is_said(page: Page) -> None:
    pick(page, "gs-tcm", GS)
    page.locator("#choice-device").select_option(value="snapdragon-855")
    assert shown_variant(page) == removed_label(GS, None)
    page.locator("#layer-name").fill("<i>nothing")
    page.locator("#layer-name").press("Enter")
    assert told(page) == ['No layer\'s name holds "<i>nothing".']


def test_the_layers_follow_the_limit_of_the_page_until_a_variant_is_picked(page: Page) -> None:
    told_of = json.loads(page.locator("#choices-data").text_content() or "")
    assert page.locator("#layer-device-label").is_hidden()
    best = {
        (device, limit): removed_label(Variant(pattern=each["pattern"], sparsity=each["sparsity"]), None)
        for device, row in zip(told_of["devices"], told_of["best"], strict=True)
        for limit, each in zip(told_of["limits"], row, strict=True)
    }
    assert len(set(best.values())) > 1
    for (device, limit), wanted in best.items():
        page.locator("#choice-device").select_option(value=device)
        page.locator(f"#choices [name=limit][value='{limit}']").check()
        assert shown_variant(page) == wanted
        assert device in page.locator("#layer-bars figcaption").inner_text()
    page.locator("#layer-variant").select_option(label=removed_label(GS, None))
    for limit in told_of["limits"]:
        page.locator(f"#choices [name=limit][value='{limit}']").check()
        assert shown_variant(page) == removed_label(GS, None)


def test_ten_thousand_layers_with_hostile_names_stay_usable(opened: Browser, hostile: Path) -> None:
    assert os.path.getsize(hostile) < 5_000_000
    fits_every_width(opened, hostile)
    nothing_serious_for_axe(opened, hostile)
    with shown(opened, hostile) as (page, complaints):
        assert page.locator("#layer-table tbody tr").count() == 10
        assert f"{MANY} rows" in page.locator("#layer-view .count").inner_text()
        for name in NAMES:
            page.locator("#layer-name").fill(printable(name))
            page.locator("#layer-name").press("Enter")
            assert told(page)[0].startswith(f"{printable(name)} takes ")
        assert page.locator("#layer-why b, #layer-why script").count() == 0
        page.locator("#layer-table").evaluate("(table) => table.closest('.scroll').nextElementSibling.click()")
        assert page.locator("#layer-table tbody tr").count() == 110
        assert complaints == []


def test_the_tables_of_ten_thousand_layers_sort(opened: Browser, hostile: Path) -> None:
    tables_sort(opened, hostile)
