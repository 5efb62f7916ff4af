"""From a model's name or path to a Network: a file, a built-in network or the model that the package carries."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from importlib.resources import as_file, files
from pathlib import Path

from patterns.names import nearest
from traces.layer import ModelError, Network
from traces.lower.input_shapes import Shapes

# name: file in gatherline/models, what it is, where it comes from
EMBEDDED = {
    "digits": (
        "digits.onnx",
        "digit classifier with trained weights, 3 convolutions and a classifier, 90 % of two of them pruned to gs:16,1",
        "trained here on scikit-learn's digits: examples/train_digits.py",
    )
}


def parse_input_shape(text: str | None) -> Shapes:
    """Return "1,3,224,224" as a tuple, "a=1,8;b=1,4" as a mapping by input. Raises ModelError."""
    if text is None:
        return None
    named: dict[str, tuple[int, ...]] = {}
    for part in filter(None, (piece.strip() for piece in text.split(";"))):
        name, equals, sizes = part.rpartition("=")
        try:
            shape = tuple(int(size) for size in sizes.split(","))
        except ValueError:
            shape = (0,)
        if min(shape) < 1:
            raise ModelError(f"input shape {part!r} must read 1,3,224,224 or name=1,3,224,224, every extent at least 1")
        if not equals:
            if ";" in text:
                raise ModelError(f"input shape {part!r} names no input, and several shapes need names")
            return shape
        named[name] = shape
    if not named:
        raise ModelError(f"input shape {text!r} must read 1,3,224,224 or name=1,3,224,224")
    return named


def resolve_model(
    model: str,
    *,
    arch: str | None = None,
    seed: int = 0,
    batch: int | None = None,
    input_shape: str | None = None,
    strict: bool = False,
) -> Network:
    """Return the network that ``model`` names. Raises ModelError, with the nearest name for an unknown one."""
    from traces.lower.read import SUFFIXES, read_model
    from traces.workloads.catalog import built_in, built_in_names

    shapes = parse_input_shape(input_shape)
    if model in EMBEDDED:
        _refuse_arch(model, arch)
        with as_file(files("gatherline") / "models" / EMBEDDED[model][0]) as path:
            network = read_model(path, input_shapes=shapes, batch=batch, strict=strict)
        return replace(network, source=f"embedded model {model}")  # no path of this machine in a manifest
    names = built_in_names()
    if model not in names:  # a folder of results may have the name of a built-in network
        path = Path(model)
        if path.suffix in SUFFIXES or path.exists() or "/" in model:
            return read_model(path, arch=arch, input_shapes=shapes, batch=batch, strict=strict)
        hint = nearest(model, [*EMBEDDED, *names])
        raise ModelError(f"model {model!r} is neither a file ({', '.join(SUFFIXES)}) nor a built-in network; {hint}")
    _refuse_arch(model, arch)
    if isinstance(shapes, Mapping):
        raise ModelError(f"input shape {input_shape!r} names an input, and the built-in {model} takes a bare shape")
    return built_in(model, seed=seed, batch=batch or 1, input_shape=shapes)


def _refuse_arch(model: str, arch: str | None) -> None:
    if arch is not None:
        raise ModelError(f"arch is {arch}, and model {model} is built in: only .safetensors files need one")
