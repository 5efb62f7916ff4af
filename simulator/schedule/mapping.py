"""A mapping: which tile of a layer lies in the scratchpads at a time, and in which order tiles run. DESIGN 5a.

Says what a mapping needs (words, pixels, trips) and refuses one that cannot run. Left out: sharing of tiles between
layers, tiles that cut the window (a tile holds all kernel positions of its channels). The choice is ``mapper.py``'s.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from simulator.spec import Device, DeviceError
from traces.layer import MatrixLayer, Window
from traces.layout import channel_pitch, row_pitch

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

    def positions(self, pixels: int) -> int:
        """Return the outputs in a row that ``pixels`` stored pixels serve."""
        return max(0, (pixels - self.pixels(1)) // self.stride + 1)

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
    return _axis(layer.window, 0), _axis(layer.window, 1)


def _axis(window: Window, direction: int) -> Axis:
    kernel, stride = window.kernel[direction], window.stride[direction]
    return Axis(
        size_in=window.in_hw[direction],
        size_out=window.out_hw[direction],
        kernel=kernel,
        stride=1 if kernel == 1 else stride,  # a 1-wide window leaves skipped pixels in DRAM
        source_stride=stride,
        dilation=window.dilation[direction],
        pad=window.padding[direction],
    )


def strip_size(layer: MatrixLayer, strips: tuple[int, int, int]) -> tuple[int, int]:
    """Return the output positions of one strip (height, width)."""
    return -(-layer.window.out_hw[0] // strips[1]), -(-layer.window.out_hw[1] // strips[2])


def sample_rounds(layer: MatrixLayer, strips: tuple[int, int, int]) -> int:
    """Return how often the map is run to serve the whole batch."""
    return -(-layer.batch // strips[0])


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
    words = pixel_words(layer, mapping.channels, banks)
    pitch = row_pitch(horizontal.pixels(mapping.tile[1]), horizontal.kernel, layer.groups * layer.ci, banks)
    return vertical.pixels(mapping.tile[0]) * pitch * words


def pixel_words(layer: MatrixLayer, channels: int, banks: int) -> int:
    """Return the activation words of a pixel of ``channels`` channels, the most of any convolution group."""
    return max(channel_span(layer, group, 0, channels, banks)[1] for group in range(min(layer.groups, banks)))


def output_words(rows: int, positions: int, banks: int) -> int:
    """Return the output words of a tile; a position's rows are padded to whole turns of the banks."""
    return -(-rows // banks) * banks * positions


def words_held(layer: MatrixLayer, mapping: Mapping, banks: int, halves: bool) -> tuple[int, int]:
    """Return the words of activations and of outputs that must fit one buffer of each.

    ``halves``: the buffer is a half of the scratchpad and all there is; where tiles follow each other it holds two.
    """
    count = trips(layer, mapping)
    inputs, outputs = layer.groups * count["p"] * count["c"], layer.groups * count["p"] * count["r"]
    at_once = [2 if halves and tiles > 1 else 1 for tiles in (inputs, outputs)]
    return (
        tile_words(layer, mapping, banks) * at_once[0],
        output_words(min(mapping.rows, layer.m), mapping.tile[0] * mapping.tile[1], banks) * at_once[1],
    )


def check_mapping(
    layer: MatrixLayer, device: Device, mapping: Mapping, rows_per_bundle: int, halves: bool = False
) -> None:
    """Raise DeviceError unless a mapping that the user forces can run this layer on this device.

    ``rows_per_bundle``: a tile of rows must hold whole bundles, or a bundle would be run by two tiles. ``halves``: as
    in ``words_held``.
    """
    room = capacity(device)
    samples, gh, gw = mapping.strips
    inputs, outputs = words_held(layer, mapping, room.banks, halves)
    needed = {
        "strips": (samples * gh * gw, device.vector, "positions of a word"),
        "tile and channels": (inputs, room.activation_words, "activation words"),
        "rows and tile": (outputs, room.output_words, "output words"),
    }
    for what, (wanted, held, unit) in needed.items():
        if wanted > held:
            raise DeviceError(f"layer {layer.name}: mapping {mapping}: {what} need {wanted} {unit} of {held}")
    if mapping.channels < layer.ci and mapping.channels % room.banks and layer.groups * layer.ci >= room.banks:
        raise DeviceError(
            f"layer {layer.name}: mapping {mapping}: channels must be a multiple of {room.banks}, the banks, or a part "
            f"would need more words than its tile has"
        )
    if mapping.rows < layer.m and mapping.rows % rows_per_bundle:
        raise DeviceError(
            f"layer {layer.name}: mapping {mapping}: rows must be a multiple of {rows_per_bundle}, the rows of a bundle"
        )
    if layer.serial and (mapping.order[0] != "p" or (gh, gw) != (1, 1) or mapping.tile != (1, 1)):
        raise DeviceError(
            f"layer {layer.name}: mapping {mapping}: a recurrence runs one step of time after another, with tile=1x1, "
            f"strips=Sx1x1 and order=prc"
        )


def trips(layer: MatrixLayer, mapping: Mapping) -> dict[str, int]:
    """Return the trip count of each loop; positions include the rounds of a large batch, or the steps of time."""
    sh, sw = strip_size(layer, mapping.strips)
    tiles = -(-sh // mapping.tile[0]) * -(-sw // mapping.tile[1])
    return {
        "r": -(-layer.m // mapping.rows),
        "p": tiles * sample_rounds(layer, mapping.strips),
        "c": -(-layer.ci // mapping.channels),
    }


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
