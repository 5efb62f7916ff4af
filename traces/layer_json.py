"""Layers as plain JSON values and back, with exact types: what a level's file says about each layer.

A layer is ``{"layer": "MatrixLayer", ...}`` with the fields that differ from their defaults. A kind, field or type that
is not known is an error, so that nothing is read as something else. Left out: masks and weights (``layer_store``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from functools import cache
from numbers import Integral
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from traces.layer import Layer, MatrixLayer, ModelError, ProductLayer, UnsupportedLayer, VectorLayer
from traces.stream import TraceError

_KINDS: tuple[type, ...] = (MatrixLayer, ProductLayer, VectorLayer, UnsupportedLayer)
_KIND = "layer"  # the key that names the class; no layer has a field of that name


def layer_json(layer: Layer) -> dict[str, Any]:
    """Return ``layer`` as JSON holds it."""
    return {_KIND: type(layer).__name__, **_plain_fields(layer)}


def layer_of(value: object, where: str) -> Layer:
    """Return the layer that ``layer_json`` made ``value`` of. Raises TraceError, prefixed by ``where``."""
    if not isinstance(value, dict):
        raise TraceError(f"{where}: a layer is {type(value).__name__}, and must be an object")
    for kind in _KINDS:
        if value.get(_KIND) == kind.__name__:
            said = {name: entry for name, entry in value.items() if name != _KIND}
            return _read_fields(kind, said, where)  # type: ignore[no-any-return]
    known = ", ".join(kind.__name__ for kind in _KINDS)
    raise TraceError(f"{where}: a layer's kind is {value.get(_KIND)!r}, and must be one of {known}")


def _plain_fields(value: Any) -> dict[str, Any]:
    return {
        field.name: _plain(getattr(value, field.name))
        for field in fields(value)
        if field.default is MISSING or getattr(value, field.name) != field.default
    }


def _plain(value: Any) -> Any:
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, Integral):  # some shapes come as NumPy's integers
        return int(value)
    if isinstance(value, tuple):
        return [_plain(entry) for entry in value]
    if is_dataclass(value):
        return _plain_fields(value)
    raise TypeError(f"a layer holds a {type(value).__name__}, which has no form in a level's file")


@cache
def _types(kind: type) -> dict[str, tuple[Any, bool]]:
    """Return the type of each field, and whether it must be given."""
    hints = get_type_hints(kind)
    return {field.name: (hints[field.name], field.default is MISSING) for field in fields(kind)}


def _read_fields(kind: type, value: Mapping[str, object], where: str) -> Any:
    known = _types(kind)
    for name in value:
        if name not in known:
            raise TraceError(f"{where}: {kind.__name__} has no field {name}")
    for name, (_, needed) in known.items():
        if needed and name not in value:
            raise TraceError(f"{where}: {kind.__name__} needs the field {name}")
    found = {name: _read(known[name][0], entry, f"{where}: {kind.__name__}.{name}") for name, entry in value.items()}
    try:
        return kind(**found)
    except ModelError as error:
        raise TraceError(f"{where}: {error}") from None


def _read(wanted: Any, value: object, where: str) -> Any:
    """Return ``value`` as the type ``wanted``, of those that layers have."""
    if wanted in (int, str, bool):
        if type(value) is not wanted:
            raise TraceError(f"{where} is {value!r:.80}, and must be {wanted.__name__}")
        return value
    origin, arguments = get_origin(wanted), get_args(wanted)
    if origin is Literal:
        if value not in arguments:
            raise TraceError(f"{where} is {value!r:.80}, and must be one of {', '.join(map(str, arguments))}")
        return value
    if origin in (Union, UnionType):
        (other,) = [one for one in arguments if one is not NoneType]
        return None if value is None else _read(other, value, where)
    if origin is tuple:
        return _read_tuple(arguments, value, where)
    assert isinstance(wanted, type)
    assert is_dataclass(wanted)
    if not isinstance(value, dict):
        raise TraceError(f"{where} is {value!r:.80}, and must be an object")
    return _read_fields(wanted, value, where)


def _read_tuple(arguments: tuple[Any, ...], value: object, where: str) -> tuple[Any, ...]:
    if not isinstance(value, list):
        raise TraceError(f"{where} is {value!r:.80}, and must be a list")
    if arguments[-1] is Ellipsis:
        return tuple(_read(arguments[0], entry, where) for entry in value)
    if len(value) != len(arguments):
        raise TraceError(f"{where} has {len(value)} entries, and must have {len(arguments)}")
    return tuple(_read(one, entry, where) for one, entry in zip(arguments, value, strict=True))
