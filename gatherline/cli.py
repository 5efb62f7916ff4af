"""The command ``simulate``: arguments in, the pipeline's report out, exit status 0, 1 or 2. DESIGN section 7.

Only typer is imported at start, so that ``--help`` answers at once. Errors are one line on standard error: status 2
for a wrong input or argument, 1 for a run that failed, 130 for Ctrl-C. Nothing here computes.
"""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from gatherline.advice.tolerance import TOLERANCE
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
    Listing,
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
    Threads,
    at_least,
    joined_shapes,
    listed,
    numbers,
)

if TYPE_CHECKING:
    from gatherline.advice.break_even import BreakEvenReport
    from gatherline.pipeline_types import Report
    from gatherline.request import RunRequest
    from gatherline.sweep.spec import SweepSpec

SUCCESS, FAILED, WRONG_INPUT, INTERRUPTED = 0, 1, 2, 130
_MACHINE_ERRNOS = {errno.ENOSPC, errno.EIO, errno.EDQUOT, errno.ENOMEM, errno.EMFILE, errno.ENFILE}

app = typer.Typer(
    name="simulate",
    help="How fast a pruned network runs and how much memory it takes, for every pattern, sparsity and device.",
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _show_version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        print(f"simulate {version('gatherline')}")
        raise typer.Exit()


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Latency and memory of a pruned network, for every pattern, sparsity and device."""


@app.command()
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
    debug: Debug = False,
) -> None:
    """Tell latency and memory of a network on devices."""
    request = _request(
        model, arch, pattern or [], sparsity or [], device or [], seed, batch, input_shape, dtype, threads, encoding,
        order, match, prune_all, ratios, mapping, strict,
    )  # fmt: skip
    at_least("--level", level, 1)
    request = replace(request, level=level, technology=technology)
    from gatherline import pipeline
    from gatherline.pipeline_types import Interrupted
    from gatherline.progress import terminal_progress
    from gatherline.report.files import check_target

    if out is not None:
        check_target(out)
    try:
        report = pipeline.run(request, terminal_progress())
    except Interrupted as stopped:
        _publish(stopped.report, out, json)  # what is done is kept
        raise
    _publish(report, out, json)


@app.command()
def inspect(
    model: Model,
    arch: Arch = None,
    pattern: Annotated[
        str | None, typer.Option(metavar="P", help="Look at the masks that this pattern would make, as in gs:16,1.")
    ] = None,
    sparsity: Annotated[
        float | None, typer.Option(metavar="S", help="Fraction of weights that it would remove, 0 to below 1.")
    ] = None,
    prune_all: PruneAll = False,
    encodings: Annotated[
        bool, typer.Option("--encodings", help="Tell every encoding's bytes, layer by layer.")
    ] = False,
    dtype: Dtype = "fp16",
    index_bits: Annotated[
        str, typer.Option(metavar="BITS", help="Width of an index: 1 to 64, minimal (packed bits) or minimal_bytes.")
    ] = "16",
    layer: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Show this layer in full, and draw it with --out; repeats.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Folder for layers.csv, inspect.json and pictures of masks.")
    ] = None,
    json: Json = False,
    seed: Seed = 0,
    batch: Batch = None,
    input_shape: InputShape = None,
    strict: Strict = False,
    debug: Debug = False,
) -> None:
    """Show layers, the patterns their masks obey, loads and bytes.

    A share stands beside the one that random masks of the same density reach; patterns rank by what is beyond it.
    """
    at_least("--seed", seed, 0)
    at_least("--batch", batch, 1)
    shape = joined_shapes(input_shape)
    from gatherline import pipeline
    from gatherline.report.files import check_target
    from gatherline.report.inspection_table import print_inspection

    if out is not None:
        check_target(out)
    report = pipeline.inspect(
        model, arch=arch, seed=seed, batch=batch, input_shape=shape, strict=strict, pattern=pattern, sparsity=sparsity,
        prune_all=prune_all, encodings=encodings, dtype=dtype, layers=tuple(layer or ()),
        index_bits=int(index_bits) if index_bits.isascii() and index_bits.isdigit() else index_bits,
    )  # fmt: skip
    if json:
        sys.stdout.write(report.to_json())
    else:
        print_inspection(report.rows, report.manifest, layer or (), sys.stdout)
    sys.stdout.flush()
    for path in report.write(out) if out is not None else ():
        print(f"wrote {path}", file=sys.stderr if json else sys.stdout)


@app.command()
def prune(
    model: Model,
    pattern: Annotated[str, typer.Option("--pattern", metavar="P", help="As in gs:16,1 or block:1x16.")],
    out: Annotated[
        Path, typer.Option("-o", "--out", metavar="OUT", help="File to write: .onnx or .safetensors, as MODEL is.")
    ],
    sparsity: Annotated[
        float | None, typer.Option(metavar="S", help="Fraction of the pruned layers' weights removed, 0 to below 1.")
    ] = None,
    ratios: Ratios = "uniform",
    keep: Annotated[
        list[str] | None,
        typer.Option(metavar="NAMES", help="Layers left as they are: first, last, depthwise, names, globs; commas."),
    ] = None,
    prune_all: PruneAll = False,
    repack: Annotated[
        bool,
        typer.Option("--repack", help="Choose anew among weights that a mask stored in the file hides."),
    ] = False,
    levels: Annotated[
        str | None, typer.Option(metavar="S,S,...", help="Nested sparsities in one file, in place of --sparsity.")
    ] = None,
    arch: Arch = None,
    batch: Batch = None,
    input_shape: InputShape = None,
    json: Json = False,
    strict: Strict = False,
    debug: Debug = False,
) -> None:
    """Write a model pruned to a pattern, and say what was kept.

    Weights are kept by magnitude. Depthwise layers, the first layer and the classifier stay dense, as --keep names
    them; --all prunes them, and --keep still holds. A weight that is 0 stays 0, so a mask that the file has is
    respected; --repack looks behind masks that are stored apart (weight_orig, weight_mask).
    """
    at_least("--batch", batch, 1)
    shape = joined_shapes(input_shape)
    from gatherline.progress import terminal_progress
    from gatherline.prune_request import PruneRequest
    from gatherline.pruning import prune as prune_file
    from gatherline.report.prune_table import print_pruned

    request = PruneRequest(
        model=model, out=str(out), pattern=pattern, sparsity=sparsity, ratios=ratios,
        keep=tuple(listed("--keep", keep)), prune_all=prune_all, repack=repack,
        levels=tuple(numbers("--levels", levels)), arch=arch, batch=batch, input_shape=shape, strict=strict,
    )  # fmt: skip
    report = prune_file(request, terminal_progress())
    if json:
        sys.stdout.write(report.to_json())
    else:
        print_pruned(report.rows, report.manifest, sys.stdout)


@app.command()
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
    request = _request(
        model, arch, pattern or [], sparsity or [], device or [], seed, batch, input_shape, dtype, 1, encoding, order,
        match, prune_all, ratios, mapping, strict,
    )  # fmt: skip
    at_least("--level", level, 1)
    request = replace(request, level=level)
    from gatherline import pipeline
    from gatherline.report.files import check_target

    check_target(out)
    names = pipeline.write_traces(request, out)
    print(f"{len(names)} streams in {out}")


@app.command()
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
    from gatherline.report.files import check_target
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


@app.command()
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


@app.command()
def energy(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder that simulate run --out wrote.")],
    technology: TechnologyName = "16nm",
    device: DeviceTexts = None,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Price a finished run by another technology; nothing is simulated."""
    from gatherline.energy_report import energy_report
    from gatherline.report.energy_table import print_energy

    report = energy_report(folder, technology, tuple(device or ()))
    if json:
        sys.stdout.write(report.to_json())
    else:
        print_energy(report.rows, report.manifest, sys.stdout)


@app.command()
def area(
    device: Annotated[str, typer.Argument(metavar="DEVICE", help="Name, or path of a .toml file.")],
    technology: TechnologyName = "16nm",
    debug: Debug = False,
) -> None:
    """Show the area of an accelerator by part, with sources."""
    from gatherline.report.energy_table import area_catalog, area_caveat
    from gatherline.report.table import print_catalog
    from gatherline.request import cycle_device

    print_catalog(area_catalog(cycle_device(device), technology), sys.stdout)
    print("\n" + area_caveat(cycle_device(device), technology))


@app.command()
def calibrate(
    out: Annotated[
        Path,
        typer.Option("-o", "--out", metavar="TABLE.csv", help="Table to write; the device goes beside it, as .toml."),
    ] = Path("calibration.csv"),
    quick: Annotated[bool, typer.Option("--quick", help="A small grid: half a minute instead of minutes.")] = False,
    threads: Annotated[int, typer.Option(metavar="N", help="Also measure N threads, where a library takes them.")] = 1,
    gpu: Annotated[
        bool, typer.Option("--gpu", help="Only the CUDA GPU; without this option, the host and the GPU if any.")
    ] = False,
    seed: Annotated[int, typer.Option(metavar="N", help="Seed of the data, and of what is held out.")] = 0,
    debug: Debug = False,
) -> None:
    """Measure this host and its GPU, and fit a device to it."""
    at_least("--threads", threads, 1)
    at_least("--seed", seed, 0)
    if threads == 1:  # read by BLAS when NumPy is loaded, below
        for name in ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "BLIS_NUM_THREADS"):
            os.environ[name] = "1"
    from gatherline.calibration import CalibrationRequest, CalibrationStopped
    from gatherline.calibration import calibrate as measure
    from gatherline.progress import terminal_progress
    from gatherline.report.calibration_table import print_calibration

    request = CalibrationRequest(out=out, quick=quick, threads=threads, gpu_only=gpu, seed=seed)
    try:
        done = measure(request, terminal_progress())
    except CalibrationStopped as stopped:
        if stopped.rows:
            print(
                f"wrote {stopped.table}: {stopped.rows} measurements, not complete, no device fitted", file=sys.stderr
            )
        raise
    print_calibration(done, sys.stdout)
    for path in done.written:
        print(f"wrote {path}")
    if done.fit is not None:
        print(f"Use it: simulate run MODEL --dtype fp32 --device {request.device_path}")


