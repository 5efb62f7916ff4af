"""Pruned layers that take as long as in the dense run of the same device, or longer: by how much, and why.

The reason is the row's own where it has one, and otherwise the causes of time that grew. Reasons that
``simulate advise --why`` proved stand beside them where its ``why.json`` lies in the same folder. Layers of which all
of this reads alike are one line, and so are variants of one device: patterns and sparsities that only differ in times.
Left out: layers that are left dense, which a sentence names.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from gatherline.report.page.results import SHOWN_CAUSES, DeviceResults, is_dense
from gatherline.report.remarks import NO_KERNEL, label, removed_label
from gatherline.report.selection import RowLike, Variant, milliseconds, number, text, variant
from gatherline.report.time_causes import TIME_CAUSES

SHOWN = 200  # lines; those that lose most
NAMED = 3  # of the layers of a line
LEAST_SHARE = 0.01  # of a layer's time: a cause that grew by less is no reason

_NAMED_KERNEL = re.compile(rf"^(.*){NO_KERNEL} for \S+?(?=:? |$)")  # and the pattern, which may have a colon

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
        # a dense kernel that computes zeros takes its time as before: what it is made of is no news
        grown = {} if after == before and text(row, "reason") else grown_causes(row, dense)
        proof = proved.get((device.name, asked, text(row, "layer")), "")
        key = (device.name, asked, text(row, "reason"), ", ".join(grown), proof)
        line = lines.setdefault(key, _Line())
        line.layers.append(text(row, "layer"))
        line.dense_s += before
        line.sparse_s += after
        for title, seconds in grown.items():
            line.grown_s[title] = line.grown_s.get(title, 0.0) + seconds
    told = sorted(_alike(lines), key=lambda one: min(line.dense_s - line.sparse_s for _, line in one[1]))
    names = {device.name: {variant(row): label(row) for row in reversed(device.totals)} for device in devices}
    return {
        "lines": [_shown(key, members, names.get(key[0], {})) for key, members in told[:SHOWN]],
        "left": max(0, len(told) - SHOWN),
        "compared": compared,
        "slow": slow,
        "proved": any(key[4] for key in lines),
        "left_dense": _left_dense(devices),
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
        dense = {
            key: row for layers in device.layers.values() for key, row in occurrences(layers).items() if is_dense(row)
        }
        for asked, layers in device.layers.items():
            for key, row in occurrences(layers).items():
                if not is_dense(row) and _pruned(row) and key in dense:
                    yield device, asked, row, dense[key]


def occurrences(layers: Sequence[RowLike]) -> dict[tuple[object, int], RowLike]:
    """Return layers of one run by name and how many of that name stand before: two may bear the same."""
    met: dict[object, int] = {}
    found: dict[tuple[object, int], RowLike] = {}
    for row in layers:
        name = row.get("layer")
        found[name, met.get(name, 0)] = row
        met[name] = met.get(name, 0) + 1
    return found


def _pruned(row: RowLike) -> bool:
    """Return whether a layer has weights, and a pattern took some of them."""
    return number(row, "density") is not None and row.get("layer_pattern") not in ("dense", None)


def _proof(row: RowLike) -> str:
    parts = (text(row, "cause").replace("_", " "), text(row, "proof"), text(row, "change"))
    return ": ".join(part for part in parts if part)


def _left_dense(devices: list[DeviceResults]) -> str:
    """Return the layers with weights that patterns left dense, by reason, "" where there are none."""
    reasons: dict[str, str] = {}
    taken: dict[str, list[str]] = {}  # patterns that take some weights of a layer
    for device in devices:
        for asked, layers in device.layers.items():
            for row in layers if asked.pattern != "dense" else ():
                name = text(row, "layer")
                if _pruned(row):
                    taken.setdefault(name, []).append(asked.pattern)
                elif number(row, "density") is not None:
                    reasons.setdefault(name, text(row, "reason").rpartition(": ")[2])
    about: dict[tuple[str, str], list[str]] = {}
    for name, reason in reasons.items():
        but = ", ".join(dict.fromkeys(taken.get(name, [])))
        about.setdefault((reason, but), []).append(name)
    told = []
    for (reason, but), names in about.items():
        why = ", ".join(part for part in (reason, but and f"but not with {but}") if part)
        told.append(_layers(names) + (f" ({why})" if why else ""))
    return "; ".join(told)


def _why(reason: str) -> str:
    """Return a reason without the pattern's name and without what only tells how the pattern was made.

    Each layer's own panel has all of it.
    """
    parts = [part for part in reason.split("; ") if not part.startswith("asked ") and "plain ratio" not in part]
    return "; ".join(_NAMED_KERNEL.sub(rf"\1{NO_KERNEL} for it", part) for part in parts) or reason


def _alike(lines: Mapping[Key, _Line]) -> list[tuple[Key, list[tuple[Variant, _Line]]]]:
    """Return lines with their variants: those of one device that say the same of the same layers are one."""
    found: dict[tuple[object, ...], tuple[Key, list[tuple[Variant, _Line]]]] = {}
    for key, line in lines.items():
        device, asked, reason, causes, proof = key
        why = _why(reason)
        same = (device, why, causes, proof, tuple(line.layers))
        found.setdefault(same, ((device, asked, why, causes, proof), []))[1].append((asked, line))
    return list(found.values())


def variants_together(variants: Sequence[Variant], names: Mapping[Variant, str]) -> str:
    """Return variants in few words: patterns at the same sparsities side by side, as "a, b: 50 %, 70 % removed"."""
    shares: dict[str, list[str]] = {}  # of each pattern, in the order of the run
    for one in variants:
        name = names.get(one, removed_label(one, None))
        shares.setdefault(one.pattern, []).append(name.removeprefix(one.pattern).lstrip(", "))
    patterns: dict[tuple[str, ...], list[str]] = {}
    for pattern, found in shares.items():
        patterns.setdefault(tuple(sorted(found)), []).append(pattern)
    return "; ".join(_together(names_of, found) for found, names_of in patterns.items())


def _together(patterns: Sequence[str], shares: Sequence[str]) -> str:
    ending = " removed"
    reached = {share.partition(ending)[0] for share in shares}
    if len(shares) > 1 and len(reached) == 1:
        return f"{', '.join(patterns)}: {reached.pop()}{ending}, whatever was asked"
    short = all(share.endswith(ending) for share in shares)
    said = ", ".join(share.removesuffix(ending) for share in shares) + ending if short else ", ".join(shares)
    return f"{', '.join(patterns)}: {said}"


def _layers(names: Sequence[str]) -> str:
    named = ", ".join(names[:NAMED])
    return named if len(names) <= NAMED else f"{len(names)} layers: {named}, ..."


def _range(values: Sequence[float], sign: str = "") -> str:
    """Return milliseconds from the least to the most, once where both read alike."""
    least, most = (milliseconds(end) for end in (min(values), max(values)))
    return f"{sign}{least}" if least == most else f"{sign}{least} to {sign}{most}"


def _shown(key: Key, members: Sequence[tuple[Variant, _Line]], names: Mapping[Variant, str]) -> dict[str, object]:
    device, _, reason, _, proof = key
    lines = [line for _, line in members]
    first = lines[0]
    lost = [max(0.0, line.sparse_s - line.dense_s) for line in lines]
    grown = {title: [line.grown_s[title] for line in lines] for title in first.grown_s}
    return {
        "device": device,
        "variant": variants_together([asked for asked, _ in members], names),
        "layers": _layers(first.layers),
        "count": len(first.layers),
        "all_layers": ", ".join(first.layers[:40]) + (", ..." if len(first.layers) > 40 else ""),
        "dense": (_range([line.dense_s for line in lines]), first.dense_s),
        "sparse": (_range([line.sparse_s for line in lines]), max(line.sparse_s for line in lines)),
        "lost": (_range(lost, "+") if max(lost) > 0 else "0", max(lost)),
        "reason": reason,
        "causes": ", ".join(f"{title} {_range(seconds, '+')} ms" for title, seconds in grown.items()),
        "proof": proof,
    }
