"""What the drawings of encodings in docs/patterns.md show: the arrays that ``encode`` writes for a few weights.

A weight's value is its place, ``row * 10 + column`` (``row * 100 + column`` in a wider matrix), so that a reader sees
which weight a box holds. Numbers only; ``draw_patterns.py`` draws them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from pattern_panels import scores_of

from patterns.base import Mask, Pattern
from patterns.catalog import parse_pattern
from patterns.encodings.base import Encoded, Widths
from patterns.encodings.catalog import encoding
from patterns.encodings.fields import byte_count, unpack, unpack_rows
from patterns.encodings.kernel_pattern import SHAPE_BITS
from patterns.encodings.n_of_m import index_bits
from patterns.encodings.nested import encode_nested
from patterns.encodings.packed import PackedEncoding
from patterns.kernel_pattern import TAPS
from patterns.nesting import nested_masks

ROWS, COLUMNS, BANKS = 4, 8, 4
WIDTHS = Widths(value_bits=16, index_bits=16, pointer_bits=32)  # v, i and p of DESIGN section 4
PADDING, PLAIN = -1, -2  # classes of boxes that belong to no row

Values = npt.NDArray[np.uint16]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Strip:
    """One array, or one part of it that repeats: its fields as boxes. ``breaks``: boxes before which a unit starts."""

    name: str
    note: str
    boxes: list[str]
    classes: list[int]  # the row of each box's weight, PADDING or PLAIN
    breaks: list[int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """One matrix and the arrays that store it."""

    title: str
    subtitle: str
    matrix: list[list[str]]  # "" where nothing is kept
    strips: list[Strip]
    lines: tuple[list[int], list[int]]


@dataclass(frozen=True, slots=True, kw_only=True)
class LayoutSheet:
    """Layouts that share a picture."""

    name: str
    heading: str
    layouts: list[Layout]


def numbered(rows: int, columns: int) -> Values:
    """Return values [rows, columns] that say where they are."""
    step = 10 if columns <= 10 else 100
    return (np.arange(rows)[:, None] * step + np.arange(columns)).astype(np.uint16)


def _digits(columns: int) -> int:
    return 2 if columns <= 10 else 3


def mask_of(pattern: Pattern, rows: int, columns: int, sparsity: float, *, turned: bool = False) -> Mask:
    """Return a mask that leaves out weight 0, 0, whose value could not be told from padding."""
    scores = np.ascontiguousarray(scores_of(rows, columns)[:, ::-1] if turned else scores_of(rows, columns))
    scores[0, 0, 0] = 0
    return pattern.project(scores, sparsity)[0]


def fields(encoded: Encoded, name: str, bits: int, count: int | None = None) -> Ints:
    """Return the numbers of an array: all that its bytes hold unless ``count`` says how many."""
    data = encoded.arrays[name]
    return unpack(data, 8 * data.size // bits if count is None else count, bits).astype(np.int64)


def strip(
    encoded: Encoded, name: str, bits: int, count: int | None = None, owners: Ints | None = None,
    breaks: list[int] | None = None, width: int = 0,
) -> Strip:  # fmt: skip
    """Return array ``name`` as boxes of ``bits`` bits; ``owners``: the row of each box."""
    numbers = fields(encoded, name, bits, count)
    stored = encoded.arrays[name].size
    boxes = [f"{number:0{width}d}" if width else str(number) for number in numbers]
    classes = [PLAIN] * len(boxes) if owners is None else [int(row) for row in owners]
    boxes = ["0" if of == PADDING and width else box for box, of in zip(boxes, classes, strict=True)]
    note = f"{len(boxes)} x {bits} bits = {stored} B"
    return Strip(name=name, note=note, boxes=boxes, classes=classes, breaks=breaks or [])


def layout(
    encoded: Encoded, mask: Mask, strips: list[Strip], *, title: str = "", subtitle: str = "",
    lines: tuple[list[int], list[int]] = ([], []),
) -> Layout:  # fmt: skip
    digits = _digits(mask.shape[1])
    values = numbered(*mask.shape)
    cells = [
        [f"{value:0{digits}d}" if on else "" for value, on in zip(*pair, strict=True)]
        for pair in zip(values, mask, strict=True)
    ]
    size = f"{encoded.total_bytes} bytes"
    return Layout(
        title=title or encoded.encoding,
        subtitle=f"{subtitle}; {size}" if subtitle else size,
        matrix=cells,
        strips=strips,
        lines=lines,
    )


def rows_of(numbers: Ints, columns: int) -> Ints:
    """Return the row that each value names; 0 is padding."""
    return np.where(numbers == 0, PADDING, numbers // (10 if columns <= 10 else 100))


def simple(name: str, spelling: str = "unstructured", widths: Widths = WIDTHS, subtitle: str = "") -> Layout:
    """One of the encodings that hold any mask, all of the same mask."""
    pattern = parse_pattern(spelling)
    mask = np.ones((2, COLUMNS), dtype=np.bool_) if name == "dense" else mask_of(pattern, ROWS, COLUMNS, 0.7)
    encoded = encoding(name).encode(mask, numbered(*mask.shape), pattern, widths)
    values = fields(encoded, "values", WIDTHS.value_bits)
    owners = rows_of(values, COLUMNS)
    if name == "dense":
        owners = values // 10
    strips = [strip(encoded, "values", WIDTHS.value_bits, owners=owners, width=2)]
    for array in encoded.arrays:
        if array in ("indices", "rows", "columns"):
            strips.append(strip(encoded, array, encoded.widths.index, owners=owners))
        elif array == "pointers":
            strips.append(strip(encoded, array, encoded.widths.pointer_bits))
        elif array == "runs":
            strips.append(strip(encoded, array, encoded.widths.index, encoded.parameters["entries"], owners))
        elif array == "bits":
            of_row = np.repeat(np.arange(ROWS), COLUMNS)
            marked = np.where(fields(encoded, array, 1) > 0, of_row, PLAIN)
            strips.insert(0, strip(encoded, array, 1, owners=marked))
    return layout(encoded, mask, strips, subtitle=subtitle)


def two_of_four() -> Layout:
    pattern = parse_pattern("n_of_m:2,4")
    mask = mask_of(pattern, ROWS, COLUMNS, 0.5)
    encoded = encoding("n_of_m").encode(mask, numbered(*mask.shape), pattern, WIDTHS)
    owners = rows_of(fields(encoded, "values", WIDTHS.value_bits), COLUMNS)
    segments = list(range(2, len(owners), 2))
    strips = [
        strip(encoded, "values", WIDTHS.value_bits, owners=owners, breaks=segments, width=2),
        strip(encoded, "indices", index_bits(4), len(owners), owners, segments),
    ]
    return layout(encoded, mask, strips, title="n_of_m", subtitle=pattern.spelling, lines=([], [4]))


def blocks() -> Layout:
    pattern = parse_pattern("block:2x4")
    mask = mask_of(pattern, ROWS, COLUMNS, 0.5)
    encoded = encoding("bsr").encode(mask, numbered(*mask.shape), pattern, WIDTHS)
    values = fields(encoded, "values", WIDTHS.value_bits)
    strips = [
        strip(
            encoded, "values", WIDTHS.value_bits, owners=values // 10, breaks=list(range(8, len(values), 8)), width=2
        ),
        strip(encoded, "indices", WIDTHS.index),
        strip(encoded, "pointers", WIDTHS.pointer_bits),
    ]
    return layout(encoded, mask, strips, title="bsr", subtitle=pattern.spelling, lines=([2], [4]))


def kernels() -> Layout:
    pattern = parse_pattern("kernel_pattern")
    mask = mask_of(pattern, 3, TAPS * 2, 7 / 9)
    encoded = encoding("kernel_pattern").encode(mask, numbered(*mask.shape), pattern, WIDTHS)
    owners = fields(encoded, "values", WIDTHS.value_bits) // 100
    each = list(range(4, len(owners), 4))
    strips = [
        strip(encoded, "values", WIDTHS.value_bits, owners=owners, breaks=each, width=3),
        strip(encoded, "indices", WIDTHS.index, owners=owners[::4]),
        strip(encoded, "shapes", SHAPE_BITS, len(owners) // 4, owners[::4]),
        strip(encoded, "pointers", WIDTHS.pointer_bits),
    ]
    lines: tuple[list[int], list[int]] = ([], list(range(2, TAPS * 2, 2)))
    subtitle = "3 filters of 2 channels, a 3x3 kernel of each kept"
    return layout(encoded, mask, strips, subtitle=subtitle, lines=lines)


def joined(
    encoded: Encoded, mask: Mask, title: str, subtitle: str, pointers: tuple[str, ...] = ("pointers",)
) -> Layout:
    """Groups: B values, then their B indices, a box each."""
    v, i = encoded.widths.value_bits, encoded.widths.index
    banks = encoded.parameters["banks"]
    values_end, width = byte_count(banks, v), byte_count(banks, v) + byte_count(banks, i)
    data = encoded.arrays["groups"]
    both = data.reshape(-1, width)
    values = unpack_rows(both[:, :values_end], banks, v).astype(np.int64)
    indices = unpack_rows(both[:, values_end:], banks, i).astype(np.int64)
    owners = rows_of(values, mask.shape[1])
    digits = _digits(mask.shape[1])
    boxes, classes = [], []
    for group in range(len(both)):
        boxes += [f"{value:0{digits}d}" if value else "0" for value in values[group]]
        boxes += [str(index) for index in indices[group]]
        classes += [int(row) for row in owners[group]] * 2
    strips = []
    for start in range(0, len(boxes), 2 * 2 * banks):  # two groups a line
        end = min(start + 2 * 2 * banks, len(boxes))
        first, last = start // (2 * banks), end // (2 * banks) - 1
        strips.append(
            Strip(
                name=f"groups {first} to {last}" if last > first else f"group {first}",
                note=f"{last - first + 1} x {banks} x ({v} + {i}) bits = {(last - first + 1) * width} B",
                boxes=boxes[start:end],
                classes=classes[start:end],
                breaks=list(range(banks, end - start, banks)),
            )
        )
    strips += [strip(encoded, name, encoded.widths.pointer_bits) for name in pointers]
    if "rows" in encoded.arrays:
        strips.append(strip(encoded, "rows", i, owners=fields(encoded, "rows", i)))
    high = banks // encoded.parameters["k"]
    bundles = [] if "rows" in encoded.arrays else list(range(high, mask.shape[0], high))
    return layout(encoded, mask, strips, title=title, subtitle=subtitle, lines=(bundles, []))


def groups(spelling: str, *, turned: bool = False) -> Layout:
    """GS of its own B and k; ``turned``: the last row first, so that sorting the rows moves them."""
    pattern = parse_pattern(spelling)
    mask = mask_of(pattern, ROWS, COLUMNS, 0.7, turned=turned)
    encoded = encoding("gs").encode(mask, numbered(*mask.shape), pattern, WIDTHS)
    return joined(encoded, mask, "gs", spelling)


def packed() -> Layout:
    pattern = parse_pattern("unstructured")
    mask = mask_of(pattern, ROWS, COLUMNS, 0.7)
    member = PackedEncoding(banks=BANKS)
    encoded = member.encode(mask, numbered(*mask.shape), pattern, WIDTHS)
    order = "rows sorted" if "rows" in encoded.arrays else "rows as they are"
    subtitle = f"unstructured, {BANKS} banks: k = {encoded.parameters['k']}, {order}"
    return joined(encoded, mask, "packed", subtitle)


def nested() -> Layout:
    pattern = parse_pattern("unstructured")
    scores = scores_of(ROWS, COLUMNS)
    scores[0, 0, 0] = 0
    masks = [mask[0] for mask in nested_masks(pattern, scores, (0.85, 0.6))]
    encoded = encode_nested(masks, numbered(ROWS, COLUMNS), pattern, WIDTHS)
    owners = rows_of(fields(encoded, "values", WIDTHS.value_bits), COLUMNS)
    strips = [
        strip(encoded, "values", WIDTHS.value_bits, owners=owners, width=2),
        strip(encoded, "indices", WIDTHS.index, owners=owners),
        strip(encoded, "pointers", WIDTHS.pointer_bits),
        strip(encoded, "level1", WIDTHS.pointer_bits),
    ]
    subtitle = f"csr with two levels of {int(masks[0].sum())} and {int(masks[1].sum())} weights, unstructured"
    return layout(encoded, masks[-1], strips, title="nested", subtitle=subtitle)


def layout_sheets() -> list[LayoutSheet]:
    """Return all drawings of encodings."""
    runs = Widths(value_bits=16, index_bits=2, pointer_bits=32)
    return [
        LayoutSheet(
            name="encodings-any",
            heading="Encodings of any mask",
            layouts=[
                simple("dense", "dense", subtitle="two full rows"),
                *(simple(name) for name in ("csr", "csc", "coo", "ell", "bitmap")),
                simple("run_length", widths=runs, subtitle="runs of 2 bits: a 0 is put in after 3 zeros"),
            ],
        ),
        LayoutSheet(
            name="encodings-own",
            heading="Encodings of one pattern",
            layouts=[two_of_four(), blocks(), kernels()],
        ),
        LayoutSheet(
            name="encodings-groups",
            heading="Groups, and levels",
            layouts=[groups("gs:4,1"), groups("gs_scatter:4,2", turned=True), packed(), nested()],
        ),
    ]
