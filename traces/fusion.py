"""Fuses activations and batch norms into the layer that makes their input. ADR 0004.

Every runtime and accelerator that this project models applies them while the outputs leave; as layers of their own
they would move each feature map through DRAM twice more. The layer stays in the list, is named in every result and
its element work is counted; it moves no bytes. Left out: fusion of additions, pooling, softmax and other norms.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from traces.layer import Layer, Network, UnsupportedLayer, VectorLayer

BATCH_NORMS = ("batchnorm", "batch_norm")  # as ONNX and ATen spell them


def fuse(network: Network) -> Network:
    """Return ``network`` with every activation and batch norm fused whose input has no other reader."""
    readers = Counter(name for layer in network.layers for name in layer.inputs)
    kept = set(network.outputs) | set(network.inputs)
    maker: dict[str, int] = {}  # tensor: place of the layer that writes it
    layers: list[Layer] = []
    fused: dict[str, list[int]] = {}  # tensor: places of the layers applied while it leaves
    gone: set[str] = set()
    for layer in network.layers:
        source = layer.inputs[0] if layer.inputs else ""
        if (
            isinstance(layer, VectorLayer)
            and _pointwise(layer)
            and readers[source] == 1
            and source not in kept
            and source in maker
            and network.tensors[source].elements == network.tensors[layer.outputs[0]].elements
        ):
            place = maker[source]
            producer = layers[place]
            written = layer.outputs[0]
            outputs = tuple(written if name == source else name for name in producer.outputs)
            layers[place] = replace(producer, outputs=outputs)
            maker[written] = place
            gone.add(source)
            fused[written] = [*fused.pop(source, []), len(layers)]
            for earlier in fused[written][:-1]:
                layers[earlier] = replace(layers[earlier], inputs=(written,))
            into = producer.fused_into if isinstance(producer, VectorLayer) and producer.fused_into else producer.name
            layers.append(
                replace(layer, inputs=(written,), outputs=(), input_elements=0, output_elements=0, fused_into=into)
            )
            continue
        if not isinstance(layer, UnsupportedLayer):
            maker.update((name, len(layers)) for name in layer.outputs)
        layers.append(layer)
    tensors = {name: tensor for name, tensor in network.tensors.items() if name not in gone}
    return replace(network, layers=tuple(layers), tensors=tensors)


def _pointwise(layer: VectorLayer) -> bool:
    """Whether each output element needs one input element and constants alone."""
    if len(layer.inputs) != 1 or len(layer.outputs) != 1 or not layer.channelwise:
        return False
    return layer.kind == "activation" or (
        layer.kind == "norm" and any(name in layer.op.lower() for name in BATCH_NORMS)
    )
