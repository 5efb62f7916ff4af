"""``simulate run``: latency and memory of a network on devices."""

import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gatherline.commands.request import request_from
from gatherline.options import (
    Arch,
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
    PlanPath,
    PruneAll,
    Ratios,
    Seed,
    Sparsities,
    StreamOrder,
    Strict,
    TechnologyName,
    Threads,
    at_least,
)

if TYPE_CHECKING:
    from gatherline.pipeline_types import Report


def run(
    model: Model,
    arch: Arch = None,
    pattern: PatternTexts = None,
    sparsity: Sparsities = None,
    device: DeviceTexts = None,
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Folder for rows (CSV, SQLite, JSON) and pictures.")
    ] = None,
    json: Json = False,
    seed: Seed = 0,
    batch: Batch = None,
    input_shape: InputShape = None,
    dtype: Dtype = "fp16",
    threads: Threads = 1,
    encoding: EncodingText = None,
    order: StreamOrder = Order.PACKED,
    match: MatchBy = Match.DENSITY,
    prune_all: PruneAll = False,
    ratios: Ratios = "uniform",
    mapping: Mapping = None,
    strict: Strict = False,
    level: LevelNumber = None,
    technology: TechnologyName = "16nm",
    plan: PlanPath = None,
    debug: Debug = False,
) -> None:
    """Tell latency and memory of a network on devices."""
    request = request_from(
        model=model, arch=arch, patterns=pattern or [], sparsities=sparsity or [], devices=device or [], seed=seed,
        batch=batch, input_shape=input_shape, dtype=dtype, threads=threads, encoding=encoding, order=order, match=match,
        prune_all=prune_all, ratios=ratios, mapping=mapping, strict=strict,
    )  # fmt: skip
    at_least("--level", level, 1)
    request = replace(request, level=level, technology=technology)
    from gatherline import pipeline
    from gatherline.pipeline_types import Interrupted
    from gatherline.progress import terminal_progress
    from gatherline.report.files import check_target

    if out is not None:
        check_target(out)
    if plan is not None:
        from gatherline.advice.plan import read_plan
        from gatherline.plan_run import run_plan

        _publish(run_plan(request, read_plan(plan), terminal_progress()), out, json)
        return
    try:
        report = pipeline.run(request, terminal_progress())
    except Interrupted as stopped:
        _publish(stopped.report, out, json)  # what is done is kept
        raise
    _publish(report, out, json)


def _publish(report: "Report", out: Path | None, json: bool) -> None:
    """Print a report as a table or as JSON, then write it into ``out`` and say where."""
    from gatherline.report.files import older_pictures
    from gatherline.report.table import print_report

    if json:
        sys.stdout.write(report.to_json())
    else:
        print_report(report.rows, sys.stdout)
    sys.stdout.flush()  # a result that was computed is out before anything else can fail
    if out is None:
        return
    written = report.write(out)
    for path in written:
        print(f"wrote {path}", file=sys.stderr if json else sys.stdout)
    older = older_pictures(out, written)
    if older:
        print(f"simulate: note: {out} also holds pictures of an earlier run: {', '.join(older)}", file=sys.stderr)
