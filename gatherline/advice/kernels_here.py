"""Which families of patterns a roofline has a kernel for in a layer: asked of the same choice that a run makes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache

import numpy as np

from costmodel.estimate import estimate
from costmodel.selection import family
from costmodel.spec import RooflineDevice
from gatherline.advice.probing import pruned_trace
from gatherline.request import RunRequest
from patterns.base import Pattern, PatternError, Scores
from patterns.catalog import parse_pattern
from traces.layer import MatrixLayer

HALF = 0.5  # kept: every pattern removes something
# block shapes are many, and kernels take some of them: those of DESIGN section 3
BLOCKS = ("block:1x16", "block:16x1", "block:4x1", "block:4x4", "block:16x16", "block:32x32")
SINGLES = ("unstructured", "n_of_m:2,4", "kernel_pattern", "bank_balanced:4", "gs:16,1", "gs_scatter:16,1")
MOST_WEIGHTS = 1 << 16  # of the layer that stands for those of its kind: as many rows as fit


def families_with_a_kernel(request: RunRequest, layer: MatrixLayer, device: RooflineDevice) -> tuple[str, ...]:
    """Return the patterns that ``device`` runs sparse in layers as ``layer``, one spelling of each that was tried."""
    return _found(_like(layer), device, request.dtype, request.threads)


@lru_cache(maxsize=256)
def _found(layer: MatrixLayer, device: RooflineDevice, dtype: str, threads: int) -> tuple[str, ...]:
    served = {name for kernel in device.kernels for name in kernel.serves}
    weight = np.random.default_rng(0).standard_normal((layer.groups, layer.m, layer.k), dtype=np.float32)
    return tuple(rule.spelling for rule in _tried(served) if _runs_sparse(layer, weight, rule, device, dtype, threads))


def _tried(served: set[str]) -> Iterator[Pattern]:
    for text in (*SINGLES, *BLOCKS):
        rule = parse_pattern(text)
        if family(rule) in served:
            yield rule


def _runs_sparse(
    layer: MatrixLayer, weight: Scores, rule: Pattern, device: RooflineDevice, dtype: str, threads: int
) -> bool:
    try:
        trace = pruned_trace(layer, weight, rule, HALF)
    except PatternError:
        return False
    return not trace.all_kept and estimate(trace, device, dtype=dtype, threads=threads).encoding != "dense"


def _like(layer: MatrixLayer) -> MatrixLayer:
    """Return a layer that kernels are chosen for as for ``layer``, with fewer rows where it is large."""
    rows = max(32, MOST_WEIGHTS // (layer.groups * layer.k))
    return replace(layer, name="like", m=min(layer.m, rows), inputs=(), outputs=())
