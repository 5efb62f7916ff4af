"""The machine of arXiv 2112.10898 (issue 3): counts by hand, and the order of patterns at equal density."""

from __future__ import annotations

from functools import cache

import pytest

from benchmarks.paper_machine import (
    CASES,
    COLUMN,
    DENSE,
    PACKED,
    SPARSITIES,
    WIDTHS,
    Measured,
    all_cases,
    expected_cost,
    keeping,
    kept_weight,
    machine,
    measure,
    pruned,
)
from patterns.catalog import parse_pattern
from simulator.devices.gs_tcm_sve8 import GS_TCM_SVE8
from traces.workloads.catalog import built_in

LANES = 8
DENSE_GROUPS = {"spmv1024": 1024 * 1024 // LANES, "conv3x3_128": 6 * 6 * (3 * 3 * 128 * 128 // LANES)}
KEPT_GROUPS = {  # at 90 %
    "spmv1024": round(1024 * 1024 / LANES / 10),
    "conv3x3_128": 6 * 6 * round(3 * 3 * 128 * 128 / LANES / 10),
}
PRODUCTS = tuple(DENSE_GROUPS)


@cache
def cases(product: str, sparsity: float) -> dict[str, Measured]:
    return all_cases(built_in(product), sparsity)


def test_the_counts_of_the_issue_are_those_of_the_formulas() -> None:
    assert DENSE_GROUPS == {"spmv1024": 131_072, "conv3x3_128": 663_552}
    assert KEPT_GROUPS == {"spmv1024": 13_107, "conv3x3_128": 66_348}


@pytest.mark.parametrize("product", PRODUCTS)
def test_a_tenth_of_the_dense_multiply_adds_is_left_at_90_percent(product: str) -> None:
    found = cases(product, 0.9)
    assert found[DENSE.label].groups == DENSE_GROUPS[product]
    assert found["block 1x8"].groups == found["block 8x1"].groups == KEPT_GROUPS[product]
    # at equal density the last groups of GS are padded, never by more than a group a bundle
    bundles = {"spmv1024": 1024, "conv3x3_128": 6 * 6 * 128}[product]
    assert KEPT_GROUPS[product] <= found["GS(8,1)"].groups <= KEPT_GROUPS[product] + bundles // LANES
    assert KEPT_GROUPS[product] <= found["GS(8,8)"].groups <= KEPT_GROUPS[product] + bundles


@pytest.mark.parametrize("product", PRODUCTS)
@pytest.mark.parametrize("sparsity", SPARSITIES)
def test_block_is_no_slower_than_gs_and_gs_than_packed_unstructured_at_equal_density(
    product: str, sparsity: float
) -> None:
    found = cases(product, sparsity)
    for index in range(len(WIDTHS)):
        cycles = {label: measured.cycles[index] for label, measured in found.items()}
        assert cycles["block 8x1"] <= cycles["GS(8,1)"] <= cycles[PACKED.label]
        assert cycles["block 1x8"] <= cycles["GS(8,8)"] <= cycles[PACKED.label]
        assert all(cycles[case.label] < cycles[DENSE.label] for case in CASES if case is not DENSE)


@pytest.mark.parametrize("product", PRODUCTS)
@pytest.mark.parametrize("sparsity", SPARSITIES)
def test_packing_beats_column_order_where_conflicts_show_and_loses_where_instructions_hide_them(
    product: str, sparsity: float
) -> None:
    found = cases(product, sparsity)
    packed, column = found[PACKED.label], found[COLUMN.label]
    assert column.groups < packed.groups  # column order has no padding, but for the last group of a row
    hidden = [expected_cost(LANES, 4 // width) < 1.01 * 4 / width for width in WIDTHS]
    assert hidden == [True, False, False]  # E[max(load, 4)] = 4.01
    for index, hides in enumerate(hidden):
        assert (column.cycles[index] < packed.cycles[index]) == hides


@pytest.mark.parametrize("sparsity", SPARSITIES)
@pytest.mark.parametrize("pair", [("GS(8,1)", "GS(8,8)"), ("block 8x1", "block 1x8")])
def test_vertical_beats_horizontal_on_the_product_without_reuse(sparsity: float, pair: tuple[str, str]) -> None:
    found = cases("spmv1024", sparsity)
    vertical, horizontal = (found[label].cycles for label in pair)
    assert all(a < b for a, b in zip(vertical, horizontal, strict=True))


def test_at_equal_kept_weight_a_block_pattern_stays_denser_and_slower_than_gs() -> None:
    network = built_in("conv3x3_128")
    gs = pruned(network, "gs:8,1", 0.9)
    share = kept_weight(network, gs)
    blocks = keeping(network, "block:8x1", share)
    assert share <= kept_weight(network, blocks) <= share * 1.01
    assert gs.density is not None
    assert blocks.density is not None
    devices = [machine(width) for width in WIDTHS]
    ratio = [b / g for b, g in zip(measure(blocks, devices).cycles, measure(gs, devices).cycles, strict=True)]
    # cycles follow groups, and groups density: what a block pattern loses is what it must keep
    assert ratio == pytest.approx([blocks.density / gs.density] * len(WIDTHS), rel=0.01)
    assert min(ratio) > 1.5


def test_the_benchmark_at_eight_banks_and_the_preset_s_width_is_the_preset() -> None:
    assert GS_TCM_SVE8.core is not None
    assert machine(GS_TCM_SVE8.core.issue_width) == GS_TCM_SVE8


def test_every_case_is_a_pattern_that_there_is() -> None:
    assert [parse_pattern(case.spelling).spelling for case in CASES] == [case.spelling for case in CASES]
