"""What pruning a layer loses, as the user measured it: a CSV of layer, pattern, sparsity and loss.

Between two sparsities of the same layer and pattern the loss is on the straight line between them. Below the first it
runs from what the layer loses unpruned: 0, or what its row with sparsity 0 says. Above the last nothing is known, so
nothing is offered. Leaves out: losses that depend on what other layers lose; they are added up.
"""

from __future__ import annotations

import csv
import math
from bisect import bisect_left
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from gatherline.request_error import RequestError
from patterns.base import PatternError
from patterns.catalog import parse_pattern
from patterns.names import nearest

ANY = "*"
COLUMNS = ("layer", "pattern", "sparsity", "loss")
_LARGEST_BYTES = 1 << 26  # a table that a script writes

Points = tuple[tuple[float, float], ...]  # (sparsity, loss) by rising sparsity


@dataclass(frozen=True, slots=True, kw_only=True)
class Sensitivity:
    """``points`` by (layer, pattern), pattern "*" for any; ``unpruned``: the loss of a layer as it is."""

    path: str
    points: dict[tuple[str, str], Points]
    unpruned: dict[str, float]

    @property
    def layers(self) -> frozenset[str]:
        return frozenset(layer for layer, _ in self.points)

    def loss(self, layer: str, pattern: str, sparsity: float | None) -> float | None:
        """Return what ``layer`` loses under ``pattern``; None where the table does not say. Sparsity None: unpruned."""
        start = self.unpruned.get(layer, 0.0)
        if sparsity is None:
            return start
        found = self.points.get((layer, pattern)) or self.points.get((layer, ANY))
        if found is None or sparsity > found[-1][0]:
            return None
        curve = found if found[0][0] == 0.0 else ((0.0, start), *found)
        place = bisect_left(curve, (sparsity,))
        right = curve[place]
        if right[0] == sparsity or place == 0:
            return right[1]
        left = curve[place - 1]
        return left[1] + (right[1] - left[1]) * (sparsity - left[0]) / (right[0] - left[0])


def read_sensitivity(path: Path, layers: Collection[str]) -> Sensitivity:
    """Return the table of ``path``; ``layers``: those that the model has. Raises RequestError, naming the line."""
    where = str(path)
    try:
        if path.stat().st_size > _LARGEST_BYTES:
            raise RequestError(f"{where}: it has {path.stat().st_size} bytes, and a table at most {_LARGEST_BYTES}")
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise RequestError(f"{where}: it is not text in UTF-8") from None
    except OSError as error:
        raise RequestError(f"{where}: cannot be read: {error.strerror}") from None
    try:
        reader = csv.DictReader(text.splitlines(), strict=True)
        header = list(reader.fieldnames or ())
        missing = [name for name in COLUMNS if name not in header]
        if missing:
            raise RequestError(f"{where}: it has no column {missing[0]}, and needs {', '.join(COLUMNS)}")
        lines = list(reader)
    except csv.Error as error:
        raise RequestError(f"{where}: it is not CSV: {error}") from None
    found: dict[tuple[str, str], dict[float, float]] = {}
    unpruned: dict[str, float] = {}
    for number, row in enumerate(lines, start=2):
        line = f"{where}: line {number}"
        extra = row.get(None) or ()  # where csv keeps cells beyond the header's
        if extra:
            raise RequestError(
                f"{line}: it has {len(header) + len(extra)} cells, and the table {len(header)} columns: a pattern with "
                f'a comma stands in quotes, as in "gs:16,1"'
            )
        layer, pattern, sparsity, loss = _entry(line, row, layers)
        points = found.setdefault((layer, pattern), {})
        if sparsity in points:
            raise RequestError(f"{line}: layer {layer}, pattern {pattern}, sparsity {sparsity:g} is there twice")
        points[sparsity] = loss
        if sparsity == 0.0 and unpruned.setdefault(layer, loss) != loss:
            raise RequestError(f"{line}: layer {layer} loses {loss:g} at sparsity 0, and {unpruned[layer]:g} before")
    if not found:
        raise RequestError(f"{where}: it has no line")
    return Sensitivity(
        path=where, points={key: tuple(sorted(curve.items())) for key, curve in found.items()}, unpruned=unpruned
    )


def _entry(line: str, row: dict[str, str | None], layers: Collection[str]) -> tuple[str, str, float, float]:
    layer, pattern = (row["layer"] or "").strip(), (row["pattern"] or "").strip() or ANY
    if layer not in layers:
        raise RequestError(f"{line}: no layer with weights is called {layer!r}; {nearest(layer, list(layers))}")
    if pattern != ANY:
        try:
            pattern = parse_pattern(pattern).spelling
        except PatternError as error:
            raise RequestError(f"{line}: {error}") from None
    return layer, pattern, _number(line, row, "sparsity"), _number(line, row, "loss")


def _number(line: str, row: dict[str, str | None], column: str) -> float:
    text = row[column]
    try:
        value = float(text or "")
    except ValueError:
        raise RequestError(f"{line}: {column} is {text!r}, and must be a number") from None
    if not math.isfinite(value) or (column == "sparsity" and not 0.0 <= value < 1.0):
        rule = "at least 0 and below 1" if column == "sparsity" else "finite"
        raise RequestError(f"{line}: {column} is {text}, and must be {rule}")
    return value
