"""Channel pruning as a change of shape: whole output channels go, and the consumer's input channels follow.

A removed channel takes its bias and everything computed from it along, so the smaller network computes what the
larger one does where the consumers' columns of that channel are zero. A layer whose channels meet others (a residual
add, a concat, a product, a recurrence) keeps them all and says why. Left out: pruning tied channels together, and
following channels through a transposition or through the fold of a sequence into features.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from patterns.channel import Channel
from traces.layer import FloatArray, Layer, MatrixLayer, ModelError, Network, Tensor, VectorLayer

Indices = npt.NDArray[np.int64]

CONVOLUTIONS = ("conv2d", "conv1d")
POINTWISE = ("activation", "add", "mul")  # what may work on a linear layer's output: no neighbours, last axis kept


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ChannelPlan:
    """A channel-pruned network, and how it came about.

    ``kept[layer]``: output channels kept, ascending, for every layer with weights, among groups x m of the original.
    ``reasons[layer]``: why a layer's output channels were all kept, for those where the rule was not applied.
    """

    network: Network
    kept: Mapping[str, Indices]
    reasons: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Reach:
    """Where the output channels of one layer go: tensors that carry them, layers that shrink along, consumers."""

    tensors: tuple[str, ...]
    followers: tuple[str, ...]
    consumers: tuple[str, ...]


class SlicedWeights(Mapping[str, FloatArray]):
    """Weights of which some groups, rows and columns remain; each matrix is cut when it is asked for."""

    def __init__(self, base: Mapping[str, FloatArray], cuts: Mapping[str, tuple[Indices, Indices, Indices]]) -> None:
        self._base = base
        self._cuts = cuts

    def __getitem__(self, layer: str) -> FloatArray:
        matrix = self._base[layer]
        return matrix[np.ix_(*self._cuts[layer])] if layer in self._cuts else matrix

    def __iter__(self) -> Iterator[str]:
        return iter(self._base)

    def __len__(self) -> int:
        return len(self._base)


def prune_channels(network: Network, sparsity: float, *, keep: frozenset[str] = frozenset()) -> ChannelPlan:
    """Remove ``sparsity`` of the output channels of every layer that allows it, those of smallest L2 norm.

    ``keep``: layers whose output channels all stay; a depthwise layer follows its producer all the same. Norms are of
    the original rows, also where columns go as well.
    Raises ModelError for a name in ``keep`` that is no layer, PatternError for a sparsity outside [0, 1).
    """
    unknown = keep - {layer.name for layer in network.layers}
    if unknown:
        raise ModelError(f"{network.name}: keep names {min(unknown)}, and no layer has this name")
    rule = Channel()
    rule.project(np.ones((1, 1, 1), dtype=np.float32), sparsity)  # refuses a bad sparsity where no layer is prunable
    kept: dict[str, Indices] = {}
    reasons: dict[str, str] = {}
    columns: dict[str, Indices] = {}
    channels: dict[str, tuple[int, int]] = {}  # by tensor and by vector layer: channels kept, channels before
    for layer in network.matrix_layers:
        if layer.name in kept:
            continue  # a depthwise layer that follows its producer
        kept[layer.name] = np.arange(layer.groups * layer.m, dtype=np.int64)
        reach = "in keep" if layer.name in keep else _reach(network, layer)
        if isinstance(reach, str):
            reasons[layer.name] = reach
            continue
        mask = rule.project(np.abs(network.weights[layer.name]), sparsity)
        rows = np.flatnonzero(mask[0].any(axis=1)).astype(np.int64)
        kept[layer.name] = rows
        channels.update((name, (len(rows), layer.m)) for name in (*reach.tensors, *reach.followers))
        columns.update((name, rows) for name in reach.consumers)
        kept.update((name, rows) for name in reach.followers if name in network.weights)
    return ChannelPlan(network=_smaller(network, kept, columns, channels), kept=kept, reasons=reasons)


def _reach(network: Network, producer: MatrixLayer) -> _Reach | str:
    """Follow the producer's output channels to the layers that consume them; a string says why they must stay."""
    if producer.kind == "depthwise":
        return "depthwise: its channels are those of its input, which stay"
    if producer.kind not in (*CONVOLUTIONS, "linear"):
        return "recurrent: its outputs are gates"
    if producer.groups > 1:
        return "grouped convolution: the groups of its consumer would become unequal"
    spatial = producer.kind in CONVOLUTIONS
    tensors = [*producer.outputs]
    followers: list[str] = []
    consumers: list[str] = []
    for layer in network.layers:  # in the order in which they run, so a tensor is known before its readers
        read = [name for name in layer.inputs if name in tensors]
        if not read:
            continue
        if isinstance(layer, MatrixLayer) and _consumes(network.tensors[read[0]], layer, producer.m, spatial):
            consumers.append(layer.name)
        elif len(read) == len(layer.inputs) and _passes(network, layer, producer.m, spatial):
            followers.append(layer.name)
            tensors.extend(layer.outputs)
        else:
            return f"tied by {layer.kind} {layer.name}"
    if any(name in network.outputs for name in tensors):
        return "network output"
    if not consumers:
        return "no layer reads it"
    return _Reach(tensors=tuple(tensors), followers=tuple(followers), consumers=tuple(consumers))


