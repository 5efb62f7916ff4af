"""Writes an ONNX file again with some weights removed: the same graph, names, operator sets and element types.

A removed weight becomes 0 where the file stores it, also behind Slice, Concat, Transpose and DequantizeLinear. Where a
mask or other arithmetic makes the weight, or something else reads the stored tensor too, the folded weight is stored as
a tensor of its own, and nodes that nothing reads any more go. External data come inside, or lie beside the file where
they are large. Nothing of the model is executed but the folding of constants. Left out: removing channels.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from traces.layer import FloatArray, ModelError, Network
from traces.lower.input_shapes import Shapes
from traces.lower.onnx_file import read_onnx, walk_onnx
from traces.lower.onnx_graph import Graph
from traces.lower.onnx_sites import Ids, Leaf, Origins, WeightSite, unmasked, weight_sites
from traces.lower.onnx_tensors import Array

Keep = npt.NDArray[np.bool_]

LARGEST_INLINE_BYTES = 2**30  # weights beyond this lie beside the model; protobuf ends at 2^31; assumed
_EXACT = {"FLOAT": "<f4", "DOUBLE": "<f8", "FLOAT16": "<u2", "BFLOAT16": "<u2", "INT8": "i1", "UINT8": "u1"}


@dataclass(frozen=True, slots=True, kw_only=True)
class OnnxSource:
    """An ONNX file that is to be written again: what it means, and where its weights are. Writing uses it up."""

    path: Path
    network: Network
    sites: Sequence[WeightSite]
    input_shapes: Shapes
    batch: int | None
    model: Any = field(repr=False)
    graph: Graph = field(repr=False)
    origins: Origins = field(repr=False)


def open_onnx(path: Path, *, input_shapes: Shapes = None, batch: int | None = None, strict: bool = False) -> OnnxSource:
    """Read a file that is to be written again. Raises ModelError."""
    model, graph, outputs = walk_onnx(path, input_shapes=input_shapes, batch=batch, strict=strict)
    network = graph.builder.build(outputs, source=str(path), digest=graph.reader.hash.hexdigest())
    return OnnxSource(
        path=path, network=network, sites=weight_sites(graph), input_shapes=input_shapes, batch=batch, model=model,
        graph=graph, origins=Origins(model, graph),
    )  # fmt: skip


def hidden_weights(source: OnnxSource) -> dict[str, FloatArray]:
    """Return the weights (groups, m, k) of layers whose file multiplies by a mask, as they are without it."""
    found = {}
    for site in source.sites:
        values = unmasked(source.graph, source.origins, site.name)
        if values is not None:
            ids = site.places(np.arange(values.size, dtype=np.int64).reshape(values.shape))
            found[site.layer] = np.asarray(values, dtype=np.float32).reshape(-1)[ids]
    return found


@dataclass(slots=True, kw_only=True)
class _Wanted:
    """What the layers of one node ask of one constant that it reads: the elements that stay; others become 0."""

    site: WeightSite  # of the first of these layers: the directions of an LSTM share a constant
    keep: Keep  # flat, in the constant's order
    numbers: Ids | None = None  # stored elements behind them, where nothing but these sites reads them
    path: set[str] = field(default_factory=set)


def write_onnx(
    source: OnnxSource, keep: Mapping[str, Keep], destination: Path, *, repack: bool = False
) -> dict[str, str]:
    """Write ``source`` with the weights outside ``keep[layer]`` (groups, m, k) removed; return remarks by layer.

    With ``repack``, weights behind a mask of the file are written unmasked before. The file is written aside, read
    back, compared with what it must hold, and renamed. Raises ModelError, and OSError where it cannot be written.
    """
    expected = _expected(source, keep, repack)
    wanted = _wanted(source, keep)
    revived = {name for name in hidden_weights(source) if name in keep} if repack else set()
    apart = _in_place(source, wanted, revived)
    remarks = _apart(source, apart, revived)
    _drop_unread(source)
    _make_inline(source.model.graph, source)
    _publish(source, destination, expected)
    return remarks


def _expected(source: OnnxSource, keep: Mapping[str, Keep], repack: bool) -> list[FloatArray]:
    hidden = hidden_weights(source) if repack else {}
    found = []
    for layer in source.network.matrix_layers:
        weights = source.network.weights[layer.name]
        if layer.name in keep:
            weights = np.where(keep[layer.name], hidden.get(layer.name, weights), np.float32(0.0))
        found.append(weights)
    return found


def _wanted(source: OnnxSource, keep: Mapping[str, Keep]) -> list[_Wanted]:
    found: dict[tuple[int, int], _Wanted] = {}
    for site in source.sites:
        shape = source.graph.shape(site.name)
        size = math.prod(shape)
        key = (id(site.node), site.position)
        if key not in found:
            found[key] = _Wanted(site=site, keep=np.ones(size, dtype=np.bool_))
        if site.layer in keep:
            ids = site.places(np.arange(size, dtype=np.int64).reshape(shape))
            if ids.shape != keep[site.layer].shape:
                rule = f"its mask has shape {keep[site.layer].shape}, and its weights have {ids.shape}"
                raise ModelError(f"{source.path}: layer {site.layer}: {rule}")
            found[key].keep[ids[~keep[site.layer]]] = False
    return list(found.values())


def _in_place(source: OnnxSource, wanted: Sequence[_Wanted], revived: set[str]) -> list[_Wanted]:
    """Zero the stored elements of the sites for which that is all that happens; return the other sites."""
    for want in wanted:
        masked = unmasked(source.graph, source.origins, want.site.name) is not None
        found = None if masked else source.origins.numbers(want.site.name, want.path)
        want.numbers = None if found is None else found.reshape(-1)
    readers = _Readers(source, wanted)
    direct = [want for want in wanted if want.numbers is not None and readers.only_sites(want.path)]
    total = sum(leaf.size for leaf in source.origins.leaves.values())
    removed, needed = np.zeros(total, dtype=np.bool_), np.zeros(total, dtype=np.bool_)
    for want in direct:
        assert want.numbers is not None
        removed[want.numbers[~want.keep]] = True
        needed[want.numbers[want.keep]] = True
    clash = removed & needed  # two layers share the element and do not agree on it
    leaves = source.origins.leaves
    shared = {name for name, leaf in leaves.items() if clash[leaf.first : leaf.first + leaf.size].any()}
    agreed = [want for want in direct if not want.path & shared]
    done = {name for want in agreed for name in want.path if name in leaves}
    for name in sorted(done):
        leaf = leaves[name]
        gone = np.flatnonzero(removed[leaf.first : leaf.first + leaf.size])
        if gone.size:
            _zero(source, name, leaf, gone)
    kept = {id(want) for want in agreed}
    return [want for want in wanted if id(want) not in kept and (want.site.layer in revived or not want.keep.all())]


class _Readers:
    """Who reads each constant: a stored tensor may change only where all that read it are sites, or lead to them."""

    def __init__(self, source: OnnxSource, wanted: Sequence[_Wanted]) -> None:
        self.readers = source.graph.readers
        self.sites = {(id(want.site.node), want.site.name) for want in wanted}
        self.chain = {
            id(source.origins.producers[name]) for want in wanted for name in want.path
            if name in source.origins.producers
        }  # fmt: skip

    def only_sites(self, path: set[str]) -> bool:
        return all(
            node is not None and (id(node) in self.chain or (id(node), name) in self.sites)
            for name in path
            for node in self.readers.get(name, [])
        )


def _zero(source: OnnxSource, name: str, leaf: Leaf, gone: Ids) -> None:
    """Store 0 (or the zero point) at the elements ``gone`` of a tensor; all other bits stay."""
    import onnx

    tensor = leaf.tensor
    source.graph.reader.load_external(tensor)
    kind = onnx.TensorProto.DataType.Name(tensor.data_type)
    if not tensor.HasField("raw_data"):
        _make_raw(source, name, tensor, kind)
    width = np.dtype(_EXACT[kind]).itemsize if kind in _EXACT else source.graph.constant(name).dtype.itemsize
    stored = np.frombuffer(tensor.raw_data, dtype=f"<u{width}").copy()
    stored[gone] = 0 if leaf.zero is None else leaf.zero.view(f"<u{width}")[gone]
    tensor.raw_data = stored.tobytes()


def _make_raw(source: OnnxSource, name: str, tensor: Any, kind: str) -> None:
    """Bring typed values into raw form, bit by bit."""
    fields = {"FLOAT": "float_data", "DOUBLE": "double_data"}
    if kind not in _EXACT:
        raise ModelError(f"{source.path}: tensor {name}: its type is {kind}, and weights of this type are not written")
    values = getattr(tensor, fields.get(kind, "int32_data"))
    raw = np.array(values, dtype=_EXACT[kind] if kind in fields else np.int32).astype(_EXACT[kind])
    for other in ("float_data", "double_data", "int32_data"):
        tensor.ClearField(other)
    tensor.raw_data = raw.tobytes()


def _apart(source: OnnxSource, wanted: Sequence[_Wanted], revived: set[str]) -> dict[str, str]:
    """Store the weights of ``wanted`` as tensors of their own; sites that agree share one."""
    import onnx

    graph, taken = source.graph, _names(source.model.graph)
    made: dict[tuple[str, bytes], str] = {}
    remarks: dict[str, str] = {}
    for want in wanted:
        name = want.site.name
        free = unmasked(graph, source.origins, name)
        values = free if free is not None and want.site.layer in revived else graph.constant(name)
        key = (name, np.packbits(want.keep).tobytes())
        if key not in made:
            made[key] = _new_name(graph, name, want.site.layer, taken)
            pruned = np.where(want.keep.reshape(values.shape), values, np.zeros((), dtype=values.dtype))
            tensor = onnx.numpy_helper.from_array(pruned.astype(values.dtype), made[key])
            source.model.graph.initializer.append(tensor)
            if source.model.ir_version < 4:  # before, every initializer had to be an input too
                source.model.graph.input.append(
                    onnx.helper.make_tensor_value_info(made[key], tensor.data_type, list(tensor.dims))
                )
        want.site.node.input[want.site.position] = made[key]
        why = "the mask of the file is folded into it" if free is not None else f"{name} is computed, or read elsewhere"
        remarks[want.site.layer] = f"its weight is stored as a tensor of its own, {made[key]}: {why}"
    return remarks


def _new_name(graph: Graph, name: str, layer: str, taken: set[str]) -> str:
    """Return a name that is free, and from which the layer's name can be told as before where that can be."""
    origin = graph.origins.get(name, "")
    base = origin.removesuffix("_orig") if origin.endswith("_orig") else f"{name}.{layer}"
    chosen, count = base, 2
    while chosen in taken:
        chosen, count = f"{base}.{count}", count + 1
    taken.add(chosen)
    return chosen


