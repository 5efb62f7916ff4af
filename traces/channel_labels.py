"""Which channel each element of a tensor belongs to, before and after channels go; followed through moves of data.

``Labels`` give every index of the axes that carry channels the number of its channel, and say which of these indices
are left, in the order in which they then lie. A view, a transposition, a slice or a concatenation changes both alike,
so that what a smaller tensor holds is always known. Knows no layer and no file. Left out: tensors in which what is left
is no regular array (three channels of one half, two of the other): ``Irregular``.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Indices = npt.NDArray[np.int64]
Shape = tuple[int, ...]
Tie = Callable[[Indices, Indices], None]  # two arrays of one shape whose channels meet element by element

FIXED = 0  # the number of everything that always stays


class Irregular(Exception):
    """What is left of a tensor is no array any more; the text says where."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Labels:
    """Channels of a tensor of ``shape``, of which ``small`` is left.

    ``ids``: channel numbers, of the tensor's rank; an axis that carries no channels has extent 1.
    ``kept``: for each index that is left, its place in ``ids`` as a flat index; the same axes have extent 1.
    """

    shape: Shape
    small: Shape
    ids: Indices
    kept: Indices

    @property
    def axes(self) -> tuple[int, ...]:
        return tuple(axis for axis, extent in enumerate(self.ids.shape) if extent > 1)

    @property
    def places(self) -> tuple[Indices, ...]:
        """For each axis, the index before of what is left."""
        if not self.ids.ndim:
            return ()
        return tuple(np.asarray(part, dtype=np.int64) for part in np.unravel_index(self.kept, self.ids.shape))


def fixed(shape: Sequence[int]) -> Labels:
    """Labels of a tensor that stays as it is."""
    ones = (1,) * len(shape)
    zero = np.zeros(ones, dtype=np.int64)
    return Labels(shape=tuple(shape), small=tuple(shape), ids=zero, kept=zero)


def along(shape: Sequence[int], axis: int, ids: Indices, kept: Indices) -> Labels:
    """Labels of a tensor with one channel per index of ``axis``, of which ``kept`` are left in this order."""
    axis %= len(shape)
    ones = [1] * len(shape)
    ones[axis] = -1
    small = list(shape)
    small[axis] = len(kept) if len(ids) > 1 else shape[axis]
    return Labels(shape=tuple(shape), small=tuple(small), ids=ids.reshape(ones), kept=kept.reshape(ones))


def channels(labels: Labels, axis: int) -> tuple[Indices, Indices] | None:
    """Return (number of each index of ``axis``, indices left), None where another axis carries channels."""
    axis %= len(labels.shape)
    if any(other != axis for other in labels.axes):
        return None
    if not labels.axes:
        every = np.arange(labels.shape[axis], dtype=np.int64)
        return np.full(labels.shape[axis], labels.ids.reshape(-1)[0], dtype=np.int64), every
    return labels.ids.reshape(-1), labels.kept.reshape(-1)


def reshaped(labels: Labels, shape: Sequence[int]) -> Labels:
    """Labels of the same elements in the same order, seen in another shape.

    Where one axis that shrinks becomes several, the last of them that can shrink does. Raises Irregular.
    """
    shape = tuple(shape)
    if shape == labels.shape:
        return labels
    if not labels.axes:
        return fixed(shape)
    wide, new_wide, options = [False] * len(labels.shape), [False] * len(shape), []
    for old, new in _blocks(labels.shape, shape):
        if any(labels.ids.shape[axis] > 1 for axis in old):
            for axis in old:
                wide[axis] = True
            for axis in new:
                new_wide[axis] = True
            left = math.prod(labels.small[axis] for axis in old)
            options.append([(new, extents) for extents in _shrunk([shape[axis] for axis in new], left)])
    grown = [extent if yes else 1 for extent, yes in zip(labels.shape, wide, strict=True)]
    small = [extent if yes else 1 for extent, yes in zip(labels.small, wide, strict=True)]
    ids = np.broadcast_to(labels.ids, grown).reshape([e if yes else 1 for e, yes in zip(shape, new_wide, strict=True)])
    kept = _flat_places(labels, grown, small)
    for choice in itertools.product(*options):
        extents = list(shape)
        for new, values in choice:
            for axis, value in zip(new, values, strict=True):
                extents[axis] = value
        inner = kept.reshape([extent if yes else 1 for extent, yes in zip(extents, new_wide, strict=True)])
        found = Labels(shape=shape, small=tuple(extents), ids=ids, kept=inner)
        if _regular(found):
            return found
    raise Irregular(f"what is left of {labels.shape} cannot be seen in shape {shape}")