@app.command()
def validate(
    device: Annotated[
        list[str] | None, typer.Option("--device", metavar="D", help="Roofline to compare; repeats. Default: all.")
    ] = None,
    family: Annotated[
        list[str] | None,
        typer.Option("--family", metavar="F", help="Kernel family: dense, or how weights are stored; repeats."),
    ] = None,
    tables: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Folder of measurements. Default: the repository's validation/.")
    ] = None,
    measured: Annotated[
        Path | None,
        typer.Option(metavar="TABLE.csv", help="A table of simulate calibrate instead; --device may be a TOML file."),
    ] = None,
    out: Annotated[Path | None, typer.Option(metavar="DIR", help="Folder for tables and scatter plots.")] = None,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Compare predictions with published measurements.

    A line for each device, what it was measured on, and kernel family: median and 90th-percentile error, bias, rank
    correlation over nets, and the noise floor of the measurements. Devices that nothing was fitted to are marked.
    """
    from gatherline.progress import terminal_progress
    from gatherline.report.files import check_target
    from gatherline.report.validation_table import print_validation
    from gatherline.validation import validation_report

    if measured is not None:
        _validate_measured(measured, device or [], {"family": family, "tables": tables, "out": out}, json=json)
        return
    if out is not None:
        check_target(out)
    report = validation_report(device or [], family or [], tables, terminal_progress())
    if json:
        sys.stdout.write(report.to_json())
    else:
        print_validation(report.rows, report.manifest, sys.stdout)
    sys.stdout.flush()
    if out is not None:
        print(f"wrote {len(report.write(out))} files into {out}", file=sys.stderr if json else sys.stdout)


def _validate_measured(table: Path, devices: Sequence[str], others: dict[str, object], *, json: bool) -> None:
    from gatherline.measured_report import measured_report
    from gatherline.report.measured_table import print_measured
    from gatherline.request_error import RequestError

    for name, value in others.items():
        if value:
            raise RequestError(f"--{name} is of published tables, and cannot stand beside --measured")
    found = measured_report(table, devices)
    if json:
        sys.stdout.write(found.to_json())
    else:
        print_measured(found.rows, found.manifest, sys.stdout)


@app.command()
def advise(
    model: Model,
    device: Annotated[list[str], typer.Option("--device", metavar="D", help="Name, or path of a .toml file; repeats.")],
    arch: Arch = None,
    pattern: Annotated[
        list[str] | None,
        typer.Option("--pattern", metavar="P", help="As in gs:16,1; repeats. Default: one of each family."),
    ] = None,
    tolerance: Annotated[
        float, typer.Option(metavar="T", help="How near the densities beside a crossing are, a share of the weights.")
    ] = TOLERANCE,
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Folder for break-even.csv, break-even.json and plots.")
    ] = None,
    json: Json = False,
    seed: Seed = 0,
    batch: Batch = None,
    input_shape: InputShape = None,
    dtype: Dtype = "fp16",
    threads: Threads = 1,
    encoding: EncodingText = None,
    prune_all: PruneAll = False,
    strict: Strict = False,
    debug: Debug = False,
) -> None:
    """Tell below which density each pattern beats dense.

    For the network and for each layer, with masks of the model's own weights, against the device's own dense kernels.
    """
    request = _request(
        model, arch, pattern or [], [], device, seed, batch, input_shape, dtype, threads, encoding, Order.PACKED,
        Match.DENSITY, prune_all, "uniform", None, strict,
    )  # fmt: skip
    from gatherline.advice.break_even import AdviceInterrupted, BreakEvenRequest, break_even
    from gatherline.progress import terminal_progress
    from gatherline.report.files import check_target

    asked = BreakEvenRequest(run=request, tolerance=tolerance)
    if out is not None:
        check_target(out)
    try:
        report = break_even(asked, terminal_progress())
    except AdviceInterrupted as stopped:
        _publish_break_even(stopped.report, out, json)  # what is done is kept
        raise
    _publish_break_even(report, out, json)


@app.command()
def cache(
    clear: Annotated[bool, typer.Option("--clear", help="Remove every entry.")] = False,
    limit: Annotated[
        str | None, typer.Option(metavar="SIZE", help="Remove the least recently used beyond SIZE, as in 500MB, now.")
    ] = None,
    verify: Annotated[bool, typer.Option("--verify", help="Hash every entry again, and remove damaged ones.")] = False,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Show what sweeps keep between runs, and how much room it takes.

    Lowered and masked networks, each made once. The folder is $GATHERLINE_CACHE, $XDG_CACHE_HOME/gatherline or
    ~/.cache/gatherline, and GATHERLINE_CACHE=off does without; $GATHERLINE_CACHE_LIMIT is the most it holds (2 GiB).
    """
    if clear + verify + (limit is not None) > 1:
        raise ArgumentError("--clear, --limit and --verify are one thing each, and more than one was given")
    from gatherline.cache_report import cache_report

    report = cache_report(clear=clear, limit=limit, verify=verify)
    sys.stdout.write(report.to_json() if json else report.to_text())
    if report.damaged:
        raise typer.Exit(FAILED)


