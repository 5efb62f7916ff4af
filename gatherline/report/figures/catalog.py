"""The kinds of figures, each with the folder that it is drawn from, and the way from a folder to a figure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from gatherline.report.figures.bars import bars
from gatherline.report.figures.breakdown import breakdown
from gatherline.report.figures.figure import Drawn, FigureChoices
from gatherline.report.figures.heatmap import heatmap
from gatherline.report.figures.load_histogram import load_histogram
from gatherline.report.figures.pareto import pareto_of_run, pareto_of_sweep
from gatherline.report.figures.roofline import roofline
from gatherline.report.figures.timeline import timeline
from gatherline.report.selection import Rows, text
from gatherline.report_file import read_report
from gatherline.request_error import RequestError
from gatherline.result_folder import folder_kind
from gatherline.run_masks import masks_of
from patterns.names import nearest
from traces.store import INDEX


@dataclass(frozen=True, slots=True, kw_only=True)
class FigureKind:
    """A kind by its name. ``draw``: from a folder; raises ValueErrors that name it."""

    name: str
    text: str
    draw: Callable[[Path, FigureChoices], Drawn]


def _of_run(kind: str, draw: Callable[[Rows, FigureChoices], Drawn]) -> Callable[[Path, FigureChoices], Drawn]:
    """Return how a figure of a run's rows is drawn from its folder."""

    def of_folder(folder: Path, choices: FigureChoices) -> Drawn:
        _need_run(folder, kind)
        return draw(read_report(folder).rows, choices)

    return of_folder


def _pareto(folder: Path, choices: FigureChoices) -> Drawn:
    if folder_kind(folder) == "sweep":
        return pareto_of_sweep(folder, choices)
    return pareto_of_run(read_report(folder).rows, choices)


def _load_histogram(folder: Path, choices: FigureChoices) -> Drawn:
    _need_run(folder, "load-histogram")
    written = read_report(folder)
    rows, masks = written.rows, masks_of(folder, written)
    if masks.notes and not masks.samples:
        raise RequestError(f"{folder}: {masks.notes[0]}")
    synthetic = ", synthetic weights" if any(row.get("synthetic") for row in rows) else ""
    return load_histogram(masks.samples, f"{text(rows[0], 'model')}{synthetic}", choices)


def _timeline(folder: Path, choices: FigureChoices) -> Drawn:
    if folder.is_dir() and not (folder / INDEX).is_file():
        raise RequestError(f"{folder}: has no {INDEX}, and a timeline is drawn from what simulate trace -o DIR writes")
    return timeline(folder, choices)


def _need_run(folder: Path, kind: str) -> None:
    if folder.is_dir() and (folder / INDEX).is_file() and not (folder / "report.json").is_file():
        raise RequestError(
            f"{folder}: holds request streams, of which plot timeline is drawn; {kind} needs a run: simulate run --out"
        )
    if folder_kind(folder) == "sweep":
        raise RequestError(
            f"{folder}: holds a sweep, of which plot pareto is drawn; {kind} needs a run: simulate run --out DIR"
        )


KINDS: tuple[FigureKind, ...] = (
    FigureKind(
        name="heatmap", text="latency over sparsity and pattern, by device", draw=_of_run("heatmap", heatmap)
    ),
    FigureKind(name="bars", text="latency of variants, with error bands", draw=_of_run("bars", bars)),
    FigureKind(name="roofline", text="roofs and a point for each layer", draw=_of_run("roofline", roofline)),
    FigureKind(name="pareto", text="one figure against another, with the front", draw=_pareto),
    FigureKind(name="breakdown", text="time by cause, of variants or layers", draw=_of_run("breakdown", breakdown)),
    FigureKind(name="timeline", text="what units of one layer do when", draw=_timeline),
    FigureKind(name="load-histogram", text="loads of rows and banks in one layer", draw=_load_histogram),
)  # fmt: skip


def kind_named(name: str) -> FigureKind:
    """Return the kind of that name; spaces, underscores and hyphens are one. Raises RequestError for an unknown one."""
    wanted = "-".join(name.strip().lower().replace("_", " ").replace("-", " ").split())
    for kind in KINDS:
        if wanted in (kind.name, kind.name.replace("-", "")):
            return kind
    raise RequestError(
        f"kind of plot is {name!r}, and no kind has that name; {nearest(wanted, [kind.name for kind in KINDS])}"
    )
