"""The mapper: enumerates strips, tiles (rows, positions, channels) and loop orders, and scores them by DRAM bytes.

DESIGN section 5a. The best of each kind are then simulated (``tilings.py``). Left out: a score that knows cycles.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from simulator.schedule.mapping import (
    Capacity,
    Mapping,
    axes,
    capacity,
    output_words,
    pixel_words,
    strip_pixels,
    strip_size,
    tile_words,
    trips,
    words_held,
)
from simulator.spec import Device, DeviceError
from traces.layer import MatrixLayer
from traces.layout import row_pitch


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored:
    """A mapping, about the DRAM bytes of each convolution group under it, and its tiles."""

    dram_bytes: float
    tiles: int
    mapping: Mapping


def mappings(
    layer: MatrixLayer,
    device: Device,
    row_bytes: npt.NDArray[np.float64],
    rows_per_bundle: int,
    halves: bool = False,
) -> Iterator[Mapping]:
    """Yield the mappings that fit in the order of ``scored_mappings``. Raises DeviceError where nothing fits."""
    yield from (scored.mapping for scored in scored_mappings(layer, device, row_bytes, rows_per_bundle, halves))


def scored_mappings(
    layer: MatrixLayer,
    device: Device,
    row_bytes: npt.NDArray[np.float64],
    rows_per_bundle: int,
    halves: bool = False,
) -> list[Scored]:
    """Return the mappings that fit, the fewest DRAM bytes first; among equal bytes, the fewest tiles.

    ``row_bytes`` [m]: encoded bytes of each row position with all columns. A tile has whole bundles of
    ``rows_per_bundle``. ``halves``: as in ``words_held``. Raises DeviceError where nothing fits.
    """
    room = capacity(device)
    widths = device.widths
    shape = replace(layer, name="", inputs=(), outputs=(), read_shapes=())
    found = _candidates(shape, room, device.vector, rows_per_bundle, halves)
    sums = np.concatenate(([0.0], np.cumsum(row_bytes)))
    heaviest = {rows: _heaviest_tile(sums, rows) for rows in found.rows}
    weight_bytes, positions = float(sums[-1]), layer.m * layer.p
    scored = [
        Scored(
            dram_bytes=each.moves.dram_bytes(
                weight_bytes,
                each.in_pixels * layer.ci * widths.value_bytes,
                positions * widths.value_bytes,
                positions * widths.sum_bytes,
            ),
            tiles=each.tiles,
            mapping=each.mapping,
        )
        for each in found.candidates
        if heaviest[each.mapping.rows] * each.mapping.channels / layer.ci <= room.weight_bytes
    ]
    if not scored:
        raise DeviceError(_nothing_fits(layer, device, room, sums, min(found.rows), min(found.channels)))
    scored.sort(key=lambda entry: (entry.dram_bytes, entry.tiles))
    return scored


@dataclass(frozen=True, slots=True, kw_only=True)
class Moves:
    """How often each operand is moved under a loop order."""

    weights: int
    inputs: int
    spills: int  # of the outputs, as partial sums

    def dram_bytes(self, weight_bytes: float, in_bytes: float, out_bytes: float, sum_bytes: float) -> float:
        return weight_bytes * self.weights + in_bytes * self.inputs + out_bytes + 2 * self.spills * sum_bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class _Candidate:
    """A mapping whose activations and outputs fit, its tiles and the input pixels that a pass over them loads."""

    mapping: Mapping
    tiles: int
    in_pixels: int
    moves: Moves


@dataclass(frozen=True, slots=True, kw_only=True)
class _Candidates:
    """All candidates in the order of enumeration, and the rows and channels that were tried."""

    candidates: tuple[_Candidate, ...]
    rows: tuple[int, ...]
    channels: tuple[int, ...]


@lru_cache(maxsize=256)  # networks repeat their layers, and no mask moves this
def _candidates(layer: MatrixLayer, room: Capacity, vector: int, rows_per_bundle: int, halves: bool) -> _Candidates:
    """Enumerate the mappings that fit but for their weights."""
    # the largest tile of each: a half that it has alone, or one that it shares with the next tile
    rooms = [
        replace(room, activation_words=room.activation_words // inputs, output_words=room.output_words // outputs)
        for inputs, outputs in itertools.product((1, 2) if halves else (1,), repeat=2)
    ]
    banks = room.banks
    high = rows_per_bundle
    whole = -(-layer.m // banks) * banks
    whole = -(-whole // high) * high
    row_choices = sorted({min(whole, max(1, (banks << i) // high) * high) for i in range(32)}, reverse=True)
    channel_choices = [layer.ci]
    step = layer.ci
    while layer.groups * layer.ci >= banks and step > banks:
        step = max(banks, -(-step // 2 // banks) * banks)
        channel_choices.append(step)
    found: list[_Candidate] = []
    choices = itertools.product(strip_choices(layer, vector), channel_choices, row_choices, rooms)
    for strips, channels, rows, held in choices:
        tile = _tiles_that_fit(layer, rows, channels, strips, held)
        if tile is None:
            continue
        base = Mapping(rows=rows, tile=tile, channels=channels, strips=strips, order="rpc")
        inputs, outputs = words_held(layer, base, banks, halves)
        if inputs > room.activation_words or outputs > room.output_words:
            continue
        count = trips(layer, base)
        in_pixels = _input_pixels(layer, base)
        steps = count["r"] * count["p"] * count["c"]
        found += [
            _Candidate(
                mapping=replace(base, order=order), tiles=steps, in_pixels=in_pixels, moves=moves_of(order, count)
            )
            for order in _orders(layer, count)
        ]
    return _Candidates(candidates=tuple(found), rows=tuple(row_choices), channels=tuple(channel_choices))


def strip_choices(layer: MatrixLayer, vector: int) -> list[tuple[int, int, int]]:
    """Return the grids with the fewest repeats (within 10 %), the least halo first; batch elements come first."""
    samples = min(layer.batch, vector)
    if layer.serial:
        return [(samples, 1, 1)]
    height, width = layer.window.out_hw
    vertical, horizontal = axes(layer)
    found: list[tuple[int, int, tuple[int, int, int]]] = []
    per_sample = vector // samples
    for gh in range(1, min(per_sample, height) + 1):
        gw = min(per_sample // gh, width)
        sh, sw = -(-height // gh), -(-width // gw)
        grid = (samples, -(-height // sh), -(-width // sw))  # no strip without a position
        found.append((sh * sw, vertical.pixels(sh) * horizontal.pixels(sw), grid))
    found.sort()
    best = found[0][0]
    unique = dict.fromkeys(grid for repeats, _, grid in found if repeats * 10 <= best * 11)
    return list(unique)[:3]


def _tiles_that_fit(
    layer: MatrixLayer, rows: int, channels: int, strips: tuple[int, int, int], room: Capacity
) -> tuple[int, int] | None:
    """Return the largest tile of positions (th, tw) that fits, the least halo first; None where not even 1 x 1."""
    sh, sw = (1, 1) if layer.serial else strip_size(layer, strips)
    vertical, horizontal = axes(layer)
    total = layer.groups * layer.ci
    words = pixel_words(layer, channels, room.banks)
    positions = room.output_words // output_words(rows, 1, room.banks)
    best: tuple[int, int, tuple[int, int]] | None = None
    for cut in range(1, sw + 1):
        tw = -(-sw // cut)
        if cut > 1 and tw == -(-sw // (cut - 1)):
            continue
        pitch = row_pitch(horizontal.pixels(tw), horizontal.kernel, total, room.banks)
        low = min(sh, positions // tw, vertical.positions(room.activation_words // (pitch * words)))
        if low:
            th = -(-sh // -(-sh // low))  # equal tiles
            key = (-th * tw, abs(th - tw), (th, tw))
            best = key if best is None or key < best else best
        if low == sh:
            break
    return None if best is None else best[2]


def _orders(layer: MatrixLayer, count: dict[str, int]) -> list[str]:
    if layer.serial:
        return ["prc"]  # a step of time needs the one before
    seen: dict[str, str] = {}
    for order in ("rcp", "rpc", "crp", "cpr", "prc", "pcr"):
        seen.setdefault("".join(loop for loop in order if count[loop] > 1), order)
    return list(seen.values())


def moves_of(order: str, count: dict[str, int]) -> Moves:
    """Return how often operands move: one is loaded again whenever a loop outside one of its own turns."""

    def again(own: str) -> int:
        relevant = [loop for loop in own if count[loop] > 1]
        (other,) = set("rpc") - set(own)
        inside = any(order.index(loop) > order.index(other) for loop in relevant)
        return count[other] if inside else 1

    return Moves(weights=again("rc"), inputs=again("pc"), spills=again("rp") - 1)


def _heaviest_tile(sums: npt.NDArray[np.float64], rows: int) -> float:
    """Return the most bytes of ``rows`` rows that make a tile; ``sums`` [m + 1]: encoded bytes up to each row."""
    edges = np.minimum(np.arange(0, len(sums) - 1 + rows, rows), len(sums) - 1)
    return float(np.diff(sums[edges]).max())


def _input_pixels(layer: MatrixLayer, mapping: Mapping) -> int:
    """Real pixels that one pass over all position tiles loads, halo counted as often as it is loaded."""
    return layer.batch * sum(strip_pixels(layer, mapping, 0)) * sum(strip_pixels(layer, mapping, 1))


def _nothing_fits(
    layer: MatrixLayer, device: Device, room: Capacity, sums: npt.NDArray[np.float64], rows: int, channels: int
) -> str:
    """Say what the smallest tile takes of each buffer."""
    smallest = Mapping(rows=rows, tile=(1, 1), channels=channels, strips=(1, 1, 1), order="rpc")
    weight_bytes = int(np.ceil(_heaviest_tile(sums, rows) * channels / layer.ci))
    return (
        f"layer {layer.name}: no tile fits device {device.name}: {rows} rows of {channels} channels need about "
        f"{weight_bytes} bytes of {room.weight_bytes} in the weight buffer, one position "
        f"{tile_words(layer, smallest, room.banks)} activation words of {room.activation_words} and "
        f"{output_words(rows, 1, room.banks)} output words of {room.output_words}"
    )
