"""Which patterns a mask obeys beyond what chance would make of its density.

A share means nothing by itself: a random mask of half its weights fills 94 % of the slots of GS(16,1). So each share
stands beside the share that random masks of the same density reach, and patterns rank by excess = (share - chance) /
(1 - chance): 1 for a mask that obeys throughout, 0 for one that random masks match. Among equals the pattern that
chance explains least comes first, so that a mask of 4x4 blocks is not called one of 1x4 blocks.

Left out: what a magnitude criterion makes by itself (rows and columns of unlike counts), which is no chance either.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from patterns.base import BankOfColumn, Mask, Pattern, PatternError
from patterns.catalog import parse_pattern
from patterns.gs import GatherScatter
from patterns.gs_scatter import GatherScatterPermuted
from traces.layer import MatrixLayer
from traces.layout import column_banks
from traces.masks import layer_rule, pattern_banks

# the more particular before what it implies: a mask of 32x32 blocks is also one of 4x4 blocks, one of 2:4 also of 4:8
CANDIDATES = (
    "channel",
    "kernel_pattern",
    "kernel_pattern:mest",
    "block_punched:16",
    "block_punched:4",
    "block:32x32",
    "block:16x16",
    "block_punched:8x8",
    "block:4x4",
    "block:1x16",
    "block:16x1",
    "block:1x4",
    "block:4x1",
    "n_of_m_both:2,4",
    "n_of_m:1,8",
    "n_of_m:1,4",
    "n_of_m:2,8",
    "n_of_m:2,4",
    "n_of_m:4,8",
    "gs:32,1",
    "gs:16,16",
    "gs:16,4",
    "gs:16,1",
    "gs:8,8",
    "gs:8,1",
    "gs_scatter:16,1",
    "bank_balanced:16",
    "bank_balanced:4",
    "filter_balanced",
)
# of these kin one pattern is named; others are families of their own
FAMILIES = {
    "gs_scatter": "gs",
    "n_of_m_both": "n_of_m",
    "block_punched": "block",
    "filter_balanced": "bank_balanced",
}
RANK_STEP = 0.02  # excesses this near count as equal
DRAWS = 8, 32  # random masks that chance is told from: at least, and at most where they are small
DRAW_SEED = 0
LEAST_EXCESS = 0.1  # assumed: a pattern that explains less beyond chance is not named
LEAST_DEVIATIONS = 5  # assumed: nor one whose share is within so many standard deviations of chance
NAMED = 3  # patterns named for a layer, each of another family
_BUNDLE_ROWS = 32  # rows of a draw are a multiple of it: the tallest bundle and block of the candidates
_DRAWN_WEIGHTS = 1 << 15  # of one draw at least, where the layer has as many
_DRAWN_IN_ALL = 1 << 17  # weights of all draws, as far as their number allows


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A pattern, the share of the mask it explains, and that of random masks; None where it cannot be tried."""

    pattern: str
    share: float | None
    chance: float | None = None
    chance_deviation: float | None = None
    reason: str = ""

    @property
    def excess(self) -> float | None:
        """Return (share - chance) / (1 - chance); 0 where chance explains everything."""
        if self.share is None or self.chance is None:
            return None
        return (self.share - self.chance) / (1 - self.chance) if self.chance < 1 else 0.0

    @property
    def beyond_chance(self) -> bool:
        if self.share is None or self.chance is None or self.chance_deviation is None or self.excess is None:
            return False
        return self.excess >= LEAST_EXCESS and self.share > self.chance + LEAST_DEVIATIONS * self.chance_deviation

    def as_json(self) -> dict[str, object]:
        return {
            "pattern": self.pattern,
            "share": self.share,
            "chance": self.chance,
            "chance_deviation": self.chance_deviation,
            "excess": self.excess,
            "reason": self.reason or None,
        }


