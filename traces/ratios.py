"""How sparse each layer becomes: one share for all, one threshold over all, by Erdos-Renyi-Kernel, or as a list says.

A pure function of the network, the target and the layers that are pruned; knows no pattern. Shares are of the layers
that are pruned: what stays dense takes no part, so the whole network is denser than the target. Left out: ratios that
training found, and sensitivity to accuracy.
"""

from __future__ import annotations

import csv
import math
import tomllib
from collections.abc import Collection, Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Literal

import numpy as np

from patterns.names import nearest
from patterns.unstructured import global_threshold
from traces.layer import MatrixLayer, Network

Method = Literal["uniform", "global", "erk"]
METHODS: tuple[Method, ...] = ("uniform", "global", "erk")
FIRST, LAST, DEPTHWISE = "first", "last", "depthwise"
WORDS = (FIRST, LAST, DEPTHWISE)
_GLOB = frozenset("*?[")
_LARGEST_LIST_BYTES = 1 << 24  # a list of ratios is text that a person can read


class RatioError(ValueError):
    """Ratios, or names of layers, that cannot be used: one line naming file or layer, the value and the rule."""


def layer_sparsities(network: Network, method: Method, sparsity: float, keep: Collection[str] = ()) -> dict[str, float]:
    """Return the sparsity of every layer with weights that is not in ``keep``; together they remove ``sparsity``.

    ``uniform``: the same in each layer. ``global``: the share of each layer's weights below one threshold on
    magnitudes; 1.0 where none of them reaches it. ``erk``: density proportional to the sum of the weight tensor's
    extents over their product, capped at 1, and what the cap frees is given to the others. Raises RatioError.

    Reference: Evci et al., Rigging the lottery, ICML 2020, arXiv 1911.11134, section 3.
    """
    _check_share("sparsity", sparsity)
    layers = [layer for layer in network.matrix_layers if layer.name not in keep]
    if method == "uniform":
        return {layer.name: sparsity for layer in layers}
    if method == "global":
        return _global(network, layers, sparsity)
    if method == "erk":
        return _erk(layers, sparsity)
    raise RatioError(f"ratios are {method!r}, and must be one of {', '.join(METHODS)}, or a .toml or .csv file")


def _global(network: Network, layers: list[MatrixLayer], sparsity: float) -> dict[str, float]:
    if not layers:
        return {}
    threshold = global_threshold([np.abs(network.weights[layer.name]) for layer in layers], sparsity)
    found = {}
    for layer in layers:
        below = int(np.count_nonzero(np.abs(network.weights[layer.name]) < threshold))
        found[layer.name] = below / layer.weight_elements
    return found


def tensor_extents(layer: MatrixLayer) -> tuple[int, ...]:
    """Return the extents of a layer's weight as a framework stores it: OIHW, OIL or (out, in)."""
    rows = layer.groups * layer.m
    if layer.kind in ("conv2d", "depthwise"):
        return rows, layer.ci, *layer.window.kernel
    if layer.kind == "conv1d":
        return rows, layer.ci, layer.window.kernel[1]
    return rows, layer.k


def _erk(layers: list[MatrixLayer], sparsity: float) -> dict[str, float]:
    """Densities scale with sum(extents) / product(extents); a layer that would exceed 1 is dense, the rest share."""
    raw = {layer.name: sum(tensor_extents(layer)) / math.prod(tensor_extents(layer)) for layer in layers}
    sizes = {layer.name: layer.weight_elements for layer in layers}
    budget = (1.0 - sparsity) * sum(sizes.values())
    dense: set[str] = set()
    scale = 0.0
    while len(dense) < len(layers):
        left = budget - sum(sizes[name] for name in dense)
        scale = left / sum(raw[name] * sizes[name] for name in sizes if name not in dense)
        above = {name for name in sizes if name not in dense and scale * raw[name] > 1.0}
        if not above:
            break
        worst = max(raw[name] for name in above)
        dense |= {name for name in above if raw[name] == worst}
    return {name: 0.0 if name in dense else 1.0 - max(0.0, scale * raw[name]) for name in sizes}


# Lists of ratios


