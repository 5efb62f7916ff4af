"""Writes the ONNX file of a channel-pruned network: really smaller tensors, cut where the plan says.

The nodes stay; their weights, biases, norms, slopes and the constants that name channel counts are cut, groups counted
anew, and declared shapes dropped. What is left is checked (onnx.checker, strict shape inference) and lowered again:
its layers must be the plan's. Left out: files above protobuf's 2 GiB, weights of Einsum and of a left MatMul factor,
control flow that reads a tensor which shrinks. A weight that nodes compute from constants is written as its value.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from traces.channels import ChannelPlan, prune_channels
from traces.layer import MatrixLayer, ModelError, Network, ProductLayer
from traces.lower.input_shapes import Shapes
from traces.lower.onnx_cut import Cutter
from traces.lower.onnx_cut_nodes import OTHER_CUTS, PRODUCT_CUTS
from traces.lower.onnx_file import read_onnx, walk_onnx

_LARGEST_FILE_BYTES = 2**31 - 1  # protobuf's limit
_INITIALIZERS_NEED_NO_INPUTS = 4  # from this IR version on


def shrink_onnx(
    source: str | Path,
    plan: ChannelPlan | float,
    destination: str | Path,
    *,
    keep: frozenset[str] = frozenset(),
    input_shapes: Shapes = None,
    batch: int | None = None,
) -> ChannelPlan:
    """Write ``source`` without the channels that ``plan`` removes (or prune_channels at a sparsity); return the plan.

    With a plan made before, from this very file, ``keep``, ``input_shapes`` and ``batch`` are the plan's. Other
    batches stay open where the file leaves them open. The file appears under its name when it is whole.
    Raises ModelError for a file that cannot be read or written, a plan of another file, and a node whose channels
    go and that cannot be cut.
    """
    path, target = Path(source), Path(destination)
    if not isinstance(plan, ChannelPlan):
        network = read_onnx(path, input_shapes=input_shapes, batch=batch)
        plan = prune_channels(network, plan, keep=keep)
    shapes = {name: plan.network.tensors[name].shape for name in plan.network.inputs}
    model, graph, _ = walk_onnx(path, input_shapes=shapes)
    if graph.reader.hash.hexdigest() != plan.network.digest:
        raise ModelError(f"{path}: the plan was made from {plan.network.source or plan.network.name}, another file")
    Cutter(graph, model, plan, PRODUCT_CUTS, OTHER_CUTS).run()
    for tensor in model.graph.initializer:
        graph.reader.load_external(tensor)
    _tidy(model)
    _write(model, target, plan.network)
    return plan


def _tidy(model: Any) -> None:
    """Drop constants and their nodes that nobody reads any more, and shapes that are no longer true."""
    graph = model.graph
    del graph.value_info[:]
    outputs = {output.name for output in graph.output}
    constants = {tensor.name for tensor in graph.initializer}
    constants |= {sparse.values.name for sparse in graph.sparse_initializer}
    folded = set(constants)
    for node in graph.node:
        if all(name in folded for name in node.input if name) and not _graphs(node):
            folded.update(node.output)
    while True:
        read = _read_names(graph) | outputs
        dead = [node for node in graph.node if set(node.output) <= folded and not set(node.output) & read]
        if not dead:
            break
        for node in dead:
            graph.node.remove(node)
    dense = [tensor for tensor in graph.initializer if tensor.name in read]
    sparse = [tensor for tensor in graph.sparse_initializer if tensor.values.name in read]
    del graph.initializer[:]
    del graph.sparse_initializer[:]
    graph.initializer.extend(dense)
    graph.sparse_initializer.extend(sparse)
    inputs = [info for info in graph.input if info.name not in constants]  # old files list initializers there too
    if len(inputs) < len(graph.input):
        del graph.input[:]
        graph.input.extend(inputs)
    model.ir_version = max(model.ir_version, _INITIALIZERS_NEED_NO_INPUTS)
    _restore_names(graph)


def _graphs(node: Any) -> list[Any]:
    found = [inner for attribute in node.attribute for inner in attribute.graphs]
    return found + [attribute.g for attribute in node.attribute if attribute.HasField("g")]


def _read_names(graph: Any) -> set[str]:
    """Return every name that a node reads, in subgraphs too."""
    names: set[str] = set()
    for node in graph.node:
        names.update(node.input)
        for inner in _graphs(node):
            names |= _read_names(inner) | {output.name for output in inner.output}
    return names


def _restore_names(graph: Any) -> None:
    """Give cut tensors the names of what they were cut from, where these are free: layers are named by them."""
    used = {tensor.name for tensor in graph.initializer} | _read_names(graph)
    used |= {name for node in graph.node for name in node.output} | {info.name for info in graph.input}
    renamed: dict[str, str] = {}
    for tensor in graph.initializer:
        wanted = tensor.doc_string.removeprefix(Cutter.MARK) if tensor.doc_string.startswith(Cutter.MARK) else ""
        if wanted:
            tensor.doc_string = ""
            if wanted not in used:
                renamed[tensor.name] = wanted
                used.add(wanted)
                tensor.name = wanted
    for node in graph.node:
        for index, name in enumerate(node.input):
            if name in renamed:
                node.input[index] = renamed[name]


def _write(model: Any, target: Path, expected: Network) -> None:
    """Check the model, write it aside, lower it again, compare it with what the plan says, and rename it."""
    import onnx

    size_bytes = model.ByteSize()
    if size_bytes > _LARGEST_FILE_BYTES:
        raise ModelError(
            f"{target}: it would have {size_bytes} bytes, and protobuf writes at most {_LARGEST_FILE_BYTES}"
        )
    try:
        onnx.checker.check_model(model)
        if not model.graph.sparse_initializer:  # onnx infers no shapes from those
            onnx.shape_inference.infer_shapes(model, check_type=True, strict_mode=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        line = " ".join(str(error).split())[:200]
        raise ModelError(f"{target}: what is left of the network is no valid ONNX: {line}") from error
    try:
        handle, name = tempfile.mkstemp(prefix=f".{target.stem}.", suffix=".onnx", dir=target.parent)
    except OSError as error:
        raise ModelError(f"{target}: cannot be written: {error.strerror}") from None
    aside = Path(name)
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(model.SerializeToString(deterministic=True))
        aside.chmod(0o644)
        shapes = {name: expected.tensors[name].shape for name in expected.inputs}
        _compare(read_onnx(aside, input_shapes=shapes), expected, target)
        aside.replace(target)
    except OSError as error:
        raise ModelError(f"{target}: cannot be written: {error.strerror}") from None
    finally:
        aside.unlink(missing_ok=True)


def _compare(found: Network, expected: Network, target: Path) -> None:
    """Raise ModelError unless both networks have the same products, layer by layer."""
    ours, theirs = (_products(network) for network in (found, expected))
    for name in {**theirs, **ours}:
        if ours.get(name) != theirs.get(name):
            raise ModelError(
                f"{target}: layer {name}: the file that was written has {_text(ours.get(name))}, and the plan says "
                f"{_text(theirs.get(name))}"
            )


def _products(network: Network) -> Mapping[str, tuple[int, ...]]:
    sizes: dict[str, tuple[int, ...]] = {}
    for layer in network.layers:
        if isinstance(layer, MatrixLayer):
            sizes[layer.name] = layer.groups, layer.m, layer.k, layer.p
        elif isinstance(layer, ProductLayer):
            sizes[layer.name] = layer.instances, layer.m, layer.k, layer.p
    return sizes


def _text(sizes: tuple[int, ...] | None) -> str:
    return "no such layer" if sizes is None else "groups {}, m {}, k {}, p {}".format(*sizes)
