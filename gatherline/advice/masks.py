"""The mask of one layer under a choice of a plan, what it keeps, and a digest that finds it again.

The masks of ``simulate run --pattern P --sparsity S --match density``, layer by layer. Leaves out: rules over several
layers.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace

import numpy as np

from patterns.base import Pattern, Scores
from patterns.dense import Dense
from traces.layer import MatrixLayer
from traces.masks import Level, layer_rule, trace_layer
from traces.matching import match_density
from traces.trace import LayerTrace


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """What a mask keeps of a layer: weights that are not 0, their L1 norm, their sum of squares; and all there was."""

    weights: int
    of_weights: int
    l1: float
    of_l1: float
    squares: float
    of_squares: float


def chosen_trace(layer: MatrixLayer, weight: Scores, pattern: Pattern, sparsity: float | None) -> LayerTrace:
    """Return the trace of a layer pruned to ``sparsity`` of its weights. None: dense, zeros computed.

    Raises PatternError where the layer cannot take the pattern.
    """
    if sparsity is None:
        return trace_layer(layer, weight, Level(pattern=Dense(), sparsity=None), "", lambda _, scores: scores > 0)
    return trace_layer(
        layer,
        weight,
        Level(pattern=pattern, sparsity=sparsity),
        "",
        lambda of, scores: match_density(layer_rule(pattern, of)[0], of, scores, sparsity),
    )


def kept_of(trace: LayerTrace, weight: Scores, whole: Kept | None = None) -> Kept:
    """Return what the mask of ``trace`` keeps of ``weight``. ``whole``: what all of it is, where that is known."""
    assert trace.mask is not None
    if whole is None:
        whole = _whole(weight)
    if trace.all_kept:
        return whole
    left = weight[trace.mask].astype(np.float64)
    return replace(whole, weights=int(np.count_nonzero(left)), l1=float(np.abs(left).sum()), squares=float(left @ left))


def _whole(weight: Scores) -> Kept:
    values = weight.astype(np.float64).reshape(-1)
    l1, squares = float(np.abs(values).sum()), float(values @ values)
    return Kept(
        weights=int(np.count_nonzero(values)), of_weights=values.size, l1=l1, of_l1=l1, squares=squares,
        of_squares=squares,
    )  # fmt: skip


def mask_digest(trace: LayerTrace, weight: Scores) -> str:
    """Return a digest of the places that are kept and are not 0: equal for a model and for what pruning makes of it."""
    assert trace.mask is not None
    left = trace.mask & (weight != 0)
    return hashlib.blake2b(np.packbits(left).tobytes(), digest_size=16, person=b"gatherline-mask").hexdigest()
