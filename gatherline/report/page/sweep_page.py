"""The page of a sweep: what was searched and what to choose, the front, maps, what each choice does, and the points.

Reads the sweep that ran last in a folder; nothing is recomputed but fronts. Its size is bounded: where points are many
some are shown, and the page says so. Left out: layers, which a sweep does not keep.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from gatherline.report.front_remarks import remarks
from gatherline.report.page.render import render
from gatherline.report.page.sweep_constraints import constraints
from gatherline.report.page.sweep_counts import aims, counts, left_out
from gatherline.report.page.sweep_effects import effects
from gatherline.report.page.sweep_found import ModelPart, SweepFound, read_sweep
from gatherline.report.page.sweep_front import front_chart, member_table, one_objective_chart
from gatherline.report.page.sweep_headline import by_device, cards, left_cards, searched, sentence
from gatherline.report.page.sweep_heat import heat_maps
from gatherline.report.page.sweep_limits import FULL, MOST_BYTES, Limits
from gatherline.report.page.sweep_parallel import Parallel, parallel
from gatherline.report.page.sweep_points import points_table, refused_table
from gatherline.report.page.sweep_tables import Table
from gatherline.report.selection import printable


@dataclass(frozen=True, slots=True, kw_only=True)
class FrontPart:
    """The front of one model. ``told``: what the chart leaves out. ``without``: why there is none."""

    model: str
    chart: Mapping[str, object] | None
    told: str
    table: Table | None
    parallel: Parallel | None
    remarks: tuple[str, ...]
    without: str


def sweep_page(folder: Path) -> str:
    """Return the page of the sweep that ran last in ``folder``. Raises RequestError where none is stored, OSError."""
    found, limits = read_sweep(folder), FULL
    page = _page(found, limits)
    while len(page.encode()) > MOST_BYTES and limits != limits.halved():
        limits = limits.halved()
        page = _page(found, limits)
    return page


def _page(found: SweepFound, limits: Limits) -> str:
    made, left = effects(found, limits)
    return render(
        "sweep.html.jinja",
        title=f"Sweep {printable(found.record.name)}",
        name=printable(found.record.name),
        unfinished=_unfinished(found),
        counts=counts(found),
        aims=aims(found),
        left_out=left_out(found),
        searched=searched(found),
        cards=cards(found),
        left_cards=left_cards(found),
        by_device=by_device(found, limits),
        constraints=constraints(found),
        fronts=_fronts(found, limits),
        left_fronts=max(0, len(found.parts) - limits.fronts),
        heat=heat_maps(found, limits),
        effects=made,
        left_effects=left,
        points=points_table(found, limits),
        refused=refused_table(found, limits),
        spec=_spec_text(found.record.spec, limits.letters),
        version=printable(found.record.version),
        folder=printable(found.folder),
        devices=[(printable(name), digest) for name, digest in found.devices],
        fields=found.fields,
    )


def _unfinished(found: SweepFound) -> str:
    """Return what is missing in a sweep that is not finished, "" for one that is."""
    if not found.lacking:
        return ""
    whole, there = found.record.points or 0, found.computed
    if found.searches:
        return (
            f"{there:,} of at most {whole:,} points: the search found nothing new, or it was stopped and the same "
            "command goes on."
        )
    return f"{there:,} of {whole:,} points: this sweep is not finished, and the same command goes on from here."


def _fronts(found: SweepFound, limits: Limits) -> list[FrontPart]:
    shown = found.parts[: limits.fronts]
    return [_front(found, part, limits, len(shown)) for part in shown]


def _front(found: SweepFound, part: ModelPart, limits: Limits, fronts: int) -> FrontPart:
    model = printable(part.model) if len(found.parts) > 1 else ""
    if part.front is None:
        return FrontPart(
            model=model, chart=None, told="", table=None, parallel=None, remarks=(), without=sentence(part.without)
        )
    several = len(found.objectives) > 1
    chart, told = front_chart(part.front, limits, fronts) if several else one_objective_chart(part, part.front)
    table = member_table(part.front, limits, fronts)
    return FrontPart(
        model=model, chart=chart, told=told, table=table, parallel=parallel(part.front),
        remarks=tuple(remarks(part.front)), without="",
    )  # fmt: skip


def _spec_text(spec: str, most: int) -> str:
    """Return the spec as its user wrote it, with control characters spelled out; of a long one the beginning."""
    shown = "\n".join("".join(_letter(letter) for letter in line) for line in spec[:most].splitlines())
    left = len(spec) - most
    return f"{shown}\n... and {left:,} more letters, in the table sweeps of the store" if left > 0 else shown


def _letter(letter: str) -> str:
    return letter if letter == "\t" or letter.isprintable() else letter.encode("unicode_escape").decode("ascii")
