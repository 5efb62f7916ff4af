"""What stands under a front: what became of all points, what the front leaves open, and how sure its figures are."""

from __future__ import annotations

import numpy as np

from gatherline.report.front_table import on_front_text, said_of, settled, within_text
from gatherline.report.measures import said, title_of
from gatherline.report.selection import printable
from gatherline.sweep.front import Choice, Fate, SweepFront
from gatherline.sweep.fronts import missing_figures

OF_MASKS = ("model", "level", "seed", "pattern", "ratios", "match", "prune_all")  # what decides masks, with a sparsity
SHOWN_MASKS = 3  # patterns whose sparsities come to equal masks


def remarks(found: SweepFront) -> list[str]:
    """Return the lines under the table."""
    lines = [_fates(found), *(f"{line}." for line in missing_figures(found.points, found.objectives))]
    one, free = settled(found)
    if one:
        values = [(each, _first(found, each)) for each in one]
        words = [
            f"{title_of(each.name)} {said_of(each, value)}" for each, value in values if said_of(each, value) != "-"
        ]
        lines.append(f"All along the front: {', '.join(words)}.")
    if free:
        lines.append(f"No difference to the front: {', '.join(title_of(each.name) for each in free)}.")
    lines += equal_masks(found)
    if any(objective.name in ("kept_l1", "kept_l2") for objective in found.objectives):
        lines.append("Kept weight says how much of the magnitudes stays; it is not accuracy.")
    return [*lines, *evidence(found)]


def _first(found: SweepFront, choice: Choice) -> object:
    """Return the value of the front where it has one: some of its points may lack the field."""
    values = choice.chosen(np.concatenate(found.alike))
    return values[0] if values else None


def _fates(found: SweepFront) -> str:
    points = len(found.fates)
    parts = [on_front_text(found), f"{found.count(Fate.DOMINATED):,} dominated"]
    if found.constraints:
        broken = found.count(Fate.INFEASIBLE)
        parts.append(f"{broken:,} break{'s' if broken == 1 else ''} a constraint{_broken(found)}")
    if found.count(Fate.NO_FIGURE):
        parts.append(f"{found.count(Fate.NO_FIGURE):,} without a figure ({_no_figure(found)})")
    if found.count(Fate.REFUSED):
        parts.append(f"{found.count(Fate.REFUSED):,} refused")
    return f"Sweep {printable(found.name)}, {points:,} point{'s'[: points != 1]}: {', '.join(parts)}."


def equal_masks(found: SweepFront) -> list[str]:
    """Return a line for each pattern of which different sparsities came to the same masks."""
    points = found.points
    asked, reached = points.choices["sparsity_target"], points.facts["sparsity_reached"]
    kept = [points.facts[name] for name in ("kept_l1", "kept_l2")]
    made_of = [points.choices[name] for name in OF_MASKS]
    every: list[Choice] = [*made_of, asked, reached, *kept]
    columns = np.column_stack([each.codes for each in every])
    groups: dict[tuple[int, ...], list[object]] = {}
    for row in np.unique(columns[~points.refused], axis=0).tolist():
        if asked.values[row[len(made_of)]] is not None and reached.values[row[len(made_of) + 1]] is not None:
            groups.setdefault((*row[: len(made_of)], *row[len(made_of) + 1 :]), []).append(
                asked.values[row[len(made_of)]]
            )
    lines = []
    pattern_at = OF_MASKS.index("pattern")
    for codes, sparsities in groups.items():
        if len(sparsities) > 1:
            share = reached.values[codes[len(made_of)]]
            assert isinstance(share, int | float)
            numbers = sorted(value for value in sparsities if isinstance(value, int | float))
            pattern = printable(said("pattern", points.choices["pattern"].values[codes[pattern_at]]))
            lines.append(
                f"{pattern}: {' and '.join(said('sparsity_target', number) for number in numbers)} asked give equal "
                f"masks, of {100 * share:.3g} %."
            )
    lines = list(dict.fromkeys(lines))
    more = [f"And {len(lines) - SHOWN_MASKS} more sets of equal masks."] if len(lines) > SHOWN_MASKS else []
    return [*lines[:SHOWN_MASKS], *more]


def evidence(found: SweepFront) -> list[str]:
    """Return how sure the figures on the front are: validation of latencies, weights, numbers that are assumed."""
    points, on_front = found.points, np.flatnonzero(found.fates == Fate.FRONT)
    count, lines = len(on_front), []
    if "latency_s" in [*(each.name for each in found.objectives), *(each.name for each in found.constraints)]:
        without = int(np.count_nonzero(~np.isfinite(points.bands[on_front]).all(axis=1)))
        if without:
            lines.append(f"Latency: {_of(without, count)} not validated (no error band).")
        stretched = _true(points.facts["extrapolated"], on_front)
        if stretched:
            lines.append(f"Latency: {_of(stretched, count)} extrapolated beyond what was fitted or validated.")
    synthetic = _true(points.facts["synthetic"], on_front)
    if synthetic:
        some = "" if synthetic == count else f" of {_of(synthetic, count).removesuffix(' is').removesuffix(' are')}"
        lines.append(f"Weights{some} are synthetic: masks, conflicts and imbalance are those of random values.")
    names = dict.fromkeys(str(name) for name in points.choices["device"].at(on_front).chosen(slice(None)))
    assumed = [name for name in names if _has_assumed_numbers(name)]
    if assumed:
        shown = printable(", ".join(assumed))
        lines.append(f"Numbers of {shown} are assumed where the device says so: simulate list devices {assumed[0]}.")
    return lines


def _true(fact: Choice, places: np.ndarray) -> int:
    return sum(bool(fact.of(place)) for place in places.tolist())


def _of(some: int, count: int) -> str:
    if some == count:
        return "the point on the front is" if count == 1 else f"all {count:,} points on the front are"
    return f"{some:,} of the {count:,} points on the front {'is' if some == 1 else 'are'}"


def _has_assumed_numbers(name: str) -> bool:
    """Return whether a built-in device says of numbers that they are assumed; a file's device is not looked up."""
    from costmodel.devices.catalog import ALL_DEVICES as ROOFLINES
    from simulator.devices.catalog import ALL_DEVICES as ACCELERATORS

    sources = [each.sources for each in ACCELERATORS if each.name == name]
    sources += [each.sources for each in ROOFLINES if each.name == name]
    return any("assumed" in source for of_device in sources for source in of_device.values())


def _broken(found: SweepFront) -> str:
    parts = []
    for each in found.constraints:
        broken = np.count_nonzero(found.points.excess[each.name] & (found.fates == Fate.INFEASIBLE))
        parts.append(f"{broken:,} {within_text([each]).removeprefix(' with ')}")
    return f" ({'; '.join(parts)})" if found.count(Fate.INFEASIBLE) else ""


def _no_figure(found: SweepFront) -> str:
    missing = found.fates == Fate.NO_FIGURE
    names = [
        title_of(each.name)
        for at, each in enumerate(found.objectives)
        if not np.isfinite(found.points.values[missing, at]).all()
    ]
    return ", ".join(names)
