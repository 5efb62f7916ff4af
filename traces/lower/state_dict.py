"""Networks whose sizes are read from the names and shapes of weights: a chain of linear layers.

Left out: what no tensor tells. The activations between the linear layers of a chain are not counted.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from traces.builder import NetworkBuilder
from traces.layer import FloatArray, ModelError, Network
from traces.workloads.workload import resolve_shape

Shape = tuple[int, ...]
Weights = Callable[[str, Shape], FloatArray]


def sequential(
    name: str, where: str, shapes: Mapping[str, Shape], weights: Weights, batch: int, input_shape: Shape | None
) -> Network:
    """Linear layers one after the other, in the natural order of their names (``2`` before ``10``)."""
    chain = sorted((tensor for tensor in shapes if tensor.endswith("weight") and len(shapes[tensor]) > 1), key=_natural)
    if not chain:
        raise ModelError(f"{where}: --arch sequential needs tensors *.weight with two axes, and the file has none")
    for tensor in chain:
        if len(shapes[tensor]) != 2:
            raise ModelError(
                f"{where}: tensor {tensor} has shape {shapes[tensor]}, and --arch sequential takes linear layers only: "
                "no tensor tells a convolution's stride and padding; export to .onnx or .pt2 instead"
            )
    net = NetworkBuilder(name, where)
    net.notes.append("activations between the layers are not in the file and not counted")
    features = shapes[chain[0]][1]
    x = net.input("input", resolve_shape(where, (1, features), batch, input_shape))
    for tensor in chain:
        if net.shape(x)[-1] != shapes[tensor][1]:
            raise ModelError(
                f"{where}: tensor {tensor} has shape {shapes[tensor]}, and must take {net.shape(x)[-1]} features"
            )
        layer = tensor.removesuffix(".weight") if tensor != "weight" else "linear"
        x = net.linear(layer, x, weights(tensor, shapes[tensor]), f"{layer}.out")
    return net.build([x])


def _natural(name: str) -> list[tuple[int, str]]:
    """A sort key that takes runs of digits as numbers."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", name)]
