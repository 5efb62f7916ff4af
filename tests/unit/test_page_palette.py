"""The page's palette, in page.css, is that of the figures and of the notebook, in Python: one look, written twice."""

from __future__ import annotations

import re
from importlib.resources import files

from gatherline.report.figures.colours import SPEED_UP_STOPS
from gatherline.report.figures.style import COLOURS, DENSE_COLOUR, THEMES
from gatherline.report.page.render import render

CSS = (files("gatherline.report.page") / "page.css").read_text(encoding="utf-8")


def variables(selector: str) -> dict[str, str]:
    """Return the colours that the first rule of a selector sets, by their names."""
    body = CSS[CSS.index(selector) :].split("{", 1)[1].split("}", 1)[0]
    return {name: value.lower() for name, value in re.findall(r"--([a-z0-9-]+): (#[0-9a-fA-F]{6});", body)}


def test_a_page_and_a_figure_have_the_same_colours_of_patterns() -> None:
    light = variables(":root {")
    assert [light[f"c{place}"] for place in range(len(COLOURS))] == [one.lower() for one in COLOURS]
    assert light["dense"] == DENSE_COLOUR.lower()


def test_a_page_and_a_figure_have_the_same_ground_and_ink_in_both_themes() -> None:
    for name, selector in (("light", ":root {"), ("dark", ':root[data-theme="dark"] {')):
        found, theme = variables(selector), THEMES[name]  # type: ignore[index]  # the two names of themes
        assert (found["ground"], found["ink"], found["soft"]) == (theme.ground, theme.ink, theme.soft)
        assert found["dense"] == theme.dense.lower()


def test_a_page_and_a_notebook_have_the_same_ends_of_a_heat_map() -> None:
    light = variables(":root {")
    assert [light[name] for name in ("s4", "s3", "f3", "f4")] == [*SPEED_UP_STOPS[:2], *SPEED_UP_STOPS[3:]]


def test_the_dark_colours_are_those_of_the_button_for_who_has_a_dark_system() -> None:
    assert variables(':root[data-theme="dark"] {') == variables(':root:not([data-theme="light"]) {')


def test_a_page_lets_nothing_be_sent_and_offers_no_button_that_does_nothing() -> None:
    page = render("base.html.jinja", title="t")
    assert "base-uri 'none'; form-action 'none'" in page
    assert re.search(r'<button[^>]* id="theme"[^>]* hidden>', page)
