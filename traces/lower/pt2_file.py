"""Lowers a ``.pt2`` file (torch.export) to a Network, without importing torch and without unpickling anything.

Shapes come from the file; symbolic ones are resolved by the shapes that the user gives. Masks that
torch.nn.utils.prune left in are folded into their weights. Biases of convolutions and linear layers are not counted.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from traces.builder import NetworkBuilder
from traces.layer import ModelError, Network
from traces.lower.aten import lower_graph
from traces.lower.aten_scope import Constant, Scope
from traces.lower.input_shapes import Shape, Shapes, shapes_by_input
from traces.lower.pt2_archive import Array, Pt2Archive, open_pt2
from traces.lower.pt2_graph import MALFORMED, read_graph, symbol_name

# names of the input specifications of an export, and the field with the name of the stored tensor
STORED_INPUTS = {"parameter": "parameter_name", "buffer": "buffer_name", "tensor_constant": "tensor_constant_name"}


def read_pt2(
    path: str | Path,
    *,
    input_shapes: Shapes = None,
    batch: int | None = None,
    strict: bool = False,
) -> Network:
    """Lower a ``.pt2`` file.

    ``input_shapes``: of the only input, or by name; ``batch`` sets the first dimension where the file leaves it open.
    Raises ModelError for a file that cannot be used, an open dimension without a value and, if ``strict``, for an
    operator that is not lowered.
    """
    archive = open_pt2(Path(path))
    return lower_archive(archive, Path(path).stem, input_shapes, batch, strict=strict)


def lower_archive(
    archive: Pt2Archive,
    name: str,
    input_shapes: Shapes,
    batch: int | None,
    *,
    strict: bool,
) -> Network:
    """Lower an archive that is open."""
    where = str(archive.path)
    try:
        module = archive.model["graph_module"]
        inputs, stored = _split_inputs(archive, module["signature"]["input_specs"], where)
        values = module["graph"]["tensor_values"]
        sizes = {label: values[label]["sizes"] for label in inputs}
        symbols = _bind(sizes, shapes_by_input(input_shapes, list(inputs), where), batch, where)
        _check_ranges(archive.model.get("range_constraints", {}), symbols, where)
        graph = read_graph(module["graph"], symbols, where)
        outputs = [
            str(spec["user_output"]["arg"]["as_tensor"]["name"])
            for spec in module["signature"]["output_specs"]
            if "as_tensor" in spec.get("user_output", {}).get("arg", {})
        ]
    except ModelError:
        raise
    except MALFORMED as error:
        raise ModelError(f"{where}: models/model.json does not follow the export schema: {error!r}") from error
    builder = NetworkBuilder(name, where)
    scope = Scope(graph, builder, symbols=symbols)
    for label, (fqn, array) in stored.items():
        if scope.shape(label) != array.shape:
            raise ModelError(f"{where}: tensor {fqn} has shape {array.shape}, and the graph says {scope.shape(label)}")
        scope.values[label] = Constant(array, fqn)
    for label in inputs:
        scope.values[label] = builder.input(label, scope.shape(label))
    lower_graph(scope, strict=strict)
    for fqn, layers in scope.weight_reads.items():
        if layers > 1:
            builder.notes.append(f"{fqn} is read by {layers} layers, and counted in the memory of each")
    results = [value for label in outputs if isinstance(value := scope.values.get(label), str)]
    return builder.build(results, source=where, digest=archive.digest)


def _split_inputs(
    archive: Pt2Archive, specs: list[dict[str, Any]], where: str
) -> tuple[list[str], dict[str, tuple[str, Array]]]:
    """The user's inputs by name, and the stored tensors by their name in the graph."""
    inputs: list[str] = []
    stored: dict[str, tuple[str, Array]] = {}
    for spec in specs:
        ((kind, content),) = spec.items()
        if kind == "user_input":
            if "as_tensor" in content["arg"]:
                inputs.append(str(content["arg"]["as_tensor"]["name"]))
            elif "as_sym_int" in content["arg"] or "as_sym_float" in content["arg"]:
                raise ModelError(f"{where}: input {content['arg']} is a number, and every input must be a tensor")
        elif kind in STORED_INPUTS:
            fqn = content[STORED_INPUTS[kind]]
            if fqn not in archive.tensors:
                raise ModelError(f"{where}: the graph reads {fqn}, and the archive does not store it")
            stored[content["arg"]["name"]] = (fqn, archive.tensors[fqn])
        elif kind not in ("constant_input", "token"):
            raise ModelError(f"{where}: the graph has an input of kind {kind}, which is not read")
    return inputs, stored


def _bind(sizes: Mapping[str, list[Any]], asked: Mapping[str, Shape], batch: int | None, where: str) -> dict[str, int]:
    """Values of the symbols; raises ModelError for a shape that does not fit and for a dimension that stays open."""
    symbols: dict[str, int] = {}
    for name, extents in sizes.items():
        _bind_input(symbols, name, extents, _wanted(name, extents, asked.get(name), batch, where), where)
    for name, extents in sizes.items():
        for axis, size in enumerate(extents):
            symbol = symbol_name(size)
            if symbol is not None and symbol not in symbols:
                raise ModelError(
                    f"{where}: input {name}: dimension {axis} ({symbol}) is open, and --input-shape "
                    f"{'or --batch ' if axis == 0 else ''}must fix it"
                )
    return symbols


def _wanted(
    name: str, extents: list[Any], asked: Shape | None, batch: int | None, where: str
) -> tuple[int | None, ...]:
    """What the user says of each dimension, None where nothing."""
    if asked is None:
        return (batch, *[None] * (len(extents) - 1)) if extents else ()
    if len(asked) != len(extents):
        raise ModelError(
            f"{where}: input {name}: shape {asked} has {len(asked)} dimensions, and the file has {len(extents)}"
        )
    if batch is not None and asked and asked[0] != batch:
        raise ModelError(f"{where}: input {name}: batch is {batch}, and --input-shape says {asked[0]}")
    return asked


def _bind_input(
    symbols: dict[str, int], name: str, extents: list[Any], wanted: tuple[int | None, ...], where: str
) -> None:
    for axis, (size, extent) in enumerate(zip(extents, wanted, strict=True)):
        if extent is None:
            continue
        label = "the batch (dimension 0)" if axis == 0 else f"dimension {axis}"
        fixed = size.get("as_int")
        if fixed is not None and fixed != extent:
            raise ModelError(f"{where}: input {name}: {label} is to be {extent}, and the file fixes it at {fixed}")
        symbol = symbol_name(size)
        if symbol is not None and symbols.setdefault(symbol, extent) != extent:
            raise ModelError(
                f"{where}: input {name}: {label} is to be {extent}, and {symbol} is already {symbols[symbol]}"
            )


def _check_ranges(constraints: Mapping[str, Any], symbols: Mapping[str, int], where: str) -> None:
    """The extents must lie in the ranges for which the graph was exported."""
    for symbol, value in symbols.items():
        limits = constraints.get(symbol, {})
        low, high = limits.get("min_val"), limits.get("max_val")
        if (low is not None and value < low) or (high is not None and value > high):
            raise ModelError(f"{where}: {symbol} is to be {value}, and the file was exported for {low} to {high}")
