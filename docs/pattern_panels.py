"""What the drawings of patterns in docs/patterns.md show: masks of a few weights, projected from seeded scores.

Numbers and classes only; ``draw_patterns.py`` draws them, and a test compares them with what was drawn.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from patterns.base import Mask, Scores
from patterns.block import Block
from patterns.block_punched import BlockPunched
from patterns.catalog import parse_pattern
from patterns.channel_then import ChannelThen
from patterns.gs import GatherScatter
from patterns.gs_scatter import GatherScatterPermuted
from patterns.kernel_pattern import TAPS, KernelPattern
from patterns.nesting import nested_masks
from patterns.packing import group_counts, pack, row_order

ROWS, COLUMNS, BANKS = 8, 16, 4
FILTERS, CHANNELS = 4, 4
SPARSITY, KERNEL_SPARSITY = 0.75, 7 / 9
LEVELS = (0.875, 0.75, 0.5)
REMOVED = -1

Classes = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """One mask. ``classes`` [m][k]: the colour of each weight, -1 where it is removed; ``marks`` [m][k]: its number.

    ``row_notes``: (first row, past the last, text) at the right; ``lines``: (rows, columns) before which units start.
    """

    title: str
    subtitle: str
    classes: list[list[int]]
    marks: list[list[str]]
    row_labels: list[str]
    column_labels: list[str]
    row_notes: list[tuple[int, int, str]]
    lines: tuple[list[int], list[int]] = ([], [])
    legend: list[tuple[int, str]] = field(default_factory=list)
    marks_are: str = ""
    notes_are: str = ""
    kernels: bool = False  # columns are taps x channels, and the drawing shows the 3x3 kernels too


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    """Panels that share a picture."""

    name: str
    heading: str
    across: int
    panels: list[Panel]


def scores_of(rows: int, columns: int) -> Scores:
    """Return |w| of Gaussian weights whose rows differ in size, as those of trained networks do."""
    rng = np.random.default_rng(2021)
    sizes = rng.uniform(0.6, 1.4, (1, rows, 1))
    return np.abs(rng.standard_normal((1, rows, columns)) * sizes).astype(np.float32)


def projected(spelling: str) -> Mask:
    """Return the mask [8, 16] that a pattern keeps of the scores all panels share."""
    return parse_pattern(spelling).project(scores_of(ROWS, COLUMNS), SPARSITY)[0]


def panel(
    title: str,
    mask: Mask,
    classes: Classes,
    marks: Classes,
    *,
    subtitle: str = "",
    rows: Classes | None = None,
    notes: list[tuple[int, int, str]] | None = None,
    lines: tuple[list[int], list[int]] = ([], []),
    legend: list[tuple[int, str]] | None = None,
    marks_are: str = "",
    kernels: bool = False,
) -> Panel:
    """Return a panel of mask [m, k], its rows in the order ``rows`` and, unless told, noted with what they keep."""
    order = np.arange(len(mask)) if rows is None else rows
    kept = np.count_nonzero(mask, axis=1)
    counts = [(at, at + 1, str(kept[row])) for at, row in enumerate(order)]
    density = f"{int(mask.sum())} of {mask.size} kept"
    return Panel(
        title=title,
        subtitle=f"{density}; {subtitle}" if subtitle else density,
        classes=np.where(mask, classes, REMOVED)[order].tolist(),
        marks=[[str(mark) if on else "" for mark, on in zip(marks[row], mask[row], strict=True)] for row in order],
        row_labels=[str(row) for row in order],
        column_labels=[str(column) for column in range(mask.shape[1])],
        row_notes=counts if notes is None else notes,
        lines=lines,
        legend=legend or [],
        marks_are=marks_are,
        notes_are="kept" if notes is None else "",
        kernels=kernels,
    )


def bank_legend() -> list[tuple[int, str]]:
    return [(bank, f"bank {bank}") for bank in range(BANKS)]


def by_bank(spelling: str) -> Panel:
    """Each weight in the colour and with the number of its bank, column mod B; rows noted with what they keep."""
    mask = projected(spelling)
    banks = np.broadcast_to(np.arange(COLUMNS) % BANKS, mask.shape)
    loads = ", ".join(str(int(mask[:, bank::BANKS].sum())) for bank in range(BANKS))
    return panel(
        spelling, mask, banks, banks, subtitle=f"banks hold {loads}", legend=bank_legend(), marks_are="number: bank"
    )


def by_segment(spelling: str, width: int, name: str) -> Panel:
    """Each weight in the colour of its segment of ``width`` columns."""
    mask = projected(spelling)
    segments = np.broadcast_to(np.arange(COLUMNS) // width, mask.shape)
    legend = [(at, f"{name} {at}") for at in range(COLUMNS // width)]
    lines: tuple[list[int], list[int]] = ([], list(range(width, COLUMNS, width)))
    return panel(spelling, mask, segments, segments, lines=lines, legend=legend, marks_are=f"number: {name}")


def by_tile(spelling: str, height: int, width: int) -> Panel:
    """Each weight in the colour of its tile, four colours by turns; numbered along the rows of tiles."""
    mask = projected(spelling)
    row, column = np.indices(mask.shape)
    high, wide = row // height, column // width
    lines = (list(range(height, ROWS, height)), list(range(width, COLUMNS, width)))
    number = high * (COLUMNS // width) + wide
    tile = "tile" if "both" in spelling else "block"
    return panel(spelling, mask, (wide + 2 * high) % 4, number, lines=lines, marks_are=f"number: {tile}")


def channels() -> Panel:
    mask = projected("channel")
    row = np.broadcast_to(np.arange(ROWS)[:, None], mask.shape)
    lines: tuple[list[int], list[int]] = (list(range(1, ROWS)), [])
    return panel("channel", mask, row % 4, row, lines=lines, marks_are="number: channel (row)")


def grouped(spelling: str) -> Panel:
    """Each weight in the colour of its bank with the number of its group in the bundle; rows as bundles take them."""
    pattern = parse_pattern(spelling)
    mask = projected(spelling)
    rule = pattern.rule if isinstance(pattern, ChannelThen) else pattern
    assert isinstance(rule, GatherScatter | GatherScatterPermuted)
    of_column = np.arange(COLUMNS, dtype=np.int64) % BANKS
    stay = np.arange(ROWS) if rule is pattern else np.flatnonzero(mask.any(axis=1))
    order = stay[row_order(mask[stay], sort=isinstance(rule, GatherScatterPermuted))]
    packing = pack(mask[order], of_column, rule.banks, rule.k)
    counts = group_counts(mask[order], of_column, rule.banks, rule.k)
    group = np.repeat(np.arange(packing.groups), np.diff(packing.group_ptr))
    first = np.repeat(np.cumsum(counts) - counts, counts)
    marks = np.zeros(mask.shape, dtype=np.int64)
    marks[order[packing.row], packing.column] = group - first[group]
    high = rule.rows_per_bundle
    notes = [
        (at * high, min((at + 1) * high, len(order)), f"{count} group" + ("s" if count != 1 else ""))
        for at, count in enumerate(counts)
    ]
    gone = np.setdiff1d(np.arange(ROWS), order)
    if len(gone):
        notes.append((len(order), ROWS, "removed"))
    rows = np.concatenate([order, gone])
    bounds = [*range(high, len(order), high), *([len(order)] if len(gone) else [])]
    fill = int(mask.sum()) / packing.slots
    return panel(
        spelling,
        mask,
        np.broadcast_to(of_column, mask.shape),
        marks,
        subtitle=f"{packing.groups} groups of {rule.banks}, fill {fill:g}",
        rows=rows,
        notes=notes,
        lines=(bounds, []),
        legend=bank_legend(),
        marks_are="number: group in its bundle",
    )


def levels() -> Panel:
    """Three masks, each within the next: every weight in the colour of the sparsest level that keeps it."""
    pattern = parse_pattern("gs:4,1")
    masks = nested_masks(pattern, scores_of(ROWS, COLUMNS), LEVELS)
    level = np.zeros((ROWS, COLUMNS), dtype=np.int64)
    for at in range(len(masks), 0, -1):
        level[masks[at - 1][0]] = at
    legend = [(at, f"level {at + 1}: {int(mask.sum())}") for at, mask in enumerate(masks)]
    return panel(
        f"{pattern.spelling}, levels {', '.join(map(str, LEVELS))}",
        masks[-1][0],
        level - 1,
        level,
        subtitle="level 3 is all of them; each level obeys",
        lines=([BANKS], []),
        legend=legend,
        marks_are="number: first level that keeps it",
    )


def punched() -> Panel:
    rule = BlockPunched(height=2, width=2)
    mask = rule.project(scores_of(FILTERS, TAPS * CHANNELS), KERNEL_SPARSITY)[0]
    row, column = np.indices(mask.shape)
    block = row // 2 * 2 + column % CHANNELS // 2
    stored = rule.stored_as(TAPS * CHANNELS)
    assert isinstance(stored, Block)
    return panel(
        rule.spelling,
        mask,
        block,
        block,
        subtitle="a position stays in all kernels of a block or in none",
        lines=([2], list(range(CHANNELS, TAPS * CHANNELS, CHANNELS))),
        legend=[(at, f"block {at}") for at in range(4)],
        marks_are="number: block of 2 filters by 2 channels",
        kernels=True,
    )


def shaped() -> Panel:
    rule = KernelPattern()
    mask = rule.project(scores_of(FILTERS, TAPS * CHANNELS), KERNEL_SPARSITY)[0]
    shapes = np.tile(rule.shape_ids(mask).astype(np.int64), (1, TAPS))
    return panel(
        rule.spelling,
        mask,
        shapes,
        shapes,
        subtitle="4 of 9 in one of 8 shapes, 2 kernels a filter",
        lines=([], list(range(CHANNELS, TAPS * CHANNELS, CHANNELS))),
        legend=[(int(at), f"shape {at}") for at in np.unique(shapes[mask])],
        marks_are="number: shape",
        kernels=True,
    )


def pattern_sheets() -> list[Sheet]:
    """Return all drawings of patterns."""
    shared = f"the same {ROWS} x {COLUMNS} scores, asked sparsity {SPARSITY:g}"
    return [
        Sheet(
            name="rows",
            heading=f"Free choice, and rows that keep equally many: {shared}",
            across=2,
            panels=[
                by_bank("dense"),
                by_bank("unstructured"),
                by_bank("filter_balanced"),
                by_segment("bank_balanced:4", 4, "segment"),
            ],
        ),
        Sheet(
            name="units",
            heading=f"N of M, blocks and channels: {shared}",
            across=2,
            panels=[
                by_segment("n_of_m:2,4", 4, "segment"),
                by_tile("n_of_m_both:2,4", 4, 4),
                by_tile("block:2x4", 2, 4),
                channels(),
            ],
        ),
        Sheet(
            name="kernels",
            heading=f"Patterns of 3x3 kernels: {FILTERS} filters of {CHANNELS} channels, 2 of 9 weights asked for",
            across=1,
            panels=[punched(), shaped()],
        ),
        Sheet(
            name="gs",
            heading=f"Gather-scatter: {shared}, {BANKS} banks",
            across=2,
            panels=[
                *(grouped(spelling) for spelling in ("gs:4,4", "gs:4,2", "gs:4,1", "gs_scatter:4,1")),
                grouped("channel:0.5+gs:4,1"),
                levels(),
            ],
        ),
    ]