def _consumes(tensor: Tensor, layer: MatrixLayer, channels: int, spatial: bool) -> bool:
    """Whether ``layer`` sums over all channels of ``tensor``, so that its columns can follow."""
    if layer.groups > 1 or len(layer.inputs) != 1:
        return False
    batch = tensor.shape[0]
    if layer.kind in CONVOLUTIONS:
        return spatial and layer.ci == channels and layer.columns_per_channel == 1 and layer.batch == batch
    if layer.kind != "linear" or layer.k * layer.p != tensor.elements:
        return False
    if spatial:  # the flattened map of a sample is one position, channel outermost; any other view mixes axes
        return layer.p == batch and layer.k == channels * layer.columns_per_channel
    return layer.k == channels and layer.columns_per_channel == 1


def _passes(network: Network, layer: Layer, channels: int, spatial: bool) -> bool:
    """Whether output channel c of ``layer`` depends on input channel c alone, and lies on the same axis."""
    if isinstance(layer, MatrixLayer):
        return spatial and layer.kind == "depthwise" and layer.groups == channels and layer.m == 1
    if not isinstance(layer, VectorLayer) or not layer.channelwise or len(layer.outputs) != 1:
        return False
    shape, source = network.tensors[layer.outputs[0]].shape, network.tensors[layer.inputs[0]].shape
    if spatial:
        return len(shape) > 1 and shape[0] == source[0] and shape[1] == channels
    return layer.kind in POINTWISE and shape[-1] == channels


def _smaller(
    network: Network,
    kept: Mapping[str, Indices],
    columns: Mapping[str, Indices],
    channels: Mapping[str, tuple[int, int]],
) -> Network:
    """Return the network with ``kept`` rows, with ``columns`` by input channel, and with shrunk tensors."""
    layers: list[Layer] = []
    cuts: dict[str, tuple[Indices, Indices, Indices]] = {}
    axes: dict[str, int] = {}
    for layer in network.layers:
        if isinstance(layer, MatrixLayer):
            axes.update((name, -1 if layer.kind == "linear" else 1) for name in layer.outputs)
            cut = _cut(layer, kept[layer.name], columns.get(layer.name))
            cuts[layer.name] = cut
            groups, m, k = (len(indices) for indices in cut)
            layers.append(dataclasses.replace(layer, groups=groups, m=m, k=k))
        elif isinstance(layer, VectorLayer) and layer.name in channels:
            axes.update((name, axes[layer.inputs[0]]) for name in layer.outputs)
            layers.append(_scaled(layer, *channels[layer.name]))
        else:
            layers.append(layer)
    tensors = {
        name: _shrunk(tensor, axes[name], channels[name][0]) if name in channels else tensor
        for name, tensor in network.tensors.items()
    }
    return dataclasses.replace(
        network, layers=tuple(layers), tensors=tensors, weights=SlicedWeights(network.weights, cuts)
    )


def _cut(layer: MatrixLayer, kept: Indices, channels: Indices | None) -> tuple[Indices, Indices, Indices]:
    """Return the groups, rows and columns of a weight matrix that stay."""
    every = np.arange(max(layer.groups, layer.m, layer.k), dtype=np.int64)
    if layer.kind == "depthwise" and layer.m == 1:
        return kept, every[:1], every[: layer.k]
    rows = kept if layer.groups == 1 else every[: layer.m]
    stay = every[: layer.k]
    if channels is not None and layer.columns_per_channel > 1:  # channel outermost
        stay = stay.reshape(-1, layer.columns_per_channel)[channels].reshape(-1)
    elif channels is not None:  # Ci innermost
        stay = stay.reshape(-1, layer.ci)[:, channels].reshape(-1)
    return every[: layer.groups], rows, stay


def _scaled(layer: VectorLayer, kept: int, before: int) -> VectorLayer:
    """Return a channel-wise layer over fewer channels. Fewer parameters than channels are shared by all, and stay."""
    counts = {}
    for field in ("elements", "input_elements", "output_elements", "weight_elements", "stored_weight_elements"):
        value = getattr(layer, field)
        if "weight" in field and value < before:
            counts[field] = value
            continue
        if value % before:
            raise ModelError(f"layer {layer.name}: {field} is {value}, and must be a multiple of its {before} channels")
        counts[field] = value // before * kept
    return dataclasses.replace(layer, **counts)


def _shrunk(tensor: Tensor, axis: int, kept: int) -> Tensor:
    shape = list(tensor.shape)
    shape[axis] = kept
    return dataclasses.replace(tensor, shape=tuple(shape))