def _flat_places(labels: Labels, grown: Sequence[int], small: Sequence[int]) -> Indices:
    """Return the flat place of what is left among ``grown``, where axes without channels are written out."""
    places = []
    for axis, part in enumerate(labels.places):
        written_out = labels.ids.shape[axis] == 1 and grown[axis] > 1
        every = np.arange(grown[axis], dtype=np.int64).reshape([-1 if a == axis else 1 for a in range(len(grown))])
        places.append(np.broadcast_to(every if written_out else part, small))
    return np.asarray(np.ravel_multi_index(places, tuple(grown)), dtype=np.int64)


def _shrunk(extents: Sequence[int], left: int) -> Iterator[list[int]]:
    """Yield ``extents`` with one of them smaller, such that ``left`` elements are left; the last axis first."""
    total = math.prod(extents)
    if left == total:
        yield list(extents)
        return
    for axis in reversed(range(len(extents))):
        rest = total // extents[axis]
        if extents[axis] > 1 and left % rest == 0:
            yield [left // rest if other == axis else extent for other, extent in enumerate(extents)]


def _regular(labels: Labels) -> bool:
    """Whether each index of an axis that did not shrink is still where it was."""
    for axis, part in enumerate(labels.places):
        extent = labels.shape[axis]
        if labels.small[axis] == extent and labels.ids.shape[axis] > 1:
            every = np.arange(extent).reshape([-1 if other == axis else 1 for other in range(part.ndim)])
            if (part != every).any():
                return False
    return True


def _blocks(old: Shape, new: Shape) -> Iterator[tuple[range, range]]:
    """Yield the smallest runs of axes of two shapes that hold the same elements."""
    i = j = 0
    while i < len(old) or j < len(new):
        first, second = i, j
        left, right = 1, 1
        if i < len(old):
            left, i = old[i], i + 1
        if j < len(new):
            right, j = new[j], j + 1
        while left != right:
            if left < right:
                left, i = left * old[i], i + 1
            else:
                right, j = right * new[j], j + 1
        yield range(first, i), range(second, j)


def transposed(labels: Labels, order: Sequence[int]) -> Labels:
    """Labels with axes in ``order``."""
    places = labels.places
    ids = labels.ids.transpose(order)
    kept = np.ravel_multi_index([places[axis].transpose(order) for axis in order], ids.shape)
    return Labels(
        shape=tuple(labels.shape[axis] for axis in order),
        small=tuple(labels.small[axis] for axis in order),
        ids=np.ascontiguousarray(ids),
        kept=np.asarray(kept, dtype=np.int64),
    )


def sliced(labels: Labels, axis: int, positions: Indices) -> tuple[Labels, Indices]:
    """Labels of the indices ``positions`` of an axis, and where these now are on it. Raises Irregular."""
    shape = list(labels.shape)
    shape[axis] = len(positions)
    if labels.ids.shape[axis] == 1:
        small = list(labels.small)
        small[axis] = len(positions)
        return Labels(shape=tuple(shape), small=tuple(small), ids=labels.ids, kept=labels.kept), positions
    target = np.full(labels.shape[axis], -1, dtype=np.int64)
    target[positions] = np.arange(len(positions))
    places = list(labels.places)
    moved = np.moveaxis(target[places[axis]], axis, 0).reshape(labels.small[axis], -1)
    inside = moved >= 0
    if (inside != inside[:, :1]).any():
        raise Irregular(f"a slice of axis {axis} would take different numbers of channels")
    left = np.flatnonzero(inside[:, 0]).astype(np.int64)
    left = left[np.argsort(moved[left, 0], kind="stable")]
    if not len(left):
        raise Irregular(f"a slice of axis {axis} would be empty")
    if len(left) > 2 and len(set(np.diff(left).tolist())) > 1:
        raise Irregular(f"a slice of axis {axis} would take channels that do not lie together")
    places[axis] = target[places[axis]]
    ids = np.take(labels.ids, positions, axis=axis)
    kept = np.ravel_multi_index([np.take(part, left, axis=axis) for part in places], ids.shape)
    small = list(labels.small)
    small[axis] = len(left)
    return Labels(shape=tuple(shape), small=tuple(small), ids=ids, kept=np.asarray(kept, dtype=np.int64)), left


def concatenated(parts: Sequence[Labels], axis: int, tie: Tie) -> Labels:
    """Labels of tensors one after another on ``axis``; channels on other axes meet. Raises Irregular."""
    total = sum(part.shape[axis] for part in parts)
    shape = (*parts[0].shape[:axis], total, *parts[0].shape[axis + 1 :])
    if all(part.ids.shape[axis] == 1 for part in parts):  # their axis carries none: the others meet as in an addition
        flat = [_with_extent(part, axis, 1) for part in parts]
        return _with_extent(merged(flat, (*shape[:axis], 1, *shape[axis + 1 :]), tie), axis, total)
    found = [channels(part, axis) for part in parts]
    ids, kept, offset = [], [], 0
    for part, vectors in zip(parts, found, strict=True):
        if vectors is None:
            for every in parts:
                tie(every.ids, np.zeros_like(every.ids))
            raise Irregular(f"tensors with channels on several axes are joined on axis {axis}")
        ids.append(vectors[0])
        kept.append(vectors[1] + offset)
        offset += part.shape[axis]
    return along(shape, axis, np.concatenate(ids), np.concatenate(kept))


def _with_extent(labels: Labels, axis: int, extent: int) -> Labels:
    """The same labels where an axis without channels has another extent."""
    shape = (*labels.shape[:axis], extent, *labels.shape[axis + 1 :])
    small = (*labels.small[:axis], extent, *labels.small[axis + 1 :])
    return Labels(shape=shape, small=small, ids=labels.ids, kept=labels.kept)


def merged(parts: Sequence[Labels], shape: Shape, tie: Tie) -> Labels:
    """Labels of tensors that meet element by element, broadcast from the right; ``tie`` gets channels that meet.

    An input that is whole along an axis with channels, without having any there, holds them: they meet FIXED.
    Raises Irregular where what is left of two inputs differs.
    """
    padded = [_padded(part, len(shape)) for part in parts]
    axes = sorted({axis for part in padded for axis in part.axes})
    if not axes:
        return fixed(shape)
    base = next((part for part in padded if all(axis in part.axes for axis in axes)), None)
    held = base is None or any(
        part.ids.shape[axis] == 1 < part.shape[axis] for part in padded for axis in axes if part is not base
    )
    for part in padded:
        if held:
            tie(part.ids, np.zeros_like(part.ids))
        elif base is not None and part is not base and part.axes:
            tie(np.broadcast_to(base.ids, base.ids.shape), np.broadcast_to(part.ids, base.ids.shape))
    if base is None:
        if any(part.small != part.shape for part in padded):
            raise Irregular("channels of different axes meet")
        return fixed(shape)
    places = base.places
    for part in padded:
        for axis in part.axes:
            if part is base:
                continue
            if part.small[axis] != base.small[axis] or (part.places[axis] != places[axis]).any():
                raise Irregular("inputs whose channels meet would be left with different ones")
    small = tuple(base.small[axis] if axis in axes else extent for axis, extent in enumerate(shape))
    return Labels(shape=shape, small=small, ids=base.ids, kept=base.kept)


def _padded(labels: Labels, rank: int) -> Labels:
    """The same labels with axes of extent 1 in front."""
    ones = (1,) * (rank - len(labels.shape))
    return Labels(
        shape=ones + labels.shape,
        small=ones + labels.small,
        ids=labels.ids.reshape(ones + labels.ids.shape),
        kept=labels.kept.reshape(ones + labels.kept.shape),
    )


def through(labels: Labels, axes: Sequence[int], shape: Shape) -> Labels | None:
    """Labels after an operation that mixes all axes but ``axes``; None where one that it mixes carries channels."""
    if any(axis not in axes for axis in labels.axes):
        return None
    if len(shape) != len(labels.shape):  # the mixed axes are gone
        ids = labels.ids.reshape([labels.ids.shape[axis] for axis in axes])
        kept = labels.kept.reshape([labels.kept.shape[axis] for axis in axes])
        return Labels(shape=shape, small=tuple(labels.small[axis] for axis in axes), ids=ids, kept=kept)
    small = tuple(labels.small[axis] if axis in labels.axes else extent for axis, extent in enumerate(shape))
    return Labels(shape=shape, small=small, ids=labels.ids, kept=labels.kept)


def taken(values: npt.NDArray[np.generic], labels: Labels) -> npt.NDArray[np.generic]:
    """Return what is left of a constant that is broadcast to a tensor with these labels."""
    rank = len(labels.shape)
    wide = values.reshape((1,) * (rank - values.ndim) + values.shape)
    axes = labels.axes
    if labels.small == labels.shape or all(wide.shape[axis] == 1 for axis in axes):
        return values
    full = np.broadcast_to(wide, [labels.shape[a] if a in axes else wide.shape[a] for a in range(rank)])
    front = np.moveaxis(full, axes, range(len(axes)))
    rows = front.reshape(-1, *front.shape[len(axes) :])
    kept = labels.kept.reshape(-1)
    left = rows[kept].reshape(*(labels.small[axis] for axis in axes), *front.shape[len(axes) :])
    out = np.moveaxis(left, range(len(axes)), axes)
    drop = rank - values.ndim
    return out.reshape(out.shape[next((a for a in range(drop) if out.shape[a] > 1), drop) :])
