"""What ``simulate inspect`` is asked beside shapes and densities, checked as far as no model is needed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from costmodel.spec import VALUE_BYTES
from gatherline.request import RequestError
from patterns.catalog import parse_pattern
from patterns.channel import Channel
from patterns.channel_then import ChannelThen
from patterns.encodings.base import Widths
from patterns.n_of_m import NOfM
from patterns.unstructured import Unstructured
from traces.masks import Level

POINTER_BITS = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Questions:
    """What is asked beside shapes and densities. ``pattern`` None: the zeros of the model.

    ``layers``: names whose masks are to be seen; empty: the pruned ones with the most MACs.
    ``index_bits``: width of an index, or "minimal" or "minimal_bytes" for the fewest that hold it.
    """

    pattern: str | None = None
    sparsity: float | None = None
    prune_all: bool = False
    encodings: bool = False
    dtype: str = "fp16"
    index_bits: int | str = 16
    layers: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.dtype not in VALUE_BYTES:
            raise RequestError(f"dtype is {self.dtype!r}, and must be one of {', '.join(VALUE_BYTES)}")
        if self.sparsity is not None and not 0 <= self.sparsity < 1:
            raise RequestError(f"sparsity is {self.sparsity}, and must be at least 0 and below 1")
        valid = self.index_bits in ("minimal", "minimal_bytes")
        if not valid and not (isinstance(self.index_bits, int) and 1 <= self.index_bits <= 64):
            rule = "must be 1 to 64, minimal or minimal_bytes"
            raise RequestError(f"index bits are {self.index_bits!r}, and {rule}")
        self.level()

    @property
    def widths(self) -> Widths:
        """Return the bits of a stored value, index and pointer."""
        index: int | Literal["minimal", "minimal_bytes"] = "minimal_bytes"
        if isinstance(self.index_bits, int):
            index = self.index_bits
        elif self.index_bits == "minimal":
            index = "minimal"
        return Widths(value_bits=8 * VALUE_BYTES[self.dtype], index_bits=index, pointer_bits=POINTER_BITS)

    def level(self) -> Level | None:
        """Return the pattern and sparsity to project to, None for the zeros of the model. Raises RequestError."""
        if self.pattern is None:
            return None if self.sparsity is None else Level(pattern=Unstructured(), sparsity=self.sparsity)
        pattern = parse_pattern(self.pattern)
        if isinstance(pattern, Channel | ChannelThen):
            raise RequestError(
                f"pattern {pattern.spelling} makes layers smaller, and what is inspected are masks: ask simulate run"
            )
        if self.sparsity is not None or isinstance(pattern, NOfM):
            fixed = 1.0 - pattern.n / pattern.m if isinstance(pattern, NOfM) else 0.0
            return Level(pattern=pattern, sparsity=fixed if self.sparsity is None else self.sparsity)
        raise RequestError(f"pattern {pattern.spelling} needs a sparsity, to say what it would keep")
