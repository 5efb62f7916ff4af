"""Builds a Network layer by layer: the one way in for the file readers and the built-in networks.

Knows shapes, views and weight layout (Ci innermost); knows no file format. Every tensor that a layer writes must be
new; a view (reshape, squeeze, identity) is resolved to the buffer that it shows.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np

from traces.layer import (
    Arrangement,
    FloatArray,
    Layer,
    MatrixKind,
    MatrixLayer,
    ModelError,
    Network,
    ProductLayer,
    Tensor,
    UnsupportedLayer,
    VectorKind,
    VectorLayer,
    Window,
)
from traces.weights import (
    DeferredMatrix,
    DeferredWeights,
    Weight,
    WeightTensor,
    check_finite,
    weight_matrix,
)

Cell = Literal["lstm", "gru"]
GATES: dict[Cell, int] = {"lstm": 4, "gru": 3}


class NetworkBuilder:
    """Collects layers in the order in which they run. ``where`` prefixes every error (the file's name)."""

    def __init__(self, name: str, where: str = "") -> None:
        self.name = name
        self.where = where or name
        self._layers: list[Layer] = []
        self._tensors: dict[str, Tensor] = {}
        self._views: dict[str, tuple[str, tuple[int, ...]]] = {}
        self._inputs: list[str] = []
        self._weights: dict[str, FloatArray | DeferredMatrix] = {}
        self._names: set[str] = set()
        self.notes: list[str] = []

    # Tensors

    def input(self, name: str, shape: Sequence[int]) -> str:
        self._tensors[name] = self._tensor(name, shape)
        self._inputs.append(name)
        return name

    def constant(self, name: str, shape: Sequence[int]) -> str:
        """A tensor that is there from the start without being an input (a learned token, a position table)."""
        self._tensors[name] = self._tensor(name, shape)
        return name

    def view(self, name: str, source: str, shape: Sequence[int]) -> str:
        """``name`` shows the buffer of ``source`` in another shape; no bytes move."""
        root, _ = self._root(source)
        if math.prod(shape) != self._tensors[root].elements:
            raise ModelError(
                f"{self.where}: view {name} has shape {tuple(shape)}, and {source} has "
                f"{self._tensors[root].elements} elements"
            )
        self._views[name] = (root, tuple(int(extent) for extent in shape))
        return name

    def known(self, name: str) -> bool:
        return name in self._tensors or name in self._views

    def shape(self, name: str) -> tuple[int, ...]:
        if name in self._views:
            return self._views[name][1]
        if name not in self._tensors:
            raise ModelError(f"{self.where}: tensor {name} is read before any layer writes it")
        return self._tensors[name].shape

    def _root(self, name: str) -> tuple[str, tuple[int, ...]]:
        shape = self.shape(name)
        return (self._views[name][0] if name in self._views else name), shape

    def _tensor(self, name: str, shape: Sequence[int]) -> Tensor:
        extents = tuple(int(extent) for extent in shape)
        if any(extent < 1 for extent in extents):
            raise ModelError(f"{self.where}: tensor {name} has shape {extents}, and every extent must be at least 1")
        return Tensor(name=name, shape=extents)

    def _output(self, name: str, shape: Sequence[int]) -> str:
        if name in self._tensors or name in self._views:
            raise ModelError(f"{self.where}: tensor {name} is written twice")
        self._tensors[name] = self._tensor(name, shape)
        return name

    def _reads(self, names: Sequence[str]) -> tuple[str, ...]:
        return tuple(self._root(name)[0] for name in names)

    def _read_shapes(self, names: Sequence[str]) -> tuple[tuple[int, ...], ...]:
        """Return the shapes in which tensors are read, () where each is read in its own."""
        shapes = tuple(self.shape(name) for name in names)
        own = tuple(self._tensors[root].shape for root in self._reads(names))
        return () if shapes == own else shapes

    def _unique(self, name: str) -> str:
        chosen, count = name, 2
        while chosen in self._names:
            chosen, count = f"{name}#{count}", count + 1
        self._names.add(chosen)
        return chosen

    @property
    def layer_count(self) -> int:
        return len(self._layers)

    def matrix_layers_since(self, count: int) -> tuple[str, ...]:
        """Return the names of the layers with weights that were added after the first ``count`` layers."""
        return tuple(layer.name for layer in self._layers[count:] if isinstance(layer, MatrixLayer))

    # Layers with weights

    def conv(
        self,
        name: str,
        x: str,
        weight: Weight,
        out: str,
        *,
        stride: Sequence[int] = (1, 1),
        padding: Sequence[int] = (0, 0, 0, 0),
        dilation: Sequence[int] = (1, 1),
        groups: int = 1,
    ) -> str:
        """A 1-D or 2-D convolution. weight [Co, Ci / groups, Kl] or [Co, Ci / groups, Kh, Kw]; x [N, C, (H,) W].

        ``padding`` is (top, left, bottom, right), for 1-D (0, left, 0, right); 1-D strides are (1, s).
        """
        shape = self.shape(x)
        one_d = weight.ndim == 3
        if weight.ndim not in (3, 4) or len(shape) != weight.ndim:
            raise ModelError(
                f"{self.where}: layer {name}: weight {weight.shape} meets input {shape}, and "
                "only 1-D and 2-D convolutions of a batch are lowered"
            )
        co, cig, kh, kw = (*weight.shape[:2], 1, weight.shape[2]) if one_d else weight.shape
        if shape[1] != cig * groups or co % groups:
            raise ModelError(
                f"{self.where}: layer {name}: weight {weight.shape} in {groups} groups meets {shape[1]} input channels"
            )
        height, width = (1, shape[2]) if one_d else (shape[2], shape[3])
        top, left, bottom, right = (int(value) for value in padding)
        oh = (height + top + bottom - dilation[0] * (kh - 1) - 1) // stride[0] + 1
        ow = (width + left + right - dilation[1] * (kw - 1) - 1) // stride[1] + 1
        if oh < 1 or ow < 1:
            raise ModelError(f"{self.where}: layer {name}: a {kh} x {kw} window does not fit into {height} x {width}")
        depthwise = groups > 1 and cig == 1
        kind: MatrixKind = "depthwise" if depthwise else ("conv1d" if one_d else "conv2d")
        matrix = weight_matrix(weight, groups)
        window = Window(
            kernel=(kh, kw),
            stride=(int(stride[0]), int(stride[1])),
            dilation=(int(dilation[0]), int(dilation[1])),
            padding=(top, left, bottom, right),
            in_hw=(height, width),
            out_hw=(oh, ow),
        )
        out_shape = (shape[0], co, ow) if one_d else (shape[0], co, oh, ow)
        return self._matrix(name, kind, matrix, x, out, out_shape, batch=shape[0], window=window)

    def linear(self, name: str, x: str, weight: Weight, out: str) -> str:
        """y = x W^T for weight [out, in] and x [..., in]; all but the last axis are positions, the first the batch."""
        shape = self.shape(x)
        if weight.ndim != 2 or not shape or shape[-1] != weight.shape[1]:
            raise ModelError(
                f"{self.where}: layer {name}: weight {weight.shape} needs {weight.shape[-1]} input features, and its "
                f"input has shape {shape}"
            )
        batch = shape[0] if len(shape) > 1 else 1
        tokens = math.prod(shape[1:-1])
        window = Window(in_hw=(1, tokens), out_hw=(1, tokens))
        matrix = weight_matrix(weight)
        out_shape = (*shape[:-1], weight.shape[0])
        return self._matrix(
            name,
            "linear",
            matrix,
            x,
            out,
            out_shape,
            batch=batch,
            window=window,
            columns_per_channel=self._flattened(x),
        )

    def recurrent(
        self,
        name: str,
        x: str,
        w_ih: Weight,
        w_hh: Weight,
        out: str,
        *,
        cell: Cell,
        steps: int,
        batch: int,
        parameters: int = 0,
    ) -> str:
        """One direction of one LSTM or GRU layer: w_ih [gates H, in] and w_hh [gates H, H]; x holds all time steps.

        Becomes three layers: the input product for all steps at once, the hidden product, serial over time, and the
        gates on the vector unit, step by step (one step's products are live). ``out`` has shape
        [steps, batch, H]. ``parameters``: bias elements.
        """
        gates = GATES[cell]
        hidden = w_hh.shape[1]
        if w_hh.shape[0] != gates * hidden or w_ih.shape[0] != gates * hidden:
            raise ModelError(
                f"{self.where}: layer {name}: {cell} weights {w_ih.shape} and {w_hh.shape} must have "
                f"{gates} x {hidden} rows"
            )
        all_steps = Window(in_hw=(1, steps), out_hw=(1, steps))
        product = (steps, batch, gates * hidden)
        self._matrix(
            f"{name}.ih",
            "lstm_input" if cell == "lstm" else "gru_input",
            weight_matrix(w_ih),
            x,
            f"{out}.ih",
            product,
            batch=batch,
            window=all_steps,
        )
        self._matrix(
            f"{name}.hh",
            "lstm_hidden" if cell == "lstm" else "gru_hidden",
            weight_matrix(w_hh),
            f"{out}.ih",
            f"{out}.hh",
            (1, batch, gates * hidden),
            batch=batch,
            window=all_steps,
            serial=True,
        )
        hidden_product = self._layers[-1]
        assert isinstance(hidden_product, MatrixLayer)
        return self.vector(
            f"{name}.gates",
            "gates",
            cell,
            [f"{out}.ih", f"{out}.hh"],
            out,
            (steps, batch, hidden),
            elements=steps * batch * hidden_product.gate_elements,
            weight_elements=parameters,
        )

    def _flattened(self, name: str) -> int:
        """Columns per channel of the producer where ``name`` flattens (N, C, ...) to (N, C * ...), else 1."""
        root, shape = self._root(name)
        source = self._tensors[root].shape
        if len(shape) == 2 and len(source) > 2 and source[0] == shape[0]:
            return math.prod(source[2:])
        return 1

    def _matrix(
        self,
        name: str,
        kind: MatrixKind,
        matrix: WeightTensor | DeferredMatrix,
        x: str,
        out: str,
        out_shape: Sequence[int],
        *,
        batch: int,
        window: Window,
        serial: bool = False,
        columns_per_channel: int = 1,
    ) -> str:
        if not isinstance(matrix, DeferredMatrix):  # those are checked when they are made
            check_finite(matrix, f"{self.where}: layer {name}")
            matrix = np.asarray(matrix, dtype=np.float32)
        unique = self._unique(name)
        self._weights[unique] = matrix
        self._layers.append(
            MatrixLayer(
                name=unique,
                kind=kind,
                groups=matrix.shape[0],
                m=matrix.shape[1],
                k=matrix.shape[2],
                batch=batch,
                window=window,
                serial=serial,
                columns_per_channel=columns_per_channel,
                read_shapes=self._read_shapes([x]),
                inputs=self._reads([x]),
                outputs=(self._output(out, out_shape),),
            )
        )
        return out

    # Layers without weights

    def product(self, name: str, a: str, b: str, out: str, out_shape: Sequence[int], *, m: int, k: int, p: int) -> str:
        """Y = A . X of two activations; instances = elements of the output / (m x p)."""
        instances = math.prod(out_shape) // (m * p)
        self._layers.append(
            ProductLayer(
                name=self._unique(name),
                instances=instances,
                m=m,
                k=k,
                p=p,
                inputs=self._reads([a, b]),
                outputs=(self._output(out, out_shape),),
            )
        )
        return out

    def vector(
        self,
        name: str,
        kind: VectorKind,
        op: str,
        inputs: Sequence[str],
        out: str,
        out_shape: Sequence[int],
        *,
        elements: int | None = None,
        input_elements: int | None = None,
        weight_elements: int = 0,
        stored_weight_elements: int | None = None,
        channelwise: bool = False,
        arrangement: Arrangement | None = None,
    ) -> str:
        """Element work; ``elements`` defaults to one operation per output element, ``input_elements`` to all inputs."""
        if input_elements is None:
            input_elements = sum(math.prod(self.shape(read)) for read in inputs)
        self._layers.append(
            VectorLayer(
                name=self._unique(name),
                kind=kind,
                op=op,
                elements=math.prod(out_shape) if elements is None else elements,
                input_elements=input_elements,
                output_elements=math.prod(out_shape),
                weight_elements=weight_elements,
                stored_weight_elements=weight_elements if stored_weight_elements is None else stored_weight_elements,
                channelwise=channelwise,
                arrangement=arrangement,
                read_shapes=self._read_shapes(inputs),
                inputs=self._reads(inputs),
                outputs=(self._output(out, out_shape),),
            )
        )
        return out

    def unsupported(
        self,
        name: str,
        op: str,
        reason: str,
        inputs: Sequence[str],
        outputs: Sequence[tuple[str, Sequence[int]]],
    ) -> None:
        """Name an operator that is not lowered; its outputs still exist, so that later layers are counted."""
        self._layers.append(
            UnsupportedLayer(
                name=self._unique(name),
                op=op,
                reason=reason,
                inputs=self._reads([read for read in inputs if self.known(read)]),
                outputs=tuple(self._output(written, shape) for written, shape in outputs),
            )
        )

    def _table(self) -> Mapping[str, FloatArray]:
        ready = {name: matrix for name, matrix in self._weights.items() if not isinstance(matrix, DeferredMatrix)}
        return ready if len(ready) == len(self._weights) else DeferredWeights(self._weights, self.where)

    def build(self, outputs: Sequence[str], *, source: str = "", digest: str = "", synthetic: bool = False) -> Network:
        if not any(isinstance(layer, MatrixLayer | ProductLayer) for layer in self._layers):
            raise ModelError(f"{self.where}: no layer with a matrix product was found, so there is nothing to run")
        return Network(
            name=self.name,
            layers=tuple(self._layers),
            tensors=dict(self._tensors),
            inputs=tuple(self._inputs),
            outputs=self._reads([name for name in outputs if self.known(name)]),
            weights=self._table(),
            synthetic=synthetic,
            source=source,
            digest=digest,
            notes=tuple(self.notes),
        )
