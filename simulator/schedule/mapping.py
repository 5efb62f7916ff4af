"""The mapper: which tile of a layer lies in the scratchpads at a time, and in which order tiles run. DESIGN 5a.

Enumerates strips, tiles (rows, positions, channels) and loop orders, and scores them by DRAM bytes. Left out: sharing
of tiles between layers, tiles that cut the window (a tile holds all kernel positions of its channels).
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from simulator.spec import Device, DeviceError
from traces.layer import MatrixLayer
from traces.layout import channel_pitch, row_pitch

LOOPS = ("rows", "positions", "channels")
_SPELLING = re.compile(
    r"rows=(?P<rows>\d+) tile=(?P<th>\d+)x(?P<tw>\d+) channels=(?P<channels>\d+) "
    r"strips=(?P<samples>\d+)x(?P<gh>\d+)x(?P<gw>\d+) order=(?P<order>[rpc]{3})"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mapping:
    """One way to run a layer. ``strips``: samples x grid of the output map that fill the lanes of a word.

    ``tile`` (th, tw): output positions of one strip in a tile. ``order``: loops outermost first, by initial letter.
    """

    rows: int
    tile: tuple[int, int]
    channels: int
    strips: tuple[int, int, int]
    order: str

    def __str__(self) -> str:
        samples, gh, gw = self.strips
        return (
            f"rows={self.rows} tile={self.tile[0]}x{self.tile[1]} channels={self.channels} "
            f"strips={samples}x{gh}x{gw} order={self.order}"
        )


def parse_mapping(text: str) -> Mapping:
    """Return the mapping that ``str(mapping)`` spelled. Raises DeviceError."""
    match = _SPELLING.fullmatch(text.strip())
    if match is None or sorted(match["order"]) != ["c", "p", "r"]:
        raise DeviceError(
            f"mapping {text!r} must read 'rows=R tile=HxW channels=C strips=SxHxW order=rpc' (order: each letter once)"
        )
    part = {key: int(value) for key, value in match.groupdict().items() if key != "order"}
    if min(part.values()) < 1:
        raise DeviceError(f"mapping {text!r}: every number must be at least 1")
    return Mapping(
        rows=part["rows"],
        tile=(part["th"], part["tw"]),
        channels=part["channels"],
        strips=(part["samples"], part["gh"], part["gw"]),
        order=match["order"],
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """One direction of the map: window, effective stride (1 where a 1-wide window skips pixels) and padding."""

    size_in: int
    size_out: int
    kernel: int
    stride: int
    source_stride: int
    dilation: int
    pad: int

    def pixels(self, positions: int) -> int:
        """Stored pixels that ``positions`` outputs in a row read, padding included."""
        return (positions - 1) * self.stride + (self.kernel - 1) * self.dilation + 1

    def loaded(self, first: int, positions: int) -> int:
        """Real pixels (padding left out) read by the outputs from ``first`` on; outputs past the map read none."""
        last = min(first + positions, self.size_out)
        if last <= first:
            return 0
        if self.kernel == 1:
            skipped = -(-max(0, self.pad - first * self.source_stride) // self.source_stride)
            beyond = -(-(self.size_in + self.pad) // self.source_stride)  # first output past the map
            return max(0, min(last, beyond) - (first + skipped))
        low = first * self.source_stride - self.pad
        high = (last - 1) * self.source_stride - self.pad + (self.kernel - 1) * self.dilation
        return max(0, min(high, self.size_in - 1) - max(low, 0) + 1)


def axes(layer: MatrixLayer) -> tuple[Axis, Axis]:
    """Return the vertical and horizontal axis of a layer's map."""
    window = layer.window
    return tuple(  # type: ignore[return-value]
        Axis(
            size_in=window.in_hw[i],
            size_out=window.out_hw[i],
            kernel=window.kernel[i],
            # a 1-wide window leaves skipped pixels in DRAM
            stride=1 if window.kernel[i] == 1 else window.stride[i],
            source_stride=window.stride[i],
            dilation=window.dilation[i],
            pad=window.padding[i],
        )
        for i in (0, 1)
    )


