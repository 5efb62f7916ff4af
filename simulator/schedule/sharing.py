"""The ways to share a layer out over cores: smaller layers with their part of the mask, one for each core that works.

Rows go by whole bundles, dealt out in the order in which bundles take them, so that a GS mask keeps its groups and
every core gets heavy and light rows. Positions go by samples, rows or columns of the output map: the same layer with a
smaller window. Left out: sharing by rows and positions at once, rows of a recurrence (each step would need all cores'
results of the step before).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from patterns.block import Block
from simulator.schedule.program import proportional
from simulator.schedule.sources import StreamPlan
from traces.layer import Layer, MatrixLayer, ProductLayer, UnsupportedLayer, VectorLayer, Window
from traces.trace import LayerTrace

Way = Literal["rows", "positions", "groups", "instances", "columns", "channels", "elements"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Sharing:
    """``traces``: what each core that works runs. Cores may read the same weights, or the same inputs."""

    way: Way
    traces: tuple[LayerTrace, ...]
    same_weights: bool = False
    same_inputs: bool = False


def sharings(trace: LayerTrace, cores: int, banks: int, plan: StreamPlan | None) -> list[Sharing]:
    """Return every way to share ``trace`` out over at most ``cores``; none where it cannot be.

    ``plan``: how the mask of a layer with weights is cut into groups; None for a layer without a stream of its own.
    """
    layer = trace.layer
    match layer:
        case UnsupportedLayer():
            return []
        case VectorLayer():
            return [] if layer.kind == "gates" or layer.fused_into else _several(_elements(trace, layer, cores))
        case ProductLayer():
            by_instances = _counted(trace, "instances", layer.instances, cores)
            return _several(by_instances) + _several(_counted(trace, "columns", layer.p, cores))
        case MatrixLayer(kind="depthwise"):
            return _several(_groups(trace, layer, cores, "channels"))
        case MatrixLayer():
            found = [] if layer.serial or plan is None else _several(_rows(trace, layer, cores, banks, plan))
            if layer.groups > 1 and layer.ci * (layer.groups // cores) >= banks:  # a channel keeps its bank
                found += _several(_groups(trace, layer, cores, "groups"))
            return found + _several(_positions(trace, layer, cores))


def why_on_one_core(layer: Layer) -> str:
    """Say why a layer that takes time is not shared out."""
    if isinstance(layer, MatrixLayer) and layer.serial:
        return "on one core: each step of a recurrence needs the one before, and it has one sample"
    return "on one core: nothing to share out"


def _several(sharing: Sharing) -> list[Sharing]:
    return [sharing] if len(sharing.traces) > 1 else []


def _spans(count: int, cores: int) -> list[tuple[int, int]]:
    """Return (first, past the last) of each core's share of ``count``, shares as equal as can be, none empty."""
    edges = np.cumsum([0, *proportional(count, [1] * min(cores, count))]).tolist()
    return list(itertools.pairwise(edges)) if count else []


def deal(units: int, cores: int) -> list[list[int]]:
    """Return the units of each core: dealt to and fro, so that cores get as many heavy as light ones."""
    hands: list[list[int]] = [[] for _ in range(min(cores, units))]
    for unit in range(units):
        turn, place = divmod(unit, len(hands))
        hands[place if turn % 2 == 0 else len(hands) - 1 - place].append(unit)
    return hands