def read_ratios(path: Path) -> dict[str, float]:
    """Return the sparsity by layer name or glob that a TOML or CSV file lists, in its order.

    TOML: ``"layer1.0.conv1" = 0.9``; tables and dotted keys are joined by dots. CSV: a header with the columns
    ``layer`` and ``sparsity``, others are ignored. Raises RatioError.
    """
    if path.suffix not in (".toml", ".csv"):
        raise RatioError(f"{path}: its suffix is {path.suffix or 'missing'}, and a list of ratios is .toml or .csv")
    try:
        if path.stat().st_size > _LARGEST_LIST_BYTES:
            raise RatioError(
                f"{path}: it has {path.stat().st_size} bytes, and a list has at most {_LARGEST_LIST_BYTES}"
            )
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise RatioError(f"{path}: it is not text in UTF-8") from None
    except OSError as error:
        raise RatioError(f"{path}: cannot be read: {error.strerror}") from None
    entries = _toml_entries(path, text) if path.suffix == ".toml" else _csv_entries(path, text)
    if not entries:
        raise RatioError(f"{path}: it lists no layer")
    return entries


def _toml_entries(path: Path, text: str) -> dict[str, float]:
    try:
        table = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise RatioError(f"{path}: it is not TOML: {error}") from None
    entries: dict[str, float] = {}

    def walk(prefix: str, value: Any) -> None:
        if isinstance(value, dict):
            for key, inner in value.items():
                walk(f"{prefix}.{key}" if prefix else key, inner)
            return
        if prefix in entries:
            raise RatioError(f"{path}: layer {prefix} is there twice")
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise RatioError(f"{path}: layer {prefix} has {value!r}, and a sparsity is a number")
        _check_share(f"{path}: sparsity of layer {prefix}", float(value))
        entries[prefix] = float(value)

    walk("", table)
    return entries


def _csv_entries(path: Path, text: str) -> dict[str, float]:
    entries: dict[str, float] = {}
    try:
        rows = list(csv.DictReader(text.splitlines(), strict=True))
    except csv.Error as error:
        raise RatioError(f"{path}: it is not CSV: {error}") from None
    for line, row in enumerate(rows, start=2):
        name, value = row.get("layer"), row.get("sparsity")
        if name is None or value is None:
            found = ", ".join(str(column) for column in row)
            raise RatioError(f"{path}: line {line}: it needs the columns layer and sparsity, and has {found}")
        try:
            share = float(value)
        except ValueError:
            raise RatioError(f"{path}: line {line}: sparsity of {name} is {value!r}, and must be a number") from None
        if name in entries:
            raise RatioError(f"{path}: line {line}: layer {name} is there twice")
        _check_share(f"{path}: line {line}: sparsity of layer {name}", share)
        entries[name] = share
    return entries


def listed_sparsities(
    network: Network, entries: Mapping[str, float], keep: Collection[str] = (), where: str = "ratios"
) -> dict[str, float]:
    """Return the sparsity of each layer that ``entries`` name: by its exact name, else by the first glob that fits.

    Layers in ``keep`` are left out where only a glob names them; an exact name is the user's own word and wins. Layers
    that no entry names are not in the result. Raises RatioError for an entry that fits no layer.
    """
    names = [layer.name for layer in network.matrix_layers]
    for entry in entries:
        if not matching(names, entry):
            raise RatioError(f"{where}: no layer with weights is called {entry}; {nearest(entry, names)}")
    found: dict[str, float] = {}
    for name in names:
        if name in entries:
            found[name] = entries[name]
        elif name not in keep:
            globs = [entry for entry in entries if fnmatchcase(name, entry) and entry not in names]
            if globs:
                found[name] = entries[globs[0]]
    return found


def matching(names: Collection[str], entry: str) -> list[str]:
    """Return the names that ``entry`` means: itself, else those that fit it as a glob."""
    if entry in names:
        return [entry]
    return [name for name in names if fnmatchcase(name, entry)] if _GLOB & set(entry) else []


def named_layers(network: Network, entries: Collection[str]) -> dict[str, str]:
    """Return layers with weights that ``entries`` name, each with the entry: a name, a glob, or one of ``WORDS``.

    Raises RatioError for an entry that names none, but for ``depthwise``.
    """
    layers = network.matrix_layers
    names = [layer.name for layer in layers]
    words = {
        FIRST: names[:1],
        LAST: names[-1:],
        DEPTHWISE: [layer.name for layer in layers if layer.kind == "depthwise"],
    }
    found: dict[str, str] = {}
    for entry in entries:
        means = matching(names, entry) or words.get(entry, [])
        if not means and entry != DEPTHWISE:
            raise RatioError(f"keep: no layer with weights is called {entry}; {nearest(entry, [*names, *WORDS])}")
        for name in means:
            found.setdefault(name, entry)
    return found


def _check_share(what: str, value: float) -> None:
    if not (math.isfinite(value) and 0.0 <= value < 1.0):
        raise RatioError(f"{what} is {value}, and must be at least 0 and below 1")
