"""docs/plots.md shows each kind of figure, by a command that the command line takes, in a picture of modest size."""

from __future__ import annotations

import sys
from pathlib import Path

import typer

from gatherline.cli import app
from gatherline.report.figures.catalog import KINDS

DOCS = Path(__file__).parents[2] / "docs"
sys.path.insert(0, str(DOCS))

import draw_plots  # noqa: E402

LARGEST_BYTES = 120_000


def test_each_kind_is_shown_and_each_picture_is_of_a_command() -> None:
    shown = draw_plots.commands()
    assert {arguments[1] for arguments, _ in shown} == {kind.name for kind in KINDS}
    pictures = {picture for _, picture in shown}
    assert pictures == {path.name for path in (DOCS / "images").glob("plot-*.png")}
    assert len(pictures) == len(shown)


def test_no_picture_is_large() -> None:
    for _, picture in draw_plots.commands():
        assert (DOCS / "images" / picture).stat().st_size < LARGEST_BYTES, picture


def test_the_command_line_takes_each_command_of_the_page() -> None:
    plot = typer.main.get_command(app).commands["plot"]  # type: ignore[attr-defined]
    for arguments, _ in draw_plots.commands():
        assert plot.make_context("plot", list(arguments[1:])).params["kind"] == arguments[1]


def test_the_page_names_each_kind_with_what_it_shows() -> None:
    page = draw_plots.PAGE.read_text(encoding="utf-8")
    for kind in KINDS:
        assert f"| `{kind.name}` | " in page
        assert f"\n## {kind.name}\n" in page