def row_unit(m: int, cores: int, bundle: int, banks: int) -> int:
    """Return the rows that stay together: whole bundles, and turns of the banks where no core then gets more rows."""
    aligned = math.lcm(bundle, banks)

    def largest(unit: int) -> int:
        units = -(-m // unit)
        return min(m, -(-units // cores) * unit)

    return aligned if largest(aligned) <= largest(bundle) else bundle


def _rows(trace: LayerTrace, layer: MatrixLayer, cores: int, banks: int, plan: StreamPlan) -> Sharing:
    bundle = plan.rows_per_bundle
    stored = trace.pattern.stored_as(layer.k)
    if isinstance(stored, Block):
        bundle = math.lcm(bundle, stored.height)  # a block taller than the lanes stays whole too
    unit = row_unit(layer.m, cores, bundle, banks)
    orders = [plan.source(group, None).row_order for group in range(layer.groups)]
    assert trace.mask is not None
    traces = []
    for hand in deal(-(-layer.m // unit), cores):
        places = np.concatenate([np.arange(i * unit, min((i + 1) * unit, layer.m)) for i in hand])
        mask = np.stack([part[np.sort(order[places])] for part, order in zip(trace.mask, orders, strict=True)])
        traces.append(replace(trace, layer=replace(layer, m=len(places)), mask=mask))
    return Sharing(way="rows", traces=tuple(traces), same_inputs=True)


def _groups(trace: LayerTrace, layer: MatrixLayer, cores: int, way: Literal["groups", "channels"]) -> Sharing:
    assert trace.mask is not None
    return Sharing(
        way=way,
        traces=tuple(
            replace(trace, layer=replace(layer, groups=last - first), mask=trace.mask[first:last])
            for first, last in _spans(layer.groups, cores)
        ),
    )


def _positions(trace: LayerTrace, layer: MatrixLayer, cores: int) -> Sharing:
    """Share out samples, rows or columns of the map: what leaves the smallest largest share, samples first."""
    height, width = layer.window.out_hw
    sizes = [layer.batch] if layer.serial else [layer.batch, height, width]
    largest = [-(-size // min(cores, size)) / size for size in sizes]
    direction = largest.index(min(largest))
    if direction == 0:
        layers = [replace(layer, batch=last - first) for first, last in _spans(layer.batch, cores)]
    else:
        windows = [_cut(layer.window, direction - 1, *span) for span in _spans(sizes[direction], cores)]
        layers = [replace(layer, window=window) for window in windows if window is not None]
        if len(layers) < len(windows):  # a share that reads padding alone
            layers = []
    return Sharing(way="positions", traces=tuple(replace(trace, layer=each) for each in layers), same_weights=True)


def _cut(window: Window, axis: int, first: int, last: int) -> Window | None:
    """Return the window over the outputs [first, last) of one direction; None where they read no pixel."""
    size, before = window.in_hw[axis], window.padding[axis]
    low = first * window.stride[axis] - before
    high = (last - 1) * window.stride[axis] - before + (window.kernel[axis] - 1) * window.dilation[axis]
    pixels = min(high, size - 1) - max(low, 0) + 1
    if pixels < 1:
        return None
    padding = list(window.padding)
    padding[axis], padding[axis + 2] = max(0, -low), max(0, high - (size - 1))
    in_hw, out_hw = list(window.in_hw), list(window.out_hw)
    in_hw[axis], out_hw[axis] = pixels, last - first
    return replace(
        window,
        padding=(padding[0], padding[1], padding[2], padding[3]),
        in_hw=(in_hw[0], in_hw[1]),
        out_hw=(out_hw[0], out_hw[1]),
    )


def _counted(trace: LayerTrace, way: Literal["instances", "columns"], count: int, cores: int) -> Sharing:
    layer = trace.layer
    assert isinstance(layer, ProductLayer)
    sizes = [last - first for first, last in _spans(count, cores)]
    layers: Sequence[ProductLayer] = (
        [replace(layer, instances=size) for size in sizes]
        if way == "instances"
        else [replace(layer, p=size) for size in sizes]
    )
    return Sharing(way=way, traces=tuple(replace(trace, layer=each) for each in layers))


def _elements(trace: LayerTrace, layer: VectorLayer, cores: int) -> Sharing:
    names = ("elements", "input_elements", "output_elements", "weight_elements", "stored_weight_elements")
    parts = [proportional(getattr(layer, name), [1] * cores) for name in names]
    shares = [dict(zip(names, share, strict=True)) for share in zip(*parts, strict=True) if any(share)]
    layers = [replace(layer, **share) for share in shares]
    return Sharing(way="elements", traces=tuple(replace(trace, layer=each) for each in layers))
