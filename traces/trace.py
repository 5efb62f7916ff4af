"""A layer with its mask: what every device model starts from. Hardware-independent; no tiling here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar, cast

import numpy as np

from patterns.base import Mask, Pattern
from traces.layer import Layer, MatrixLayer, ProductLayer

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LayerTrace:
    """One layer, the mask of its weights (groups, m, k) or None (no weights), and the rule that made the mask.

    ``pattern`` is the rule that holds for this layer ("dense" for one that was kept); ``reason`` says why it is not
    the one asked for, where it is not. A mask that is all True is dense. ``weights_before`` and ``macs_before``:
    those of the layer before its channels were removed, where a smaller layer took its place.
    """

    layer: Layer
    pattern: Pattern
    mask: Mask | None = None
    sparsity_target: float | None = None
    weights_before: int | None = None
    macs_before: int | None = None
    reason: str = ""
    kept: int = field(init=False)  # weights kept, counted once
    _known: dict[object, object] = field(init=False, repr=False, default_factory=dict)
    _source: list[Callable[[object], object | None]] = field(init=False, repr=False, default_factory=list)

    def __post_init__(self) -> None:
        if isinstance(self.layer, MatrixLayer):
            shape = (self.layer.groups, self.layer.m, self.layer.k)
            if self.mask is None or self.mask.shape != shape:
                got = None if self.mask is None else self.mask.shape
                raise ValueError(f"layer {self.layer.name}: mask has shape {got}, and must have {shape}")
        object.__setattr__(self, "kept", _kept(self.mask))

    def once(self, key: object, make: Callable[[], T]) -> T:
        """Return what ``make`` gives, made once for this trace: facts that no device moves. ``key``: what the fact is.

        Two threads may both make it; both get the same one. It lives as long as the trace.
        """
        if key not in self._known:
            kept = next((found for source in self._source if (found := source(key)) is not None), None)
            self._known.setdefault(key, make() if kept is None else kept)
        return cast(T, self._known[key])

    def ask_first(self, source: Callable[[object], object | None]) -> None:
        """Let ``once`` ask ``source`` for a fact before it is made; None: not known there either."""
        self._source.append(source)

    @property
    def known(self) -> Mapping[object, object]:
        """The facts that ``once`` has made or been given, so far."""
        return dict(self._known)

    @property
    def all_kept(self) -> bool:
        """Whether every weight is kept; True without weights."""
        return self.mask is None or self.kept == self.mask.size

    @property
    def density(self) -> float | None:
        """Fraction of the dense layer's weights kept; None without weights."""
        return None if self.mask is None else self.kept / self.weights_dense

    @property
    def weights_dense(self) -> int:
        """Weights of the dense layer; 0 without weights."""
        if self.mask is None:
            return 0
        return self.mask.size if self.weights_before is None else self.weights_before

    @property
    def macs_dense(self) -> int:
        """MACs of the layer with all its weights; 0 without a matrix product."""
        if self.macs_before is not None:
            return self.macs_before
        return self.layer.macs if isinstance(self.layer, MatrixLayer | ProductLayer) else 0


def _kept(mask: Mask | None) -> int:
    if mask is None:
        return 0
    if not any(mask.strides):  # one value spread over the shape, as dense masks of large layers are
        return mask.size * int(mask.flat[0]) if mask.size else 0
    return int(np.count_nonzero(mask))
