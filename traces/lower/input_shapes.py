"""The input shapes that a user gives, by the inputs of a file: the same rules for every reader of graphs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from patterns.names import nearest
from traces.layer import ModelError

Shape = tuple[int, ...]
Shapes = Mapping[str, Shape] | Shape | None


def shapes_by_input(shapes: Shapes, inputs: Sequence[str], where: str) -> dict[str, Shape]:
    """Return the shapes by input; a bare one is that of the only input. Raises ModelError for a name that is none."""
    if shapes is None:
        return {}
    if not isinstance(shapes, Mapping):
        if len(inputs) != 1:
            raise ModelError(f"{where}: input shape {shapes} must name its input, one of {', '.join(inputs)}")
        shapes = {inputs[0]: shapes}
    for name, shape in shapes.items():
        if name not in inputs:
            raise ModelError(f"{where}: there is no input {name}; {nearest(name, inputs)}")
        if any(extent < 1 for extent in shape):
            raise ModelError(f"{where}: input {name}: shape {tuple(shape)}, and every extent must be at least 1")
    return {name: tuple(int(extent) for extent in shape) for name, shape in shapes.items()}
