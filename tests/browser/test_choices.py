"""What a reader chooses for the whole page of a run, in a browser: how much they can remove, and the device."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from gatherline.report.headline import DeviceHeadline, headline_facts
from gatherline.report.page.results import measure
from gatherline.report.page.run_page import run_page
from gatherline.report.remarks import label
from gatherline.report.selection import percent
from tests.browser.browsing import serious_problems, shown
from tests.browser.results import digits_folder

pytestmark = pytest.mark.slow
HEAR = "window.heard = []; document.addEventListener('gatherline-choice', (event) => heard.push(event.detail))"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = digits_folder(tmp_path_factory.mktemp("digits"))
    (folder / "page.html").write_text(run_page(folder), encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def facts(folder: Path) -> tuple[DeviceHeadline, ...]:
    return headline_facts(json.loads((folder / "report.json").read_text())["rows"])


@pytest.fixture
def page(opened: Browser, folder: Path) -> Iterator[Page]:
    with shown(opened, folder / "page.html") as (page, complaints):
        yield page
        assert complaints == []


def choose(page: Page, limit: float) -> None:
    page.locator("#choices label", has_text=percent(limit)).click()


def spaces(text: str) -> str:
    return " ".join(text.split())


def says_what_is_best(page: Page, facts: tuple[DeviceHeadline, ...], place: int) -> None:
    """The chosen column, and the card of each device, name the fastest within the limit; framed cells are within it."""
    columns, cards = page.locator(".glance td.chosen"), page.locator(".card .answer:visible")
    for at, one in enumerate(facts):
        found = one.limits[place].verdict
        assert found is not None
        assert measure(found.best, "latency_s") in spaces(columns.nth(at).inner_text())
        card = spaces(cards.nth(at).inner_text())
        assert percent(one.limits[place].limit) in card
        assert (f"{found.speed_up:.2f}× as fast as dense" in card) is not found.best_is_dense
        assert found.best_is_dense or label(found.best) in card
    limit = facts[0].limits[place].limit
    cells: list[dict[str, Any]] = page.locator(".heat td[data-best]").evaluate_all(
        "(cells) => cells.map((one) => ({removed: Number(one.dataset.removed), in: !one.classList.contains('beyond'),"
        " best: one.classList.contains('best')}))"
    )
    assert {one["in"] for one in cells if one["removed"] <= limit + 0.005} == {True}
    assert {one["in"] for one in cells if one["removed"] > limit + 0.005} <= {False}
    gaining = [one for one in facts if (found := one.limits[place].verdict) is not None and not found.best_is_dense]
    assert sum(one["best"] for one in cells) >= len(gaining)
    assert not any(one["best"] and not one["in"] for one in cells)


def test_the_page_answers_for_what_the_reader_can_remove(page: Page, facts: tuple[DeviceHeadline, ...]) -> None:
    limits = [one.limit for one in facts[0].limits]
    says_what_is_best(page, facts, (len(limits) - 1) // 2)
    for place, limit in enumerate(limits):
        choose(page, limit)
        says_what_is_best(page, facts, place)
        assert serious_problems(page) == []


def test_a_choice_is_told_to_the_page_and_kept_in_its_address(
    opened: Browser, page: Page, folder: Path, facts: tuple[DeviceHeadline, ...]
) -> None:
    page.evaluate(HEAR)
    limit, device = facts[0].limits[-1].limit, facts[-1].device
    choose(page, limit)
    page.locator("#choice-device").select_option(device)
    wanted = {"device": device, "limit": limit}
    assert page.evaluate("heard") == [{"device": facts[0].device, "limit": limit}, wanted]
    assert page.evaluate("Gatherline.choice()") == wanted
    page.locator("nav a[href='#pareto']").click()
    page.wait_for_function("location.hash.includes('limit')")
    assert page.locator("#pareto [data-choice]:visible").evaluate_all(
        "(all) => all.map((one) => one.dataset.choice)"
    ) == [device]
    address = "#" + page.url.partition("#")[2]
    with shown(opened, folder / "page.html", address=address) as (again, complaints):
        assert again.evaluate("Gatherline.choice()") == wanted
        assert again.locator(f"#choices input[value='{limit}']").is_checked()
        bar, section = (again.locator(name).bounding_box() for name in (".top", "#pareto"))
        assert bar is not None
        assert section is not None
        assert bar["height"] <= section["y"] < 900 / 2  # under the bar that stays, and in sight
        assert complaints == []


def test_an_address_with_a_limit_that_was_not_run_opens_the_page_as_it_is(opened: Browser, folder: Path) -> None:
    with shown(opened, folder / "page.html") as (page, _):
        before = page.evaluate("Gatherline.choice()")
    with shown(opened, folder / "page.html", address="#heat?device=nobody&limit=7") as (page, complaints):
        assert page.evaluate("Gatherline.choice()") == before
        assert complaints == []


def test_a_part_that_a_device_does_not_have_says_so(page: Page, facts: tuple[DeviceHeadline, ...]) -> None:
    device = facts[-1].device
    page.evaluate("(name) => document.querySelector(`#pareto [data-choice='${name}']`).remove()", device)
    page.locator("#choice-device").select_option(device)
    assert page.locator("#pareto .none-here").inner_text() == f"Nothing to show here for {device}."
    page.locator("#choice-device").select_option(facts[0].device)
    assert page.locator("#pareto .none-here").is_hidden()


def test_without_scripts_every_limit_stands_in_a_table(
    opened: Browser, folder: Path, facts: tuple[DeviceHeadline, ...]
) -> None:
    with shown(opened, folder / "page.html", scripts=False) as (page, complaints):
        assert page.locator("#choices").is_hidden()
        assert page.locator("#theme").is_hidden()  # it would do nothing
        headers = page.locator(".glance thead th[data-limit]").all_inner_texts()
        assert headers == [f"up to {percent(one.limit)} removed" for one in facts[0].limits]
        assert page.locator(".glance tbody tr").count() == len(facts)
        assert page.locator(".heat .beyond").count() == 0
        assert complaints == []


def test_the_theme_button_says_what_it_will_do(page: Page) -> None:
    button = page.locator("#theme")
    for said in ("Dark", "Light", "Dark"):
        assert button.inner_text() == said
        assert button.get_attribute("aria-pressed") == str(said == "Light").lower()
        button.click()


def test_a_theme_that_another_page_kept_and_that_is_none_is_passed_over(page: Page) -> None:
    # before the page's own scripts: what is kept just before a reload may not be there yet after it
    page.add_init_script("localStorage.setItem('gatherline-theme', 'junk')")
    page.reload()
    assert page.evaluate("document.documentElement.dataset.theme || ''") == ""
    page.add_init_script("localStorage.setItem('gatherline-theme', 'dark')")
    page.reload()
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"
