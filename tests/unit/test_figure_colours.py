"""Colours of heat maps: the same both ways, read by everyone, and an ink with enough contrast on each."""

from __future__ import annotations

import itertools

import pytest

from gatherline.report.figures.colours import SPEED_UP_STOPS, ink_on, luminance, rgb, speed_up_colour

INK_LIGHT = {"black": 0.0, "white": 1.0}
LEAST_CONTRAST = 4.5  # WCAG 2, level AA


@pytest.mark.parametrize("share", [at / 20 for at in range(-20, 21)])
def test_the_ink_of_a_cell_is_read_on_every_colour_of_the_scale(share: float) -> None:
    colour = rgb(speed_up_colour(share))
    dark, light = sorted((luminance(colour), INK_LIGHT[ink_on(colour)]))
    assert (light + 0.05) / (dark + 0.05) >= LEAST_CONTRAST


def test_the_ink_has_the_larger_contrast_where_a_threshold_of_brightness_chose_the_smaller() -> None:
    assert ink_on(rgb("#886f98")) == "black"
    assert ink_on(rgb("#6f5a80")) == "white"


def test_a_scale_darkens_from_dense_to_either_end_so_that_grey_print_keeps_the_order() -> None:
    assert [speed_up_colour(share) for share in (-1, -0.5, 0, 0.5, 1)] == list(SPEED_UP_STOPS)
    assert speed_up_colour(-7) == SPEED_UP_STOPS[0]
    assert speed_up_colour(7) == SPEED_UP_STOPS[-1]
    for end in (-1, 1):
        lights = [luminance(rgb(speed_up_colour(end * step / 10))) for step in range(11)]
        assert all(one > other for one, other in itertools.pairwise(lights))


def test_faster_and_slower_differ_for_eyes_without_red_or_green_receptors() -> None:
    for step in (2, 5, 10):
        slow, fast = (rgb(speed_up_colour(sign * step / 10)) for sign in (-1, 1))
        assert fast[2] - slow[2] > 0.15  # blue, which those eyes see
        assert (slow[0] + slow[1]) / 2 - slow[2] > 0.05 > (fast[0] + fast[1]) / 2 - fast[2]
