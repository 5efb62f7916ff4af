"""Lowers an ONNX file, from either torch exporter or another tool, to the layers that hardware sees.

One walk over the nodes in the order of the file: constants are folded (see ``onnx_graph``), views cost nothing, and
every other operator becomes a layer or is named as unsupported. A bias is not a layer and no MAC: it is read with the
weights. Quantize/dequantize pairs on activations are views (hardware folds them into its neighbours). Names follow the
parameters ("layer1.0.conv1"), else the module path that the exporter wrote, else the node. Left out: Loop and Scan,
training graphs, 3-D and transposed convolutions, models whose protobuf exceeds 2 GiB.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from traces.builder import NetworkBuilder
from traces.layer import ModelError, Network
from traces.lower.onnx_graph import Graph, Node, Unlowered, attribute_values, subgraph
from traces.lower.onnx_inputs import bind_inputs
from traces.lower.onnx_matrix import MATRIX_LOWERINGS
from traces.lower.onnx_sequence import SEQUENCE_LOWERINGS
from traces.lower.onnx_tensors import TensorReader
from traces.lower.onnx_vector import CONTRIB_LOWERINGS, VECTOR_LOWERINGS

_LARGEST_FILE_BYTES = 2**31 - 1  # protobuf's limit; larger models keep their weights in external data
_LARGEST_EXPANSION_NODES = 10**6  # after inlining: functions that call functions can explode
_WEIGHTED = {**MATRIX_LOWERINGS, **SEQUENCE_LOWERINGS}
_STANDARD = {**_WEIGHTED, **VECTOR_LOWERINGS}


def read_onnx(
    path: str | Path,
    *,
    input_shapes: Mapping[str, tuple[int, ...]] | tuple[int, ...] | None = None,
    batch: int | None = None,
    strict: bool = False,
) -> Network:
    """Lower an ONNX file.

    Raises ModelError for a broken file, an open dimension and, if ``strict``, an unknown operator.
    """
    _, graph, outputs = walk_onnx(path, input_shapes=input_shapes, batch=batch, strict=strict)
    return graph.builder.build(outputs, source=str(path), digest=graph.reader.hash.hexdigest())


def walk_onnx(
    path: str | Path,
    *,
    input_shapes: Mapping[str, tuple[int, ...]] | tuple[int, ...] | None = None,
    batch: int | None = None,
    strict: bool = False,
) -> tuple[Any, Graph, list[str]]:
    """Return the parsed model (functions inlined), the state of the walk over it, and the names of its outputs.

    For whoever writes the file again: ``graph.weighted`` says which node made which layers. Raises as ``read_onnx``.
    """
    file = Path(path)
    progress = [str(file)]
    try:
        return _walk_file(file, progress, input_shapes, batch, strict)
    except ModelError as error:  # names in the file may hold any character
        raise ModelError(_one_line(str(error))) from error.__cause__
    except Exception as error:  # a damaged file can break any field that a node, or onnx itself, relies on
        what = _one_line(f"{type(error).__name__}: {error}")[:200]
        raise ModelError(f"{_one_line(progress[-1])}: it cannot be read as ONNX: {what}") from error


def _walk_file(
    file: Path,
    progress: list[str],
    input_shapes: Mapping[str, tuple[int, ...]] | tuple[int, ...] | None,
    batch: int | None,
    strict: bool,
) -> tuple[Any, Graph, list[str]]:
    """Lower the file; the last entry of ``progress`` says which node is being lowered."""
    reader = TensorReader(file)
    model = _open(file, reader)
    opset = next((entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")), 0)
    if not opset:
        raise ModelError(f"{file}: it imports no standard operator set, and so is no ONNX model that can be lowered")
    graph = Graph(NetworkBuilder(file.stem, str(file)), reader, int(opset), strict)
    _declare(graph, model.graph)
    bind_inputs(graph, model.graph, input_shapes, batch)
    _index_readers(graph, model.graph)
    _walk(graph, model.graph, progress)
    outputs = [output.name for output in model.graph.output]
    for name in outputs:
        if name in graph.unknown:
            graph.builder.notes.append(f"output {name} has no known shape: it comes from {graph.unknown[name]}")
    return model, graph, outputs


def _one_line(text: str) -> str:
    return "".join(letter if letter.isprintable() else " " for letter in text)


def _open(file: Path, reader: TensorReader) -> Any:
    """Parse the file, make sparse initializers dense, inline its functions, and read external data of attributes."""
    import onnx
    import onnx.inliner
    from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

    try:
        size_bytes = file.stat().st_size
        if size_bytes > _LARGEST_FILE_BYTES:
            raise ModelError(f"{file}: it has {size_bytes} bytes, and protobuf reads at most {_LARGEST_FILE_BYTES}")
        raw = file.read_bytes()
    except OSError as error:
        raise ModelError(f"{file}: cannot be read: {error.strerror}") from None
    model = onnx.ModelProto()
    try:
        model.ParseFromString(raw)
    except DecodeError:
        raise ModelError(
            f"{file}: its {len(raw)} bytes are no ONNX model: truncated, or another kind of file"
        ) from None
    if not model.HasField("graph") or not model.graph.node:
        raise ModelError(f"{file}: it holds no graph with nodes: truncated, or another kind of file")
    reader.hash.update(raw)
    if model.functions:
        _check_functions(file, model)
        model = onnx.inliner.inline_local_functions(model)
    _load_attributes(model.graph, reader)
    return model


def _check_functions(file: Path, model: Any) -> None:
    """Refuse functions that call themselves, or that grow past the limit when inlined."""
    bodies = {(body.domain, body.name): [(node.domain, node.op_type) for node in body.node] for body in model.functions}
    sizes: dict[tuple[str, str], int] = {}

    def size(key: tuple[str, str], open_calls: tuple[tuple[str, str], ...]) -> int:
        if key not in bodies:
            return 1
        if key in open_calls or len(open_calls) > 64:
            raise ModelError(f"{file}: function {key[1]} calls itself or nests too deep, and so cannot be inlined")
        if key not in sizes:
            sizes[key] = sum(size(callee, (*open_calls, key)) for callee in bodies[key])
        return sizes[key]

    total = sum(size((node.domain, node.op_type), ()) for node in model.graph.node)
    if total > _LARGEST_EXPANSION_NODES:
        raise ModelError(f"{file}: inlined it has {total} nodes, and at most {_LARGEST_EXPANSION_NODES} are lowered")


def _load_attributes(proto: Any, reader: TensorReader) -> None:
    """Bring the external data of attributes in here, under this reader's rules: onnx would read them from anywhere."""
    for node in proto.node:
        for attribute in node.attribute:
            for tensor in (attribute.t, *attribute.tensors, attribute.sparse_tensor.values):
                reader.load_external(tensor)
            for inner in (attribute.g, *attribute.graphs):
                _load_attributes(inner, reader)


