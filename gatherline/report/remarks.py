"""What is said under the tables of a run: the verdict of each device, what is not validated, and why layers are not
what was asked for. Reads rows and words them; computes nothing but sums of equal reasons.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from gatherline.report.headline import DeviceHeadline, Verdict
from gatherline.report.selection import (
    SAME_SPARSITY,
    RowLike,
    Rows,
    Variant,
    devices,
    layers,
    milliseconds,
    number,
    of_device,
    percent,
    removed,
    text,
    times,
    totals,
    unique,
    variant,
)

INDEPENDENT = "if errors are independent"
MARK = "*"  # of a time that is extrapolated
NAMED = 3  # of the layers that share a reason, the first few are named
SHOWN_REASONS = 12
NO_KERNEL = "has no kernel"
_FOR_PATTERN = re.compile(r"(.* has no kernel for )(.+?)((?: here \(|: dense kernel).*)")
DENSE_IS_FASTER = "the dense kernel would take"


def sparsity(row: RowLike) -> str:
    """Return the sparsity of a total: as asked for, and as reached where that is another; "" for dense."""
    asked, reached = variant(row).sparsity, number(row, "sparsity_reached")
    if asked is None:
        return "" if text(row, "pattern") == "dense" else "own zeros"
    if reached is None or abs(reached - asked) < SAME_SPARSITY:
        return percent(asked)
    return f"{percent(reached)} ({percent(asked).removesuffix(' %')} asked)"


def label(row: RowLike) -> str:
    """Return the name that a variant has all over a page, of its total."""
    return removed_label(variant(row), removed(row))


def labels(rows: Rows) -> dict[Variant, str]:
    """Return the name of each variant that has a total."""
    return {variant(row): label(row) for row in reversed(totals(rows))}


def removed_label(asked: Variant, reached: float | None) -> str:
    """Return a variant's name: the share of the pruned layers' weights that it removes, and what was asked if another.

    ``reached``: None where nothing tells it.
    """
    if asked.sparsity is None:
        return asked.label
    share, of_asked = percent(asked.sparsity) if reached is None else removed_share(reached, asked.sparsity), ""
    if share != percent(asked.sparsity):
        of_asked = f" ({percent(asked.sparsity)} asked)"
    return f"{asked.pattern}, {share} removed{of_asked}"


def removed_share(reached: float, asked: float | None) -> str:
    """Return a share as names of variants say it: what was asked where that was reached, or else in whole percent.

    It has a digit more where that would read as all, as nothing, or as what was asked.
    """
    if asked is not None and abs(reached - asked) < SAME_SPARSITY:
        return percent(asked)
    whole = f"{100 * reached:.0f} %"
    return percent(reached) if whole in ("0 %", "100 %", percent(asked)) else whole


def short_label(row: RowLike) -> str:
    """Return a total's pattern and sparsity as a terminal says them."""
    of_row = sparsity(row)
    if of_row in ("", "own zeros"):
        return variant(row).label
    return f"{text(row, 'pattern')} at {of_row}"


def density(row: RowLike) -> str:
    value = number(row, "density")
    return "-" if value is None else f"{value:.4f}"


def headline(found: DeviceHeadline) -> str:
    """Return the verdict of one device in a sentence."""
    took, unproven = f"{milliseconds(found.latency_s)} ms", _not_validated(found)
    if found.nothing_faster:
        by = " by 1 % or more" if any((number(row, "latency_s") or 0.0) < found.latency_s for row in found.ties) else ""
        return f"{found.device}: nothing that was tried is faster than dense{by} ({took}){unproven}."
    shown = found.speed_up is not None and not found.best_is_dense
    gain = ", ".join(["", f"{times(found.speed_up)} dense", *filter(None, [span(found)])]) if shown else ""
    if found.ties:
        names = ", ".join(short_label(row) for row in (found.best, *found.ties))
        return f"{found.device}: fastest are, alike, {names}: {took}{gain}{unproven}."
    fastest_is = "fastest is " if found.tried > 1 else ""
    return f"{found.device}: {fastest_is}{_label_and_density(found.best)}: {took}{gain}{unproven}."


def span(found: Verdict, sign: str = "x") -> str:
    """Return what both error bands leave of a speed-up, "" where they tell nothing."""
    band = found.speed_up_band
    return "" if band is None else f"{times(band[0], sign)} to {times(band[1], sign)} {INDEPENDENT}"


def verdicts(found: Sequence[DeviceHeadline]) -> list[str]:
    """Return the headlines that a table of them cannot say: no gain, several alike, what exactly is not validated.

    Of a single total that is all there is.
    """
    if len(found) == 1 and found[0].tried == 1:
        return [headline(found[0])]
    untold = [one for one in found if one.nothing_faster or one.ties or one.mixed]
    return [headline(one) for one in untold]


def _label_and_density(row: RowLike) -> str:
    name, of_row = short_label(row), f"density {density(row)}"
    return f"{name.removesuffix(')')}; {of_row})" if name.endswith(" asked)") else f"{name} ({of_row})"


def _not_validated(found: DeviceHeadline) -> str:
    """Return which of the totals that a verdict compares stand on times without an error band, "" where none does."""
    if len(found.without_band) == len(found.compared):
        return " (not validated)"
    told = [_named([short_label(row) for row in found.without_band], "variants")] if found.without_band else []
    partly = [short_label(row) for row in found.partly_banded]
    told += [f"sparse layers of {_named(partly, 'variants')}"] if partly else []
    return f" (not validated: {', '.join(told)})" if told else ""


