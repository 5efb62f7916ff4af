"""The band of a network: sums of its layers' ends, what layers without one add, and when there is none."""

from __future__ import annotations

import pytest

from gatherline.total_band import LEAST_COVERED, extrapolated_note, total_band
from simulator.result import Counters, LayerResult


def layer(seconds: float, low: float | None = None, high: float | None = None, **other: object) -> LayerResult:
    facts: dict[str, object] = {
        "layer": "l", "kind": "conv2d", "m": 1, "k": 1, "p": 1, "groups": 1, "density": 1.0, "device": "d",
        "device_kind": "cpu", "model_kind": "roofline", "latency_s": seconds, "counters": Counters(),
        "latency_low_s": None if low is None else seconds * low,
        "latency_high_s": None if high is None else seconds * high,
        "validated": "not validated" if low is None else f"{low} to {high}",
    }  # fmt: skip
    return LayerResult(**{**facts, **other})  # type: ignore[arg-type]


def test_layers_of_one_family_keep_its_ratios() -> None:
    found = total_band([layer(1.0, 0.8, 1.5), layer(3.0, 0.8, 1.5)])
    assert (found.low_s, found.high_s) == (pytest.approx(4.0 * 0.8), pytest.approx(4.0 * 1.5))
    assert found.validated == "0.8 to 1.5"


def test_the_ends_of_two_families_add_up() -> None:
    found = total_band([layer(1.0, 0.5, 1.1), layer(3.0, 0.9, 2.0)])
    assert found.low_s == pytest.approx(1.0 * 0.5 + 3.0 * 0.9)
    assert found.high_s == pytest.approx(1.0 * 1.1 + 3.0 * 2.0)
    assert found.validated == "0.5 to 1.1; 0.9 to 2.0"


def test_a_layer_without_a_band_is_as_uncertain_as_the_worst_of_the_others() -> None:
    found = total_band([layer(1.0, 0.5, 1.1), layer(3.0, 0.9, 2.0), layer(2.0, kind="pool")])
    assert found.low_s == pytest.approx(1.0 * 0.5 + 3.0 * 0.9 + 2.0 * 0.5)
    assert found.high_s == pytest.approx(1.0 * 1.1 + 3.0 * 2.0 + 2.0 * 2.0)
    assert f"{(1.0 + 3.0) / 6.0:.0%} of the time; pool not validated" in found.validated


def test_bands_that_cover_too_little_of_the_time_make_no_band() -> None:
    most = layer(1.0, 0.5, 1.1)
    just = total_band([most, layer(1.0 / LEAST_COVERED - 1.0)])
    less = total_band([most, layer(1.0 / LEAST_COVERED - 0.9)])
    assert just.low_s is not None
    assert (less.low_s, less.high_s, less.validated) == (None, None, "not validated")
    assert "less than half" in less.note


def test_a_layer_that_takes_no_time_needs_no_band() -> None:
    assert total_band([layer(1.0, 0.5, 1.1), layer(0.0)]) == total_band([layer(1.0, 0.5, 1.1)])


def test_without_a_band_there_is_none_and_no_note() -> None:
    found = total_band([layer(1.0), layer(0.0)])
    assert (found.low_s, found.high_s, found.validated, found.note) == (None, None, "not validated", "")


def test_layers_beyond_what_was_validated_are_counted_and_the_first_are_named() -> None:
    far = [layer(1.0, layer=name, extrapolated=True) for name in "abcd"]
    assert extrapolated_note([*far, layer(1.0)]) == "extrapolated in 4 of 5 layers (a, b, c, ...)"
    assert extrapolated_note([layer(1.0)]) == ""
