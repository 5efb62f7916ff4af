"""``simulate sweep``, ``front`` and ``export``: compute a design space, show its best points, write its rows."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gatherline.exit_status import FAILED
from gatherline.options import ArgumentError, Debug, Json, at_least

if TYPE_CHECKING:
    from gatherline.sweep.spec import SweepSpec


def sweep(
    spec: Annotated[Path, typer.Argument(metavar="SPEC.toml", help="What varies and what counts: docs/sweep.md.")],
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Folder of the store. Default: SPEC without .toml, beside it.")
    ] = None,
    workers: Annotated[
        int | None, typer.Option(metavar="N", help="Processes on this machine. Default: one a processor.")
    ] = None,
    scheduler: Annotated[
        str | None,
        typer.Option(metavar="ADDRESS", help="Dask scheduler: tcp://HOST:8786, its FILE.json, local or local:N."),
    ] = None,
    max_points: Annotated[int, typer.Option(metavar="N", help="Refuse a spec with more points.")] = 1_000_000,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say how many points and about how long; run few.")
    ] = False,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Compute every point of a design space; resumable.

    Points that the folder has are not computed again. What is done stays whatever happens. Exit status 1 where no point
    has numbers, since all were refused.
    """
    at_least("--workers", workers, 1)
    at_least("--max-points", max_points, 1)
    if workers is not None and scheduler is not None:
        raise ArgumentError("--workers and --scheduler say both where points are computed: give one")
    from gatherline.sweep.spec_file import read_spec

    asked = read_spec(spec)
    asked.check_most(max_points)
    from gatherline.report.selection import printable
    from gatherline.report.staging import check_target
    from gatherline.report.sweep_table import print_sweep
    from gatherline.sweep.progress_lines import sweep_progress
    from gatherline.sweep.sweep import SweepInterrupted, default_workers, found_in, lacking_in, rows_json
    from gatherline.sweep.sweep import sweep as run_sweep

    folder = spec.with_suffix("") if out is None else out
    count = default_workers() if workers is None else workers
    check_target(folder)
    if dry_run:
        _say_beforehand(asked, count, json)
        return
    try:
        done = run_sweep(asked, folder, workers=count, scheduler=scheduler, progress=sweep_progress())
    except SweepInterrupted as stopped:
        print(f"simulate: {stopped.told}", file=sys.stderr)
        raise
    if json:
        sys.stdout.writelines(rows_json(done))
    else:
        print_sweep(done, found_in(done, asked), sys.stdout)
    sys.stdout.flush()
    lacking = lacking_in(done, asked)
    for told in lacking.told:
        print(f"simulate: {printable(told)}", file=sys.stderr)
    if lacking.numbers:
        raise typer.Exit(FAILED)


def _say_beforehand(spec: "SweepSpec", workers: int, json: bool) -> None:
    """Print how many points a sweep has and about how long they take."""
    from dataclasses import asdict

    from gatherline.report.files import report_json
    from gatherline.sweep.dry_run import dry_run
    from gatherline.sweep.evaluate import evaluate_uncached
    from gatherline.sweep.local import started_worker

    told = dry_run(spec, evaluate_uncached, workers=workers, start=started_worker if workers > 1 else None)
    if json:
        parts = asdict(told)
        rows = parts.pop("parts")
        sys.stdout.write(report_json(parts, rows))
    else:
        print("\n".join(told.lines()))


def front(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder that simulate sweep wrote.")],
    objective: Annotated[
        list[str] | None,
        typer.Option("--objective", metavar="NAME", help="As in latency_s; repeats. Default: those of the sweep."),
    ] = None,
    maximise: Annotated[
        list[str] | None,
        typer.Option("--maximise", metavar="NAME", help="An objective of which more is better; repeats."),
    ] = None,
    most: Annotated[
        list[str] | None,
        typer.Option("--most", metavar="NAME=VALUE", help="Leave out points above, as in latency_s=20ms; repeats."),
    ] = None,
    least: Annotated[
        list[str] | None,
        typer.Option("--least", metavar="NAME=VALUE", help="Leave out points below, as in kept_l1=90%; repeats."),
    ] = None,
    where: Annotated[
        list[str] | None,
        typer.Option("--where", metavar="NAME=VALUE", help="Only points of a choice, as in pattern=dense; repeats."),
    ] = None,
    together: Annotated[
        bool, typer.Option("--together", help="One front of all models. Default: each model has its own.")
    ] = False,
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Folder for front.csv, front.json and pictures.")
    ] = None,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Show the points of a sweep that nothing beats, and the knee.

    A point beats another if it is no worse in any objective and better in one. Constraints of the sweep hold, unless
    --most or --least are given for the same column. With several models, --out has a folder for each.
    """
    from gatherline.report.front_files import fronts_json, write_fronts
    from gatherline.report.front_report import print_front
    from gatherline.report.staging import check_target
    from gatherline.sweep.front_request import FrontRequest, stored_fronts

    if out is not None:
        check_target(out)
    asked = FrontRequest(
        folder=folder, objectives=tuple(objective or ()), maximise=tuple(maximise or ()), most=tuple(most or ()),
        least=tuple(least or ()), where=tuple(where or ()), together=together,
    )  # fmt: skip
    stored = stored_fronts(asked)
    found = tuple((each.front, each.rows) for each in stored.fronts)
    if json:
        sys.stdout.write(fronts_json(found, stored.without))
    else:
        for front_of_model, _ in found:
            print_front(front_of_model, sys.stdout, several=len(found) > 1)
        print(*stored.without, sep="\n", end="\n" if stored.without else "")
    sys.stdout.flush()
    for path in write_fronts(out, found) if out is not None else []:
        print(f"wrote {path}", file=sys.stderr if json else sys.stdout)


def export(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder of a sweep.")],
    out: Annotated[Path, typer.Option("-o", "--out", metavar="FILE", help="Table to write: .csv or .parquet.")],
    debug: Debug = False,
) -> None:
    """Write the rows of a sweep as CSV or Parquet."""
    from gatherline.sweep.export import export as write

    done = write(folder, out)
    left = "" if done.points in (None, done.rows) else f" of {done.points}: the sweep is not finished"
    print(f"wrote {done.path}: {done.rows} points{left}")