@app.command()
def sweep(
    spec: Annotated[Path, typer.Argument(metavar="SPEC.toml", help="What varies and what counts: docs/sweep.md.")],
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Folder of the store. Default: SPEC without .toml, beside it.")
    ] = None,
    workers: Annotated[
        int | None, typer.Option(metavar="N", help="Processes on this machine. Default: one a processor.")
    ] = None,
    scheduler: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="Dask scheduler, as in tcp://HOST:8786, or local:N.")
    ] = None,
    max_points: Annotated[int, typer.Option(metavar="N", help="Refuse a spec with more points.")] = 1_000_000,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say how many points and about how long; run few.")
    ] = False,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Compute every point of a design space; resumable.

    Points that the folder has are not computed again. What is done stays whatever happens.
    """
    at_least("--workers", workers, 1)
    at_least("--max-points", max_points, 1)
    if workers is not None and scheduler is not None:
        raise ArgumentError("--workers and --scheduler say both where points are computed: give one")
    from gatherline.sweep.spec import read_spec

    asked = read_spec(spec)
    asked.check_most(max_points)
    from gatherline.progress import terminal_progress
    from gatherline.report.files import check_target
    from gatherline.report.sweep_table import print_sweep
    from gatherline.sweep.sweep import SweepInterrupted, default_workers, found_in, rows_json
    from gatherline.sweep.sweep import sweep as run_sweep

    folder = spec.with_suffix("") if out is None else out
    count = default_workers() if workers is None else workers
    check_target(folder)
    if dry_run:
        _say_beforehand(asked, count, json)
        return
    try:
        done = run_sweep(asked, folder, workers=count, scheduler=scheduler, progress=terminal_progress())
    except SweepInterrupted as stopped:
        print(f"simulate: {stopped.told}", file=sys.stderr)
        raise
    if json:
        sys.stdout.writelines(rows_json(done))
    else:
        print_sweep(done, found_in(done, asked), sys.stdout)


def _say_beforehand(spec: SweepSpec, workers: int, json: bool) -> None:
    """Print how many points a sweep has and about how long they take."""
    from dataclasses import asdict

    from gatherline.report.files import report_json
    from gatherline.sweep.dry_run import dry_run
    from gatherline.sweep.evaluate import evaluate_uncached

    told = dry_run(spec, evaluate_uncached, workers=workers)
    if json:
        parts = asdict(told)
        rows = parts.pop("parts")
        sys.stdout.write(report_json(parts, rows))
    else:
        print("\n".join(told.lines()))


@app.command()
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


@app.command("front")
def front_(
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
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Folder for front.csv, front.json and pictures.")
    ] = None,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Show the points of a sweep that nothing beats, and the knee.

    A point beats another if it is no worse in any objective and better in one. Constraints of the sweep hold, unless
    --most or --least are given for the same column.
    """
    from gatherline.report.files import check_target, report_json
    from gatherline.report.front_files import front_manifest, write_front
    from gatherline.report.front_table import print_front
    from gatherline.sweep.front_request import FrontRequest, stored_front

    if out is not None:
        check_target(out)
    asked = FrontRequest(
        folder=folder, objectives=tuple(objective or ()), maximise=tuple(maximise or ()), most=tuple(most or ()),
        least=tuple(least or ()),
    )  # fmt: skip
    stored = stored_front(asked)
    report = report_json(front_manifest(stored.front), stored.rows)
    if json:
        sys.stdout.write(report)
    else:
        print_front(stored.front, sys.stdout)
    sys.stdout.flush()
    for path in write_front(out, stored.front, report, stored.rows) if out is not None else []:
        print(f"wrote {path}", file=sys.stderr if json else sys.stdout)


