"""Pruned layers that take as long as in the dense run of the same device, or longer: by how much, and why.

The reason is the row's own where it has one, and otherwise the causes of time that grew. Reasons that
``simulate advise --why`` proved stand beside them where its ``why.json`` lies in the same folder. Layers of which all
of this reads alike are one line.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from gatherline.report.page.results import SHOWN_CAUSES, DeviceResults, is_dense
from gatherline.report.selection import RowLike, Variant, milliseconds, number, percent, text, variant
from gatherline.report.time_causes import TIME_CAUSES

SHOWN = 200  # lines; those that lose most
NAMED = 3  # of the layers of a line
LEAST_SHARE = 0.01  # of a layer's time: a cause that grew by less is no reason

Key = tuple[
    str, Variant, str, str, str
]  # device, variant, the row's reason, names of causes that grew, what advise proved


@dataclass(slots=True, kw_only=True)
class _Line:
    """Layers that read alike: both times, and what each cause grew by, summed."""

    layers: list[str] = field(default_factory=list)
    dense_s: float = 0.0
    sparse_s: float = 0.0
    grown_s: dict[str, float] = field(default_factory=dict)


def no_faster_section(devices: list[DeviceResults], answers: Sequence[Mapping[str, object]] = ()) -> dict[str, object]:
    """Return the lines, most time lost first, and how many layers they are of. ``answers``: rows of advise --why."""
    proved = {
        (text(row, "device"), variant(row), text(row, "layer")): _proof(row) for row in answers if text(row, "cause")
    }
    lines: dict[Key, _Line] = {}
    compared = slow = 0
    for device, asked, row, dense in _pairs(devices):
        compared += 1
        after, before = number(row, "latency_s") or 0.0, number(dense, "latency_s") or 0.0
        if after < before or (after == 0.0 and before == 0.0):
            continue
        slow += 1
        grown = grown_causes(row, dense)
        proof = proved.get((device.name, asked, text(row, "layer")), "")
        key = (device.name, asked, text(row, "reason"), ", ".join(grown), proof)
        line = lines.setdefault(key, _Line())
        line.layers.append(text(row, "layer"))
        line.dense_s += before
        line.sparse_s += after
        for title, seconds in grown.items():
            line.grown_s[title] = line.grown_s.get(title, 0.0) + seconds
    told = sorted(_levels_together(lines), key=lambda one: one[2].dense_s - one[2].sparse_s)
    return {
        "lines": [_shown(*one) for one in told[:SHOWN]],
        "left": max(0, len(told) - SHOWN),
        "compared": compared,
        "slow": slow,
        "proved": any(key[4] for key in lines),
    }


def grown_causes(row: RowLike, dense: RowLike) -> dict[str, float]:
    """Return by how many seconds each cause of time is more than in the dense row, the largest first."""
    least = LEAST_SHARE * (number(row, "latency_s") or 0.0)
    more = {}
    for cause in TIME_CAUSES:
        after, before = number(row, cause.column), number(dense, cause.column)
        if after is not None and before is not None and after - before > least:
            more[cause.title] = after - before
    return dict(sorted(more.items(), key=lambda one: -one[1])[:SHOWN_CAUSES])


def _pairs(devices: list[DeviceResults]) -> Iterator[tuple[DeviceResults, Variant, RowLike, RowLike]]:
    """Yield each pruned layer beside the same layer of the dense run on the same device."""
    for device in devices:
        dense = {row.get("layer"): row for layers in device.layers.values() for row in layers if is_dense(row)}
        for asked, layers in device.layers.items():
            for row in layers:
                if not is_dense(row) and _pruned(row) and row.get("layer") in dense:
                    yield device, asked, row, dense[row.get("layer")]


def _pruned(row: RowLike) -> bool:
    """Return whether a layer has weights, and a pattern took some of them."""
    return number(row, "density") is not None and row.get("layer_pattern") not in ("dense", None)


def _proof(row: RowLike) -> str:
    parts = (text(row, "cause").replace("_", " "), text(row, "proof"), text(row, "change"))
    return ": ".join(part for part in parts if part)


def _levels_together(lines: Mapping[Key, _Line]) -> list[tuple[Key, list[Variant], _Line]]:
    """Return lines with their variants: sparsities at which the same layers take the same time are one line."""
    found: dict[tuple[object, ...], tuple[Key, list[Variant], _Line]] = {}
    for key, line in lines.items():
        device, asked, *words = key
        same = (device, asked.pattern, *words, tuple(line.layers), line.dense_s, line.sparse_s)
        found.setdefault(same, (key, [], line))[1].append(asked)
    return list(found.values())


def _variants(variants: Sequence[Variant]) -> str:
    shared = [one.sparsity for one in variants]
    if len(variants) == 1 or None in shared:
        return ", ".join(one.label for one in variants)
    return f"{variants[0].pattern} at {', '.join(percent(one) for one in shared)}"


def _shown(key: Key, variants: Sequence[Variant], line: _Line) -> dict[str, object]:
    device, _, reason, _, proof = key
    named = ", ".join(line.layers[:NAMED])
    lost = line.sparse_s - line.dense_s
    return {
        "device": device,
        "variant": _variants(variants),
        "layers": named if len(line.layers) <= NAMED else f"{len(line.layers)} layers: {named}, ...",
        "all_layers": ", ".join(line.layers[:40]) + (", ..." if len(line.layers) > 40 else ""),
        "dense": (milliseconds(line.dense_s), line.dense_s),
        "sparse": (milliseconds(line.sparse_s), line.sparse_s),
        "lost": ("0" if lost <= 0 else f"+{milliseconds(lost)}", lost),
        "reason": reason,
        "causes": ", ".join(f"{title} +{milliseconds(seconds)} ms" for title, seconds in line.grown_s.items()),
        "proof": proof,
    }
