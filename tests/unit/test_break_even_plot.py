"""Pictures of break-even densities: what is not validated looks so, a legend lists what is drawn, no bar has a why."""

from __future__ import annotations

from typing import Any

import pytest

from gatherline.report.break_even_marks import Looks, legend, looks_of
from gatherline.report.break_even_plot import axis_top, standing, strips, why_no_bar

NO_KERNEL = "toy has no kernel for block: dense kernel, zeros computed"


def row(layer: str, verdict: str, density: float | None = None, certain: bool | None = None, **more: Any) -> Any:
    columns = {"model": "net", "device": "toy", "device_kind": "cpu", "dtype": "fp32", "threads": 1, "reason": ""}
    return {**columns, "pattern": "unstructured", "layer": layer, "verdict": verdict, "density": density,
            "certain": certain, **more}  # fmt: skip


def labels(rows: list[Any]) -> list[str]:
    return [str(mark.get_label()) for mark in legend(rows)]


def faces(rows: list[Any]) -> list[tuple[str, float]]:
    """Return hatch and density of every bar of the first strip."""
    return [(bar.get_hatch() or "", bar.get_height()) for bar in strips(rows).axes[0].patches]


def test_a_bar_is_hatched_exactly_where_nothing_validates_it() -> None:
    rows = [row("a", "below", 0.3), row("b", "below", 0.4, True), row("c", "below", 0.5, False), row("total", "never")]
    assert [looks_of(one) for one in rows[:3]] == [Looks.NOT_VALIDATED, Looks.SURE, Looks.WITHIN_BAND]
    assert faces(rows) == [(Looks.NOT_VALIDATED.hatch, 0.3), ("", 0.4), ("", 0.5)]
    assert Looks.NOT_VALIDATED.hatch


def test_the_legend_lists_what_is_drawn_and_nothing_else() -> None:
    pale = labels([row("a", "below", 0.3), row("total", "below", 0.3)])
    assert pale == [
        f"faster than dense below this density, {Looks.NOT_VALIDATED.meaning}",
        "whole network, all pruned layers at one sparsity",
    ]
    assert labels([row("a", "never", certain=True), row("b", "kept"), row("total", "never")]) == [
        "never faster",
        "stays dense",
    ]
    assert labels([row("a", "never"), row("total", "never")]) == ["never faster: not validated"]
    always = labels([row("a", "always", 0.99, True), row("total", "never")])
    assert always[1] == "faster at every density probed, this being the largest"


@pytest.mark.parametrize(
    ("certain", "said"),
    [
        ((None, None), "Not validated: no measurements"),
        ((True, False), "Every sparse time drawn has an error band"),
        ((None, True), "Not validated, so hatched: unstructured. With an error band from measurements: channel."),
    ],
)
def test_the_line_under_the_title_says_what_is_validated(certain: tuple[bool | None, bool | None], said: str) -> None:
    rows = [row("a", "below", 0.3, certain[0]), row("a", "always", 0.9, certain[1], pattern="channel")]
    assert standing(rows).startswith(said)


def test_a_strip_without_a_bar_says_why() -> None:
    layers = [
        row("a", "kept", reason="first"),
        row("b", "never", reason=NO_KERNEL),
        row("c", "never", reason=NO_KERNEL),
    ]
    assert why_no_bar(layers) == NO_KERNEL
    assert why_no_bar([*layers, row("d", "never", reason="other")]) == f"no layer is faster; 2 of 3: {NO_KERNEL}"
    assert why_no_bar([*layers, row("d", "below", 0.1)]) == ""
    (axes,) = strips([*layers, row("total", "never")]).axes
    assert NO_KERNEL in [" ".join(words.get_text().split()) for words in axes.texts]


def test_the_axis_ends_above_every_bar_and_not_far_above() -> None:
    assert axis_top([row("a", "below", 0.1)]) == 0.2
    assert axis_top([row("a", "below", 0.44)]) == 0.5
    assert axis_top([row("a", "always", 0.99)]) == 1.0
    assert axis_top([row("a", "never")]) == 1.0
