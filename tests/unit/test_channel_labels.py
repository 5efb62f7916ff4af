"""Labels of channels follow views and moves exactly: what is left is the part of the full tensor that they say."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from traces.channel_labels import (
    Irregular,
    Labels,
    along,
    concatenated,
    fixed,
    merged,
    reshaped,
    sliced,
    taken,
    through,
    transposed,
)


def no_tie(first: np.ndarray, second: np.ndarray) -> None:
    raise AssertionError(f"{first} meets {second}")


def left(full: np.ndarray, labels: Labels) -> np.ndarray:
    """What the labels say is left of a tensor."""
    shape = labels.small
    places = [
        np.broadcast_to(part if labels.ids.shape[axis] > 1 else _every(full.shape[axis], axis, full.ndim), shape)
        for axis, part in enumerate(labels.places)
    ]
    return full[tuple(places)]


def _every(extent: int, axis: int, rank: int) -> np.ndarray:
    return np.arange(extent).reshape([-1 if other == axis else 1 for other in range(rank)])


def tensor(*shape: int) -> np.ndarray:
    return np.arange(int(np.prod(shape))).reshape(shape)


def kept_of(channels: int, *kept: int) -> tuple[np.ndarray, np.ndarray]:
    return np.arange(1, channels + 1), np.asarray(kept, dtype=np.int64)


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 3), st.integers(2, 4), st.integers(1, 4), st.integers(1, 3), st.data())
def test_a_shuffle_of_what_is_left_is_what_is_left_of_the_shuffle(
    batch: int, groups: int, per_group: int, side: int, data: st.DataObject
) -> None:
    """Reshape, transpose, reshape: both ways round, for any choice of as many channels in each group."""
    count = data.draw(st.integers(1, per_group))
    chosen = [sorted(data.draw(st.permutations(range(per_group)))[:count]) for _ in range(groups)]
    kept = np.asarray([group * per_group + place for group, row in enumerate(chosen) for place in row])
    channels = groups * per_group
    full = tensor(batch, channels, side)
    labels = along(full.shape, 1, np.arange(1, channels + 1), kept)
    small = left(full, labels)
    assert np.array_equal(small, full[:, kept])

    split = reshaped(labels, (batch, groups, per_group, side))
    swapped = transposed(split, (0, 2, 1, 3))
    whole = reshaped(swapped, full.shape)
    expected = full.reshape(batch, groups, per_group, side).transpose(0, 2, 1, 3).reshape(full.shape)
    moved = small.reshape(batch, groups, count, side).transpose(0, 2, 1, 3).reshape(batch, groups * count, side)
    assert split.small == (batch, groups, count, side)
    assert np.array_equal(left(expected, whole), moved)


def test_a_flattened_map_keeps_all_pixels_of_a_channel() -> None:
    full = tensor(2, 4, 3, 2)
    labels = reshaped(along(full.shape, 1, *kept_of(4, 0, 3)), (2, 24))
    assert np.array_equal(left(full.reshape(2, 24), labels), full[:, [0, 3]].reshape(2, 12))


def test_unequal_groups_are_irregular() -> None:
    labels = along((1, 6, 2), 1, *kept_of(6, 0, 1, 3))
    with pytest.raises(Irregular, match=r"what is left of \(1, 6, 2\) cannot be seen in shape \(1, 2, 3, 2\)"):
        reshaped(labels, (1, 2, 3, 2))


def test_a_slice_says_where_the_channels_that_are_left_now_lie() -> None:
    full = tensor(1, 8, 2)
    labels = along(full.shape, 1, *kept_of(8, 0, 3, 4, 7))
    part, places = sliced(labels, 1, np.arange(4, 8))
    assert places.tolist() == [2, 3]
    assert np.array_equal(left(full[:, 4:], part), left(full, labels)[:, 2:4])
    backwards, places = sliced(labels, 1, np.arange(7, -1, -1))
    assert places.tolist() == [3, 2, 1, 0]
    assert np.array_equal(left(full[:, ::-1], backwards), left(full, labels)[:, ::-1])


def test_a_slice_without_channels_that_are_left_is_irregular() -> None:
    with pytest.raises(Irregular, match="a slice of axis 1 would be empty"):
        sliced(along((1, 8), 1, *kept_of(8, 0, 3)), 1, np.arange(4, 8))


def test_a_concat_moves_places_and_keeps_what_carries_no_channels() -> None:
    a, b = tensor(1, 4, 2), tensor(1, 3, 2) + 100
    found = concatenated([along(a.shape, 1, *kept_of(4, 1, 2)), fixed(b.shape)], 1, no_tie)
    assert np.array_equal(left(np.concatenate([a, b], 1), found), np.concatenate([a[:, [1, 2]], b], 1))


def test_inputs_that_would_be_left_with_different_channels_are_irregular() -> None:
    one, other = along((1, 4), 1, *kept_of(4, 0, 1)), along((1, 4), 1, *kept_of(4, 0, 2))
    with pytest.raises(Irregular, match="would be left with different ones"):
        merged([one, other], (1, 4), lambda first, second: None)


def test_an_input_without_channels_of_its_own_holds_those_that_it_meets() -> None:
    met: list[tuple[list[int], list[int]]] = []
    labels = along((1, 3, 2), 1, *kept_of(3, 0, 1, 2))
    merged(
        [labels, fixed((1, 3, 2))], (1, 3, 2), lambda a, b: met.append((a.reshape(-1).tolist(), b.reshape(-1).tolist()))
    )
    assert ([1, 2, 3], [0, 0, 0]) in met


def test_an_input_of_extent_one_is_broadcast_and_holds_nothing() -> None:
    labels = along((1, 3, 2), 1, *kept_of(3, 0, 2))
    found = merged([labels, fixed((1, 1, 2))], (1, 3, 2), no_tie)
    assert found.small == (1, 2, 2)


def test_constants_lose_the_entries_of_channels_alone() -> None:
    labels = along((2, 4, 3, 3), 1, *kept_of(4, 0, 3))
    slopes = np.arange(4.0).reshape(4, 1, 1)
    assert np.array_equal(taken(slopes, labels), slopes[[0, 3]])
    assert taken(np.ones((3, 3)), labels).shape == (3, 3)
    assert taken(np.float32(2.0).reshape(()), labels).shape == ()
    split = reshaped(along((1, 4), 1, *kept_of(4, 1, 2)), (1, 2, 2))
    both = np.arange(4.0).reshape(2, 2)
    assert np.array_equal(taken(both, split), both.reshape(4)[[1, 2]].reshape(2, 1))


def test_a_reduction_over_other_axes_keeps_channels_apart() -> None:
    labels = along((2, 4, 3), 1, *kept_of(4, 0, 3))
    reduced = through(labels, (0, 1), (2, 4))
    assert reduced is not None
    assert reduced.small == (2, 2)
    assert through(labels, (0, 2), (2, 3)) is None
