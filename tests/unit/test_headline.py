"""The headline facts of a run: which variant is fastest on each device, what it is compared with, how sure that is."""

from __future__ import annotations

import io
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gatherline.report.columns import Row, complete_row
from gatherline.report.headline import ALIKE, DeviceHeadline, headline_facts
from gatherline.report.headline_table import best_label
from gatherline.report.page.headline_section import choices_data, headline_section
from gatherline.report.page.layers_section import layers_section
from gatherline.report.page.results import by_device
from gatherline.report.remarks import headline, removed_share
from gatherline.report.selection import SAME_SPARSITY, bands_overlap, percent, shortened, speed_up, times, variant
from gatherline.report.table import print_report
from tests.unit.report_rows import rows_of

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


def test_a_speed_up_without_both_bands_has_none() -> None:
    found = fact(DENSE | band(6.0, 10.0), total("gs:16,1", 0.8, 2.0))
    assert found.band_s is None
    assert found.speed_up_band is None
    assert found.certainty == "not validated"  # whatever dense has
    assert found.mixed
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
    assert found.latency_s == min(seconds) or found.latency_s < ALIKE * min(seconds)
    assert len(found.ties) + 1 == sum(one == min(seconds) or one < ALIKE * min(seconds) for one in seconds)
    assert found.speed_up is not None
    assert found.speed_up >= 1.0


def test_what_is_within_a_percent_is_alike_and_the_least_restricting_is_named() -> None:
    rows = [
        DENSE, total("gs:16,1", 0.9, 2.0), total("block:4x1", 0.9, 2.0 * 1.009),
        total("unstructured", 0.9, 2.0 * 1.002), total("block:4x4", 0.9, 2.0 * 1.02),
    ]  # fmt: skip
    found = fact(*rows)
    assert found.best["pattern"] == "unstructured"
    assert [row["pattern"] for row in found.ties] == ["gs:16,1", "block:4x1"]
    assert best_label(found) == "unstructured at 90 % (+2 alike)"


def test_dense_is_best_where_it_is_last_and_within_a_percent_and_the_sentence_says_by_how_much() -> None:
    found = fact(total("gs:16,1", 0.8, DENSE_S / 1.005), DENSE)
    assert found.nothing_faster
    assert (
        headline(found)
        == "phone: nothing that was tried is faster than dense by 1 % or more (8,000 ms) (not validated)."
    )
    exact = headline(fact(total("gs:16,1", 0.8, DENSE_S), DENSE))
    assert exact == "phone: nothing that was tried is faster than dense (8,000 ms) (not validated)."


def test_times_that_are_all_zero_tell_nothing_about_dense() -> None:
    found = fact(total("gs:16,1", 0.8, 0.0), DENSE | {"latency_s": 0.0})
    assert found.best_is_dense
    assert not found.nothing_faster


def test_a_speed_up_that_no_number_holds_is_none() -> None:
    found = fact(DENSE, total("gs:16,1", 0.8, 5e-324))
    assert found.speed_up is None
    assert times(speed_up(DENSE_S, 5e-324)) == times(math.inf) == "-"


def test_a_speed_up_is_told_with_what_both_bands_leave_of_it() -> None:
    found = fact(DENSE | band(6.0, 10.0), total("gs:16,1", 0.8, 2.0, **band(1.0, 4.0)))
    assert f"{8 / 2:.2f}x dense, {6 / 4:.2f}x to {10 / 1:.2f}x if errors are independent" in headline(found)


@pytest.mark.parametrize(("factor", "words"), [
    (1.0, "1.00x"), (1.004, "1.004x"), (1.00001, "1.00001x"), (1.0 + 1e-9, "about 1x"), (0.004, "0.004x"),
    (1234.4, "1,234x"), (2.5, "2.50x"), (None, "-"),
])  # fmt: skip
def test_a_speed_up_reads_as_one_only_where_it_is_one(factor: float | None, words: str) -> None:
    assert times(factor) == words
    assert times(factor, "\N{MULTIPLICATION SIGN}") == words.replace("x", "\N{MULTIPLICATION SIGN}")


def test_what_is_not_all_does_not_read_as_all() -> None:
    shares = (1.0, 0.9999, 0.99999, 0.9996, 0.9, 0.686, 1.5, 1.0 - 1e-12)
    assert [percent(one) for one in shares] == [
        "100 %", "99.99 %", "99.999 %", "99.96 %", "90 %", "68.6 %", "150 %", "100 %"
    ]  # fmt: skip
    assert removed_share(0.9999, 0.9) == "99.99 %"


def test_a_name_is_cut_in_its_middle_and_stays_as_it_was_written() -> None:
    assert shortened("模型 cost $5", 40) == "模型 cost $5"
    long = "a" * 30 + "b" * 30
    assert shortened(long, 20) == "a" * 8 + "..." + "b" * 9
    assert bands_overlap((1.0, 2.0), (2.0, 3.0))
    assert not bands_overlap((1.0, 2.0), (2.1, 3.0))


def test_page_and_terminal_name_the_same_best_where_dense_comes_last() -> None:
    """Dense ties on one device, and what is fastest by less than a percent is not named on the other."""
    rows = [
        total("gs:16,1", 0.9, DENSE_S), DENSE,
        total("gs:16,1", 0.9, 2.0, device="chip"), total("unstructured", 0.9, 2.0 * 1.001, device="chip"),
        total("dense", None, DENSE_S, device="chip"),
    ]  # fmt: skip
    of_layers = [{**row, "layer": "conv1"} for row in rows]
    every = [*of_layers, *rows]
    facts = headline_facts(every)
    best = [variant(one.best) for one in facts]
    assert [one.pattern for one in best] == ["dense", "unstructured"]
    found = by_device(every, {})
    data = layers_section(every, {})["data"]
    assert [data["variants"][one["best"]]["pattern"] for one in data["devices"]] == ["dense", "unstructured"]
    cards = headline_section(found, facts)["cards"]
    assert [card["answers"][0]["nothing_gains"] for card in cards] == [True, False]
    assert cards[1]["answers"][0]["name"].startswith("unstructured, 90")
    assert [of_limits[0]["pattern"] for of_limits in choices_data(found, facts)["best"]] == [
        "dense", "unstructured"
    ]  # fmt: skip
    stream = io.StringIO()
    print_report(every, stream)
    told = stream.getvalue()
    assert "phone: nothing that was tried is faster than dense" in told
    assert "chip: fastest are, alike, unstructured at 90 %, gs:16,1 at 90 %" in told


def test_the_page_explains_what_asked_means_by_a_variant_that_it_shows_and_only_then() -> None:
    def section(reached: float) -> dict[str, object]:
        totals = [row for row in rows_of((("dense", None), ("gs:16,1", 0.5))) if row["layer"] == "total"]
        dense, sparse = (row for row in totals if row["device"] == "gs-tcm")
        channel = dict(sparse) | {"pattern": "channel", "latency_s": 1e-6, "sparsity_reached": reached}
        rows = [dense, channel]
        return headline_section(by_device(rows, {}), headline_facts(rows))

    assert section(0.69)["asked_otherwise"] == "channel, 69 % removed (50 % asked)"
    assert section(0.5)["asked_otherwise"] == ""
