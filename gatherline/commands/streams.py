"""``simulate trace``, ``replay`` and ``timeline``: request streams as files, and what is simulated from them."""

import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from gatherline.commands.request import request_from
from gatherline.options import (
    Arch,
    ArgumentError,
    Batch,
    Debug,
    DeviceTexts,
    Dtype,
    EncodingText,
    InputShape,
    Json,
    LevelNumber,
    Mapping,
    Match,
    MatchBy,
    Model,
    Order,
    PatternTexts,
    PruneAll,
    Ratios,
    Seed,
    Sparsities,
    StreamOrder,
    Strict,
    TechnologyName,
    at_least,
)


def trace(
    model: Model,
    out: Annotated[
        Path, typer.Option("-o", "--out", metavar="DIR", help="Folder for trace.json and one .npz for each stream.")
    ],
    arch: Arch = None,
    pattern: PatternTexts = None,
    sparsity: Sparsities = None,
    device: DeviceTexts = None,
    seed: Seed = 0,
    batch: Batch = None,
    input_shape: InputShape = None,
    dtype: Dtype = "fp16",
    encoding: EncodingText = None,
    order: StreamOrder = Order.PACKED,
    match: MatchBy = Match.DENSITY,
    prune_all: PruneAll = False,
    ratios: Ratios = "uniform",
    mapping: Mapping = None,
    strict: Strict = False,
    level: LevelNumber = None,
    debug: Debug = False,
) -> None:
    """Write the request streams of a network on a device."""
    request = request_from(
        model=model, arch=arch, patterns=pattern or [], sparsities=sparsity or [], devices=device or [], seed=seed,
        batch=batch, input_shape=input_shape, dtype=dtype, encoding=encoding, order=order, match=match,
        prune_all=prune_all, ratios=ratios, mapping=mapping, strict=strict,
    )  # fmt: skip
    at_least("--level", level, 1)
    request = replace(request, level=level)
    from gatherline import pipeline
    from gatherline.report.staging import check_target

    check_target(out)
    names = pipeline.write_traces(request, out)
    print(f"{len(names)} streams in {out}")


def replay(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder with trace.json.")],
    device: Annotated[str, typer.Option(metavar="D", help="Name, or path of a .toml file.")],
    json: Json = False,
    per_group: Annotated[
        Path | None, typer.Option("--per-group", metavar="FILE.npy", help="Write the cycle of each group's last grant.")
    ] = None,
    technology: TechnologyName = "16nm",
    debug: Debug = False,
) -> None:
    """Simulate from request streams alone, whoever wrote them."""
    from gatherline import pipeline
    from gatherline.report.staging import check_target
    from gatherline.report.table import print_streams

    if per_group is not None:
        check_target(per_group.parent)
        if per_group.is_dir() or not per_group.parent.is_dir():
            raise ArgumentError(f"--per-group is {per_group}, and must name a file in a folder that is there")
    report = pipeline.replay(folder, device, per_group, technology)
    if json:
        sys.stdout.write(report.to_json())
    else:
        print_streams(report.rows, sys.stdout)


def timeline(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder with trace.json, as simulate trace writes it.")],
    device: Annotated[
        str | None, typer.Option(metavar="D", help="Name, or path of a .toml file. Default: what the trace names.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("-o", "--out", metavar="FILE.json.gz", help="Default: DIR.timeline.json.gz, beside DIR."),
    ] = None,
    layer: Annotated[str | None, typer.Option(metavar="NAME", help="Show this layer alone, when it runs.")] = None,
    debug: Debug = False,
) -> None:
    """Write what every unit does when, for Perfetto or Chrome."""
    from gatherline.progress import terminal_progress
    from gatherline.timeline_file import write_timeline

    progress = terminal_progress()
    try:
        written = write_timeline(folder, device, out, layer, progress=progress)
    finally:
        progress.stop()
    print(f"{written.events} events, {written.cycles} cycles in {written.path}")
    if written.coarsened:
        names = ", ".join(f"{name} ({detail})" for name, detail in written.coarsened)
        print(f"simulate: note: too many events, so these show less; --layer shows one: {names}", file=sys.stderr)
