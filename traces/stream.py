"""A request stream: what a gather unit is asked to fetch, group by group. Hardware-dependent, DESIGN section 5 and 7.

The in-memory form is the file form: the arrays of one ``NAME.npz`` plus the keys of its entry in ``trace.json``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

IntArray = npt.NDArray[np.int64]
# which instructions a core issues for a group, and whether lanes of a row are reduced ("row") or each lane has a row
# of its own ("column")
Issue = Literal["dense", "block_row", "block_column", "gather_row", "gather_column"]
ISSUES: tuple[Issue, ...] = get_args(Issue)


class TraceError(ValueError):
    """A trace that breaks a rule of the format: one line naming stream, field, value and rule."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RequestStream:
    """One repeat of a stream, and how it repeats.

    ``group_ptr`` [G+1], ``lane`` and ``address`` [requests]; ``bundle_end`` [bundles], one past the bundle's last
    group; ``scatter_ptr`` [bundles+1], ``scatter_address``. Repeat j moves gather addresses by ``repeat_offset[j]``
    (or j * ``repeat_stride``) words and scatter addresses by j * ``scatter_stride`` words.
    ``macs`` [G]: multiply-adds with a kept weight in each group, per lane of ``vector``, one repeat.
    ``scratchpad_words``: of the activation tile that gather addresses lie in; None where addresses are abstract.
    """

    name: str
    group_ptr: IntArray
    lane: npt.NDArray[np.int16]
    address: IntArray
    bundle_end: IntArray
    scatter_ptr: IntArray
    scatter_address: IntArray
    repeats: int = 1
    repeat_stride: int = 0
    repeat_offset: IntArray | None = None
    scatter_stride: int = 0
    serial: bool = False
    gap: int = 0
    macs: npt.NDArray[np.int32] | None = None
    tile_end: IntArray | None = None
    load_bytes: int = 0
    store_bytes: int = 0
    bytes_per_group: int | None = None  # values and indices that the weight buffer delivers for a group
    issue: Issue | None = None
    scratchpad_words: int | None = None

    @property
    def groups(self) -> int:
        return len(self.group_ptr) - 1

    @property
    def bundles(self) -> int:
        return len(self.bundle_end)

    def offsets(self) -> IntArray:
        """Words added to every gather address, per repeat [R]."""
        if self.repeat_offset is not None:
            return self.repeat_offset
        return np.arange(self.repeats, dtype=np.int64) * self.repeat_stride

    def highest_address(self) -> int:
        """The highest gather address of all repeats."""
        last = (self.repeats - 1) * self.repeat_stride
        most = max(0, last) if self.repeat_offset is None else int(self.repeat_offset.max())
        return int(self.address.max()) + most

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Return the arrays of the npz file by name."""
        named: dict[str, npt.NDArray[Any]] = {
            "group_ptr": self.group_ptr,
            "lane": self.lane,
            "address": self.address,
            "bundle_end": self.bundle_end,
            "scatter_ptr": self.scatter_ptr,
            "scatter_address": self.scatter_address,
        }
        for name in ("repeat_offset", "macs", "tile_end"):
            value = getattr(self, name)
            if value is not None:
                named[name] = value
        return named


def check_stream(stream: RequestStream, lanes: int | None = None) -> None:
    """Raise TraceError unless ``stream`` obeys DESIGN section 5; with ``lanes``, also that it fits a gather unit."""
    where = f"trace layer {stream.name}"

    def fail(text: str) -> None:
        raise TraceError(f"{where}: {text}")

    pointer, ends, scatter = stream.group_ptr, stream.bundle_end, stream.scatter_ptr
    if len(pointer) < 2:
        fail("group_ptr names no group, and a stream has at least one")
    # differences of hostile 64-bit numbers wrap round: bound the numbers first
    if pointer[0] != 0 or pointer.min() < 0 or not pointer.max() == pointer[-1] == len(stream.address):
        fail(f"group_ptr runs from {pointer[0]} to {pointer[-1]}, and must run from 0 to {len(stream.address)}")
    sizes = np.diff(pointer)
    if sizes.min() < 1:
        group = int(np.argmax(sizes < 1))
        fail(f"group {group} has {sizes[group]} requests, and a group has at least 1")
    if len(stream.lane) != len(stream.address):
        fail(f"lane has {len(stream.lane)} entries for {len(stream.address)} addresses")
    if stream.lane.min() < 0:
        fail(f"lane is {stream.lane.min()}, and must be at least 0")
    if lanes is not None and stream.lane.max() >= lanes:
        fail(f"lane {stream.lane.max()} is used, and the gather unit has lanes 0 to {lanes - 1}")
    _check_lanes_distinct(stream, sizes, fail)
    if stream.repeats < 1:
        fail(f"repeats is {stream.repeats}, and must be at least 1")
    offsets = stream.repeat_offset
    if offsets is not None and len(offsets) != stream.repeats:
        fail(f"repeat_offset has {len(offsets)} entries for {stream.repeats} repeats")
    if stream.gap < 0:
        fail(f"gap is {stream.gap}, and must be at least 0")
    if stream.gap and not stream.serial:
        fail(f"gap is {stream.gap}, and only a serial stream has a gap")
    lowest_offset = min(0, (stream.repeats - 1) * stream.repeat_stride) if offsets is None else int(offsets.min())
    lowest = int(stream.address.min()) + lowest_offset
    if lowest < 0 or stream.address.min() < 0:
        fail(f"address is {min(lowest, int(stream.address.min()))}, and must be at least 0 in every repeat")
    _check_within_tile(stream, fail)
    if len(ends) < 1 or ends.min() < 1 or ends.max() != ends[-1] or (np.diff(ends) < 1).any():
        fail("bundle_end must rise, each bundle with at least one group")
    if ends[-1] != stream.groups:
        fail(f"bundle_end ends at group {ends[-1]}, and the stream has {stream.groups}")
    if len(scatter) != stream.bundles + 1 or scatter[0] != 0 or scatter.min() < 0 or (np.diff(scatter) < 0).any():
        fail("scatter_ptr must have one entry a bundle and one more, start at 0 and not fall")
    if scatter[-1] != len(stream.scatter_address):
        fail(f"scatter_ptr ends at {scatter[-1]}, and scatter_address has {len(stream.scatter_address)} entries")
    if len(stream.scatter_address):
        low = int(stream.scatter_address.min())
        if low < 0 or low + (stream.repeats - 1) * stream.scatter_stride < 0:
            fail(f"scatter_address is {low} at stride {stream.scatter_stride}, and must be at least 0 in every repeat")
    if stream.macs is not None and len(stream.macs) != stream.groups:
        fail(f"macs has {len(stream.macs)} entries for {stream.groups} groups")
    if stream.tile_end is not None and (
        len(stream.tile_end) < 1
        or not np.isin(stream.tile_end, ends).all()
        or (np.diff(stream.tile_end) < 1).any()
        or stream.tile_end[-1] != stream.groups
    ):
        fail("tile_end must rise, end bundles and end with the stream")


def _check_within_tile(stream: RequestStream, fail: Any) -> None:
    words = stream.scratchpad_words
    if words is None:
        return
    if words < 1:
        fail(f"scratchpad_words is {words}, and must be at least 1")
    highest = stream.highest_address()
    if highest >= words:
        request = int(np.argmax(stream.address))
        group = int(np.searchsorted(stream.group_ptr, request, side="right")) - 1
        fail(
            f"group {group}, lane {stream.lane[request]}: address is {highest} in one of {stream.repeats} repeats, and "
            f"must be below {words}, the scratchpad_words that it states"
        )


def _check_lanes_distinct(stream: RequestStream, sizes: npt.NDArray[np.int64], fail: Any) -> None:
    rising = np.diff(stream.lane.astype(np.int64)) > 0
    rising[stream.group_ptr[1:-1] - 1] = True  # the first request of a group follows no other
    if rising.all():
        return
    group = np.repeat(np.arange(stream.groups, dtype=np.int64), sizes)
    key = np.sort(group * (int(stream.lane.max()) + 1) + stream.lane)
    same = np.flatnonzero(np.diff(key) == 0)
    if len(same):
        width = int(stream.lane.max()) + 1
        fail(f"group {key[same[0]] // width} uses lane {key[same[0]] % width} twice, and a lane holds one request")