@app.command("list")
def list_(
    what: Annotated[
        Listing, typer.Argument(metavar="devices|patterns|encodings|models|technologies", help="What to list.")
    ],
    name: Annotated[
        str | None, typer.Argument(metavar="DEVICE", help="Of devices: the sources of this one, a name or a .toml.")
    ] = None,
    debug: Debug = False,
) -> None:
    """List what there is, with its source."""
    from gatherline.report.listing import catalog, one_device
    from gatherline.report.table import print_catalog

    if name is not None and what is not Listing.DEVICES:
        raise ArgumentError(f"list {what.value} takes no name, and got {name!r}; list devices does")
    print_catalog(catalog(what.value) if name is None else one_device(name), sys.stdout)


def _request(
    model: str,
    arch: str | None,
    patterns: Sequence[str],
    sparsities: Sequence[float],
    devices: Sequence[str],
    seed: int,
    batch: int | None,
    input_shape: list[str] | None,
    dtype: str,
    threads: int,
    encoding: str | None,
    order: Order,
    match: Match,
    prune_all: bool,
    ratios: str,
    mapping: str | None,
    strict: bool,
) -> RunRequest:
    """Return the request that the arguments make, after the checks that need no model."""
    at_least("--seed", seed, 0)
    at_least("--batch", batch, 1)
    at_least("--threads", threads, 1)
    for value in sparsities:
        if not 0 <= value < 1:
            raise ArgumentError(f"--sparsity is {value}, and must be at least 0 and below 1")
    shape = joined_shapes(input_shape)
    from gatherline.request import RunRequest

    return RunRequest(
        model=model, arch=arch, patterns=tuple(patterns), sparsities=tuple(sparsities), devices=tuple(devices),
        seed=seed, batch=batch, input_shape=shape, dtype=dtype, threads=threads, encoding=encoding,
        order=order.value, match=match.value, prune_all=prune_all, ratios=ratios, mapping=mapping, strict=strict,
    )  # fmt: skip


