"""Where a curve of latency over density crosses dense, and what is said of it. Curves here are made up."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from gatherline.advice.crossing import Probe, ends, next_target, settle
from gatherline.advice.verdict import answer

WEIGHTS = 10_000
DENSE_S = 1.0
STEPS = (0.1, 0.3, 0.5, 0.7, 0.9)


def probe(target: float, seconds: float, *, band: tuple[float, float] | None = None, kernel: str = "sparse") -> Probe:
    low, high = band or (None, None)
    return Probe(
        target=target,
        pattern="p",
        kept=round(target * WEIGHTS),
        masked=round(target * WEIGHTS),
        weights=WEIGHTS,
        latency_s=seconds,
        low_s=None if low is None else seconds * low,
        high_s=None if high is None else seconds * high,
        kernel=kernel,
    )


DENSE = probe(1.0, DENSE_S, kernel="dense")


def curve(seconds: Callable[[float], float], band: tuple[float, float] | None = None) -> dict[float, Probe]:
    return {target: probe(target, seconds(target), band=band) for target in STEPS}


def settled(seconds: Callable[[float], float], tolerance: float) -> dict[float, Probe]:
    curves = {"layer": curve(seconds)}
    settle(
        curves,
        {"layer": DENSE_S},
        lambda target, keys: {key: probe(target, seconds(target)) for key in keys},
        tolerance,
    )
    return curves["layer"]


@pytest.mark.parametrize("tolerance", [0.05, 0.005, 0.0005])
def test_a_crossing_lies_between_two_probes_that_are_as_near_as_asked(tolerance: float) -> None:
    last, first = ends(settled(lambda d: d / 0.617, tolerance), DENSE_S)
    assert last.target < 0.617 <= first.target
    assert first.target - last.target <= tolerance


def test_the_search_ends_at_the_first_crossing_though_the_pattern_is_faster_again_above() -> None:
    def seconds(density: float) -> float:
        return 2.0 if 0.4 < density < 0.6 else 0.5

    found = answer(settled(seconds, 0.001), DENSE)
    assert found.verdict == "below"
    assert found.density == pytest.approx(0.4, abs=0.001)
    assert found.slower_density == pytest.approx(0.4, abs=0.001)
    assert "faster again within 0.7 to 0.9" in found.reason


def test_a_probe_that_another_search_adds_can_end_the_run_earlier() -> None:
    curves = curve(lambda d: d / 0.8)
    assert next_target(curves, DENSE_S, 0.01) == pytest.approx((0.7 + 0.9) / 2)
    curves[0.4] = probe(0.4, 2.0)
    assert next_target(curves, DENSE_S, 0.01) == pytest.approx((0.3 + 0.4) / 2)


def test_as_fast_as_dense_is_not_faster() -> None:
    found = answer(curve(lambda _: DENSE_S), DENSE)
    assert found.verdict == "never"
    assert found.density is None


def test_faster_everywhere_is_always_and_names_the_densest_probed() -> None:
    found = answer(curve(lambda _: 0.5), DENSE)
    assert (found.verdict, found.density, found.slower_density) == ("always", STEPS[-1], None)


def test_faster_but_not_at_the_sparsest_has_no_density() -> None:
    found = answer(curve(lambda d: 0.5 if d == 0.5 else 2.0), DENSE)
    assert found.verdict == "scattered"
    assert found.density is None
    assert "faster at 0.5" in found.reason


def test_never_says_how_far_off_the_best_is() -> None:
    found = answer(curve(lambda d: 1.5 + d), DENSE)
    assert found.verdict == "never"
    assert f"at best {1.5 + STEPS[0]:.3g} times the dense latency, at density {STEPS[0]:.3g}" in found.reason


def test_a_mask_without_a_weight_does_not_count() -> None:
    curves = curve(lambda d: 1.5 + d)
    curves[0.00001] = probe(0.00001, 0.1)
    assert curves[0.00001].kept == 0
    assert answer(curves, DENSE).verdict == "never"


def test_an_answer_without_an_error_band_is_neither_certain_nor_not() -> None:
    found = answer(curve(lambda d: d), DENSE)
    assert (found.certain, found.certain_density) == (None, None)


def test_an_error_band_that_holds_the_dense_time_makes_the_answer_uncertain() -> None:
    found = answer(curve(lambda d: d / 0.8, band=(0.5, 2.0)), DENSE)
    assert found.density == 0.7
    assert found.certain is False  # 0.7 / 0.8 x 2 is above 1
    assert found.certain_density == 0.3  # 0.3 / 0.8 x 2 is below 1, 0.5 / 0.8 x 2 is not


def test_an_error_band_below_the_dense_time_makes_the_answer_certain() -> None:
    found = answer(curve(lambda d: 0.1 * d, band=(0.5, 2.0)), DENSE)
    assert found.certain is True
    assert found.certain_density == found.density == STEPS[-1]


def test_never_is_certain_only_if_the_fast_end_of_the_band_is_not_faster_either() -> None:
    assert answer(curve(lambda d: 3.0 + d, band=(0.5, 2.0)), DENSE).certain is True
    assert answer(curve(lambda d: 1.5 + d, band=(0.5, 2.0)), DENSE).certain is False


def test_never_is_certain_where_the_dense_kernel_itself_runs_every_mask() -> None:
    same = {target: probe(target, DENSE_S, band=(0.5, 2.0), kernel="dense") for target in STEPS}
    assert answer(same, DENSE).certain is True