def strip_size(layer: MatrixLayer, strips: tuple[int, int, int]) -> tuple[int, int]:
    """Return the output positions of one strip (height, width)."""
    return -(-layer.window.out_hw[0] // strips[1]), -(-layer.window.out_hw[1] // strips[2])


def sample_rounds(layer: MatrixLayer, strips: tuple[int, int, int]) -> int:
    """Return how often the map is run to serve the whole batch."""
    return -(-layer.batch // strips[0])


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Capacity:
    """What fits: words of activations and of outputs, bytes of weights."""

    activation_words: int
    output_words: int
    weight_bytes: int
    banks: int


def capacity(device: Device) -> Capacity:
    """Return the capacity of one buffer of each kind."""
    pad, widths = device.scratchpad, device.widths
    return Capacity(
        activation_words=pad.activation_bytes // (device.vector * widths.value_bytes),
        output_words=pad.output_bytes // (device.vector * widths.sum_bytes),
        weight_bytes=device.weight_buffer.bytes,
        banks=pad.banks,
    )


def channel_span(layer: MatrixLayer, group: int, first: int, count: int, banks: int) -> tuple[int, int]:
    """Return the first stored channel and the words per pixel of channels [first, first + count) of a group.

    The first stored channel is a multiple of B, so that a channel keeps its bank.
    """
    total = layer.groups * layer.ci
    if total < banks:
        return 0, total
    low = (group * layer.ci + first) // banks * banks
    return low, channel_pitch(max(group * layer.ci + first + count - low, banks), banks)


def tile_words(layer: MatrixLayer, mapping: Mapping, banks: int) -> int:
    """Return the activation words of the largest tile."""
    vertical, horizontal = axes(layer)
    total = layer.groups * layer.ci
    words = max(channel_span(layer, group, 0, mapping.channels, banks)[1] for group in range(min(layer.groups, banks)))
    pitch = row_pitch(horizontal.pixels(mapping.tile[1]), horizontal.kernel, total, banks)
    return vertical.pixels(mapping.tile[0]) * pitch * words


def output_words(rows: int, positions: int, banks: int) -> int:
    """Return the output words of a tile; a position's rows are padded to whole turns of the banks."""
    return -(-rows // banks) * banks * positions


def check_mapping(layer: MatrixLayer, device: Device, mapping: Mapping, rows_per_bundle: int) -> None:
    """Raise DeviceError unless a mapping that the user forces can run this layer on this device.

    ``rows_per_bundle``: a tile of rows must hold whole bundles, or a bundle would be run by two tiles.
    """
    room = capacity(device)
    samples, gh, gw = mapping.strips
    needed = {
        "strips": (samples * gh * gw, device.vector, "positions of a word"),
        "tile and channels": (tile_words(layer, mapping, room.banks), room.activation_words, "activation words"),
        "rows and tile": (
            output_words(min(mapping.rows, layer.m), mapping.tile[0] * mapping.tile[1], room.banks),
            room.output_words,
            "output words",
        ),
    }
    for what, (wanted, held, unit) in needed.items():
        if wanted > held:
            raise DeviceError(f"layer {layer.name}: mapping {mapping}: {what} need {wanted} {unit} of {held}")
    if mapping.rows < layer.m and mapping.rows % rows_per_bundle:
        raise DeviceError(
            f"layer {layer.name}: mapping {mapping}: rows must be a multiple of {rows_per_bundle}, the rows of a bundle"
        )
    if layer.serial and (mapping.order[0] != "p" or (gh, gw) != (1, 1) or mapping.tile != (1, 1)):
        raise DeviceError(
            f"layer {layer.name}: mapping {mapping}: a recurrence runs one step of time after another, with tile=1x1, "
            f"strips=Sx1x1 and order=prc"
        )


def _tiles_that_fit(
    layer: MatrixLayer, rows: int, channels: int, strips: tuple[int, int, int], room: Capacity
) -> tuple[int, int] | None:
    """Return the largest tile of positions (th, tw) that fits, the least halo first; None where not even 1 x 1."""
    sh, sw = (1, 1) if layer.serial else strip_size(layer, strips)
    positions = room.output_words // output_words(rows, 1, room.banks)
    best: tuple[int, int, tuple[int, int]] | None = None
    for cut in range(1, sw + 1):
        tw = -(-sw // cut)
        if cut > 1 and tw == -(-sw // (cut - 1)):
            continue
        low, high = 0, min(sh, positions // tw)
        while low < high:  # words rise with th: bisect
            middle = (low + high + 1) // 2
            probe = Mapping(rows=rows, tile=(middle, tw), channels=channels, strips=strips, order="rpc")
            if tile_words(layer, probe, room.banks) <= room.activation_words:
                low = middle
            else:
                high = middle - 1
        if low:
            th = -(-sh // -(-sh // low))  # equal tiles
            key = (-th * tw, abs(th - tw), (th, tw))
            best = key if best is None or key < best else best
        if low == sh:
            break
    return None if best is None else best[2]


def trips(layer: MatrixLayer, mapping: Mapping) -> dict[str, int]:
    """Return the trip count of each loop; positions include the rounds of a large batch, or the steps of time."""
    sh, sw = strip_size(layer, mapping.strips)
    tiles = -(-sh // mapping.tile[0]) * -(-sw // mapping.tile[1])
    return {
        "r": -(-layer.m // mapping.rows),
        "p": tiles * sample_rounds(layer, mapping.strips),
        "c": -(-layer.ci // mapping.channels),
    }


def dram_bytes(
    order: str, count: dict[str, int], weight_bytes: float, in_bytes: float, out_bytes: float, sum_bytes: float
) -> float:
    """Return the DRAM bytes of a loop order: an operand is loaded again whenever a loop outside one of its own turns.

    ``out_bytes``: the finished outputs; ``sum_bytes``: the same positions as partial sums.
    """

    def again(own: str) -> int:
        relevant = [loop for loop in own if count[loop] > 1]
        (other,) = set("rpc") - set(own)
        inside = any(order.index(loop) > order.index(other) for loop in relevant)
        return count[other] if inside else 1

    spills = again("rp") - 1
    return weight_bytes * again("rc") + in_bytes * again("pc") + out_bytes + 2 * spills * sum_bytes


def mappings(
    layer: MatrixLayer, device: Device, row_bytes: npt.NDArray[np.float64], rows_per_bundle: int
) -> Iterator[Mapping]:
    """Yield the mappings that fit, the fewest DRAM bytes first.

    ``row_bytes`` [m]: encoded bytes of each row position with all columns. A tile has whole bundles of
    ``rows_per_bundle``. Raises DeviceError where nothing fits.
    """
    room = capacity(device)
    widths = device.widths
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
    sums = np.concatenate(([0.0], np.cumsum(row_bytes)))
    scored: list[tuple[float, int, int, Mapping]] = []
    for strips, channels, rows in itertools.product(strip_choices(layer, device.vector), channel_choices, row_choices):
        edges = np.minimum(np.arange(0, layer.m + rows, rows), layer.m)
        if np.diff(sums[edges]).max() * channels / layer.ci > room.weight_bytes:
            continue
        tile = _tiles_that_fit(layer, rows, channels, strips, room)
        if tile is None:
            continue
        base = Mapping(rows=rows, tile=tile, channels=channels, strips=strips, order="rpc")
        count = trips(layer, base)
        in_bytes = _input_pixels(layer, base) * layer.ci * widths.value_bytes
        positions = layer.m * layer.p
        for order in _orders(layer, count):
            total = dram_bytes(
                order, count, float(sums[-1]), in_bytes, positions * widths.value_bytes, positions * widths.sum_bytes
            )
            steps = count["r"] * count["p"] * count["c"]
            scored.append(
                (
                    total,
                    steps,
                    len(scored),
                    Mapping(rows=rows, tile=tile, channels=channels, strips=strips, order=order),
                )
            )
    if not scored:
        raise DeviceError(_nothing_fits(layer, device, room, sums, min(row_choices), min(channel_choices)))
    scored.sort(key=lambda entry: entry[:3])
    for entry in scored:
        yield entry[3]


def _nothing_fits(
    layer: MatrixLayer, device: Device, room: Capacity, sums: npt.NDArray[np.float64], rows: int, channels: int
) -> str:
    """Say what the smallest tile takes of each buffer."""
    smallest = Mapping(rows=rows, tile=(1, 1), channels=channels, strips=(1, 1, 1), order="rpc")
    edges = np.minimum(np.arange(0, layer.m + rows, rows), layer.m)
    weight_bytes = int(np.ceil(np.diff(sums[edges]).max() * channels / layer.ci))
    return (
        f"layer {layer.name}: no tile fits device {device.name}: {rows} rows of {channels} channels need about "
        f"{weight_bytes} bytes of {room.weight_bytes} in the weight buffer, one position "
        f"{tile_words(layer, smallest, room.banks)} activation words of {room.activation_words} and "
        f"{output_words(rows, 1, room.banks)} output words of {room.output_words}"
    )


def _orders(layer: MatrixLayer, count: dict[str, int]) -> list[str]:
    if layer.serial:
        return ["prc"]  # a step of time needs the one before
    seen: dict[str, str] = {}
    for order in ("rcp", "rpc", "crp", "cpr", "prc", "pcr"):
        seen.setdefault("".join(loop for loop in order if count[loop] > 1), order)
    return list(seen.values())


def _input_pixels(layer: MatrixLayer, mapping: Mapping) -> int:
    """Real pixels that one pass over all position tiles loads, halo counted as often as it is loaded."""
    return layer.batch * sum(strip_pixels(layer, mapping, 0)) * sum(strip_pixels(layer, mapping, 1))


def strip_pixels(layer: MatrixLayer, mapping: Mapping, direction: int) -> list[int]:
    """Return, for each tile along a direction, the real pixels that its strips load, summed over the strips."""
    axis = axes(layer)[direction]
    strip = strip_size(layer, mapping.strips)[direction]
    return list(_loaded_by_tile(axis, mapping.strips[1 + direction], strip, mapping.tile[direction]))


@lru_cache(maxsize=1 << 14)  # the same layers come back for every pattern and sparsity
def _loaded_by_tile(axis: Axis, grid: int, strip: int, tile: int) -> tuple[int, ...]:
    return tuple(
        sum(axis.loaded(i * strip + first, min(tile, strip - first)) for i in range(grid))
        for first in range(0, strip, tile)
    )


def strip_outputs(layer: MatrixLayer, mapping: Mapping, direction: int) -> list[int]:
    """Return, for each tile along a direction, the outputs inside the map, summed over the strips."""
    size = layer.window.out_hw[direction]
    strip = strip_size(layer, mapping.strips)[direction]
    tile = mapping.tile[direction]
    grid = mapping.strips[1 + direction]
    return [
        sum(max(0, min(i * strip + min(first + tile, strip), size) - (i * strip + first)) for i in range(grid))
        for first in range(0, strip, tile)
    ]
