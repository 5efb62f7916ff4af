"""Charts and tables by themselves: what they draw of awkward numbers, what they leave out and say so, how they sort."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from gatherline.report.page.render import data_json, render
from tests.browser.browsing import serious_problems, shown

pytestmark = pytest.mark.slow
LINEAR = {"label": "x", "unit": "s", "scale": "linear"}
LOG = {"label": "y", "unit": "MAC/s", "scale": "log"}


def points(*places: list[Any], **more: object) -> dict[str, object]:
    return {"name": "one", "colour": 0, "line": True, "marks": True, "points": [list(each) for each in places], **more}


def xy(
    *series: dict[str, object], x: dict[str, str] = LINEAR, y: dict[str, str] = LINEAR, **more: object
) -> dict[str, object]:
    return {"kind": "xy", "title": "A chart", "x": x, "y": y, "series": list(series), **more}


def bars(rows: list[dict[str, object]], names: tuple[str, ...] = ("a", "b")) -> dict[str, object]:
    series = [{"name": name, "colour": at} for at, name in enumerate(names)]
    return {"kind": "bars", "title": "Bars", "x": {"label": "time", "unit": "ms"}, "series": series, "rows": rows}


@contextmanager
def drawn(
    opened: Browser, folder: Path, *charts: dict[str, object], html: str = "", width: int = 1440
) -> Iterator[Page]:
    """A page of charts, each by the contract, and of ``html`` under them; nothing may complain."""
    figures = "".join(
        f'<figure class="chart"><figcaption>{chart["title"]}</figcaption>'
        f'<script type="application/json" class="chart-data">{data_json(chart)}</script></figure>'
        for chart in charts
    )
    page_text = render("base.html.jinja", title="charts")
    made = page_text.replace("</main>", f"<h1>charts</h1>{figures}{html}</main>")
    path = folder / "charts.html"
    path.write_text(made, encoding="utf-8")
    with shown(opened, path, width=width) as (page, complaints):
        yield page
        assert complaints == []


def note(page: Page) -> str:
    return page.locator("figure.chart .note").text_content() or ""


def marks(page: Page) -> int:
    """The number of marks of all series: each is closed once, and nothing else of a series is."""
    return sum((path.get_attribute("d") or "").count("z") for path in page.locator(".plot .marks").all())


def test_points_that_cannot_be_shown_are_left_out_and_counted(opened: Browser, tmp_path: Path) -> None:
    series = points(
        [1, 10, "ten"], [2, None, "none"], [3, 0, "zero"], [4, -5, "below"], [None, 7, "nowhere"], [5, 1e-9, ""]
    )
    with drawn(opened, tmp_path, xy(series, y=LOG)) as page:
        assert marks(page) == 2
        assert note(page).startswith("4 points left out")
    with drawn(opened, tmp_path, xy(series)) as page:
        assert marks(page) == 4  # zero and less have a place on a linear axis
        assert note(page).startswith("2 points left out")


@pytest.mark.parametrize("scale", ["linear", "log"])
def test_awkward_points_draw_finite_pictures(opened: Browser, tmp_path: Path, scale: str) -> None:
    axis = {"label": "v", "unit": "", "scale": scale}
    cases = [
        points(), points([1, 1, "one"]), points([2, 2, "same"], [2, 2, "same"]), points([0, 0, "zero"]),
        points([-1, -1, "below"]),
        points([1e-300, 1e300, "far"], [1e300, 1e-300, "far"]), points([None, None, ""]),
        points([1, 1, ""], [2, 2, ""], band=[[1, 0, 2], [2, 1, None]]), points(band=[[1, 1, 2], [2, 2, 3]]),
    ]  # fmt: skip
    charts = [xy(case, x=axis, y=axis, levels=[{"y": 0, "label": "dense"}]) for case in cases]
    with drawn(opened, tmp_path, *charts) as page:
        assert page.locator("figure.chart .plot svg").count() == len(cases)
        assert "NaN" not in page.locator("main").inner_html()
        assert "Infinity" not in page.locator("main").inner_html()


def test_a_point_stands_where_its_numbers_say(opened: Browser, tmp_path: Path) -> None:
    """The middle of two decades lies in the middle of a logarithmic axis, and not of a linear one."""
    series = points([1, 1, ""], [2, 10, ""], [3, 100, ""], line=False)
    centres = """() => [...document.querySelectorAll('.plot .marks')].map(
        (path) => path.getAttribute('d').split('z').filter(Boolean)
          .map((each) => Number(each.match(/ ([\\d.]+)a/)[1])))"""
    with drawn(opened, tmp_path, xy(series, y=LOG), xy(series)) as page:
        logarithmic, linear = page.evaluate(centres)
    assert logarithmic[1] == pytest.approx((logarithmic[0] + logarithmic[2]) / 2, abs=0.2)
    assert (linear[0] - linear[1]) / (linear[0] - linear[2]) == pytest.approx(9 / 99, abs=0.01)


def test_keys_go_along_a_series_and_to_the_next_and_the_page_says_where(opened: Browser, tmp_path: Path) -> None:
    first = points([1, 1, "a1"], [3, 3, "a3"], [2, 2, "a2"])
    second = {**points([1, 9, "b1"], [2, 8, "b2"]), "name": "two", "colour": "dense"}
    with drawn(opened, tmp_path, xy(first, second)) as page:
        page.locator(".plot svg").focus()
        heard = []
        for key in ("ArrowRight", "ArrowRight", "ArrowRight", "ArrowRight", "ArrowDown", "ArrowLeft", "ArrowUp", "End"):
            page.keyboard.press(key)
            heard.append(page.locator("#tip").inner_text())
            assert page.locator(".hidden-text[aria-live]").inner_text() == heard[-1]
        assert heard == ["a1", "a2", "a3", "a3", "b2", "b1", "a1", "a3"]
        page.keyboard.press("Escape")
        assert page.locator("#tip").is_hidden()


def test_points_of_one_place_are_told_together_under_the_pointer(opened: Browser, tmp_path: Path) -> None:
    with drawn(
        opened, tmp_path, xy(points([1, 1, "first"], [2, 2, "alone"]), {**points([1, 1, "second"]), "colour": 1})
    ) as page:
        picture = page.locator(".plot svg")
        box, high = picture.bounding_box(), page.locator(".plot .ring")
        picture.focus()
        page.keyboard.press("ArrowRight")
        assert box is not None
        x, y = float(high.get_attribute("cx") or 0), float(high.get_attribute("cy") or 0)
        page.mouse.move(box["x"] + x + 2, box["y"] + y - 2)
        assert page.locator("#tip").inner_text().splitlines() == ["first", "second"]
        page.mouse.move(box["x"] + x + 60, box["y"] + y - 100)
        assert page.locator("#tip").is_hidden()


def test_ten_thousand_points_are_all_drawn_and_found(opened: Browser, tmp_path: Path) -> None:
    many = [[at + 1, (at * 7919) % 10_000 + 1, f"point {at}"] for at in range(10_000)]
    with drawn(opened, tmp_path, xy(points(*many, line=False), x={**LINEAR, "scale": "log"}, y=LOG)) as page:
        assert marks(page) == 10_000
        assert page.locator(".plot *").count() < 200
        page.locator(".plot svg").focus()
        page.keyboard.press("End")
        assert page.locator("#tip").inner_text() == "point 9999"


def test_bars_stack_and_what_is_below_zero_goes_to_the_left(opened: Browser, tmp_path: Path) -> None:
    rows = [
        {"label": "up", "values": [1.0, 3.0], "tip": "up"}, {"label": "down", "values": [-2.0, 1.0], "tip": "down"},
        {"label": "none", "values": [None, 0.0], "tip": ""},
    ]  # fmt: skip
    with drawn(opened, tmp_path, bars(rows)) as page:
        first, second, below, above = (
            (float(one.get_attribute("x") or 0), float(one.get_attribute("width") or 0))
            for one in page.locator(".segment").all()
        )
        assert second[1] == pytest.approx(3 * first[1])
        assert second[0] == pytest.approx(first[0] + first[1])
        assert below[0] == pytest.approx(first[0] - 2 * first[1])
        assert above[0] == pytest.approx(first[0])
        assert note(page) == "1 value left out: no number."


def test_many_bars_come_in_pages(opened: Browser, tmp_path: Path) -> None:
    rows: list[dict[str, object]] = [{"label": f"row {at}", "values": [at, 1], "tip": f"row {at}"} for at in range(250)]
    with drawn(opened, tmp_path, bars(rows)) as page:
        labels, more = page.locator(".row-label"), page.locator("figure.chart > button")
        assert (labels.count(), more.inner_text()) == (100, "Show 100 of the other 150")
        more.click()
        assert more.inner_text() == "Show the other 50"
        more.click()
        assert labels.count() == 250
        assert more.is_hidden()


def test_a_bar_ends_with_its_number_and_a_far_mark_is_an_arrow_with_its_own(opened: Browser, tmp_path: Path) -> None:
    rows: list[dict[str, object]] = [
        {"label": "short", "values": [1, 2], "mark": 90, "markText": "90 ms", "end": "3 ms"},
        {"label": "sum", "values": [1, 3.5], "mark": 4},
    ]
    with drawn(opened, tmp_path, bars(rows)) as page:
        assert page.locator(".bar-end").all_text_contents() == ["3 ms", "4.5"]
        assert page.locator(".beyond").all_text_contents() == ["90 ms \u25b6"]
        assert page.locator(".beside").count() == 1  # that of the second row has a place
        assert note(page).startswith("An arrow with a number: ")
        wide = [float(one.get_attribute("width") or 0) for one in page.locator(".segment").all()]
        picture = page.locator(".plot svg").evaluate("(picture) => picture.viewBox.baseVal.width")
        assert sum(wide[2:]) > picture / 2  # bars are no slivers
        page.locator(".legend button").first.click()
        assert page.locator(".bar-end").all_text_contents() == ["2", "3.5"]


def test_a_mark_that_is_near_has_a_place_on_the_axis(opened: Browser, tmp_path: Path) -> None:
    with drawn(opened, tmp_path, bars([{"label": "a", "values": [4, 0], "mark": 5.5}])) as page:
        assert (page.locator(".beside").count(), page.locator(".beyond").count()) == (1, 0)


def test_ticks_stand_above_bars_too_and_labels_never_on_the_axis(opened: Browser, tmp_path: Path) -> None:
    with drawn(opened, tmp_path, bars([{"label": "61", "values": [4, 0]}])) as page:
        page.set_viewport_size({"width": 390, "height": 800})
        page.wait_for_function("() => document.querySelector('.plot svg').viewBox.baseVal.width < 390")
        ticks = page.locator(".axes text:not(.label)").all_text_contents()
        assert ticks.count("0") == 2
        zero = float(page.locator(".axes .axis").get_attribute("x1") or 0)
        assert float(page.locator(".row-label").get_attribute("x") or 0) < zero
        assert page.locator(".row-label").get_attribute("text-anchor") == "end"
    with drawn(opened, tmp_path, bars([{"label": "a name too long for the side", "values": [4, 0]}])) as page:
        page.set_viewport_size({"width": 390, "height": 800})
        page.wait_for_function("() => document.querySelector('.plot svg').viewBox.baseVal.width < 390")
        zero = float(page.locator(".axes .axis").get_attribute("x1") or 0)
        assert float(page.locator(".row-label").get_attribute("x") or 0) > zero


def test_lines_that_coincide_are_one_line_under_all_their_names(opened: Browser, tmp_path: Path) -> None:
    places = ([1, 1, "a1"], [2, 2, "a2"])
    band = [[1, 0.5, 1.5], [2, 1.5, 2.5]]
    one, two = {**points(*places), "band": band}, {**points(*places), "name": "two", "colour": 1, "band": band}
    other = {**points([1, 2, ""], [2, 1, ""]), "name": "other", "colour": 2}
    with drawn(opened, tmp_path, xy(one, two, other)) as page:
        assert page.locator(".series .line").count() == 2
        assert page.locator(".series .band").count() == 1
        assert sorted(page.locator(".line-name").all_text_contents()) == ["one", "other", "two alike"]
        assert "one, two: alike, one line." in note(page)
        page.locator(".legend button", has_text="one").click()
        assert page.locator(".series .line").count() == 2  # the second is drawn for itself
        assert sorted(page.locator(".line-name").all_text_contents()) == ["other", "two"]


def test_a_level_has_its_band(opened: Browser, tmp_path: Path) -> None:
    levels = [{"y": 2, "label": "dense", "low": 1, "high": 4}, {"y": 3, "label": "none"}]
    with drawn(opened, tmp_path, xy(points([1, 1, ""], [2, 5, ""]), levels=levels)) as page:
        (found,) = page.locator(".level-band").all()
        lines = [float(line.get_attribute("y1") or 0) for line in page.locator(".level").all()]
        top, high = (float(found.get_attribute(name) or 0) for name in ("y", "height"))
        assert top < lines[1] < lines[0] < top + high
        assert high == pytest.approx(3 * (lines[0] - lines[1]), abs=0.2)


def test_a_legend_hides_a_series_and_axes_stay(opened: Browser, tmp_path: Path) -> None:
    second = {**points([5, 500, "b"]), "name": "two", "colour": 1}
    with drawn(opened, tmp_path, xy(points([1, 1, "a"]), second)) as page:
        axes = page.locator(".plot .axes").inner_html()
        page.locator(".legend button", has_text="two").click()
        assert page.locator(".plot .series").count() == 1
        assert page.locator(".plot .axes").inner_html() == axes
        assert page.locator(".legend button[aria-pressed='false']").count() == 1


def test_a_chart_follows_the_width_of_its_box(opened: Browser, tmp_path: Path) -> None:
    with drawn(opened, tmp_path, xy(points([1, 1, ""], [2, 2, ""]))) as page:
        wide = page.locator(".plot svg").evaluate("(picture) => picture.viewBox.baseVal.width")
        page.set_viewport_size({"width": 390, "height": 800})
        page.wait_for_function("(wide) => document.querySelector('.plot svg').viewBox.baseVal.width < wide", arg=wide)
        assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_names_in_charts_are_text_and_never_markup(opened: Browser, tmp_path: Path) -> None:
    evil = "</script><img src=x onerror=alert(1)>"
    series = {**points([1, 1, evil]), "name": evil}
    with drawn(
        opened,
        tmp_path,
        xy(series, {**series, "colour": 2}),
        bars([{"label": evil, "values": [1, 2], "tip": evil}], (evil, "b")),
    ) as page:
        assert page.locator("main img").count() == 0
        page.locator(".plot svg").first.focus()
        page.keyboard.press("ArrowRight")
        assert page.locator("#tip").inner_text() == evil
        assert serious_problems(page) == []


TABLE = """<table class="data" data-filter="things"><caption>Things</caption><thead><tr>
<th scope="col" data-type="text">Name</th><th scope="col" data-type="number">Time</th></tr></thead><tbody>
<tr><th scope="row">b10</th><td data-value="0.002">2 ms</td></tr><tr><th scope="row">b9</th><td>-</td></tr>
<tr><th scope="row">a</th><td data-value="1e-9">1 ns</td></tr><tr><th scope="row">c</th><td data-value="0">0 s</td></tr>
<tr><th scope="row">b10</th><td data-value="">not run</td></tr>
<tr><th scope="row">d</th><td data-value="-5">-5 s</td></tr>
</tbody></table>"""


def test_a_table_sorts_by_value_missing_last_and_filters_by_words(opened: Browser, tmp_path: Path) -> None:
    with drawn(opened, tmp_path, html=TABLE) as page:
        times, names = page.locator("tbody td"), page.locator("tbody th")
        name, time = page.locator("thead button").all()
        given = times.all_inner_texts()
        time.click()
        assert times.all_inner_texts() == ["-5 s", "0 s", "1 ns", "2 ms", "-", "not run"]
        time.click()
        assert times.all_inner_texts() == ["2 ms", "1 ns", "0 s", "-5 s", "-", "not run"]
        time.click()
        assert times.all_inner_texts() == given
        name.click()
        assert names.all_inner_texts() == ["a", "b9", "b10", "b10", "c", "d"]
        assert times.all_inner_texts()[2:4] == ["2 ms", "not run"]  # equal names stay in their order
        page.locator("input[type=search]").fill("B10 ms")
        assert names.all_inner_texts() == ["b10"]
        assert page.locator("[role=status].count").inner_text() == "1 of 6 rows"
        assert serious_problems(page) == []


def test_a_long_table_shows_a_hundred_rows_and_more_on_demand(opened: Browser, tmp_path: Path) -> None:
    rows = "".join(f'<tr><th scope="row">r{at}</th><td>{at}</td></tr>' for at in range(250))
    head = '<thead><tr><th scope="col">N</th><th scope="col" data-type="number">V</th></tr></thead>'
    with drawn(opened, tmp_path, html=f'<table class="data">{head}<tbody>{rows}</tbody></table>') as page:
        shown_rows, more = page.locator("tbody tr"), page.locator("main > button")
        assert shown_rows.count() == 100
        page.locator("thead button").last.click()
        page.locator("thead button").last.click()
        assert shown_rows.first.locator("td").inner_text() == "249"
        more.click()
        more.click()
        assert shown_rows.count() == 250
        assert more.is_hidden()


def test_a_table_that_asks_for_ten_rows_shows_ten_and_then_all(opened: Browser, tmp_path: Path) -> None:
    rows = "".join(f'<tr><th scope="row">r{at}</th><td>{at}</td></tr>' for at in range(56))
    head = '<thead><tr><th scope="col">N</th><th scope="col" data-type="number">V</th></tr></thead>'
    table = f'<table class="data" data-first="10">{head}<tbody>{rows}</tbody></table>'
    with drawn(opened, tmp_path, html=table) as page:
        assert page.locator("tbody tr").count() == 10
        more = page.locator("main > button")
        assert more.inner_text() == "Show all 56"
        more.click()
        assert page.locator("tbody tr").count() == 56
        assert more.is_hidden()


def test_names_break_after_dots_and_slashes_and_a_box_says_that_more_lies_to_the_right(
    opened: Browser, tmp_path: Path
) -> None:
    cells = "".join(f"<td>a_word_that_is_wide_{at}</td>" for at in range(12))
    columns = "".join(f'<th scope="col">c{at}</th>' for at in range(13))
    name = "blocks.0/conv_dw"
    body = f'<tbody><tr><th scope="row">{name}</th>{cells}</tr></tbody>'
    table = f'<table class="data"><thead><tr>{columns}</tr></thead>{body}</table>'
    with drawn(opened, tmp_path, html=table) as page:
        head = page.locator("tbody th")
        assert head.inner_text() == name
        assert head.inner_html() == "blocks.<wbr>0/<wbr>conv_dw"
        box, line = page.locator(".scroll"), page.locator(".more-columns")
        page.wait_for_function("() => document.querySelector('.scroll').classList.contains('more-right')")
        assert line.is_visible()
        box.evaluate("(box) => { box.scrollLeft = box.scrollWidth; }")
        page.wait_for_function("() => !document.querySelector('.scroll').classList.contains('more-right')")
        assert line.is_hidden()
        assert "more-left" in (box.get_attribute("class") or "")
