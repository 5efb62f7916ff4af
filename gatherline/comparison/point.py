"""What a row is of: a network pruned in one way on one device. Layers of one point are compared with each other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from gatherline.report.selection import RowLike, Variant, number, printable

Dimension = Literal["model", "pattern", "sparsity", "device"]
DIMENSIONS: tuple[Dimension, ...] = ("model", "pattern", "sparsity", "device")


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """``sparsity``: as asked for all pruned layers together, None for dense and for the zeros that a model has."""

    model: str
    pattern: str
    sparsity: float | None
    device: str

    @property
    def label(self) -> str:
        variant = Variant(pattern=printable(self.pattern), sparsity=self.sparsity).label
        return f"{printable(self.model)}, {variant} on {printable(self.device)}"

    def spelled(self, dimension: Dimension) -> str:
        """Return one of the four as a user types it: 0.9 for a sparsity."""
        value = getattr(self, dimension)
        return "none" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def point_of(row: RowLike) -> Point:
    """Return the point of a row; a row of a report names all four."""
    overall = number(row, "sparsity_overall")  # that of a layer may be its own
    sparsity = number(row, "sparsity_target") if overall is None else overall
    return Point(
        model=_name(row, "model"),
        pattern=_name(row, "pattern"),
        sparsity=None if sparsity is None else float(sparsity),
        device=_name(row, "device"),
    )


def layer_of(row: RowLike) -> str:
    return _name(row, "layer")


def _name(row: RowLike, column: str) -> str:
    value = row.get(column)
    return "" if value is None else str(value)
