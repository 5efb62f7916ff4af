"""All points of a spec as numbers, without listing them: models x masks x sparsities x options x devices x fields.

The last field of a device varies fastest, then devices, options, sparsities, patterns and models: neighbours share
their traces. Left out: which points a method takes (``methods/``).
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate

from gatherline.request_error import RequestError
from gatherline.sweep.axis import Axis, Choices, Interval, place_of
from gatherline.sweep.device_axes import DeviceAxes, Fields
from gatherline.sweep.point import LevelChoice, Machine, ModelChoice, Point, RunOptions
from traces.matching import Match

SPARSITY_DIGITS = 3  # of a sparsity that is drawn: points that differ by less would each need traces of their own
# a task's worth: what its points share, the name or path of their device, and (number, fields) of each
Block = tuple[LevelChoice, RunOptions, str, list[tuple[int, Fields]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class MaskRule:
    """How masks are made but for the sparsity. ``sparsity``: the only one there is, where ``varies`` is false."""

    pattern: str
    ratios: str = "uniform"
    match: Match = "density"
    prune_all: bool = False
    varies: bool = False
    sparsity: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """Everything that may vary. No two points are equal: the reader sees to that."""

    models: tuple[ModelChoice, ...]
    masks: tuple[MaskRule, ...]
    sparsities: Axis
    options: tuple[RunOptions, ...]
    devices: tuple[DeviceAxes, ...]

    @property
    def listed(self) -> bool:
        """Return whether every axis has values one by one, so that points can be numbered."""
        axes: list[Axis] = [axis for device in self.devices for _, axis in device.axes]
        if any(mask.varies for mask in self.masks):
            axes.append(self.sparsities)
        return not any(isinstance(axis, Interval) for axis in axes)

    @property
    def count(self) -> int:
        """Return how many points there are. Raises RequestError where a range has no steps."""
        return self.level_count * len(self.options) * sum(device.count for device in self.devices)

    @property
    def level_count(self) -> int:
        """Return how many sets of masks there are, each with traces of its own."""
        return len(self.models) * sum(self.sparsity_counts())

    def sparsity_counts(self) -> list[int]:
        """Return how many sparsities each mask rule is asked for."""
        return [len(self._sparsities(mask)) for mask in self.masks]

    def _sparsities(self, mask: MaskRule) -> tuple[float | None, ...]:
        if not mask.varies:
            return (mask.sparsity,)
        if isinstance(self.sparsities, Interval):
            raise RequestError("sparsities is a range without steps, and a grid needs steps, step or a list")
        return self.sparsities.values  # type: ignore[return-value]  # the reader made them floats

    def levels(self) -> Iterator[LevelChoice]:
        """Yield every set of masks, sparsities fastest."""
        for model in self.models:
            for mask in self.masks:
                for sparsity in self._sparsities(mask):
                    yield level_choice(model, mask, sparsity)

    def point(self, number: int) -> Point:
        """Return point ``number``. Raises RequestError for one that is not there."""
        if not 0 <= number < self.count:
            raise RequestError(f"point is {number}, and must be from 0 to {self.count - 1}")
        device_ends = list(accumulate(device.count for device in self.devices))
        rest, place = divmod(number, device_ends[-1])
        rest, option = divmod(rest, len(self.options))
        sparsity_ends = list(accumulate(self.sparsity_counts()))
        model, level = divmod(rest, sparsity_ends[-1])
        at_device, machine = _within(device_ends, place)
        at_mask, at_sparsity = _within(sparsity_ends, level)
        mask, device = self.masks[at_mask], self.devices[at_device]
        return Point(
            number=number,
            level=level_choice(self.models[model], mask, self._sparsities(mask)[at_sparsity]),
            options=self.options[option],
            machine=Machine(base=device.base, fields=device.machine(machine)),
        )

    @property
    def dimensions(self) -> int:
        """Return how many draws a point takes: model, mask, sparsity, options, device, and the fields of one."""
        return 5 + max(len(device.axes) for device in self.devices)

    def drawn(self, shares: Sequence[float], number: int) -> Point:
        """Return the point that ``dimensions`` draws mean, each 0 to below 1: every axis evenly by itself."""
        model = self.models[place_of(shares[0], len(self.models))]
        mask = self.masks[place_of(shares[1], len(self.masks))]
        device = self.devices[place_of(shares[4], len(self.devices))]
        pairs = zip(device.axes, shares[5:], strict=False)  # a device may have fewer fields than another
        values = [axis.values[axis.at(u)] if isinstance(axis, Choices) else axis.at(u) for (_, axis), u in pairs]
        return Point(
            number=number,
            level=level_choice(model, mask, self.sparsity_at(mask, shares[2])),
            options=self.options[place_of(shares[3], len(self.options))],
            machine=Machine(base=device.base, fields=device.fields(values)),
        )

    def sparsity_at(self, mask: MaskRule, share: float) -> float | None:
        """Return the sparsity that a draw means for a mask rule."""
        if not mask.varies:
            return mask.sparsity
        axis = self.sparsities
        if isinstance(axis, Choices):
            return float(axis.values[axis.at(share)])
        return rounded_sparsity(float(axis.at(share)))


def rounded_sparsity(sparsity: float) -> float:
    """Return a drawn sparsity as it is asked for."""
    return round(sparsity, SPARSITY_DIGITS)


@lru_cache(maxsize=1 << 16)  # points of one level share it: 10^5 that are drawn fit into memory
def level_choice(model: ModelChoice, mask: MaskRule, sparsity: float | None) -> LevelChoice:
    """Return the masks that a rule makes of a model at a sparsity."""
    return LevelChoice(
        model=model, pattern=mask.pattern, sparsity=sparsity, ratios=mask.ratios, match=mask.match,
        prune_all=mask.prune_all,
    )  # fmt: skip


def _within(ends: Sequence[int], place: int) -> tuple[int, int]:
    """Return in which stretch ``place`` lies, and how far into it. ``ends``: where each stretch ends, from 0 on."""
    at = bisect_right(ends, place)
    return at, place - (ends[at - 1] if at else 0)