def _declare(graph: Graph, proto: Any) -> None:
    for tensor in proto.initializer:
        graph.pack(tensor.name, tensor)
    for sparse in proto.sparse_initializer:
        graph.set_constant(sparse.values.name, graph.reader.dense(sparse), sparse.values.name)
    for info in (*proto.value_info, *proto.output):
        graph.declared[info.name] = info.type


def _index_readers(graph: Graph, proto: Any) -> None:
    """Note who reads each tensor, subgraphs included: an output that nobody reads makes no layer."""
    for node in proto.node:
        for name in node.input:
            graph.readers.setdefault(name, []).append(node)
        for attribute in node.attribute:
            for inner in (attribute.g, *attribute.graphs):
                _index_readers(graph, inner)
    for output in proto.output:
        graph.readers.setdefault(output.name, []).append(None)


def _walk(graph: Graph, proto: Any, progress: list[str]) -> None:
    for node_proto in proto.node:
        progress.append(f"{graph.where}: node {node_proto.name or list(node_proto.output)} ({node_proto.op_type})")
        node = node_of(graph, node_proto)
        blocked = next((name for name in node.inputs if name in graph.unknown), "")
        if blocked:
            raise ModelError(
                f"{graph.where}: node {node.label} ({node.op}): it reads {blocked}, whose shape is not known: it comes "
                f"from {graph.unknown[blocked]}"
            )
        _check_reads(graph, node)
        if node.op in ("Shape", "Size") and node.domain == "":
            _fold_shape(graph, node)
        elif graph.foldable(node):
            graph.fold(node)
        elif node.op == "If" and node.domain == "" and graph.is_constant(node.input(0)):
            _take_branch(graph, node, progress)
        else:
            _lower(graph, node)


def _check_reads(graph: Graph, node: Node) -> None:
    for name in node.inputs:
        if name and not graph.is_constant(name) and not graph.builder.known(name):
            raise ModelError(
                f"{graph.where}: node {node.label} ({node.op}): it reads {name}, which no node has written"
            )


def _lower(graph: Graph, node: Node) -> None:
    """Make layers of one node, or name it as unsupported; the lowered shape must be the inferred one."""
    shapes = graph.infer(node)
    table = _STANDARD if node.domain == "" else CONTRIB_LOWERINGS if node.domain == "com.microsoft" else {}
    lowering = table.get(node.op)
    before = graph.builder.layer_count
    try:
        if lowering is None:
            domain = f" of domain {node.domain}" if node.domain else ""
            raise Unlowered(f"operator {node.op}{domain} is not lowered")
        lowering(graph, node, shapes)
    except Unlowered as reason:
        _name_unsupported(graph, node, shapes, str(reason))
        return
    made = graph.builder.matrix_layers_since(before)
    if made:
        graph.weighted.append((node, made))
    for name, shape in shapes.items():
        if shape is not None and graph.builder.known(name) and graph.builder.shape(name) != shape:
            raise ModelError(
                f"{graph.where}: node {node.label} ({node.op}): lowered to shape {graph.builder.shape(name)}, and ONNX "
                f"infers {shape}"
            )
        if name not in graph.types and graph.builder.known(name):
            graph.assume_type(name, node)


