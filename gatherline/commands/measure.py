"""``simulate calibrate`` and ``validate``: predictions against measurements, of this host or published."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from gatherline.options import Debug, Json, at_least


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
    from gatherline.report.staging import check_target
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