def as_matrices(layer: MatrixLayer, mask: Mask) -> Mask:
    """Return ``mask`` as a pattern sees it: a depthwise layer, whose groups have a row or two, as one matrix."""
    return mask.reshape(1, -1, mask.shape[2]) if layer.kind == "depthwise" else mask


def detect(layer: MatrixLayer, mask: Mask) -> list[Candidate]:
    """Return every candidate tried on ``mask`` (groups, m, k), the best first. At least one weight is kept."""
    matrices = as_matrices(layer, mask)
    draws = random_masks(matrices.shape, int(np.count_nonzero(mask)) / mask.size)
    banks: dict[int, BankOfColumn] = {}
    found = []
    for spelling in CANDIDATES:
        pattern = parse_pattern(spelling)
        rule, refused = _rule(pattern, layer)
        if refused:
            found.append(Candidate(pattern=spelling, share=None, reason=refused))
            continue
        count = pattern_banks(rule)
        if count not in banks:
            banks[count] = column_banks(layer, count)[: matrices.shape[0]]
        found.append(_candidate(spelling, rule, matrices, draws, banks[count]))
    return sorted(found, key=_rank)


def named(candidates: list[Candidate]) -> list[Candidate]:
    """Return the candidates beyond chance that are named: the best of each family, the first ``NAMED`` of these."""
    best: dict[str, Candidate] = {}
    for candidate in candidates:
        if candidate.beyond_chance:
            family = candidate.pattern.partition(":")[0]
            best.setdefault(FAMILIES.get(family, family), candidate)
    return list(best.values())[:NAMED]


def random_masks(shape: tuple[int, ...], density: float) -> list[Mask]:
    """Return masks that keep each weight with probability ``density``, as wide as ``shape``, ``DRAWS`` of them.

    They have rows enough to judge by, not more: a share hardly depends on the number of rows, its deviation shrinks
    with it, so that a draw of fewer rows claims less.
    """
    groups, rows, columns = shape
    wanted = max(_BUNDLE_ROWS, -(-_DRAWN_WEIGHTS // columns // _BUNDLE_ROWS) * _BUNDLE_ROWS)
    drawn_rows = min(rows, wanted)
    drawn = (min(groups, max(1, wanted // drawn_rows)), drawn_rows, columns)
    times = min(DRAWS[1], max(DRAWS[0], _DRAWN_IN_ALL // (drawn[0] * drawn[1] * drawn[2])))
    random = np.random.default_rng(DRAW_SEED)
    return [random.random(drawn, dtype=np.float32) < np.float32(density) for _ in range(times)]


def _rule(pattern: Pattern, layer: MatrixLayer) -> tuple[Pattern, str]:
    """Return ``pattern`` as it holds for the layer's window, and why it cannot be tried, "" where it can."""
    rule, why = layer_rule(pattern, layer)
    if type(rule) is not type(pattern):
        return rule, why
    if layer.kind == "depthwise" and isinstance(pattern, GatherScatter | GatherScatterPermuted):
        return rule, "depthwise layers run on the vector unit, which has no banks"
    return rule, ""


def _candidate(spelling: str, rule: Pattern, mask: Mask, draws: list[Mask], banks: BankOfColumn) -> Candidate:
    try:
        share = rule.explained(mask, banks)
        by_chance = [rule.explained(draw, banks[: draw.shape[0]]) for draw in draws]
    except PatternError as error:
        return Candidate(pattern=spelling, share=None, reason=str(error))
    return Candidate(
        pattern=spelling,
        share=share,
        chance=float(np.mean(by_chance)),
        chance_deviation=float(np.std(by_chance)),
    )


def _rank(candidate: Candidate) -> tuple[int, int]:
    """Order by excess in steps, then by place in ``CANDIDATES``; those that were not tried come last."""
    place = CANDIDATES.index(candidate.pattern)
    return (1 << 30, place) if candidate.excess is None else (-round(candidate.excess / RANK_STEP), place)
