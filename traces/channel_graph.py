"""Which output channels of a network must go together: its dependency graph, channel by channel.

Every output channel of every layer with weights has a number, and every tensor says which numbers its elements carry
(``traces.channel_labels``). Where two tensors meet element by element (a residual addition, a product, a gate), their
channels are tied; a concatenation lays them side by side, a slice or a shuffle leads them on. What cannot be followed
stays, with the reason. Left out: heads of attention (a product of two activations keeps its channels), channels of a
recurrent state, channels whose every index of another axis would have to go alike (a token mixer), and weights that
several layers share: each layer's copy is pruned on its own.

Reference: Fang et al., "DepGraph: Towards Any Structural Pruning", CVPR 2023, arXiv 2301.12900.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from traces.channel_labels import (
    Indices,
    Irregular,
    Labels,
    Tie,
    along,
    channels,
    concatenated,
    fixed,
    merged,
    reshaped,
    sliced,
    through,
    transposed,
)
from traces.channel_ties import Ties
from traces.layer import Layer, MatrixLayer, Network, VectorLayer

ELEMENTWISE = ("activation", "add", "mul")
NOT_ELEMENTWISE = ("RotaryEmbedding", "diff", "glu")  # kinds say how much they cost, not that channels stay apart


@dataclass(slots=True, kw_only=True)
class Walk:
    """What one walk over a network finds. With channels gone, also what is left of each tensor and matrix.

    ``reads``: labels of each layer's inputs as it reads them; ``inputs``: of a layer with weights, the numbers of its
    input channels (features, of a linear layer) and those left, in their order; ``kept``: its rows that are left.
    """

    tensors: dict[str, Labels] = field(default_factory=dict)
    reads: dict[str, tuple[Labels, ...]] = field(default_factory=dict)
    inputs: dict[str, tuple[Indices, Indices]] = field(default_factory=dict)
    kept: dict[str, Indices] = field(default_factory=dict)


class Follower:
    """Walks a network once. ``alive[number]``: whether a channel is left; None while ties are still being found."""

    def __init__(
        self, network: Network, ties: Ties, keep: frozenset[str], together: bool, alive: npt.NDArray[np.bool_] | None
    ) -> None:
        self.network, self.ties, self.keep, self.together, self.alive = network, ties, keep, together, alive
        self.walk = Walk()
        self.regular = True  # whether every tensor that lost channels is still an array

    def run(self) -> Walk:
        """Follow every layer; where ``regular`` is False afterwards, more channels stay and the walk must be redone."""
        for layer in self.network.layers:
            sources = [self._tensor(name) for name in layer.inputs]
            try:
                self._step(layer, sources)
            except Irregular as irregular:
                free = any(self.ties.roots(source.ids).any() for source in sources)
                self._hold(layer, sources, f"{layer.kind} {layer.name}: {irregular}")
                self.regular &= self.alive is None or not free
                self._outputs_stay(layer)
        if self.alive is None:
            for name in self.network.outputs:
                self.ties.freeze(self._tensor(name).ids, "network output")
            for layer in self.network.matrix_layers:
                rows = self.ties.roots(self.ties.rows(layer))
                self.ties.freeze(rows[~self._consumed()[rows]], "no layer reads it")
        return self.walk

    def _consumed(self) -> npt.NDArray[np.bool_]:
        roots = self.ties.every
        found = np.zeros_like(self.ties.consumed)
        found[roots[self.ties.consumed]] = True
        return found

    def _tensor(self, name: str) -> Labels:
        return self.walk.tensors.setdefault(name, fixed(self.network.tensors[name].shape))

    def _hold(self, layer: Layer, sources: list[Labels], reason: str = "") -> None:
        for source in sources:
            self.ties.freeze(source.ids, reason or f"tied by {layer.kind} {layer.name}")

    def _outputs_stay(self, layer: Layer) -> None:
        """Outputs carry no channels; a layer with weights keeps its rows and columns."""
        for name in layer.outputs:
            self.walk.tensors[name] = fixed(self.network.tensors[name].shape)
        if isinstance(layer, MatrixLayer):
            self.ties.freeze(self.ties.rows(layer), f"{layer.kind} {layer.name} cannot be followed")
            self.walk.kept[layer.name] = np.arange(layer.groups * layer.m, dtype=np.int64)
            self.walk.inputs.pop(layer.name, None)

    def _part(self, ids: Indices, parts: Indices) -> None:
        """Note that channels lie in different parts, which must shrink alike."""
        if self.alive is None:
            self.ties.parts.append((ids.reshape(-1), np.broadcast_to(parts, ids.shape).reshape(-1)))

    def _seen(self, labels: Labels, shape: tuple[int, ...]) -> Labels:
        """Labels seen in another shape; indices of the leading axes of channels are parts of it."""
        found = reshaped(labels, shape)
        if found is not labels and len(found.axes) > 1:
            leading = [found.ids.shape[axis] for axis in found.axes[:-1]]
            part = np.arange(int(np.prod(leading)), dtype=np.int64)
            extents = [1] * len(shape)
            for axis in found.axes[:-1]:
                extents[axis] = found.ids.shape[axis]
            self._part(found.ids, part.reshape(extents))
        return found

    def _step(self, layer: Layer, sources: list[Labels]) -> None:
        if isinstance(layer, MatrixLayer | VectorLayer) and layer.read_shapes:
            sources = [self._seen(source, shape) for source, shape in zip(sources, layer.read_shapes, strict=True)]
        self.walk.reads[layer.name] = tuple(sources)
        if isinstance(layer, MatrixLayer):
            self._matrix(layer, sources)
        elif isinstance(layer, VectorLayer):
            self._vector(layer, sources)
        else:
            self._hold(layer, sources)
            self._outputs_stay(layer)

    # Layers with weights

    def _matrix(self, layer: MatrixLayer, sources: list[Labels]) -> None:
        ties, rows = self.ties, self.ties.rows(layer)
        spatial = layer.kind in ("conv1d", "conv2d", "depthwise")
        vectors = channels(sources[0], 1 if spatial else -1) if spatial or layer.kind == "linear" else None
        every = np.arange(len(rows), dtype=np.int64)
        if not spatial and layer.kind != "linear":
            self._hold(layer, sources)
            ties.freeze(rows, "recurrent: its outputs are gates")
            self._outputs_stay(layer)
            return
        if vectors is None:
            self._hold(layer, sources)
            vectors = np.zeros(layer.groups * layer.ci, dtype=np.int64), np.arange(layer.groups * layer.ci)
        ids, left = vectors
        ties.consumed[ids] = True
        self.walk.inputs[layer.name] = ids, left
        if layer.name in self.keep and layer.kind != "depthwise":
            ties.freeze(rows, "in keep")
        if len(rows) == 1:
            ties.freeze(rows, "it has one output channel")
        kept = every if self.alive is None else np.flatnonzero(self.alive[rows]).astype(np.int64)
        if layer.kind == "depthwise":
            kept = self._depthwise(layer, ids, left, rows)
        elif layer.groups > 1:
            self._grouped(layer, ids, left, rows, kept)
        self.walk.kept[layer.name] = kept
        shape = self.network.tensors[layer.outputs[0]].shape
        self.walk.tensors[layer.outputs[0]] = along(shape, 1 if spatial else -1, rows, kept)

    def _depthwise(self, layer: MatrixLayer, ids: Indices, left: Indices, rows: Indices) -> Indices:
        """Each input channel has outputs of its own, which go and stay with it."""
        source = np.repeat(ids, layer.m)
        stays = self.ties.roots(source) == 0
        self.ties.freeze(rows[stays], "depthwise: its channels are those of its input, which stay")
        self.ties.tie(rows, source, f"tied by depthwise {layer.name}", together=True)
        return np.asarray((left[:, None] * layer.m + np.arange(layer.m)).reshape(-1), dtype=np.int64)

    def _grouped(self, layer: MatrixLayer, ids: Indices, left: Indices, rows: Indices, kept: Indices) -> None:
        """Every group keeps as many inputs, and as many outputs."""
        if not self.together:
            self.ties.freeze(ids, f"tied by {layer.kind} {layer.name}")
            self.ties.freeze(rows, "grouped convolution: the groups of its consumer would become unequal")
            return
        groups = np.arange(layer.groups, dtype=np.int64)
        self._part(ids, np.repeat(groups, layer.ci))
        self._part(rows, np.repeat(groups, layer.m))
        for members, width in ((left, layer.ci), (kept, layer.m)):
            each = len(members) // layer.groups
            if len(members) % layer.groups or (members // width != np.repeat(groups, each)).any():
                self.regular = self.alive is None
                self.ties.freeze(rows, f"{layer.kind} {layer.name}: its groups would become unequal")
                raise Irregular("its groups would become unequal")

    # Layers without weights

    def _vector(self, layer: VectorLayer, sources: list[Labels]) -> None:
        if not layer.outputs:  # fused into its producer
            return
        shape = self.network.tensors[layer.outputs[0]].shape
        found = self._followed(layer, sources, shape)
        if found is None:
            self._hold(layer, sources)
            self._outputs_stay(layer)
            return
        self.walk.tensors[layer.outputs[0]] = self._seen(found, shape)

    def _followed(self, layer: VectorLayer, sources: list[Labels], shape: tuple[int, ...]) -> Labels | None:
        """Labels of a layer's output, None where its channels cannot be followed."""
        if not self.together and layer.kind in ("concat", "move"):
            return None
        tie = self._tie(layer)
        numbers = layer.arrangement.numbers if layer.arrangement else ()
        match layer.arrangement.kind if layer.arrangement else "":
            case "transpose":
                return transposed(sources[0], numbers)
            case "concat":
                if sum(source.shape[numbers[0]] for source in sources) != shape[numbers[0]]:
                    return None  # a repeated input is listed once
                return concatenated(sources, numbers[0], tie)
            case "slice":
                return self._sliced(sources[0], numbers)
            case "through" if len(sources) == 1:
                return through(sources[0], numbers, shape)
        if layer.kind in ELEMENTWISE and layer.op not in NOT_ELEMENTWISE:
            if len(sources) > 1 and layer.weight_elements > 1:
                return None
            if len(sources) == 1 and not (layer.channelwise and sources[0].shape == shape):
                return None
            return merged(sources, shape, tie)
        if not layer.channelwise or len(sources) != 1 or len(shape) < 2 or sources[0].shape[1] != shape[1]:
            return None
        return through(sources[0], (0, 1), shape)

    def _sliced(self, labels: Labels, numbers: tuple[int, ...]) -> Labels:
        for axis in range(len(labels.shape)):
            start, step, count = numbers[3 * axis : 3 * axis + 3]
            if (start, step, count) == (0, 1, labels.shape[axis]):
                continue
            positions = np.arange(start, start + step * count, step, dtype=np.int64)
            if axis in labels.axes:
                inside = np.zeros(labels.ids.shape[axis], dtype=np.int64)
                inside[positions] = 1
                others = [1 if other == axis else extent for other, extent in enumerate(labels.ids.shape)]
                number = 2 * np.arange(int(np.prod(others)), dtype=np.int64).reshape(others)
                self._part(
                    labels.ids, number + inside.reshape([-1 if other == axis else 1 for other in range(len(others))])
                )
            labels, _ = sliced(labels, axis, positions)
        return labels

    def _tie(self, layer: Layer) -> Tie:
        def tie(first: Indices, second: Indices) -> None:
            self.ties.tie(first, second, f"tied by {layer.kind} {layer.name}", together=self.together)

        return tie
