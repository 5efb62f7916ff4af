"""Prices the rows of a finished run by another technology: the counts are in the rows, nothing is simulated."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from costmodel.energy import assumed_parts, not_priced
from costmodel.tables.catalog import technology_named
from costmodel.technology import Technology
from gatherline.digest import device_digest
from gatherline.energy_columns import PRICED, priced
from gatherline.pipeline_types import Report
from gatherline.report_file import Written, read_report
from gatherline.request import RequestError, Target, device_named, with_dtype
from gatherline.run_masks import masks_of
from simulator.spec import Device, DeviceError


def energy_report(folder: Path, technology_name: str, device_files: tuple[str, ...] = ()) -> Report:
    """Return the report in ``folder`` with its energy columns priced anew, all other columns as they are.

    ``device_files``: the .toml files of devices that are no presets. Raises RequestError, DeviceError, TechnologyError
    and OSError.
    """
    technology = technology_named(technology_name)
    written = read_report(folder)
    given = {device.name: device for device in map(device_named, device_files)}
    devices = {name: _device(name, given, written) for name in written.dtypes}
    again = [
        _row(f"{written.path}: rows[{at}]", row, devices[row["device"]], technology)
        for at, row in enumerate(written.rows)
    ]
    assumed = {
        name: assumed_parts(device, technology)
        for name, device in devices.items()
        if isinstance(device, Device) and not not_priced(device, technology)
    }
    told = {**written.manifest, "technology": technology.name, "energy_assumed": assumed}
    return Report(manifest=told, rows=again, masks=masks_of(folder, written).samples)


def _device(name: str, given: Mapping[str, Target], written: Written) -> Target:
    """Return the device that a report names, after its digest was compared."""
    if name.endswith(".toml") and name not in given:  # a report names no files for us to open
        raise RequestError(f"{written.path}: device is {name!r:.100}, and must be a name; --device names a file")
    try:
        device = with_dtype(given[name] if name in given else device_named(name), written.dtypes[name])
    except DeviceError as error:
        raise RequestError(f"{written.path}: {error}") from None
    if written.hashes.get(name) != device_digest(device):
        raise RequestError(
            f"{written.path}: device {name} is not the one of the run: its hash is another; --device names a file"
        )
    return device


def _row(where: str, row: dict[str, Any], device: Target, technology: Technology) -> dict[str, object]:
    kind = "cycle" if isinstance(device, Device) else "roofline"
    if row["model_kind"] != kind:
        raise RequestError(
            f"{where}: model_kind is {row['model_kind']!r}, and must be {kind}: device {row['device']} is of that kind"
        )
    if kind == "roofline":
        return {**row, **priced({}, device, technology)}
    for name in PRICED:
        if row.get(name) is None:
            raise RequestError(f"{where}: {name} of layer {row['layer']} is None, and must be a count")
    return {**row, **priced({name: row[name] for name in PRICED}, device, technology)}
