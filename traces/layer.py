"""What a network is to the hardware: a closed union of layer kinds, and the tensors between them.

A weighted layer is a matrix product ``Y[M, P] = W[M, K] . X[K, P]`` for each of its groups. Nothing here knows a
device, a tile or a mask. Left out: control flow, sparse activations, data-dependent shapes.

Glossary of single letters used in this repository:
    M  output channels of one group        K  kernel height x kernel width x input channels of one group
    P  output positions x batch            B  banks of a scratchpad        L  lanes of a gather unit
    W  window of a gather unit, in groups  G  groups of a request stream   R  repeats of a request stream
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from html import escape
from typing import Literal

import numpy as np
import numpy.typing as npt

from traces.html_table import cells_html

FloatArray = npt.NDArray[np.float32]

MatrixKind = Literal["conv2d", "conv1d", "depthwise", "linear", "lstm_input", "lstm_hidden", "gru_input", "gru_hidden"]
VectorKind = Literal[
    "pool", "norm", "activation", "softmax", "add", "mul", "embedding", "concat", "move", "reduce", "gates"
]


class ModelError(ValueError):
    """A model, or an argument about it, that cannot be used: one line naming file or layer, value and rule."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tensor:
    """A value that flows between layers: its name and its shape, batch included."""

    name: str
    shape: tuple[int, ...]

    @property
    def elements(self) -> int:
        """Return how many elements the shape has."""
        total = 1
        for extent in self.shape:
            total *= extent
        return total


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrangement:
    """Where the elements of a layer without a product come from, for those who follow channels through it.

    ``transpose``: numbers = the permutation. ``concat``: numbers = (axis,), of all inputs in their order. ``slice``:
    numbers = first index, step and count of every axis. ``through``: numbers = the axes whose index passes unchanged,
    the other axes being mixed. The result has the output's shape, or is viewed in it.
    """

    kind: Literal["transpose", "concat", "slice", "through"]
    numbers: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """How the columns of a weight matrix meet a feature map. A linear layer is a 1 x 1 window over (1, tokens)."""

    kernel: tuple[int, int] = (1, 1)
    stride: tuple[int, int] = (1, 1)
    dilation: tuple[int, int] = (1, 1)
    padding: tuple[int, int, int, int] = (0, 0, 0, 0)  # top, left, bottom, right
    in_hw: tuple[int, int] = (1, 1)
    out_hw: tuple[int, int] = (1, 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class MatrixLayer:
    """A layer with weights: ``groups`` products of W[m, k] with X[k, p], Ci innermost in k.

    ``serial``: the positions of one sample follow each other in time (the hidden product of an LSTM).
    ``columns_per_channel``: consecutive columns that belong to one channel of the producer (> 1 after a flatten
    of (C, H, W), where the file keeps C outermost).
    ``read_shapes``: the shapes in which the inputs are read, where a view lies between; () means the tensors' own.
    """

    name: str
    kind: MatrixKind
    groups: int = 1
    m: int
    k: int
    batch: int = 1
    window: Window = Window()
    serial: bool = False
    columns_per_channel: int = 1
    read_shapes: tuple[tuple[int, ...], ...] = ()
    inputs: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for label in ("groups", "m", "k", "batch", "columns_per_channel"):
            value = getattr(self, label)
            if value < 1:
                raise ModelError(f"layer {self.name}: {label} is {value}, and must be at least 1")
        kh, kw = self.window.kernel
        if self.k % (kh * kw):
            raise ModelError(f"layer {self.name}: k is {self.k}, and must be a multiple of its {kh} x {kw} window")

    @property
    def p(self) -> int:
        """Output positions x batch."""
        return self.batch * self.window.out_hw[0] * self.window.out_hw[1]

    @property
    def ci(self) -> int:
        """Input channels of one group."""
        return self.k // (self.window.kernel[0] * self.window.kernel[1])

    @property
    def macs(self) -> int:
        """Return the multiply-adds of the dense layer: groups x m x k x p."""
        return self.groups * self.m * self.k * self.p

    @property
    def input_elements(self) -> int:
        """Activation elements read, each once; a hidden product reads the input product's results, step by step."""
        if self.serial:
            return self.m * self.p
        feature_map = self.batch * self.groups * self.ci * self.window.in_hw[0] * self.window.in_hw[1]
        return min(feature_map, self.groups * self.k * self.p)  # a strided 1 x 1 window skips pixels

    @property
    def output_elements(self) -> int:
        """Activation elements written; a hidden product writes the state after its gates."""
        return self.k * self.p if self.serial else self.groups * self.m * self.p

    @property
    def gate_elements(self) -> int:
        """Element operations of the gates of one sample in one step of time; 0 for a layer that is not recurrent.

        Each gate has an activation, and the state update takes four more operations a unit (assumed for both cells):
        f*c + i*g and o*tanh(c) in an LSTM, (1-z)*n + z*h and r*(.) in a GRU.
        """
        return self.k * (self.m // self.k + 4) if self.serial else 0

    @property
    def weight_elements(self) -> int:
        """Return how many weights there are, kept or not: groups x m x k."""
        return self.groups * self.m * self.k


@dataclass(frozen=True, slots=True, kw_only=True)
class ProductLayer:
    """A product of two activations, as in attention: ``instances`` of Y[m, p] = A[m, k] . X[k, p], no weights."""

    name: str
    kind: Literal["product"] = "product"
    instances: int = 1
    m: int
    k: int
    p: int
    inputs: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()

    @property
    def macs(self) -> int:
        """Return the multiply-adds of all instances."""
        return self.instances * self.m * self.k * self.p

    @property
    def input_elements(self) -> int:
        """Return the elements of both operands, each read once."""
        return self.instances * (self.m + self.p) * self.k

    @property
    def output_elements(self) -> int:
        """Return the elements of the result."""
        return self.instances * self.m * self.p


@dataclass(frozen=True, slots=True, kw_only=True)
class VectorLayer:
    """Memory traffic and element work without a matrix product.

    ``elements``: element operations that a vector unit does (a 3 x 3 pool does 9 for each output).
    ``weight_elements``: parameters read (a norm's scale and shift, the rows of an embedding that are looked up).
    ``stored_weight_elements``: parameters kept in memory, where more than those read (an embedding table).
    ``input_elements`` and ``output_elements``: activation elements read and written, each once.
    ``channelwise``: output channel c depends on input channel c alone (so channel pruning passes through).
    ``fused_into``: the layer while whose outputs leave this one is applied (``traces.fusion``); no bytes move for it.
    ``arrangement``: where elements that move come from, None where nobody says; ``read_shapes`` as for a matrix layer.
    """

    name: str
    kind: VectorKind
    op: str
    elements: int
    input_elements: int = 0
    output_elements: int = 0
    weight_elements: int = 0
    stored_weight_elements: int = 0
    channelwise: bool = False
    fused_into: str = ""
    arrangement: Arrangement | None = None
    read_shapes: tuple[tuple[int, ...], ...] = ()
    inputs: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class UnsupportedLayer:
    """An operator that the lowering does not know. It is named in every result; its work is not counted."""

    name: str
    op: str
    reason: str
    kind: Literal["unsupported"] = "unsupported"
    inputs: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()


Layer = MatrixLayer | ProductLayer | VectorLayer | UnsupportedLayer


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """Layers in the order in which they run, the tensors between them, and the weights.

    ``weights[layer.name]`` has shape (groups, m, k), Ci innermost. ``synthetic``: the weights were made from a seed.
    Views (reshape, squeeze) are resolved: each name in ``tensors`` is a buffer that some layer writes or reads.
    """

    name: str
    layers: tuple[Layer, ...]
    tensors: Mapping[str, Tensor]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    weights: Mapping[str, FloatArray]
    synthetic: bool = False
    source: str = ""
    digest: str = ""  # SHA-256 of the file, or of the description and seed of a built-in
    notes: tuple[str, ...] = field(default=())

    @property
    def matrix_layers(self) -> tuple[MatrixLayer, ...]:
        """Return the layers that have weights and a matrix product, in the network's order."""
        return tuple(layer for layer in self.layers if isinstance(layer, MatrixLayer))

    @property
    def macs(self) -> int:
        """Return the multiply-adds of the dense network, products of attention included."""
        return sum(layer.macs for layer in self.layers if isinstance(layer, MatrixLayer | ProductLayer))

    def __repr__(self) -> str:
        return f"Network({self._told})"

    def _repr_html_(self) -> str:
        """Return what a notebook shows: the layers with weights."""
        rows = [
            [escape(one.name), one.kind, *(f"{count:,}" for count in (one.m, one.k, one.p, one.groups, one.macs))]
            for one in self.matrix_layers
        ]
        headers = ("layer", "kind", "m", "k", "p", "groups", "MACs")
        return f"<p><strong>{escape(self._told)}</strong></p>{cells_html(headers, rows, [at > 1 for at in range(7)])}"

    @property
    def _told(self) -> str:
        weights = sum(layer.weight_elements for layer in self.matrix_layers)
        synthetic = ", synthetic" if self.synthetic else ""
        return f"{self.name}: {len(self.layers):,} layers, {self.macs:,} MACs, {weights:,} weights{synthetic}"
