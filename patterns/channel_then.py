"""Channels first, then another rule on what remains: ``channel[:R]+P``. DESIGN section 3.

The channels are those of ``channel``, by L2 norm; P sees the remaining rows alone, one after another, so that its
bundles and blocks are those of the smaller layer. ``sparsity`` is the total: P removes what the channels leave to
remove. Over a network the smaller layers are made by ``traces.channels``, where consumers lose columns too; here, with
one matrix, rows go. References: those of ``channel`` and of P. Left out: a choice of R by what it costs, more than
two rules.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from patterns.base import BankOfColumn, Mask, Pattern, PatternError, Scores, Violation
from patterns.channel import Channel
from patterns.dense import Dense
from patterns.selection import checked_outer, checked_scores

Kind = TypeVar("Kind", bound=np.generic)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelThen(Pattern):
    """``ratio`` of the channels go, then ``rule`` holds for the rest.

    ``ratio`` None: 1 - (1 - sparsity)^(1/4). A layer that loses outputs and inputs then keeps sqrt(1 - sparsity) of its
    weights, and P keeps as large a share of these.
    """

    ratio: float | None = None
    rule: Pattern

    def __post_init__(self) -> None:
        if isinstance(self.rule, Channel | ChannelThen | Dense):
            raise PatternError(
                f"{self.spelling}: the second pattern is {self.rule.spelling}, and must be one that masks weights"
            )
        if self.ratio is not None and not 0 <= self.ratio < 1:
            raise PatternError(f"{self.spelling}: the channels' ratio is {self.ratio}, and must be from 0 to below 1")

    @property
    def spelling(self) -> str:
        ratio = "" if self.ratio is None else f":{self.ratio:.9g}"
        return f"channel{ratio}+{self.rule.spelling}"

    @property
    def default_encoding(self) -> str:
        """Return the encoding of a matrix whose rows are still there; a layer made smaller has that of P."""
        return "packed"

    @property
    def nests(self) -> bool:
        """Return whether levels nest: where P does, and a stated ratio keeps the same channels at every level."""
        return self.ratio is not None and self.rule.nests

    @property
    def fixes_density(self) -> bool:
        return self.ratio is not None and self.rule.fixes_density

    def channel_sparsity(self, sparsity: float) -> float:
        """Return the fraction of channels that go at a total of ``sparsity``."""
        return 1 - (1 - sparsity) ** 0.25 if self.ratio is None else self.ratio

    def rest_sparsity(self, sparsity: float, before: int, after: int) -> float:
        """Return what P removes of ``after`` weights, so that ``sparsity`` of ``before`` are gone: at least nothing."""
        return max(0.0, 1 - (1 - sparsity) * before / after)

    def limit(self, shape: tuple[int, int, int], sparsity: float) -> str:
        """Return why P, or the channels alone, cannot reach ``sparsity`` on scores of ``shape`` before channels go."""
        groups, rows, columns = shape
        stay = max(1, round((1 - self.channel_sparsity(sparsity)) * rows))
        if (1 - sparsity) * rows >= stay + 1:
            return f"{self.spelling} removes {rows - stay} of {rows} channels, and P has nothing left to remove"
        return self.rule.limit((groups, stay, columns), self.rest_sparsity(sparsity, rows, stay))

    def _rows(self, array: Scores, sparsity: float) -> Mask:
        """Return which rows stay, [groups, m]: the same number in each group."""
        return np.ascontiguousarray(Channel().project(array, self.channel_sparsity(sparsity))[:, :, 0])

    def project(self, scores: Scores, sparsity: float, banks: BankOfColumn | None = None) -> Mask:
        array = checked_scores(scores, sparsity)
        rows = self._rows(array, sparsity)
        left = _chosen(array, rows)
        return _spread(self.rule.project(left, self._rest(sparsity, array, left), banks), rows)

    def project_within(self, scores: Scores, sparsity: float, outer: Mask, banks: BankOfColumn | None = None) -> Mask:
        """Return P's best mask within ``outer``, on the same channels as ``project``. Needs a stated ratio."""
        if not self.nests:
            return Pattern.project_within(self, scores, sparsity, outer, banks)
        array = checked_scores(scores, sparsity)
        rows = self._rows(array, sparsity)
        left, inside = _chosen(array, rows), _chosen(checked_outer(outer, array), rows)
        return _spread(self.rule.project_within(left, self._rest(sparsity, array, left), inside, banks), rows)

    def _rest(self, sparsity: float, array: Scores, left: Scores) -> float:
        return self.rest_sparsity(sparsity, array.shape[1], left.shape[1])

    def check(self, mask: Mask, banks: BankOfColumn | None = None) -> Violation | None:
        """Return the first violation of P among the rows that keep anything; the others are removed channels."""
        for first, rows in _parts(mask):
            groups = slice(first, first + len(rows))
            found = self.rule.check(_chosen(mask[groups], rows), _of_groups(banks, groups))
            if found is not None:
                row = int(np.flatnonzero(rows[found.group])[found.row])
                return Violation(group=first + found.group, row=row, column=found.column, text=found.text)
        return None

    def explained(self, mask: Mask, banks: BankOfColumn | None = None) -> float:
        """Return what P explains of the rows that keep anything, by their weights; 1 where none does."""
        explained, total = 0.0, int(np.count_nonzero(mask))
        for first, rows in _parts(mask):
            groups = slice(first, first + len(rows))
            part = _chosen(mask[groups], rows)
            explained += int(np.count_nonzero(part)) * self.rule.explained(part, _of_groups(banks, groups))
        return explained / total if total else 1.0


def _chosen(array: npt.NDArray[Kind], rows: Mask) -> npt.NDArray[Kind]:
    """Return the chosen rows [groups, m] of array [groups, m, k], the same number in each group."""
    return array[rows].reshape(len(array), -1, array.shape[2])


def _spread(part: Mask, rows: Mask) -> Mask:
    """Return the mask [groups, m, k] whose chosen rows are those of ``part``, and whose others are empty."""
    out = np.zeros((*rows.shape, part.shape[2]), dtype=np.bool_)
    out[rows] = part.reshape(-1, part.shape[2])
    return out


def _of_groups(banks: BankOfColumn | None, groups: slice) -> BankOfColumn | None:
    return banks if banks is None or banks.ndim == 1 else banks[groups]


def _parts(mask: Mask) -> Iterator[tuple[int, Mask]]:
    """Yield the first group and the rows that keep anything: all groups at once where they have equally many."""
    rows = np.asarray(mask.any(axis=2))
    counts = np.count_nonzero(rows, axis=1)
    if counts.min() == counts.max() > 0:
        yield 0, rows
        return
    for group in np.flatnonzero(counts):
        yield int(group), rows[group : group + 1]
