"""``simulate validate``: predictions beside published measurements, as rows and a manifest. DESIGN section 7.

A row for each device, key and kernel family; the points behind them go into files. Left out: fitting, and measuring.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path

from costmodel.devices.catalog import ALL_DEVICES
from costmodel.spec import RooflineDevice
from costmodel.spmv import VECTOR_FAMILIES
from costmodel.validation.bands import RULE, Band, stored_bands
from costmodel.validation.compare import Line, Point, Validation, validate
from costmodel.validation.exclusions import EXCLUSIONS
from costmodel.validation.floor import Floor
from costmodel.validation.folder import FOLDER, Folder, open_folder
from costmodel.validation.predict import SEED
from costmodel.validation.speedup import SpeedUp
from costmodel.validation.summary import summaries
from gatherline.digest import device_digest
from gatherline.progress import Progress, SilentProgress
from gatherline.report.files import report_json
from gatherline.report.validation_files import write_validation
from patterns.names import nearest
from simulator.spec import DeviceError

Row = dict[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class ValidationReport:
    """``rows``: errors by device, key and family; ``points``: every measurement beside its prediction."""

    manifest: dict[str, object]
    rows: list[Row]
    points: list[Row]
    speed_ups: list[Row]

    def to_json(self) -> str:
        """Return what ``--json`` prints: schema, manifest and rows."""
        return report_json(self.manifest, self.rows)

    def write(self, folder: str | Path) -> list[Path]:
        """Write tables and a scatter plot for each device, and return the files. Raises OSError."""
        return write_validation(Path(folder), self.manifest, self.rows, self.points, self.speed_ups)

    def __repr__(self) -> str:
        return f"ValidationReport({len(self.rows):,} rows, {len(self.points):,} points)"

    def _repr_html_(self) -> str:
        """Return what a notebook shows."""
        from gatherline.report.notebook import page
        from gatherline.report.validation_table import print_validation

        return page(lambda console: print_validation(self.rows, self.manifest, console))


def validation_report(
    devices: Sequence[str] = (),
    families: Sequence[str] = (),
    tables: Path | None = None,
    progress: Progress | None = None,
) -> ValidationReport:
    """Compare devices (all of them by default) with the measurements in ``tables`` (the repository's by default).

    Raises DeviceError for an unknown device, ValidationError for a table or a family that cannot be used, or where
    nothing that was measured is of these devices.
    """
    chosen = _devices(devices)
    folder = open_folder(tables or FOLDER)
    shown = progress or SilentProgress()
    shown.start(len(chosen), "validate")
    try:
        found = validate(folder, chosen, families, shown.step, whole=not devices)
    finally:
        shown.stop()
    return ValidationReport(
        manifest=_manifest(found, folder, chosen, narrowed=bool(devices), families=families),
        rows=[_row(line) for line in sorted(found.lines, key=lambda line: (line.device_kind, line.device))],
        points=point_rows(found),
        speed_ups=[_speed_up(ratio) for ratio in found.speed_ups],
    )


def _devices(names: Sequence[str]) -> list[RooflineDevice]:
    known = {device.name: device for device in ALL_DEVICES}
    for name in names:
        if name.endswith(".toml"):
            raise DeviceError(
                f"device {name!r} is a file, and published tables are of presets: a file is compared with a table of "
                f"simulate calibrate (--measured TABLE.csv)"
            )
        if name not in known:
            raise DeviceError(f"device {name!r} has no roofline to validate; {nearest(name, list(known))}")
    return [known[name] for name in dict.fromkeys(names or known)]


def _manifest(
    found: Validation, folder: Folder, devices: Sequence[RooflineDevice], *, narrowed: bool, families: Sequence[str]
) -> dict[str, object]:
    beside = {line.floor for line in found.lines}
    return {
        "version": version("gatherline"),
        "seed": SEED,
        "rows_read": found.rows,
        "rows_used": found.rows_used,
        "left_out": [
            {"rule": rule.name, "rows": found.left_out[rule.name], "reason": rule.reason} for rule in EXCLUSIONS
        ],
        "unpredicted": found.unpredicted,
        "narrowed": narrowed,
        "not_measured": [asdict(one) for one in found.unmeasured],
        "summary": [asdict(summary) for summary in summaries(found.points, found.lines)],
        "floors": [_floor(floor) for floor in found.floors if floor in beside or not narrowed],
        "bands": [
            {"device_kind": band.device_kind, "text": band.text}
            for band in stored_bands()
            if _carried(band, devices) and (not families or band.family in families)
        ],
        "band_rule": RULE,
        "speed_ups": _ratio_summary(found.speed_ups),
        "tables": {table.name: table.source for table in folder.tables.values()},
        "devices": {device.name: {"hash": device_digest(device), "summary": device.summary} for device in devices},
        "uses": [
            {"device": use.device, "soc": use.soc, "processor": use.processor, "use": use.use, "note": use.note}
            for use in folder.devices
            if use.device in {device.name for device in devices}
        ],
    }


def _carried(band: Band, devices: Iterable[RooflineDevice]) -> bool:
    """Whether rows of any of ``devices`` can carry ``band``: its kind, its type, and a kernel of its family."""
    for device in devices:
        families = {VECTOR_FAMILIES.get(kernel.name, kernel.encoding) for kernel in device.kernels}
        if band.device_kind == device.kind and band.dtype in device.dtypes and band.family in families:
            return True
    return False


def _row(line: Line) -> Row:
    errors, key, floor = line.errors, line.key, line.floor
    return {
        "device": line.device,
        "device_kind": line.device_kind,
        "use": line.use,
        "family": line.family,
        "soc": key.soc if key else None,
        "processor": key.processor if key else None,
        "threads": key.threads if key else None,
        "dtype": key.dtype if key else None,
        "runtime": key.runtime if key else None,
        "rows": errors.rows,
        "nets": errors.nets,
        "error_median": errors.median,
        "error_p90": errors.p90,
        "within_10": errors.within_10,
        "bias": errors.bias,
        "rank": errors.rank,
        "error_anchored": errors.anchored,
        "floor": floor.median if floor else None,
        "floor_of": None if floor is None else ("all silicon" if floor.key is None else "this silicon"),
    }


def _floor(floor: Floor) -> Row:
    key = floor.key
    return {
        "soc": key.soc if key else "all",
        "processor": key.processor if key else "all",
        "threads": key.threads if key else None,
        "dtype": key.dtype if key else None,
        "machines": floor.machines,
        "rows": floor.rows,
        "median": floor.median,
        "p90": floor.p90,
        "pair_median": floor.pair_median,
    }


def point_rows(found: Validation) -> list[Row]:
    """Return every measurement beside its prediction, in order."""
    return [_point(point) for point in found.points]


def _point(point: Point) -> Row:
    row = point.measured
    return {
        "device": point.device.name,
        "device_kind": point.device.kind,
        "use": point.use,
        "family": point.prediction.family,
        "soc": row.key.soc,
        "processor": row.key.processor,
        "threads": row.key.threads,
        "dtype": row.key.dtype,
        "runtime": row.key.runtime,
        "net": row.net,
        "model": row.model,
        "pattern": row.pattern,
        "density_low": row.density_low,
        "density_high": row.density_high,
        "batch": row.batch,
        "measured_s": row.seconds,
        "predicted_low_s": point.prediction.low_s,
        "predicted_high_s": point.prediction.high_s,
        "error": point.error,
        "table": row.table,
        "line": row.line,
        "machine": row.machine,
    }


def _speed_up(ratio: SpeedUp) -> Row:
    return {
        "device": ratio.device,
        "use": ratio.use,
        "runtime": ratio.key.runtime,
        "dtype": ratio.key.dtype,
        "threads": ratio.key.threads,
        "model": ratio.model,
        "pattern": ratio.pattern,
        "density_low": ratio.density_low,
        "density_high": ratio.density_high,
        "measured": ratio.measured,
        "predicted_low": ratio.predicted_low,
        "predicted_high": ratio.predicted_high,
        "error": ratio.error,
        "sign_right": ratio.sign_right,
    }


def _ratio_summary(ratios: Sequence[SpeedUp]) -> list[Row]:
    """Return count, median absolute error and share of right signs for each device."""
    found: list[Row] = []
    for name in dict.fromkeys(ratio.device for ratio in ratios):
        of_this = [ratio for ratio in ratios if ratio.device == name]
        off = sorted(abs(ratio.error) for ratio in of_this)
        middle = len(off) // 2
        found.append(
            {
                "device": name,
                "use": of_this[0].use,
                "ratios": len(of_this),
                "error_median": off[middle] if len(off) % 2 else (off[middle - 1] + off[middle]) / 2,
                "sign_right": sum(ratio.sign_right for ratio in of_this) / len(of_this),
            }
        )
    return found
