"""How many points a spec has of each model, pattern and device, and how many sets of masks and tasks that makes.

Exact for grids, without listing them, and for points that are drawn; of a search nobody knows which it will ask for.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from gatherline.sweep.axis import Choices
from gatherline.sweep.point import LevelChoice, ModelChoice
from gatherline.sweep.points import MaskRule
from gatherline.sweep.spec import SweepSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Points of one model, pattern and device. ``levels``: their sets of masks; ``tasks``: what workers are given."""

    model: str
    pattern: str
    device: str
    levels: int
    tasks: int
    points: int


def levels_of(parts: Sequence[Part]) -> int:
    """Return how many sets of masks the parts have together: devices share them."""
    by_mask: dict[tuple[str, str], int] = {}
    for part in parts:
        key = (part.model, part.pattern)
        by_mask[key] = max(by_mask.get(key, 0), part.levels)
    return sum(by_mask.values())


def parts_of(spec: SweepSpec, most: int) -> list[Part]:
    """Return the parts of a spec, whose tasks have at most ``most`` points."""
    if spec.method.name == "grid":
        return _grid_parts(spec, most)
    return _search_parts(spec) if spec.searches else _drawn_parts(spec, most)


def _grid_parts(spec: SweepSpec, most: int) -> list[Part]:
    """Count without listing."""
    grid = spec.grid
    sparsities = grid.sparsity_counts()
    machines = [device.count for device in grid.devices]
    return [
        Part(
            model=model_label(model), pattern=mask_label(mask), device=device.name, levels=levels,
            tasks=levels * len(grid.options) * math.ceil(count / most), points=levels * len(grid.options) * count,
        )
        for model in grid.models
        for mask, levels in zip(grid.masks, sparsities, strict=True)
        for device, count in zip(grid.devices, machines, strict=True)
    ]  # fmt: skip


def _search_parts(spec: SweepSpec) -> list[Part]:
    """Spread the points of a search evenly: it will not, and which it prefers nobody knows yet."""
    grid = spec.grid
    combinations = len(grid.models) * len(grid.masks) * len(grid.devices)
    each, rest = divmod(spec.count, combinations)
    found: list[Part] = []
    for model in grid.models:
        for mask in grid.masks:
            for device in grid.devices:
                points = each + (len(found) < rest)
                axis = grid.sparsities
                listed = len(axis.values) if isinstance(axis, Choices) else points * len(grid.devices)
                levels = min(listed if mask.varies else 1, points * len(grid.devices))
                found.append(Part(
                    model=model_label(model), pattern=mask_label(mask), device=device.name, levels=levels,
                    tasks=points, points=points))  # fmt: skip
    return found


def _drawn_parts(spec: SweepSpec, most: int) -> list[Part]:
    points: Counter[tuple[str, str, str]] = Counter()
    tasks: Counter[tuple[str, str, str]] = Counter()
    levels: dict[tuple[str, str], set[LevelChoice]] = {}
    names = {device.base: device.name for device in spec.grid.devices}
    for level, _, base, numbered in spec.tasks(most):
        key = (model_label(level.model), mask_label(_rule(level)), names[base])
        points[key] += len(numbered)
        tasks[key] += 1
        levels.setdefault(key[:2], set()).add(level)
    return [
        Part(
            model=model, pattern=pattern, device=device, levels=len(levels[model, pattern]),
            tasks=tasks[model, pattern, device], points=count,
        )
        for (model, pattern, device), count in sorted(points.items())
    ]  # fmt: skip


def _rule(level: LevelChoice) -> MaskRule:
    return MaskRule(pattern=level.pattern, ratios=level.ratios, match=level.match, prune_all=level.prune_all)


def model_label(model: ModelChoice) -> str:
    """Return a model's name and what tells it from others of the same name."""
    parts = [Path(model.model).name]
    for name in ("batch", "level", "input_shape"):
        value = getattr(model, name)
        if value is not None:
            parts.append(f"{name} {value}")
    if model.seed:
        parts.append(f"seed {model.seed}")
    return " ".join(parts)


def mask_label(mask: MaskRule) -> str:
    """Return a pattern and what tells its masks from others of the same pattern."""
    parts = [mask.pattern]
    if mask.ratios != "uniform":
        parts.append(f"ratios {Path(mask.ratios).name}")
    if mask.match != "density":
        parts.append(f"match {mask.match}")
    if mask.prune_all:
        parts.append("all layers")
    return " ".join(parts)