def _name_unsupported(graph: Graph, node: Node, shapes: Mapping[str, tuple[int, ...] | None], reason: str) -> None:
    if graph.strict:
        raise ModelError(f"{graph.where}: node {node.label} ({node.op}): {reason}, and strict forbids leaving it out")
    written = [(name, shape) for name, shape in shapes.items() if shape is not None]
    for name, shape in shapes.items():
        if shape is None:
            graph.unknown[name] = f"node {node.label} ({node.op}), which is not lowered: {reason}"
    operator = f"{node.domain}.{node.op}" if node.domain else node.op
    reads = [name for name in node.inputs if name and not graph.is_constant(name)]
    graph.builder.unsupported(node.name, operator, reason, reads, written)


def _fold_shape(graph: Graph, node: Node) -> None:
    import numpy as np

    shape = graph.shape(node.input(0))
    if node.op == "Size":
        graph.set_constant(node.outputs[0], np.asarray(np.prod(shape, dtype=np.int64)))
        return
    start = node.integer("start", 0)
    end = node.integer("end", len(shape))
    graph.set_constant(node.outputs[0], np.asarray(shape[start:end], dtype=np.int64))


def _take_branch(graph: Graph, node: Node, progress: list[str]) -> None:
    """Walk the branch that a constant condition takes; its outputs are the node's."""
    branch = subgraph(node.attributes["then_branch" if graph.constant(node.input(0)).item() else "else_branch"])
    _declare(graph, branch)
    _walk(graph, branch, progress)
    for ours, theirs in zip(node.outputs, (output.name for output in branch.output), strict=True):
        if graph.is_constant(theirs):
            graph.set_constant(ours, graph.constant(theirs), graph.origins.get(theirs, ""))
        elif theirs in graph.unknown:
            graph.unknown[ours] = graph.unknown[theirs]
        else:
            graph.builder.view(ours, theirs, graph.builder.shape(theirs))
            graph.types[ours] = graph.types[theirs]


def node_of(graph: Graph, proto: Any) -> Node:
    outputs = tuple(proto.output)
    label = proto.name or (outputs[0] if outputs else proto.op_type)
    return Node(
        label=label,
        name=_one_line(_layer_name(graph, proto, label)),
        op=proto.op_type,
        domain="" if proto.domain == "ai.onnx" else proto.domain,
        inputs=tuple(proto.input),
        outputs=outputs,
        attributes=attribute_values(proto),
        proto=proto,
    )


def _layer_name(graph: Graph, proto: Any, label: str) -> str:
    """Return the module's path where a weight, the exporter, a bias or the node's name tells it, in this order.

    Biases come last, and norms by the exporter first: exporters share equal constants between modules.
    """
    cleaned = label.removeprefix("node_").strip("/").replace("/", ".")
    norm = "Normalization" in proto.op_type
    if not norm and proto.op_type not in _WEIGHTED:
        return cleaned or str(proto.op_type)
    weight = graph.parameter_name(proto.input if proto.op_type == "MatMul" else proto.input[1:2])
    stripped = re.sub(rf"(^|\.){re.escape(proto.op_type)}(_\d+)?$", "", cleaned)
    path = stripped if "/" in label else ""  # TorchScript writes /module/path/Operator_2
    candidates = (_scope(proto), path, weight) if norm else (weight, _scope(proto), path, _bias_name(graph, proto))
    return next((name for name in candidates if name), cleaned or str(proto.op_type))


def _bias_name(graph: Graph, proto: Any) -> str:
    """Return the module of the bias: an input, or, after a MatMul, part of the Add that follows."""
    names = list(proto.input[2:])
    if proto.op_type == "MatMul":
        adds = [add for add in graph.readers.get(proto.output[0], []) if add is not None and add.op_type == "Add"]
        names = [name for add in adds for name in add.input if graph.is_constant(name)]
    return graph.parameter_name(names)


def _scope(proto: Any) -> str:
    """Return the module path that torch's dynamo exporter writes beside a node ("['', 'encoder.0', 'linear']")."""
    for entry in proto.metadata_props:
        if entry.key == "pkg.torch.onnx.name_scopes":
            scopes: list[str] = re.findall(r"'([^']*)'", entry.value)
            return scopes[-2] if len(scopes) > 1 else ""
    return ""