def _graphs(proto: Any) -> Iterator[Any]:
    yield proto
    for node in proto.node:
        for attribute in node.attribute:
            for inner in (attribute.g, *attribute.graphs):
                if inner.node:
                    yield from _graphs(inner)


def _names(proto: Any) -> set[str]:
    found: set[str] = set()
    for graph in _graphs(proto):
        found |= {tensor.name for tensor in graph.initializer} | {info.name for info in (*graph.input, *graph.output)}
        found |= {tensor.values.name for tensor in graph.sparse_initializer}
        found |= {name for node in graph.node for name in (*node.input, *node.output)}
    return found


def _drop_unread(source: OnnxSource) -> None:
    """Remove constants that were read before and are not now: their nodes, then their tensors."""
    proto = source.model.graph

    def read() -> set[str]:
        names = {name for graph in _graphs(proto) for node in graph.node for name in node.input}
        return names | {output.name for graph in _graphs(proto) for output in graph.output}

    before, graph = set(source.graph.readers), source.graph
    while True:
        now = read()
        dead = [
            node
            for node in proto.node
            if node.output
            and all(
                not name or (name in before and name not in now and graph.is_constant(name)) for name in node.output
            )
        ]
        if not dead:
            break
        for node in dead:
            proto.node.remove(node)
    for tensors in (proto.initializer, proto.sparse_initializer):
        for tensor in list(tensors):
            name = tensor.name if tensors is proto.initializer else tensor.values.name
            if name in before and name not in now:
                tensors.remove(tensor)
    for info in list(proto.input):  # of old files, whose initializers are inputs too
        if info.name in before and info.name not in now and graph.is_constant(info.name):
            proto.input.remove(info)


