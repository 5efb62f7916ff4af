"""``simulate validate --measured``: devices beside a table that ``simulate calibrate`` wrote, on this host or a GPU.

A row for each device, kernel and data type of the table; beside it the error on matrices that no fit saw, where the
device states one, since the table may be the one that the device was fitted on. Left out: bands, which come from
published tables alone; which rows of the table the fit saw, since a device file states their number alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from costmodel.calibrate.compare import FamilyErrors, compare
from costmodel.calibrate.operators import CalibrationError
from costmodel.calibrate.table import read_table
from costmodel.measured import MeasuredKernel
from costmodel.spec import RooflineDevice
from gatherline.digest import device_digest
from gatherline.report.files import report_json
from gatherline.request import device_named
from simulator.spec import DeviceError

Row = dict[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasuredReport:
    """``rows``: errors by device, kernel and data type; ``manifest``: that of the table, and whose devices."""

    manifest: dict[str, object]
    rows: list[Row]

    def to_json(self) -> str:
        """Return what ``--json`` prints: schema, manifest and rows."""
        return report_json(self.manifest, self.rows)


def measured_report(table: Path, devices: Sequence[str]) -> MeasuredReport:
    """Compare ``devices`` (presets or TOML files) with every product of the table that is of their kind of processor.

    Raises DeviceError for no device, or one that is no roofline; CalibrationError for a table that cannot be used.
    """
    if not devices:
        raise DeviceError("device is missing, and --measured needs one: which model stands for what was measured")
    chosen = [_roofline(name) for name in dict.fromkeys(devices)]
    found = read_table(table)
    rows: list[Row] = []
    for device in chosen:
        try:
            rows += [_row(device, line) for line in compare(found, device)]
        except CalibrationError as error:
            raise CalibrationError(f"{table}: {error}") from None
    return MeasuredReport(
        manifest={
            "version": version("gatherline"),
            "table": table.name,
            "measured": dict(found.manifest),
            "devices": {device.name: {"hash": device_digest(device), "summary": device.summary} for device in chosen},
        },
        rows=rows,
    )


def _roofline(name: str) -> RooflineDevice:
    device = device_named(name)
    if not isinstance(device, RooflineDevice):
        raise DeviceError(f"device {device.name} is a cycle-level machine, and has no roofline to validate")
    return device


def _row(device: RooflineDevice, line: FamilyErrors) -> Row:
    found = line.found
    kernels = (kernel for kernel in device.kernels if isinstance(kernel, MeasuredKernel))
    fitted = next((kernel for kernel in kernels if kernel.name == line.kernel), None)
    return {
        "device": device.name,
        "family": line.family,
        "kernel": line.kernel,
        "dtype": line.dtype,
        "rows": line.rows,
        "predicted": line.rows - line.unpredicted,
        "error_median": found.median if found else None,
        "error_p90": found.p90 if found else None,
        "within_10": found.within_tenth if found else None,
        "bias": found.bias if found else None,
        "spread": found.spread if found else None,
        "held_out_median": fitted.median_error if fitted else None,
        "held_out_p90": fitted.p90_error if fitted else None,
        "fitted_on": device.sources.get(f"kernels.{fitted.name}") if fitted else None,
        "reason": line.reason,
    }