def _publish(report: Report, out: Path | None, json: bool) -> None:
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


def _publish_break_even(report: BreakEvenReport, out: Path | None, json: bool) -> None:
    from gatherline.report.break_even_table import print_break_even

    if json:
        sys.stdout.write(report.to_json())
    else:
        print_break_even(report.rows, report.manifest, sys.stdout)
    sys.stdout.flush()
    for path in report.write(out) if out is not None else []:
        print(f"wrote {path}", file=sys.stderr if json else sys.stdout)


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and exit. ``arguments`` defaults to those of the process."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        status = typer.main.get_command(app).main(given, prog_name="simulate", standalone_mode=False)
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # so that the last flush fails no more
        sys.exit(FAILED)  # as typer ends when the pipe breaks earlier
    except (KeyboardInterrupt, typer.Abort):
        status = INTERRUPTED
    except Exception as error:
        if "--debug" in given:  # known before any command has parsed it, and after one has failed to
            import traceback

            traceback.print_exc()
        _fail(error, given)
    if status == INTERRUPTED:  # newer typer returns it, older raises
        print("simulate: interrupted", file=sys.stderr)
    sys.exit(status if isinstance(status, int) else SUCCESS)


def _fail(error: Exception, given: Sequence[str]) -> NoReturn:
    """Print one line about ``error`` and exit with the status that it means."""
    from gatherline.report.selection import printable

    format_message = getattr(error, "format_message", None)  # typer's own errors
    if callable(format_message):
        if type(error).__name__ == "NoArgsIsHelpError":
            print(format_message(), file=sys.stderr)
            sys.exit(WRONG_INPUT)
        message, status = str(format_message()), WRONG_INPUT
        if isinstance(error, typer.BadParameter) and error.message:  # which doesn't always name the value
            message += f" (in: simulate {' '.join(given)})"
    elif isinstance(error, OSError):
        where = "" if error.filename is None else f"{error.filename}: "
        message = f"{where}{error.strerror or error}"
        status = FAILED if error.errno in _MACHINE_ERRNOS else WRONG_INPUT
    elif isinstance(error, (ArgumentError, *_input_errors())):
        message, status = str(error), WRONG_INPUT
    else:
        message, status = f"{type(error).__name__}: {error} (--debug shows where)", FAILED
    print(f"simulate: error: {printable(message)}", file=sys.stderr)
    sys.exit(status)


def _input_errors() -> tuple[type[Exception], ...]:
    from costmodel.technology import TechnologyError
    from costmodel.validation.measurement import ValidationError
    from gatherline.request_error import RequestError
    from patterns.base import PatternError
    from patterns.encodings.base import EncodingError
    from simulator.parallel import ThreadCountError
    from simulator.spec import DeviceError
    from traces.layer import ModelError
    from traces.ratios import RatioError
    from traces.stream import TraceError

    return (
        RequestError, ModelError, RatioError, PatternError, EncodingError, DeviceError, ThreadCountError, TraceError,
        TechnologyError, ValidationError,
    )  # fmt: skip
