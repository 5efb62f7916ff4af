"""What a model holds, layer by layer: shapes, MACs, density, and which pattern its masks already obey."""

from __future__ import annotations

import numpy as np

from patterns.base import Pattern
from patterns.catalog import parse_pattern
from traces.layer import Layer, MatrixLayer, Network, ProductLayer, UnsupportedLayer
from traces.layout import column_banks
from traces.masks import NEARLY_DENSE, layer_rule, pattern_banks

# patterns that a mask is tried against, the most particular first
CANDIDATES = (
    "gs:16,1",
    "gs:16,16",
    "gs:8,1",
    "n_of_m:2,4",
    "n_of_m:1,4",
    "block:1x16",
    "block:16x1",
    "block:4x4",
    "kernel_pattern",
    "kernel_pattern:mest",
    "channel",
)
SHOWN_FROM = 0.9  # a smaller share is chance


def inspect_rows(network: Network) -> list[dict[str, object]]:
    """Return a row per layer; ``patterns`` maps a spelling to the share of the mask that it explains."""
    return [_row(network, layer) for layer in network.layers]


def _row(network: Network, layer: Layer) -> dict[str, object]:
    row: dict[str, object] = {
        "model": network.name,
        "layer": layer.name,
        "kind": layer.kind,
        "m": None,
        "k": None,
        "p": None,
        "groups": None,
        "macs": 0,
        "density": None,
        "patterns": {},
        "synthetic": network.synthetic,
        "reason": layer.reason if isinstance(layer, UnsupportedLayer) else None,
    }
    if isinstance(layer, ProductLayer):
        row |= {"m": layer.m, "k": layer.k, "p": layer.p, "groups": layer.instances, "macs": layer.macs}
    if isinstance(layer, MatrixLayer):
        mask = network.weights[layer.name] != 0
        row |= {"m": layer.m, "k": layer.k, "p": layer.p, "groups": layer.groups, "macs": layer.macs}
        row["density"] = int(np.count_nonzero(mask)) / mask.size
        row["patterns"] = obeyed(layer, mask)
    return row


def obeyed(layer: MatrixLayer, mask: np.ndarray) -> dict[str, float]:
    """Return the patterns that explain most of ``mask``; dense and unstructured masks obey nothing else."""
    kept = int(np.count_nonzero(mask))
    if kept >= NEARLY_DENSE * mask.size:  # any rule explains a few zeros
        return {"dense": kept / mask.size}
    found: dict[str, float] = {}
    for spelling in CANDIDATES:
        pattern: Pattern = parse_pattern(spelling)
        if layer_rule(pattern, layer)[0] is not pattern:
            continue  # the rule is for other windows
        share = pattern.explained(mask, column_banks(layer, pattern_banks(pattern)))
        if share >= SHOWN_FROM:
            found[spelling] = share
    return found or {"unstructured": 1.0}
