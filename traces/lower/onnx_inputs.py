"""Fixes the shapes of an ONNX model's inputs: from the file, from the user, and from the batch."""

from __future__ import annotations

from typing import Any

from traces.layer import ModelError
from traces.lower.input_shapes import Shape, Shapes, shapes_by_input
from traces.lower.onnx_graph import Graph


def bind_inputs(graph: Graph, proto: Any, input_shapes: Shapes, batch: int | None) -> None:
    """Give every input of the graph numbers for its dimensions; raises ModelError where one stays open."""
    import onnx

    inputs = [info for info in proto.input if not graph.is_constant(info.name)]
    asked = shapes_by_input(input_shapes, [info.name for info in inputs], graph.where)
    for info in inputs:
        if not info.type.HasField("tensor_type"):
            raise ModelError(
                f"{graph.where}: input {info.name} is a {info.type.WhichOneof('value')}, and must be a tensor"
            )
    wanted = {info.name: _wanted(graph, info, asked.get(info.name), batch) for info in inputs}
    for info in inputs:  # a symbol that one input fixes is fixed for all
        _bind_symbols(graph, info, wanted[info.name])
    for info in inputs:
        shape = _shape(graph, info, wanted[info.name])
        graph.builder.input(info.name, shape)
        graph.types[info.name] = onnx.helper.make_tensor_type_proto(info.type.tensor_type.elem_type, shape)


def _wanted(graph: Graph, info: Any, asked: Shape | None, batch: int | None) -> tuple[int | None, ...]:
    """Return what the user says of each dimension, None where nothing."""
    where = f"{graph.where}: input {info.name}"
    if batch is not None and asked and asked[0] != batch:
        raise ModelError(f"{where}: batch is {batch}, and --input-shape says {asked[0]}")
    if not info.type.tensor_type.HasField("shape"):
        if asked is None:
            raise ModelError(f"{where}: the file gives it no shape, so --input-shape must")
        return asked
    rank = len(info.type.tensor_type.shape.dim)
    if asked is not None:
        if len(asked) != rank:
            raise ModelError(f"{where}: shape {asked} has {len(asked)} dimensions, and the file has {rank}")
        return asked
    return (batch, *[None] * (rank - 1)) if rank else ()


def _bind_symbols(graph: Graph, info: Any, wanted: tuple[int | None, ...]) -> None:
    """Check what was asked against the file, and note the extent of each symbol that this input fixes."""
    where = f"{graph.where}: input {info.name}"
    for index, (dimension, extent) in enumerate(zip(info.type.tensor_type.shape.dim, wanted, strict=False)):
        if extent is None:
            continue
        label = "the batch (dimension 0)" if index == 0 else f"dimension {index}"
        if dimension.dim_value > 0 and dimension.dim_value != extent:
            raise ModelError(f"{where}: {label} is to be {extent}, and the file fixes it at {dimension.dim_value}")
        symbol = dimension.dim_param
        if symbol and graph.bindings.setdefault(symbol, extent) != extent:
            raise ModelError(f"{where}: {label} is to be {extent}, and {symbol} is already {graph.bindings[symbol]}")


def _shape(graph: Graph, info: Any, wanted: tuple[int | None, ...]) -> Shape:
    if not info.type.tensor_type.HasField("shape"):
        return tuple(extent for extent in wanted if extent is not None)
    shape: list[int] = []
    for index, dimension in enumerate(info.type.tensor_type.shape.dim):
        fixed = int(dimension.dim_value) if dimension.dim_value > 0 else wanted[index]
        extent = graph.bindings.get(dimension.dim_param) if fixed is None else fixed
        if extent is None:
            symbol = f" ({dimension.dim_param})" if dimension.dim_param else ""
            raise ModelError(
                f"{graph.where}: input {info.name}: dimension {index}{symbol} is open, and --input-shape "
                f"{'or --batch ' if index == 0 else ''}must fix it"
            )
        shape.append(extent)
    return tuple(shape)
