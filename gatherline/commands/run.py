"""``simulate run``: latency and memory of a network on devices."""

import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

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
    from gatherline.request import RunRequest


def run(
    context: typer.Context,
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
    if out is not None:
        from gatherline.report.staging import check_target

        check_target(out)
    if plan is not None:
        _run_by_plan(context, request, plan, out, json)
        return
    from gatherline import pipeline
    from gatherline.pipeline_types import Interrupted
    from gatherline.progress import terminal_progress

    try:
        report = pipeline.run(request, terminal_progress())
    except Interrupted as stopped:
        _publish(stopped.report, out, json)  # what is done is kept
        raise
    _publish(report, out, json)


def _run_by_plan(context: typer.Context, request: "RunRequest", path: Path, out: Path | None, json: bool) -> None:
    """Run by a plan, with its own options where none were given, and say in what this run is another."""
    from gatherline.advice.plan import read_plan
    from gatherline.advice.plan_options import OPTIONS, planned_options
    from gatherline.plan_run import run_plan
    from gatherline.progress import terminal_progress
    from gatherline.report.selection import printable

    plan = read_plan(path)
    given = {name: getattr(request, name) for name in OPTIONS if _was_given(context, name)}
    options: dict[str, Any] = planned_options(plan, given)
    report = run_plan(replace(request, **options), plan, terminal_progress())
    about = report.manifest["plan"]
    for note in about["differs"] if isinstance(about, dict) else ():
        print(f"simulate: note: {printable(note)}", file=sys.stderr)
    _publish(report, out, json)


def _was_given(context: typer.Context, name: str) -> bool:
    """Return whether the user gave an option, be it the default's own value."""
    source = context.get_parameter_source(name)
    return source is not None and not source.name.startswith("DEFAULT")


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
