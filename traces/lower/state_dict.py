"""Networks whose sizes are read from the names and shapes of weights: a BERT encoder, a chain of linear layers.

Left out: what no tensor tells. A head of the attention is taken to be 64 wide (assumed; it moves only the softmax), and
the activations between the linear layers of a chain are not counted.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from traces.builder import NetworkBuilder
from traces.layer import FloatArray, ModelError, Network
from traces.workloads.blocks import activated, added, attended, embedded, normed, projected
from traces.workloads.workload import resolve_shape

Shape = tuple[int, ...]
Weights = Callable[[str, Shape], FloatArray]

TOKENS = 128  # assumed, where no input shape is given
HEAD_WIDTH = 64  # assumed: BERT-base and BERT-large, Devlin et al. 2018, arXiv 1810.04805, section 3
LAYER = re.compile(r"encoder\.layer\.(\d+)\.attention\.self\.query\.weight$")


def bert(
    name: str, where: str, shapes: Mapping[str, Shape], weights: Weights, batch: int, input_shape: Shape | None
) -> Network:
    """A BERT encoder by the names of the transformers library, with its pooler and classifier where there are any."""
    root = "bert." if any(tensor.startswith("bert.") for tensor in shapes) else ""
    layers = 1 + max((int(m.group(1)) for tensor in shapes if (m := LAYER.search(tensor))), default=-1)
    table = f"{root}embeddings.word_embeddings.weight"
    if not layers or len(shapes.get(table, ())) != 2:
        raise ModelError(
            f"{where}: --arch bert needs {table} and {root}encoder.layer.0.attention.self.query.weight, and the file "
            f"has {', '.join(list(shapes)[:3])} ..."
        )
    vocabulary, width = shapes[table]
    if width % HEAD_WIDTH:
        raise ModelError(f"{where}: tensor {table} has width {width}, and must be a multiple of a head's {HEAD_WIDTH}")
    net = NetworkBuilder(name, where)
    net.notes.append(f"heads of the attention are {HEAD_WIDTH} wide (assumed)")
    samples, tokens = resolve_shape(where, (1, TOKENS), batch, input_shape)
    x = _embeddings(net, root, shapes, weights, (samples, tokens), vocabulary, width)
    for layer in range(layers):
        x = _encoder_layer(net, f"{root}encoder.layer.{layer}", shapes, weights, x, width)
    if f"{root}pooler.dense.weight" in shapes:
        x = net.vector("first_token", "move", "select", [x], "first_token", (samples, width))
        x = activated(net, projected(net, weights, f"{root}pooler.dense", x, width), "tanh")
    if "classifier.weight" in shapes:
        x = projected(net, weights, "classifier", x, shapes["classifier.weight"][0])
    return net.build([x])


def _embeddings(
    net: NetworkBuilder,
    root: str,
    shapes: Mapping[str, Shape],
    weights: Weights,
    ids: Shape,
    vocabulary: int,
    width: int,
) -> str:
    """Words, positions and segments, added and normalised; the tables are among the weights of the file."""
    source = net.input("input_ids", ids)
    base = f"{root}embeddings"
    weights(f"{base}.word_embeddings.weight", (vocabulary, width))
    x = embedded(net, f"{base}.word_embeddings", source, width, (ids[0], ids[1]), vocabulary * width)
    for part in ("position_embeddings", "token_type_embeddings"):
        rows = shapes.get(f"{base}.{part}.weight", (0, 0))[0]
        if rows:
            weights(f"{base}.{part}.weight", (rows, width))
            looked_up = ids[1] if part == "position_embeddings" else 1
            if rows < looked_up:
                raise ModelError(f"{net.where}: {looked_up} tokens, and {base}.{part}.weight has {rows} positions")
            out = f"{base}.{part}"
            x = net.vector(
                out, "add", "add", [x], out, (*ids, width),
                weight_elements=looked_up * width, stored_weight_elements=rows * width,
            )  # fmt: skip
    return normed(net, f"{base}.LayerNorm", x)


def _encoder_layer(
    net: NetworkBuilder, name: str, shapes: Mapping[str, Shape], weights: Weights, x: str, width: int
) -> str:
    parts = [projected(net, weights, f"{name}.attention.self.{part}", x, width) for part in ("query", "key", "value")]
    y = attended(net, f"{name}.attention.self", *parts, heads=width // HEAD_WIDTH, width=width)
    y = projected(net, weights, f"{name}.attention.output.dense", y, width)
    x = normed(net, f"{name}.attention.output.LayerNorm", added(net, f"{name}.attention.output.add", y, x))
    inner = shapes.get(f"{name}.intermediate.dense.weight", (0,))[0]
    if not inner:
        raise ModelError(f"{net.where}: tensor {name}.intermediate.dense.weight is needed and missing")
    y = activated(net, projected(net, weights, f"{name}.intermediate.dense", x, inner), "gelu")
    y = projected(net, weights, f"{name}.output.dense", y, width)
    return normed(net, f"{name}.output.LayerNorm", added(net, f"{name}.output.add", y, x))


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
