"""How a layer lies in the scratchpads and what its streams must fetch, written out slowly: DESIGN sections 3 and 5a.

Nothing here imports the scheduler. A mapping is taken as it is spelled; loops, strips, tiles, halo, addresses, groups,
DRAM bytes and the numbers that come out are worked out again from the contract, one position at a time.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from traces.layer import MatrixLayer
from traces.stream import RequestStream

Ints = npt.NDArray[np.int64]
Place = tuple[int, int, int]  # sample, row and column of the output map
Pixel = tuple[int, int, int]  # sample, row and column of the input map


@dataclass(frozen=True, slots=True, kw_only=True)
class Spelled:
    """A mapping as its spelling says it."""

    rows: int
    tile: tuple[int, int]
    channels: int
    strips: tuple[int, int, int]
    order: str


def spelled(text: str) -> Spelled:
    found = re.fullmatch(r"rows=(\d+) tile=(\d+)x(\d+) channels=(\d+) strips=(\d+)x(\d+)x(\d+) order=([rpc]{3})", text)
    assert found is not None, text
    rows, th, tw, channels, samples, gh, gw = (int(number) for number in found.groups()[:7])
    return Spelled(rows=rows, tile=(th, tw), channels=channels, strips=(samples, gh, gw), order=found.group(8))


@dataclass(frozen=True, slots=True, kw_only=True)
class Tile:
    """Positions of one tile: its extent in a strip, and where each strip (lane of a word) starts in the output map."""

    height: int
    width: int
    starts: list[Place]

    def outputs(self, layer: MatrixLayer, start: Place) -> list[Place]:
        """Outputs of one strip that lie in the map and in its strip, in the order of the repeats."""
        sample, y0, x0 = start
        high, wide = layer.window.out_hw
        return [
            (sample, y, x)
            for y in range(y0, y0 + self.height)
            for x in range(x0, x0 + self.width)
            if sample < layer.batch and y < high and x < wide
        ]


def tiles(layer: MatrixLayer, mapping: Spelled) -> list[Tile]:
    """All tiles of positions, rounds of a large batch outermost; a serial layer has one a step of time."""
    samples, gh, gw = mapping.strips
    high, wide = layer.window.out_hw
    rounds = -(-layer.batch // samples)
    if layer.serial:
        return [
            Tile(height=1, width=1, starts=[(r * samples + n, 0, t) for n in range(samples)])
            for r in range(rounds)
            for t in range(high * wide)
        ]
    sh, sw = -(-high // gh), -(-wide // gw)
    found = []
    for r, y, x in itertools.product(range(rounds), range(0, sh, mapping.tile[0]), range(0, sw, mapping.tile[1])):
        found.append(
            Tile(
                height=min(mapping.tile[0], sh - y),
                width=min(mapping.tile[1], sw - x),
                starts=[
                    (r * samples + n, i * sh + y, j * sw + x)
                    for n in range(samples)
                    for i in range(gh)
                    for j in range(gw)
                ],
            )
        )
    return found


def order_of_tiles(layer: MatrixLayer, mapping: Spelled) -> Iterator[tuple[int, int, int]]:
    """(row tile, position tile, channel part) in the loop order that the mapping spells."""
    count = {
        "r": -(-layer.m // mapping.rows),
        "p": len(tiles(layer, mapping)),
        "c": -(-layer.ci // mapping.channels),
    }
    outer, middle, inner = mapping.order
    for a in range(count[outer]):
        for b in range(count[middle]):
            for c in range(count[inner]):
                at = {outer: a, middle: b, inner: c}
                yield at["r"], at["p"], at["c"]


# Layout


def moved(kernel: int, stride: int) -> int:
    """Stored pixels between neighbouring outputs: a window of one pixel leaves the skipped ones in DRAM."""
    return 1 if kernel == 1 else stride


def source(output: int, stored: int, kernel: int, stride: int, pad: int) -> int:
    """Where in the input the ``stored``-th pixel of a tile that starts at ``output`` comes from."""
    return (output + stored) * stride - pad if kernel == 1 else output * stride - pad + stored


def stored_pixels(outputs: int, kernel: int, stride: int, dilation: int) -> int:
    return (outputs - 1) * moved(kernel, stride) + (kernel - 1) * dilation + 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """Addresses of a tile that holds channels [first, first + count) of a group: (y * pitch + x) * words + c - low."""

    pitch: int
    words: int
    low: int
    first: int
    count: int


def layout(layer: MatrixLayer, mapping: Spelled, group: int, part: int, banks: int) -> Layout:
    first = part * mapping.channels
    count = min(mapping.channels, layer.ci - first)
    start, stop = group * layer.ci + first, group * layer.ci + first + count
    total = layer.groups * layer.ci
    kernel, stride, dilation = layer.window.kernel[1], layer.window.stride[1], layer.window.dilation[1]
    pitch = stored_pixels(mapping.tile[1], kernel, stride, dilation)
    if total < banks:  # Cp = Ci: the pitch must not depend on the tile, or banks would
        while pitch % banks != kernel % banks:
            pitch += 1
        return Layout(pitch=pitch, words=total, low=0, first=start, count=count)
    low = start - start % banks
    words = banks
    while words < stop - low:
        words += banks
    return Layout(pitch=pitch, words=words, low=low, first=start, count=count)


def scratchpad(layer: MatrixLayer, x: Ints, tile: Tile, at: Layout) -> dict[int, Ints]:
    """What lies at each address: one channel of one pixel for every strip, zero where the map is padded.

    x [batch, channels, height, width]. Two values at one address are an error.
    """
    (kh, kw), (sh, sw), (dh, dw) = layer.window.kernel, layer.window.stride, layer.window.dilation
    top, left = layer.window.padding[:2]
    high, wide = layer.window.in_hw
    found: dict[int, Ints] = {}
    for py in range(stored_pixels(tile.height, kh, sh, dh)):
        for px in range(stored_pixels(tile.width, kw, sw, dw)):
            for c in range(at.first, at.first + at.count):
                word = np.zeros(len(tile.starts), dtype=np.int64)
                for strip, (sample, y0, x0) in enumerate(tile.starts):
                    iy, ix = source(y0, py, kh, sh, top), source(x0, px, kw, sw, left)
                    if sample < layer.batch and 0 <= iy < high and 0 <= ix < wide:
                        word[strip] = x[sample, c, iy, ix]
                address = (py * at.pitch + px) * at.words + c - at.low
                assert address not in found
                found[address] = word
    return found


def columns_by_address(layer: MatrixLayer, at: Layout) -> dict[int, int]:
    """The column of the layer's matrix (one group) whose activation lies at each address of the first window."""
    (kh, kw), (dh, dw) = layer.window.kernel, layer.window.dilation
    found = {}
    for y, x, c in itertools.product(range(kh), range(kw), range(at.first, at.first + at.count)):
        address = (y * dh * at.pitch + x * dw) * at.words + c - at.low
        found[address] = (y * kw + x) * layer.ci + c % layer.ci
    assert len(found) == kh * kw * at.count
    return found


