"""The tables of docs/patterns.md, made by the code: each stands between ``<!-- made: NAME -->`` and ``<!-- end -->``.

Weights are Gaussian, 1024 x 1024, from seed 0; patterns of 3x3 kernels get 1024 filters of 113 channels, which is about
as many. Fast enough for a test; what takes longer is in ``benchmarks/``.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache

import numpy as np

from patterns.base import Mask, Pattern, Scores
from patterns.block import Block
from patterns.catalog import ALL_PATTERNS, PatternKind, parse_pattern
from patterns.channel import Channel
from patterns.channel_then import ChannelThen
from patterns.encodings.base import EncodedSize, Widths
from patterns.encodings.catalog import ALL_ENCODINGS, encoding
from patterns.encodings.nested import PREFIX_ENCODINGS, nested_size
from patterns.gs import GatherScatter
from patterns.kernel_pattern import TAPS
from patterns.nesting import nested_masks

MADE = re.compile(r"(<!-- made: ([a-z0-9_+ ]+) -->\n)(.*?)(<!-- end -->)", re.DOTALL)
SIDE, SPARSITY = 1024, 0.9
OF_KERNELS = ("kernel_pattern", "block_punched")
WIDTHS = Widths(value_bits=16, index_bits=16, pointer_bits=32)
VALUE, INDEX, POINTER = (bits // 8 for bits in (WIDTHS.value_bits, WIDTHS.index, WIDTHS.pointer_bits))
LEVELS = (0.95, 0.9, 0.8)

FORMULAS = {
    "dense": ("rows x columns x v", "full masks"),
    "csr": ("kept x (v + i) + (rows + 1) x p", "any mask"),
    "packed": ("groups x B x (v + i) + (bundles + 1) x p, rows x i more if sorted", "any mask"),
    "bsr": ("blocks x (h x w x v + i) + (block rows + 1) x p", "`block`, `block_punched`"),
    "bitmap": ("kept x v + rows x columns bits", "any mask"),
    "run_length": ("entries x (v + i), entries = kept + inserted zeros", "any mask"),
    "ell": ("rows x longest row x (v + i)", "any mask"),
    "coo": ("kept x (v + 2 i)", "any mask"),
    "csc": ("kept x (v + i) + (columns + 1) x p", "any mask"),
    "n_of_m": ("segments x N x (v + ceil(log2 M) bits)", "`n_of_m`, `n_of_m_both`"),
    "gs": ("groups x B x (v + i) + (bundles + 1) x p, `gs_scatter` + rows x i", "any mask, at the pattern's B and k"),
    "kernel_pattern": ("kernels x (4 v + i + 3 bits) + (rows + 1) x p", "`kernel_pattern`"),
    "nested": ("the densest level + (units + 1) x p for each other level", "masks within each other"),
}
PATTERN_OF = {
    "dense": "dense",
    "n_of_m": "n_of_m:2,4",
    "bsr": "block:1x16",
    "gs": "gs:16,1",
    "kernel_pattern": "kernel_pattern",
    "nested": "gs:16,1",
}
COMPARED = (
    "unstructured", "gs_scatter:16,1", "gs:8,1", "gs:8,1,greedy", "gs:16,1", "gs:16,1,greedy", "gs:16,4", "gs:8,8",
    "gs:16,16", "filter_balanced", "bank_balanced:16", "block:1x8", "block:8x1", "block:1x16", "block:4x4",
)  # fmt: skip
NESTED = ("unstructured", "block:1x16", "gs:16,1", "gs_scatter:16,1", "kernel_pattern")


def markdown(header: str, rows: list[list[object]]) -> str:
    """Return a table; the columns whose name ends on ``:`` are aligned to the right."""
    names = header.split(" | ")
    lines = [[name.rstrip(":") for name in names], ["---:" if name.endswith(":") else "---" for name in names]]
    lines += [[f"{cell:,}" if isinstance(cell, int) else str(cell) for cell in row] for row in rows]
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)


@lru_cache(maxsize=2)
def scores_of(kernels: bool) -> Scores:
    """Return |w| of the weights that all tables share."""
    columns = SIDE // TAPS * TAPS if kernels else SIDE
    return np.abs(np.random.default_rng(0).standard_normal((1, SIDE, columns)).astype(np.float32))


def scores_for(pattern: Pattern) -> Scores:
    return scores_of(pattern.spelling.partition(":")[0] in OF_KERNELS)


@lru_cache(maxsize=64)
def mask_of(spelling: str, sparsity: float = SPARSITY) -> Mask:
    pattern = parse_pattern(spelling)
    return pattern.project(scores_for(pattern), sparsity)[0]


@lru_cache(maxsize=2)
def falling_sums(kernels: bool) -> np.ndarray:
    """Return the sums of the largest 1, 2, 3, ... of |w|."""
    return np.cumsum(np.sort(scores_of(kernels).reshape(-1).astype(np.float64))[::-1])


def weight_kept(spelling: str, sparsity: float = SPARSITY) -> tuple[int, float, float]:
    """Return the kept weights, their share of the sum of |w|, and that over what as many chosen freely keep."""
    pattern, mask = parse_pattern(spelling), mask_of(spelling, sparsity)
    scores = scores_for(pattern)[0]
    sums = falling_sums(scores.shape[1] != SIDE)
    kept, weight = int(np.count_nonzero(mask)), float(scores[mask].astype(np.float64).sum())
    return kept, weight / float(sums[-1]), weight / float(sums[kept - 1])


def stored(spelling: str) -> tuple[str, EncodedSize]:
    """Return the encoding that a pattern takes and its size, a layer that lost channels being smaller."""
    pattern, mask = parse_pattern(spelling), mask_of(spelling)
    if isinstance(pattern, Channel | ChannelThen):
        mask = np.ascontiguousarray(mask[mask.any(axis=1)])
        pattern = pattern.rule if isinstance(pattern, ChannelThen) else pattern
    name = pattern.default_encoding
    return name, encoding(name).size(mask, pattern, WIDTHS)


def kind_note(kind: PatternKind) -> str:
    """Return the facts of a pattern that the catalog knows."""
    pattern = parse_pattern(kind.example)
    name, _ = stored(kind.example)
    if kind.joined:
        stores, nests = "that of P", "levels nest where R is stated and P's do"
    else:
        stores, nests = f"`{name}`", "levels nest" if pattern.nests else "levels do not nest"
    if pattern.fixes_density:
        nests = "the rule fixes the density, so a network has one level of it"
    return f"Spelled `{kind.syntax}`; own encoding {stores}; {nests}. Source: {kind.source}.\n"


def glance_table() -> str:
    rows: list[list[object]] = []
    for kind in ALL_PATTERNS:
        kept, share, of_free = weight_kept(kind.example)
        name, size = stored(kind.example)
        dense = encoding("dense").size(mask_of(kind.example), parse_pattern("dense"), WIDTHS).total_bytes
        padding = size.slots - kept
        rows.append([
            f"`{kind.example}`", kept, f"{share:.4f}", f"{of_free:.4f}", f"`{name}`", size.slots, padding,
            size.total_bytes, f"{size.total_bytes / dense:.3f}",
        ])  # fmt: skip
    return markdown(
        "pattern | kept: | of sum \\|w\\|: | of free: | stored as | slots: | padding: | bytes: | of dense:", rows
    )


def kept_table() -> str:
    rows: list[list[object]] = []
    for spelling in COMPARED:
        kept, share, of_free = weight_kept(spelling)
        rows.append([f"`{spelling}`", kept, f"{kept / SIDE**2:.4f}", f"{share:.4f}", f"{of_free:.4f}"])
    return markdown("pattern | kept: | density: | of sum \\|w\\|: | of free:", rows)


def strict_gs(groups: int, banks: int, k: int) -> Mask:
    """Return a strictly GS(banks, k) mask of 1024 x 1024 with ``groups`` groups, dealt to the bundles in turn."""
    high = banks // k
    bundles = SIDE // high
    mask = np.zeros((SIDE, SIDE), dtype=np.bool_)
    group, lane = np.meshgrid(np.arange(groups), np.arange(banks), indexing="ij")
    bundle, turn = group % bundles, group // bundles
    column = turn // high * banks + (lane + turn % high * k) % banks
    mask[bundle * high + lane // k, column] = True
    return mask


def whole_blocks(blocks: int, rule: Block) -> Mask:
    """Return a mask of 1024 x 1024 that keeps the first ``blocks`` blocks."""
    high, wide = rule.grid(SIDE, SIDE)
    kept = (np.arange(high * wide) < blocks).reshape(high, wide)
    return np.ascontiguousarray(np.repeat(np.repeat(kept, rule.height, axis=0), rule.width, axis=1))


def size_table() -> str:
    """The sizes of DESIGN section 4."""
    kept = round((1 - SPARSITY) * SIDE * SIDE)
    free = (np.arange(SIDE * SIDE) < kept).reshape(SIDE, SIDE)
    rows: list[list[object]] = []

    def add(name: str, what: str, pattern: Pattern, mask: Mask, formula: str) -> None:
        rows.append([f"`{name}`", what, formula, encoding(name).size(mask, pattern, WIDTHS).total_bytes])

    full = np.ones((SIDE, SIDE), dtype=np.bool_)
    add("dense", "all", parse_pattern("dense"), full, f"{SIDE * SIDE:,} x {VALUE}")
    formula = f"{kept:,} x ({VALUE} + {INDEX}) + {SIDE + 1:,} x {POINTER}"
    add("csr", f"90 %: {kept:,} kept", parse_pattern("unstructured"), free, formula)
    for groups, k, percent in ((13_107, 8, 90), (13_107, 1, 90), (26_214, 1, 80), (6_553, 1, 95)):
        rule = GatherScatter(banks=8, k=k)
        formula = f"{groups:,} x 8 x ({VALUE} + {INDEX}) + {SIDE // rule.rows_per_bundle + 1:,} x {POINTER}"
        add("gs", f"GS(8,{k}), {percent} %: {groups:,} groups", rule, strict_gs(groups, 8, k), formula)
    for height, width in ((1, 8), (8, 1)):
        block = Block(height=height, width=width)
        formula = f"13,107 x (8 x {VALUE} + {INDEX}) + {SIDE // height + 1:,} x {POINTER}"
        add("bsr", f"{height}x{width}, 90 %: 13,107 blocks", block, whole_blocks(13_107, block), formula)
    return markdown("encoding | mask | sum | bytes:", rows)


def encoding_table() -> str:
    """Every encoding of the catalog at several widths."""
    rows: list[list[object]] = []
    for member in ALL_ENCODINGS:
        spelling = PATTERN_OF.get(member.name, "unstructured")
        pattern, mask = parse_pattern(spelling), mask_of(spelling)
        size = member.size(mask, pattern, WIDTHS)
        narrow = [
            member.size(mask, pattern, Widths(value_bits=bits, index_bits="minimal")).total_bytes for bits in (16, 8, 4)
        ]
        formula, holds = FORMULAS[member.name]
        kept = int(np.count_nonzero(mask))
        rows.append([f"`{member.name}`", formula, holds, f"`{spelling}`", kept, size.slots, size.total_bytes, *narrow])
    return markdown(
        "encoding | size | holds | mask here | kept: | slots: | bytes, v 16, i 16: | v 16, i least: | v 8, i least: | "
        "v 4, i least:",
        rows,
    )


def nested_table() -> str:
    rows: list[list[object]] = []
    for spelling in NESTED:
        pattern = parse_pattern(spelling)
        masks = [mask[0] for mask in nested_masks(pattern, scores_for(pattern), LEVELS)]
        able = [member.name for member in PREFIX_ENCODINGS]
        name = pattern.default_encoding if pattern.default_encoding in able else "csr"
        name = "csr" if name == "packed" else name
        alone = [encoding(name).size(mask, pattern, WIDTHS).total_bytes for mask in masks]
        together = nested_size(masks, pattern, WIDTHS, encoding=name).total_bytes
        added = together - alone[-1]
        units, odd = divmod(added, (len(masks) - 1) * POINTER)
        assert not odd
        sums = f"2 x {units:,} x {POINTER}"
        kept = ", ".join(f"{int(np.count_nonzero(mask)):,}" for mask in masks)
        rows.append([f"`{spelling}`", f"`{name}`", kept, sum(alone), alone[-1], together, f"{added:,} = {sums}"])
    return markdown(
        "pattern | encoding | kept, levels 1 to 3 | three files: | densest alone: | nested: | more than the densest:",
        rows,
    )


TABLES: dict[str, Callable[[], str]] = {
    "glance": glance_table,
    "kept": kept_table,
    "sizes": size_table,
    "encodings": encoding_table,
    "nested": nested_table,
    **{f"pattern {kind.name}": (lambda kind=kind: kind_note(kind)) for kind in ALL_PATTERNS},
}


def rewritten(text: str) -> str:
    """Return the document with every made part made again. Raises KeyError for one that nothing makes."""
    return MADE.sub(lambda found: f"{found[1]}{TABLES[found[2]]()}{found[4]}", text)
