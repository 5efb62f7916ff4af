"""The headline facts of a run: which variant is fastest on each device, what it is compared with, how sure that is."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gatherline.report.columns import Row, complete_row
from gatherline.report.headline import DeviceHeadline, headline_facts
from gatherline.report.selection import SAME_SPARSITY

DENSE_S = 8.0


def total(pattern: str, sparsity: float | None, seconds: float | None, **more: object) -> Row:
    facts: dict[str, object] = {
        "layer": "total", "device": "phone", "device_kind": "mobile_cpu", "pattern": pattern,
        "sparsity_target": sparsity, "latency_s": seconds, "density": 1 - (sparsity or 0.0),
    }  # fmt: skip
    return complete_row({**facts, **more})


def band(low_s: float, high_s: float) -> dict[str, object]:
    return {"latency_low_s": low_s, "latency_high_s": high_s}


def fact(*rows: Row) -> DeviceHeadline:
    (found,) = headline_facts(rows)
    return found


DENSE = total("dense", None, DENSE_S)


def test_the_headline_of_a_device_is_its_fastest_variant_beside_dense() -> None:
    found = fact(DENSE, total("gs:16,1", 0.8, 3.0), total("block:4x1", 0.8, 2.0))
    assert (found.device, found.kind, found.best["pattern"], found.tried) == ("phone", "mobile_cpu", "block:4x1", 3)
    assert found.speed_up == DENSE_S / 2.0
    assert found.dense == DENSE
    assert not found.nothing_faster


def test_devices_stand_in_the_order_of_their_rows_and_do_not_mix() -> None:
    rows = [total("gs:16,1", 0.8, 3.0, device=name) for name in ("b", "a")] + [total("dense", None, 1.0, device="a")]
    assert [(one.device, one.best["pattern"], one.tried) for one in headline_facts(rows)] == [
        ("b", "gs:16,1", 1),
        ("a", "dense", 2),
    ]


def test_a_variant_that_only_ties_with_dense_is_no_reason_to_prune() -> None:
    found = fact(total("gs:16,1", 0.8, DENSE_S), DENSE)
    assert found.best_is_dense
    assert found.nothing_faster
    assert [row["pattern"] for row in found.ties] == ["gs:16,1"]
    assert found.speed_up == 1.0


def within(found: DeviceHeadline) -> list[tuple[float, object]]:
    return [(one.limit, one.verdict and one.verdict.best["pattern"]) for one in found.limits]


def test_every_sparsity_asked_is_a_limit_with_what_is_fastest_within_it() -> None:
    rows = [total("gs:16,1", 0.9, 2.0), total("block:4x1", 0.9, 1.0), DENSE, total("gs:16,1", 0.5, 4.0)]
    assert within(fact(*rows)) == [(0.5, "gs:16,1"), (0.9, "block:4x1")]
    assert not fact(*rows).beyond


def test_what_a_variant_removes_counts_and_not_what_was_asked_of_it() -> None:
    more = total("channel", 0.5, 2.0, sparsity_reached=0.69)
    found = fact(DENSE, more, total("gs:16,1", 0.7, 3.0, sparsity_reached=0.7 + 0.5 * SAME_SPARSITY))
    assert within(found) == [(0.5, "dense"), (0.7, "channel")]
    assert within(fact(more)) == [(0.5, None)]  # nothing that was run removes so little
    assert fact(more).beyond
    assert found.limits[1].verdict is not None
    assert found.limits[1].verdict.speed_up == DENSE_S / 2.0


@pytest.mark.parametrize(("high_s", "maybe"), [(6.0, True), (5.9, False)])
def test_bands_that_meet_let_the_best_be_no_faster(high_s: float, maybe: bool) -> None:
    found = fact(DENSE | band(6.0, 10.0), total("gs:16,1", 0.8, 2.0, **band(1.0, high_s)))
    assert found.may_be_no_faster is maybe
    assert not fact(DENSE, total("gs:16,1", 0.8, 2.0, **band(1.0, high_s))).may_be_no_faster


def test_the_band_of_a_speed_up_is_of_the_worst_over_the_best() -> None:
    found = fact(DENSE | band(6.0, 10.0), total("gs:16,1", 0.8, 2.0, **band(1.0, 4.0)))
    assert found.speed_up_band == (6.0 / 4.0, 10.0 / 1.0)
    assert found.certainty == "validated"
    assert found.validated


def test_a_speed_up_without_both_bands_has_none() -> None:
    found = fact(DENSE | band(6.0, 10.0), total("gs:16,1", 0.8, 2.0))
    assert found.band_s is None
    assert found.speed_up_band is None
    assert found.certainty == "partly validated"
    assert fact(DENSE, total("gs:16,1", 0.8, 2.0)).certainty == "not validated"


def test_sparse_layers_without_a_band_leave_a_verdict_partly_validated() -> None:
    sparse = complete_row(
        {"layer": "a", "device": "phone", "pattern": "gs:16,1", "sparsity_target": 0.8, "encoding": "gs"}
    )
    found = fact(DENSE | band(6.0, 10.0), sparse, total("gs:16,1", 0.8, 2.0, **band(1.0, 4.0)))
    assert found.certainty == "partly validated"
    assert [row["pattern"] for row in found.partly_banded] == ["gs:16,1"]


@pytest.mark.parametrize("extrapolated", [DENSE["pattern"], "gs:16,1"])
def test_a_verdict_is_extrapolated_where_either_side_is(extrapolated: str) -> None:
    rows = [DENSE, total("gs:16,1", 0.8, 2.0)]
    assert not fact(*rows).extrapolated
    assert fact(*(row | {"extrapolated": row["pattern"] == extrapolated} for row in rows)).extrapolated


def test_times_of_zero_and_infinity_make_no_ratio_of_nothing() -> None:
    found = fact(DENSE, total("gs:16,1", 0.8, 0.0), total("block:4x1", 0.8, math.inf))
    assert found.latency_s == 0.0
    assert found.speed_up is None
    assert headline_facts([total("gs:16,1", 0.8, math.inf), total("block:4x1", 0.8, None)]) == ()
    assert headline_facts([]) == ()


@settings(deadline=None)
@given(st.lists(st.floats(0.001, 1e6), min_size=1, max_size=8))
def test_nothing_among_the_totals_is_faster_than_the_best(seconds: list[float]) -> None:
    rows = [total("dense" if at == 0 else "gs:16,1", at / 10, one) for at, one in enumerate(seconds)]
    found = fact(*rows)
    assert found.latency_s == min(seconds)
    assert len(found.ties) + 1 == seconds.count(min(seconds))
    assert found.speed_up is not None
    assert found.speed_up >= 1.0
