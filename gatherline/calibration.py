"""``simulate calibrate``: measures this host and its GPU, writes the table, fits a device and writes that too.

Left out: how a device is drawn from rows (``costmodel/calibrate``), and the printing.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from costmodel.calibrate.cuda import gpu_cases, gpu_facts, measure_gpu, no_gpu
from costmodel.calibrate.host import Host, read_host
from costmodel.calibrate.host_device import HostFit, fit_host
from costmodel.calibrate.memory import CHAIN_CYCLES, measured_clock_hz
from costmodel.calibrate.operators import CalibrationError
from costmodel.calibrate.session import (
    Plan,
    measure_memory,
    measure_products,
    memory_points,
    memory_row,
    plan,
)
from costmodel.calibrate.table import Measurement, Table, write_table, write_text
from costmodel.device_file import device_text
from gatherline.progress import Progress, SilentProgress
from gatherline.report.staging import check_target

LEAST_MEMORY_BYTES = 1 << 30  # where the system does not say how much is free


@dataclass(frozen=True, slots=True, kw_only=True)
class CalibrationRequest:
    """What is asked. ``gpu_only``: leave the host's own products out, and fail where there is no GPU."""

    out: Path
    quick: bool = False
    threads: int = 1
    gpu_only: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        if self.out.suffix != ".csv":
            raise CalibrationError(f"out is {self.out}, and must end in .csv")
        if self.out.is_dir():
            raise CalibrationError(f"out is {self.out}, a folder, and must be a file")

    @property
    def device_path(self) -> Path:
        """Where the device goes: beside the table."""
        return self.out.with_suffix(".toml")


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """What came out: the table, the fit (None with ``gpu_only`` or when stopped), files, and what to tell the user."""

    table: Table
    fit: HostFit | None
    written: tuple[Path, ...]
    notes: tuple[str, ...]


class CalibrationStopped(KeyboardInterrupt):
    """Ctrl-C: the rows so far are in ``table``'s file, and no device was fitted."""

    def __init__(self, table: Path, rows: int) -> None:
        super().__init__()
        self.table, self.rows = table, rows


def calibrate(request: CalibrationRequest, progress: Progress | None = None) -> Calibration:
    """Measure, write the table, fit and write the device.

    Raises CalibrationError for what cannot be measured, OSError for files, CalibrationStopped on Ctrl-C, when the rows
    so far are written.
    """
    check_target(request.out.parent)
    without_gpu = no_gpu()
    if request.gpu_only and without_gpu:
        raise CalibrationError(without_gpu)
    host = read_host()
    available = _available_bytes()
    asked = plan(host, quick=request.quick, threads=request.threads, seed=request.seed, available_bytes=available)
    cases = [] if without_gpu else gpu_cases(quick=request.quick)
    refused: dict[str, str] = {}
    manifest = _manifest(request, host, asked)
    if not without_gpu:
        manifest["gpu"] = gpu_facts()
    shown = progress or SilentProgress()
    shown.start((0 if request.gpu_only else asked.steps) + len(cases), "calibrate")
    rows: list[Measurement] = []
    try:
        for title, found in _steps(request, asked):
            rows += found
            shown.step(title)
        for title, found in measure_gpu(cases, request.seed, refused) if cases else ():
            rows += found
            shown.step(title)
    except KeyboardInterrupt:
        if rows:
            _write(request, manifest, rows, refused, complete=False)
        raise CalibrationStopped(request.out, len(rows)) from None
    except CalibrationError:
        if rows:  # a GPU that failed half-way takes nothing with it
            _write(request, manifest, rows, refused, complete=False)
        raise
    finally:
        shown.stop()
    table = _write(request, manifest, rows, refused, complete=True)
    notes = [f"refused: {form}: {words}" for form, words in refused.items()]
    if without_gpu:
        notes.append(without_gpu)
    if request.gpu_only:
        return Calibration(table=table, fit=None, written=(request.out,), notes=tuple(notes))
    fit = fit_table(table, host, name=request.device_path.stem)
    comment = f"Written by simulate calibrate from {request.out.name}; takes --dtype fp32."
    write_text(request.device_path, device_text(fit.device, comment))
    return Calibration(table=table, fit=fit, written=(request.out, request.device_path), notes=(*fit.notes, *notes))


def fit_table(table: Table, host: Host, *, name: str) -> HostFit:
    """Return the device that a table of ``host`` shows. Raises CalibrationError where it holds too little."""
    facts = table.manifest
    return fit_host(
        host,
        memory_points(table.rows),
        [row for row in table.rows if row.family != "memory" and row.device == "cpu"],
        clock_hz=int(facts["clock_hz"]),
        threads=int(facts["threads"]),
        seed=int(facts["seed"]),
        name=name,
        date=str(facts["date"])[:10],
    )


def _steps(request: CalibrationRequest, asked: Plan) -> Iterator[tuple[str, list[Measurement]]]:
    if request.gpu_only:
        return
    for title, points in measure_memory(asked):
        yield title, [memory_row(point) for point in points]
    yield from measure_products(asked)


def _manifest(request: CalibrationRequest, host: Host, asked: Plan) -> dict[str, object]:
    facts: dict[str, object] = {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "host": host.manifest(),
        "quick": request.quick,
        "threads": request.threads,
        "seed": request.seed,
        "time": "median; thread's processor time on 1 thread, wall clock on more; CUDA events on a GPU",
    }
    if not request.gpu_only:
        facts |= _clock(host, asked)
    return facts


def _clock(host: Host, asked: Plan) -> dict[str, object]:
    """The clock that a dependent chain shows on x86-64, else what the system says."""
    if host.architecture in ("x86_64", "AMD64"):
        source = f"a chain of dependent multiplications and additions, {CHAIN_CYCLES} cycles each"
        return {"clock_hz": measured_clock_hz(asked.effort), "clock_source": source}
    if host.clock_hz:
        return {"clock_hz": host.clock_hz, "clock_source": "the system"}
    raise CalibrationError(f"clock: {host.architecture} has no chain of known cycles here, and the system states none")


def _write(
    request: CalibrationRequest,
    manifest: dict[str, object],
    rows: list[Measurement],
    refused: dict[str, str],
    *,
    complete: bool,
) -> Table:
    request.out.parent.mkdir(parents=True, exist_ok=True)
    table = Table(manifest={**manifest, "complete": complete, "refused": refused}, rows=tuple(rows))
    write_table(request.out, table)
    return table


def _available_bytes() -> int:
    """Return the memory that the system calls available."""
    try:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):
        return LEAST_MEMORY_BYTES