def _make_inline(proto: Any, source: OnnxSource) -> None:
    for graph in _graphs(proto):
        for tensor in graph.initializer:
            source.graph.reader.load_external(tensor)
        for sparse in graph.sparse_initializer:
            source.graph.reader.load_external(sparse.values)
            source.graph.reader.load_external(sparse.indices)


def _publish(source: OnnxSource, destination: Path, expected: Sequence[Array]) -> None:
    """Write aside, read back, compare, rename."""
    aside = destination.with_name(f".{destination.name}.{os.getpid()}.aside")
    data, data_aside = destination.with_name(f"{destination.name}.data"), aside.with_name(f"{aside.name}.data")
    tensors = [tensor for graph in _graphs(source.model.graph) for tensor in graph.initializer]
    large = sum(len(tensor.raw_data) for tensor in tensors) > LARGEST_INLINE_BYTES
    if large and data.exists():  # perhaps of another model, even of this one
        raise ModelError(f"{destination}: its weights go into {data.name} beside it, and {data.name} is there already")
    try:
        if large:
            _write_external(tensors, data_aside, data_aside.name)
        aside.write_bytes(source.model.SerializeToString(deterministic=True))
        _compare(source, aside, expected)
        if large:
            for tensor in tensors:
                for entry in tensor.external_data:
                    if entry.key == "location":
                        entry.value = data.name
            aside.write_bytes(source.model.SerializeToString(deterministic=True))
            os.replace(data_aside, data)
        os.replace(aside, destination)
    finally:
        aside.unlink(missing_ok=True)
        data_aside.unlink(missing_ok=True)


def _write_external(tensors: Sequence[Any], path: Path, location: str) -> None:
    import onnx

    with path.open("wb") as stream:
        for tensor in tensors:
            if not tensor.raw_data:
                continue
            offset, length = stream.tell(), len(tensor.raw_data)
            stream.write(tensor.raw_data)
            onnx.external_data_helper.set_external_data(tensor, location, offset, length)
            tensor.ClearField("raw_data")


def _compare(source: OnnxSource, path: Path, expected: Sequence[Array]) -> None:
    """Raise ModelError unless the file that was written holds the weights that it must."""
    again = read_onnx(path, input_shapes=source.input_shapes, batch=source.batch)
    names = [layer.name for layer in source.network.matrix_layers]
    found = [again.weights[layer.name] for layer in again.matrix_layers]
    if len(found) != len(names):
        raise ModelError(f"{source.path}: written again it has {len(found)} layers with weights, and must {len(names)}")
    for name, ours, theirs in zip(names, expected, found, strict=True):
        if not np.array_equal(ours, theirs):
            raise ModelError(f"{source.path}: layer {name}: its weights cannot be written back into this graph exactly")
