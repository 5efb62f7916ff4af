"""The kinds of figures, each with the folder that it is drawn from, and the way from a folder to a figure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from gatherline.report.figures.bars import HEADER as BARS
from gatherline.report.figures.bars import bars
from gatherline.report.figures.breakdown import HEADER as BREAKDOWN
from gatherline.report.figures.breakdown import breakdown
from gatherline.report.figures.figure import Drawn, FigureChoices, listed
from gatherline.report.figures.heatmap import HEADER as HEATMAP
from gatherline.report.figures.heatmap import heatmap
from gatherline.report.figures.load_histogram import HEADER as LOADS
from gatherline.report.figures.load_histogram import load_histogram
from gatherline.report.figures.pareto import LAST, OF_RUN, OF_SWEEP, pareto_of_run, pareto_of_sweep
from gatherline.report.figures.roofline import HEADER as ROOFLINE
from gatherline.report.figures.roofline import roofline
from gatherline.report.figures.timeline import HEADER as TIMELINE
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
    """A kind by its name. ``draw``: from a folder; raises ValueErrors that name it.

    ``takes``: the choices that mean something for it. ``headers``: how its CSV's header begins and ends, and so how a
    file of other numbers is told from one that may be replaced.
    """

    name: str
    text: str
    draw: Callable[[Path, FigureChoices], Drawn]
    takes: tuple[str, ...]
    headers: tuple[tuple[tuple[str, ...], tuple[str, ...]], ...]

    def check(self, choices: FigureChoices, *, of_command: bool = False) -> None:
        """Raise RequestError for a choice that means nothing for this kind; ``of_command``: named as its option."""
        for name, option in OPTIONS.items():
            if getattr(choices, name) in ((), None) or name in self.takes:
                continue
            kinds = listed([kind.name for kind in KINDS if name in kind.takes])
            raise RequestError(f"{option if of_command else name} is of {kinds}; {self.name} has none")

    def wrote(self, header: tuple[str, ...]) -> bool:
        """Return whether a CSV of this header is one that this kind writes."""
        return any(
            header[: len(start)] == start and header[len(start) :][-len(end) :] == end if end else header == start
            for start, end in self.headers
        )


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


# choices that not every kind has, and their options of simulate plot
OPTIONS = {
    "devices": "--device", "patterns": "--pattern", "sparsities": "--sparsity", "layer": "--layer",
    "layers": "--layers", "objectives": "--objective",
}  # fmt: skip
_VARIANTS = ("devices", "patterns", "sparsities")

KINDS: tuple[FigureKind, ...] = (
    FigureKind(
        name="heatmap", text="latency over sparsity and pattern, by device", draw=_of_run("heatmap", heatmap),
        takes=_VARIANTS, headers=((HEATMAP, ()),),
    ),
    FigureKind(
        name="bars", text="latency of variants, with error bands", draw=_of_run("bars", bars), takes=_VARIANTS,
        headers=((BARS, ()),),
    ),
    FigureKind(
        name="roofline", text="roofs and a point for each layer", draw=_of_run("roofline", roofline), takes=_VARIANTS,
        headers=((ROOFLINE, ()),),
    ),
    FigureKind(
        name="pareto", text="one figure against another, with the front", draw=_pareto,
        takes=(*_VARIANTS, "objectives"), headers=((OF_RUN, LAST), (OF_SWEEP, LAST)),
    ),
    FigureKind(
        name="breakdown", text="time by cause, of variants or layers", draw=_of_run("breakdown", breakdown),
        takes=(*_VARIANTS, "layers"), headers=((BREAKDOWN, ()),),
    ),
    FigureKind(
        name="timeline", text="what units of one layer do when", draw=_timeline, takes=("devices", "layer"),
        headers=((TIMELINE, ()),),
    ),
    FigureKind(
        name="load-histogram", text="loads of rows and banks in one layer", draw=_load_histogram,
        takes=("patterns", "sparsities", "layer"), headers=((LOADS, ()),),
    ),
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