def remarks(rows: Rows) -> list[str]:
    """Return what stands under the table: synthetic weights, missing validation, reasons, unsupported operators."""
    of_totals = totals(rows)
    lines = []
    if any(row.get("extrapolated") for row in of_totals):
        lines.append(
            f"{MARK} Extrapolated: some layers are outside what was fitted or validated; their reasons say how."
        )
    if any(row.get("synthetic") for row in rows):
        lines.append("Weights are synthetic: masks, conflicts and imbalance are those of random values.")
    if len({variant(row) for row in of_totals}) > 1:
        lines.append("Accuracy is not modelled; compare patterns at equal density.")
    if all(text(row, "pattern") != "dense" for row in of_totals):
        lines.append("No speed-up to tell: --pattern dense in the same run gives it.")
    unvalidated = [_without_band(device, of_device(of_totals, device)) for device in devices(of_totals)]
    if any(unvalidated):
        lines.append(f"No error band (not validated): {', '.join(one for one in unvalidated if one)}.")
    return [*lines, *_unsupported(rows), *reasons(rows)]


def _without_band(device: str, of_this: Rows) -> str:
    """Return the device and, where some of its totals have a band, those that have none; "" where all have one."""
    without = [row for row in of_this if number(row, "latency_low_s") is None]
    if len(without) == len(of_this):
        return device
    return f"{device} ({_named([short_label(row) for row in without], 'variants')})" if without else ""


def _unsupported(rows: Rows) -> list[str]:
    skipped = [row for row in layers(rows) if text(row, "kind") == "unsupported"]
    about: dict[str, list[str]] = {}
    for row in skipped:
        names = about.setdefault(text(row, "reason"), [])
        if text(row, "layer") not in names:
            names.append(text(row, "layer"))
    return [f"NOT COUNTED: {_named(names)}: {reason or 'unsupported'}" for reason, names in about.items()]


@dataclass(slots=True)
class _About:
    """The layers that a reason is about: on which devices, and what they and the dense kernel take."""

    where: list[str] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    seconds: float = 0.0
    dense_s: float = 0.0

    def add(self, row: RowLike) -> None:
        for name, seen in ((text(row, "device"), self.where), (text(row, "layer"), self.names)):
            if name not in seen:
                seen.append(name)
        self.seconds += number(row, "latency_s") or 0.0
        self.dense_s += number(row, "dense_kernel_s") or 0.0


def reasons(rows: Rows) -> list[str]:
    """Return the reasons of layers with weights, each once, with the devices and layers it is about.

    Missing kernels come first, since they are why a device gains nothing; then sparse kernels that lose to the dense
    one, with both times; then what is as it was asked or known to be.
    """
    missing: dict[str, _About] = {}
    plain: dict[str, _About] = {}
    slower: dict[tuple[str, str], _About] = {}
    others: list[str] = []
    for row in layers(rows):
        if not text(row, "reason") or text(row, "kind") == "unsupported":
            continue
        if number(row, "density") is None:
            others.append(text(row, "layer"))
            continue
        for reason in text(row, "reason").split("; "):
            if reason.startswith(DENSE_IS_FASTER) and number(row, "dense_kernel_s") is not None:
                slower.setdefault((text(row, "device"), variant(row).label), _About()).add(row)
            else:
                (missing if NO_KERNEL in reason else plain).setdefault(reason, _About()).add(row)
    lines = _missing(missing) + _slower(slower)
    lines += [_reason(reason, about) for reason, about in plain.items()]
    return [*lines[:SHOWN_REASONS], *_more(len(lines) - SHOWN_REASONS, unique(others))]


def _reason(reason: str, about: _About) -> str:
    prefix = "" if reason.startswith(tuple(about.where)) else f"{', '.join(about.where)}: "
    return f"{prefix}{reason}: {_named(about.names)}"


def _missing(found: Mapping[str, _About]) -> list[str]:
    """Return a line for each missing kernel; patterns that miss it in the same layers share one."""
    alike: dict[tuple[str, str, tuple[str, ...], tuple[str, ...]], list[str]] = {}
    for reason, about in found.items():
        parts = _FOR_PATTERN.match(reason)
        head, pattern, rest = parts.groups() if parts else (reason, "", "")
        names = alike.setdefault((head, rest, tuple(about.where), tuple(about.names)), [])
        names.append(pattern)
    return [
        _reason(f"{head}{', '.join(names)}{rest}", found[f"{head}{names[0]}{rest}"])
        for (head, rest, _, _), names in alike.items()
    ]


def _slower(found: Mapping[tuple[str, str], _About]) -> list[str]:
    """Return a line for each time that sparse kernels lose to dense ones; variants that read alike share one."""
    alike: dict[tuple[str, str], list[str]] = {}
    for (device, asked), about in found.items():
        times_of = (
            f"{milliseconds(about.seconds)} ms where {DENSE_IS_FASTER} {milliseconds(about.dense_s)} ms: "
            f"{_named(about.names)}"
        )
        alike.setdefault((device, times_of), []).append(asked)
    return [
        f"{device}: {', '.join(asked)} {'takes' if len(asked) == 1 else 'take'} {rest}"
        for (device, rest), asked in alike.items()
    ]


def _more(left: int, others: list[str]) -> list[str]:
    more = [f"{_named(others)} without weights have a note"] if others else []
    if left > 0:
        more.append(f"{left} more reason{'s' if left > 1 else ''}")
    return [f"And {', '.join(more)}: column reason of the rows (--json or --out)."] if more else []


def _named(names: Sequence[str], what: str = "layers") -> str:
    if len(names) <= NAMED:
        return ", ".join(names)
    return f"{len(names)} {what} ({', '.join(names[:NAMED])}, ...)"
