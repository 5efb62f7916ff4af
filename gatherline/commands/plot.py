"""``simulate plot``: figures for papers, of a run, a sweep or a trace, with the numbers behind them."""

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from gatherline.options import ArgumentError, Debug, DeviceTexts, PatternTexts, Sparsities, at_least, listed

KIND_NAMES = "heatmap, bars, roofline, pareto, breakdown, timeline, load-histogram"


class Ground(StrEnum):
    """What a figure stands on."""

    LIGHT = "light"
    DARK = "dark"


def plot(
    kind: Annotated[str, typer.Argument(metavar="KIND", help=f"{KIND_NAMES}.")],
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="Folder of run --out, sweep (pareto) or trace (timeline).")
    ],
    out: Annotated[Path, typer.Option("-o", "--out", metavar="FILE", help="The figure: .pdf, .svg or .png.")],
    columns: Annotated[int, typer.Option(metavar="1|2", help="Columns of a page that it is as wide as.")] = 1,
    device: DeviceTexts = None,
    pattern: PatternTexts = None,
    sparsity: Sparsities = None,
    layer: Annotated[
        str | None, typer.Option(metavar="NAME", help="Of timeline and load-histogram: the layer.")
    ] = None,
    layers: Annotated[
        int | None, typer.Option(metavar="N", help="Of breakdown: the N slowest layers of one variant.")
    ] = None,
    objective: Annotated[
        list[str] | None,
        typer.Option(
            "--objective", metavar="COLUMN", help="Of pareto: a column of numbers; twice. Default: latency, memory."
        ),
    ] = None,
    title: Annotated[bool, typer.Option(help="Write what it shows above it; a paper has a caption instead.")] = True,
    dpi: Annotated[int, typer.Option(metavar="N", help="Dots an inch, of a .png.")] = 300,
    theme: Annotated[Ground, typer.Option(help="Paper is light.")] = Ground.LIGHT,
    csv: Annotated[
        Path | None, typer.Option("--csv", metavar="FILE", help="Its numbers. Default: beside it, as .csv.")
    ] = None,
    debug: Debug = False,
) -> None:
    """Draw a figure for a paper, with the numbers behind it."""
    if columns not in (1, 2):
        raise ArgumentError(f"--columns is {columns}, and must be 1 or 2")
    at_least("--layers", layers, 1)
    from gatherline.report.figures.catalog import kind_named
    from gatherline.report.figures.figure import FigureChoices
    from gatherline.report.figures.figure_file import figure_files, write_figure
    from gatherline.report.selection import printable

    wanted = kind_named(kind)
    files = figure_files(wanted, out, csv, dpi)
    files.check()
    choices = FigureChoices(
        columns=columns, devices=tuple(device or ()), patterns=tuple(pattern or ()), sparsities=tuple(sparsity or ()),
        layer=layer, layers=layers, objectives=tuple(listed("--objective", objective)), title=title, theme=theme.value,
    )  # fmt: skip
    wanted.check(choices, of_command=True)
    drawn = wanted.draw(folder, choices)
    write_figure(drawn, choices.look, files)
    print(f"{files.figure}\n{files.numbers}\nCaption: {printable(drawn.caption)}")
    for note in drawn.remarks():
        print(f"simulate: note: {printable(note)}", file=sys.stderr)
