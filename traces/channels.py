"""Channel pruning as a change of shape: whole output channels go, and everything tied to them goes along.

A removed channel takes its bias and everything computed from it along, so the smaller network computes what the
larger one does where the consumers' columns of that channel are zero. Channels that meet (in a residual addition, a
gate, a depthwise layer) go together or not at all; ``traces.channel_graph`` says which, and what stays, and why.

A channel's score is the L2 norm of all weights that make it: its rows in every layer of its group, the depthwise ones
included, as one vector. Each group keeps max(1, round((1 - sparsity) x channels) of the largest scores. Left out:
scores that look at consumers, ratios by layer.

Reference: Fang et al., "DepGraph: Towards Any Structural Pruning", CVPR 2023, arXiv 2301.12900.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from patterns.selection import checked_scores, keep_largest_norms, kept_count
from traces.channel_graph import Follower, Walk
from traces.channel_labels import Indices, Labels, sliced
from traces.channel_ties import MAKER, Ties, signatures
from traces.layer import Arrangement, FloatArray, Layer, MatrixKind, MatrixLayer, ModelError, Network, VectorLayer
from traces.weights import magnitudes

TiesRule = Literal["together", "keep"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelGroup:
    """Channels that compete with each other: ``kept`` of ``channels`` stay, each in all of ``layers``."""

    layers: tuple[str, ...]
    channels: int
    kept: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ChannelPlan:
    """A channel-pruned network, and how it came about.

    ``kept[layer]``: output channels kept, in the order in which they then lie (ascending but after a channel shuffle),
    for every layer with weights, among groups x m of the original. ``columns[layer]``: input channels kept, likewise,
    among groups x Ci (for a linear layer, among its input features).
    ``reasons[layer]``: why a layer kept more output channels than the ratio asks for.
    ``units[layer]``: a number for each output channel of the original, equal for channels that are tied; 0 stays.
    """

    network: Network
    kept: Mapping[str, Indices]
    columns: Mapping[str, Indices]
    reasons: Mapping[str, str]
    groups: tuple[ChannelGroup, ...]
    units: Mapping[str, Indices]


class SlicedWeights(Mapping[str, FloatArray]):
    """Weights of which some groups, rows and columns remain; each matrix is cut when it is asked for."""

    def __init__(self, base: Mapping[str, FloatArray], cuts: Mapping[str, tuple[Indices, Indices, Indices]]) -> None:
        self._base = base
        self._cuts = cuts

    def __getitem__(self, layer: str) -> FloatArray:
        matrix = self._base[layer]
        if layer not in self._cuts:
            return matrix
        groups, rows, columns = self._cuts[layer]
        if len(groups) == 1:
            one: FloatArray = matrix[groups[0]][np.ix_(rows[0], columns[0])][None]
            return one
        cut: FloatArray = matrix[groups[:, None, None], rows[:, :, None], columns[:, None, :]]
        return cut

    def __iter__(self) -> Iterator[str]:
        return iter(self._base)

    def __len__(self) -> int:
        return len(self._base)


def prune_channels(
    network: Network, sparsity: float, *, keep: frozenset[str] = frozenset(), ties: TiesRule = "together"
) -> ChannelPlan:
    """Remove ``sparsity`` of the output channels of every group that allows it, those of smallest L2 norm.

    ``keep``: layers whose output channels all stay, and with them those tied to them; a depthwise layer follows its
    producer all the same. ``ties``: "together" prunes channels that meet as one, "keep" lets them all stay. Norms are
    of the original rows, also where columns go as well.
    Raises ModelError for a name in ``keep`` that is no layer, PatternError for a sparsity outside [0, 1).
    """
    unknown = keep - {layer.name for layer in network.layers}
    if unknown:
        raise ModelError(f"{network.name}: keep names {min(unknown)}, and no layer has this name")
    checked_scores(np.ones((1, 1, 1), dtype=np.float32), sparsity)  # refuses a bad sparsity where nothing is prunable
    found = Ties(network)
    Follower(network, found, keep, ties == "together", None).run()
    energy = np.full(len(found.every), np.nan)
    while True:
        alive, groups = _select(network, found, energy, sparsity)
        follower = Follower(network, found, keep, ties == "together", alive)
        walk = follower.run()
        if follower.regular:  # else more channels stay: choose again among the others
            break
    smaller, columns = _smaller(network, walk)
    return ChannelPlan(
        network=smaller,
        kept=walk.kept,
        columns=columns,
        reasons=_reasons(network, found, groups, sparsity),
        groups=groups,
        units={layer.name: found.roots(found.rows(layer)) for layer in network.matrix_layers},
    )


def kept_reasons(network: Network, smaller: Network, keep: Mapping[str, str]) -> dict[str, str]:
    """Return what channel pruning left of each layer of ``keep``, which says why no channel was chosen in it.

    A depthwise layer follows its producer, and inputs that a producer lost are gone in its consumers.
    """
    after = {layer.name: layer for layer in smaller.matrix_layers}
    found = {}
    for old in network.matrix_layers:
        if old.name not in keep:
            continue
        new = after[old.name]
        text = f"all its output channels stay: {keep[old.name]}"
        if new.groups * new.m < old.groups * old.m:
            text = "keeps its own weights, loses the channels that the layer before it lost"
        elif new.weight_elements < old.weight_elements:
            text += ", and it loses the inputs that the layer before it lost"
        found[old.name] = text
    return found


def _select(
    network: Network, ties: Ties, energy: npt.NDArray[np.float64], sparsity: float
) -> tuple[npt.NDArray[np.bool_], tuple[ChannelGroup, ...]]:
    """Return which channel numbers are left, and the groups. ``energy`` of single rows is filled in as needed."""
    every = ties.every
    names = [layer.name for layer in network.matrix_layers]
    for layer in network.matrix_layers:
        rows = ties.rows(layer)
        if every[rows].any() and np.isnan(energy[rows[0]]):
            matrix = checked_scores(magnitudes(network.weights, layer.name), sparsity)
            energy[rows] = np.einsum("gmk,gmk->gm", matrix, matrix, dtype=np.float64).reshape(-1)
    total = np.zeros(len(every))
    free = every > 0
    np.add.at(total, every[free], energy[free])
    alive = np.ones(len(every), dtype=np.bool_)
    groups = []
    for signature, members in signatures(network, ties).items():
        roots = np.asarray(members, dtype=np.int64)
        count = max(1, kept_count(len(roots), sparsity))
        alive[roots] = keep_largest_norms(total[roots], count)
        layers = tuple(names[index] for mark, index in signature if mark == MAKER)
        groups.append(ChannelGroup(layers=layers, channels=len(roots), kept=count))
    return alive[every], tuple(groups)


def _reasons(network: Network, ties: Ties, groups: tuple[ChannelGroup, ...], sparsity: float) -> dict[str, str]:
    reasons: dict[str, str] = {}
    for layer in network.matrix_layers:
        rows = layer.groups * layer.m
        texts = [
            text if count == rows else f"{count} of its {rows} channels stay: {text}"
            for text, count in ties.reasons(layer).items()
        ]
        sizes = {group.channels for group in groups if layer.name in group.layers and not _asked(group, sparsity)}
        texts += [f"sparsity {sparsity:g} would remove all {size} of a group, and one stays" for size in sorted(sizes)]
        if texts:
            reasons[layer.name] = "; ".join(texts)
    return reasons


def _asked(group: ChannelGroup, sparsity: float) -> bool:
    return kept_count(group.channels, sparsity) >= 1


def _smaller(network: Network, walk: Walk) -> tuple[Network, dict[str, Indices]]:
    """Return the network that is left, and the input channels of every layer with weights."""
    layers: list[Layer] = []
    cuts: dict[str, tuple[Indices, Indices, Indices]] = {}
    columns: dict[str, Indices] = {}
    for layer in network.layers:
        reads = walk.reads[layer.name]
        if isinstance(layer, MatrixLayer):
            inputs = walk.inputs.get(layer.name)
            columns[layer.name] = np.arange(layer.groups * layer.ci) if inputs is None else inputs[1]
            cut = _cut(layer, walk.kept[layer.name], columns[layer.name])
            cuts[layer.name] = cut
            groups, m, k = len(cut[0]), cut[1].shape[1], cut[2].shape[1]
            kind = _kind(layer, groups, k, len(network.tensors[layer.outputs[0]].shape))
            layers.append(
                dataclasses.replace(
                    layer, kind=kind, groups=groups, m=m, k=k, read_shapes=_small_reads(layer, reads),
                    columns_per_channel=_columns_per_channel(layer, walk.tensors[layer.inputs[0]]),
                )
            )  # fmt: skip
        elif isinstance(layer, VectorLayer):
            layers.append(_scaled(layer, reads, [walk.tensors[name] for name in layer.outputs]))
        else:
            layers.append(layer)
    tensors = {
        name: dataclasses.replace(tensor, shape=walk.tensors[name].small) if name in walk.tensors else tensor
        for name, tensor in network.tensors.items()
    }
    weights = SlicedWeights(network.weights, cuts)
    return dataclasses.replace(network, layers=tuple(layers), tensors=tensors, weights=weights), columns


def _small_reads(layer: MatrixLayer | VectorLayer, reads: tuple[Labels, ...]) -> tuple[tuple[int, ...], ...]:
    return tuple(labels.small for labels in reads) if layer.read_shapes else ()


def _kind(layer: MatrixLayer, groups: int, k: int, rank: int) -> MatrixKind:
    """Return what a layer is now: a grouped convolution with one input a group is depthwise, of one group it is not."""
    if layer.kind not in ("conv1d", "conv2d", "depthwise"):
        return layer.kind
    kernel = layer.window.kernel[0] * layer.window.kernel[1]
    return "depthwise" if groups > 1 and k == kernel else "conv1d" if rank == 3 else "conv2d"


def _columns_per_channel(layer: MatrixLayer, source: Labels) -> int:
    """Return the columns of a flattened sample that belong to one index of its first axis."""
    return layer.columns_per_channel if layer.columns_per_channel == 1 else math.prod(source.small[2:])


def _cut(layer: MatrixLayer, kept: Indices, inputs: Indices) -> tuple[Indices, Indices, Indices]:
    """Return the groups (G,), rows (G, m) and columns (G, k) of a weight matrix that stay."""
    kernel = layer.k // layer.ci
    if layer.kind == "depthwise":
        every = np.arange(max(layer.m, layer.k), dtype=np.int64)
        wide = np.ones((len(inputs), 1), dtype=np.int64)
        return inputs, wide * every[: layer.m], wide * every[: layer.k]
    groups = np.arange(layer.groups, dtype=np.int64)
    rows = kept.reshape(layer.groups, -1) % layer.m
    channels = inputs.reshape(layer.groups, -1) % layer.ci
    places = np.arange(kernel, dtype=np.int64)[None, :, None] * layer.ci + channels[:, None, :]  # Ci innermost
    return groups, rows, places.reshape(layer.groups, -1)


def _scaled(layer: VectorLayer, reads: tuple[Labels, ...], writes: list[Labels]) -> VectorLayer:
    """Return a layer over what is left. Parameters that are no multiple of its channels are shared by all, and stay."""
    before, after = sum(math.prod(part.shape) for part in reads), sum(math.prod(part.small) for part in reads)
    made = [(math.prod(part.shape), math.prod(part.small)) for part in writes] or [(before, after)]
    counts: dict[str, int] = {
        "output_elements": _ratio(layer, "output_elements", made),
        "elements": _ratio(layer, "elements", [*made, (before, after)]),
        "input_elements": _ratio(layer, "input_elements", [(before, after), *made]),
    }
    through = [part for part in (*writes, *reads) if part.axes]
    if through:
        channels = through[0].ids.size, through[0].kept.size
        for name in ("weight_elements", "stored_weight_elements"):
            value = getattr(layer, name)
            counts[name] = value if value % channels[0] else value // channels[0] * channels[1]
    read_shapes = tuple(labels.small for labels in reads) if layer.read_shapes else ()
    scaled = dataclasses.replace(layer, read_shapes=read_shapes, arrangement=_small_arrangement(layer, reads))
    return dataclasses.replace(scaled, **counts)  # type: ignore[arg-type]


def _ratio(layer: VectorLayer, name: str, pairs: list[tuple[int, int]]) -> int:
    """Return a count after pruning: a multiple of the first of ``pairs`` (before, after) that divides it."""
    value: int = getattr(layer, name)
    if all(before == after for before, after in pairs):
        return value
    for before, after in pairs:
        if before and value % before == 0:
            return value // before * after
    raise ModelError(f"layer {layer.name}: {name} is {value}, and must be a multiple of its {pairs[0][0]} elements")


def _small_arrangement(layer: VectorLayer, reads: tuple[Labels, ...]) -> Arrangement | None:
    """Return where elements come from in what is left: a slice begins and ends elsewhere, all else is as it was."""
    if layer.arrangement is None or layer.arrangement.kind != "slice":
        return layer.arrangement
    labels, numbers = reads[0], list(layer.arrangement.numbers)
    for axis in labels.axes:
        start, step, count = numbers[3 * axis : 3 * axis + 3]
        _, left = sliced(labels, axis, np.arange(start, start + step * count, step, dtype=np.int64))
        stride = int(left[1] - left[0]) if len(left) > 1 else 1
        numbers[3 * axis : 3 * axis + 3] = [int(left[0]), stride, len(left)]
    return Arrangement(kind="slice", numbers=tuple(numbers))
