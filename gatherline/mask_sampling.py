"""Takes the samples of masks that a run keeps (``mask_samples.py``): counts of every pruned layer, a few windows.

Left out: layers that lost nothing, and masks of a network's own zeros in layers that keep all.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from gatherline.mask_samples import BANKS, DENSITY_SHAPE, KEPT_SHAPE, MaskSample, MaskWindow
from gatherline.mask_statistics import bank_counts, load_summary, row_loads
from patterns.base import Mask
from traces.layer import MatrixLayer, Network
from traces.layout import column_banks
from traces.masks import Level, kept_dense
from traces.trace import LayerTrace

WINDOWS = 3  # layers of a level that keep a window


def window_layers(network: Network, level: Level, prune_all: bool) -> frozenset[str]:
    """Return the layers that keep a window: of those that ``level`` prunes, the few with the most multiply-adds.

    Among equals the first of the network. ``network``: the one that runs.
    """
    dense = kept_dense(network, prune_all) if level.shares is None else {}
    pruned = [
        layer
        for layer in network.matrix_layers
        if layer.name not in dense and (level.shares is None or level.target(layer.name))
    ]
    return frozenset(layer.name for layer in sorted(pruned, key=lambda layer: -layer.macs)[:WINDOWS])


def mask_sample(trace: LayerTrace, pattern: str, sparsity: float | None, *, window: bool) -> MaskSample | None:
    """Return what is kept of a layer's mask; None where nothing was pruned. ``pattern``, ``sparsity``: of the level."""
    layer, mask = trace.layer, trace.mask
    if mask is None or not isinstance(layer, MatrixLayer) or (trace.all_kept and trace.weights_before is None):
        return None
    return MaskSample(
        layer=layer.name,
        pattern=pattern,
        sparsity=sparsity,
        layer_pattern=trace.pattern.spelling,
        groups=layer.groups,
        m=layer.m,
        k=layer.k,
        kept=trace.kept,
        banks=BANKS,
        row_load=load_summary(row_loads(mask)),
        bank_load=load_summary(bank_counts(mask, column_banks(layer, BANKS), BANKS)),
        window=_window(mask) if window else None,
    )


def _window(mask: Mask) -> MaskWindow:
    matrix = mask[0]
    rows, columns = KEPT_SHAPE
    return MaskWindow(kept=matrix[:rows, :columns].copy(), density=_density(matrix))


def _density(matrix: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
    """Return the density of parts of ``matrix``, as many as ``DENSITY_SHAPE`` or its sides allow, in whole percents."""
    (m, k), (most_down, most_across) = matrix.shape, DENSITY_SHAPE
    down, across = min(m, most_down), min(k, most_across)
    rows, columns = np.arange(down + 1) * m // down, np.arange(across + 1) * k // across
    strips = np.add.reduceat(matrix, rows[:-1], axis=0, dtype=np.int64)
    counts = np.add.reduceat(strips, columns[:-1], axis=1)
    sizes = np.diff(rows)[:, None] * np.diff(columns)[None, :]
    percents: npt.NDArray[np.float64] = (200 * counts + sizes) // (2 * sizes) / 100
    return percents