def part_columns(layer: MatrixLayer, at: Layout) -> list[int]:
    """Columns of a part in ascending order."""
    return sorted(columns_by_address(layer, at).values())


# Groups


def konig_groups(rows: list[list[int]], width: int, k: int, bank: dict[int, int]) -> int:
    """The fewest conflict-free groups for the kept columns of a bundle's rows."""
    load = [0] * width
    for row in rows:
        for column in row:
            load[bank[column] % width] += 1
    return max([*load, *(-(-len(row) // k) for row in rows)])


def bundles(order: list[int], first: int, last: int, high: int) -> list[list[int]]:
    """Rows of each bundle of the positions [first, last) of an order."""
    return [order[at : min(at + high, last)] for at in range(first, last, high)]


def sorted_rows(mask: npt.NDArray[np.bool_]) -> list[int]:
    return sorted(range(len(mask)), key=lambda row: int(mask[row].sum()))


def best_way(mask: npt.NDArray[np.bool_], width: int, bank: dict[int, int]) -> tuple[int, list[int]]:
    """k and row order of the fewest groups: all k dividing the width, rows as they are before rows sorted."""
    best: tuple[int, int, list[int]] | None = None
    kept = [[int(column) for column in np.flatnonzero(row)] for row in mask]
    for order in (list(range(len(mask))), sorted_rows(mask)):
        for k in (k for k in range(1, width + 1) if width % k == 0):
            total = sum(
                konig_groups([kept[row] for row in bundle], width, k, bank)
                for bundle in bundles(order, 0, len(order), width // k)
            )
            if best is None or total < best[0]:
                best = total, k, order
    assert best is not None
    return best[1], best[2]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """How the encoding of a layer cuts rows into groups. ``high``: rows of a bundle. ``order``: rows as bundles go."""

    encoding: str
    lanes: int
    high: int
    order: list[int]
    k: int = 1
    width: int = 1
    shapes: tuple[tuple[int, ...], ...] = ()
    channels: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetch:
    """One request, and the rows of the layer that it feeds."""

    address: int
    column: int
    rows: list[int]
    bundle: int


def fetches(stream: RequestStream, rule: Rule, columns: dict[int, int], members: list[int]) -> list[list[Fetch]]:
    """Each group's requests with columns found by address and rows found by lane and scatter address.

    members: rows of the tile, ascending: the scatter address of a row is its place among them.
    """
    found: list[list[Fetch]] = []
    ends = stream.bundle_end.tolist()
    for group in range(len(stream.group_ptr) - 1):
        bundle = next(b for b, end in enumerate(ends) if group < end)
        outputs = stream.scatter_address[stream.scatter_ptr[bundle] : stream.scatter_ptr[bundle + 1]].tolist()
        rows = [members[output] for output in outputs]
        requests = []
        for at in range(int(stream.group_ptr[group]), int(stream.group_ptr[group + 1])):
            lane = int(stream.lane[at])
            assert 0 <= lane < rule.lanes
            if rule.encoding in ("packed", "gs"):
                fed = [rows[lane // rule.k]]
            elif rule.encoding == "bsr":
                assert lane % rule.high == 0
                assert lane + rule.high <= rule.lanes
                fed = rows
            else:
                (row,) = rows
                fed = [row]
            address = int(stream.address[at])
            requests.append(Fetch(address=address, column=columns[address], rows=fed, bundle=bundle))
        found.append(requests)
    return found


def check_groups(
    found: list[list[Fetch]], rule: Rule, mask: npt.NDArray[np.bool_], columns: list[int], first: int, last: int,
    banks: int, bank: dict[int, int],
) -> None:  # fmt: skip
    """Assert that the groups of one tile are those of the encoding, and that each kept weight is fetched once.

    mask [m, k]; rows ``rule.order[first:last]`` and ``columns`` lie in the tile.
    """
    tile_rows = rule.order[first:last]
    once = [(row, fetch.column) for group in found for fetch in group for row in fetch.rows]
    assert len(once) == len(set(once)), "a weight is multiplied twice"
    dense = rule.encoding == "dense"
    expected = {(row, column) for row in tile_rows for column in columns if dense or mask[row, column]}
    if rule.encoding == "bsr":
        assert expected <= set(once)
    else:
        assert expected == set(once)
    by_bundle: dict[int, list[list[Fetch]]] = {}
    for group in found:
        assert group
        by_bundle.setdefault(group[0].bundle, []).append(group)
    if rule.encoding in ("packed", "gs"):
        _check_packed(by_bundle, rule, mask, columns, first, last, banks, bank)
        return
    want: list[list[int]] = []
    if rule.encoding == "kernel_pattern":
        for row in tile_rows:
            want += _kernel_groups(rule, {column for column in columns if mask[row, column]})
        assert [[fetch.column for fetch in group] for group in found] == want
        return
    for rows in bundles(rule.order, first, last, rule.high):
        asked = [column for column in columns if dense or any(mask[row, column] for row in rows)]
        step = max(1, rule.lanes // rule.high)
        want += [asked[at : at + step] for at in range(0, len(asked), step)]
    assert [[fetch.column for fetch in group] for group in found] == want


def kernel_shapes(*, mest: bool) -> tuple[tuple[int, ...], ...]:
    """Taps of the eight shapes of DESIGN section 3, numbered along the rows of the 3x3 window."""
    spelled = (
        "11 12 21 22; 10 11 20 21; 01 02 11 12; 00 01 10 11; 10 11 12 21; 01 11 12 21; 01 10 11 21; "
        + ("12 20 21 22" if mest else "01 10 11 12")
    )  # fmt: skip
    places = [[divmod(int(place), 10) for place in shape.split()] for shape in spelled.split(";")]
    return tuple(tuple(3 * y + x for y, x in shape) for shape in places)


def _kernel_groups(rule: Rule, kept: set[int]) -> list[list[int]]:
    """Columns of each group of one filter: kernels of one shape together, L channels of one kept position a group."""
    groups: list[list[int]] = []
    for shape in rule.shapes:
        alike = []
        for channel in range(rule.channels):
            taps = tuple(tap for tap in range(9) if tap * rule.channels + channel in kept)
            if taps == shape:
                alike.append(channel)
        for at in range(0, len(alike), rule.lanes):
            groups += [[tap * rule.channels + channel for channel in alike[at : at + rule.lanes]] for tap in shape]
    return groups


def _check_packed(
    by_bundle: dict[int, list[list[Fetch]]], rule: Rule, mask: npt.NDArray[np.bool_], columns: list[int], first: int,
    last: int, banks: int, bank: dict[int, int],
) -> None:  # fmt: skip
    """Conflict-free, at most k of a row in a group, and as few groups as Konig's theorem allows."""
    every = [
        rows for rows in bundles(rule.order, first, last, rule.high) if any(mask[r, c] for r in rows for c in columns)
    ]
    assert len(every) == len(by_bundle)
    for rows, groups in zip(every, by_bundle.values(), strict=True):
        kept = [[column for column in columns if mask[row, column]] for row in rows]
        assert len(groups) == konig_groups(kept, rule.width, rule.k, bank)
        for group in groups:
            assert len({fetch.address % banks for fetch in group}) == len(group), "two words of one bank"
            fed = [fetch.rows[0] for fetch in group]
            assert max(fed.count(row) for row in fed) <= rule.k
            assert set(fed) <= set(rows)


# Numbers


def convolution(layer: MatrixLayer, weights: Ints, x: Ints) -> Ints:
    """Y [batch, groups, m, out height, out width] of W [groups, m, k] and x [batch, channels, height, width]."""
    top, left, bottom, right = layer.window.padding
    padded = np.pad(x, ((0, 0), (0, 0), (top, bottom), (left, right)))
    (kh, kw), (sh, sw), (dh, dw) = layer.window.kernel, layer.window.stride, layer.window.dilation
    high, wide = layer.window.out_hw
    out = np.zeros((layer.batch, layer.groups, layer.m, high, wide), dtype=np.int64)
    taps = weights.reshape(layer.groups, layer.m, kh, kw, layer.ci)
    for group, y, x_ in itertools.product(range(layer.groups), range(high), range(wide)):
        channels = slice(group * layer.ci, (group + 1) * layer.ci)
        rows, cols = slice(y * sh, y * sh + (kh - 1) * dh + 1, dh), slice(x_ * sw, x_ * sw + (kw - 1) * dw + 1, dw)
        window = padded[:, channels, rows, cols]
        assert window.shape[2:] == (kh, kw), "the window leaves the padded map"
        out[:, group, :, y, x_] = np.einsum("nchw,mhwc->nm", window, taps[group])
    return out


# DRAM


def loaded_pixels(layer: MatrixLayer, tile: Tile) -> int:
    """Pixels of the input map that a tile's strips read: per strip, all from its first window to its last."""
    (kh, kw), (sh, sw), (dh, dw) = layer.window.kernel, layer.window.stride, layer.window.dilation
    top, left = layer.window.padding[:2]
    high, wide = layer.window.in_hw
    total = 0
    for start in tile.starts:
        outputs = tile.outputs(layer, start)
        if not outputs:
            continue
        _, y0, x0 = start
        tall, broad = len({y for _, y, _ in outputs}), len({x for _, _, x in outputs})
        pixels = {
            (source(y0, py, kh, sh, top), source(x0, px, kw, sw, left))
            for py in range(stored_pixels(tall, kh, sh, dh))
            for px in range(stored_pixels(broad, kw, sw, dw))
        }
        total += sum(1 for y, x in pixels if 0 <= y < high and 0 <= x < wide)
    return total


def stored_outputs(layer: MatrixLayer, tile: Tile) -> int:
    return sum(len(tile.outputs(layer, start)) for start in tile.starts)
