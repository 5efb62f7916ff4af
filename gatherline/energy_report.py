"""Prices the rows of a finished run by another technology: the counts are in the rows, nothing is simulated."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from costmodel.energy import assumed_parts, not_priced
from costmodel.tables.catalog import technology_named
from gatherline.digest import device_digest
from gatherline.energy_columns import PRICED, priced
from gatherline.pipeline_types import Report
from gatherline.request import RequestError, Target, device_named, with_dtype
from simulator.spec import Device


def energy_report(folder: Path, technology_name: str, device_files: tuple[str, ...] = ()) -> Report:
    """Return the report in ``folder`` with its energy columns priced anew, all other columns as they are.

    ``device_files``: the .toml files of devices that are no presets. Raises RequestError, DeviceError, TechnologyError
    and OSError.
    """
    technology = technology_named(technology_name)
    path = folder / "report.json"
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        manifest, rows = found["manifest"], found["rows"]
        dtypes = {row["device"]: row["dtype"] for row in rows}
    except (ValueError, KeyError, TypeError) as error:
        raise RequestError(f"{path}: not a report that simulate run wrote: {error!r}") from None
    given = {device.name: device for device in map(device_named, device_files)}
    devices = {name: _device(name, str(dtype), given, manifest, path) for name, dtype in dtypes.items()}
    again = [_row(row, devices[row["device"]], technology, path) for row in rows]
    assumed = {
        name: assumed_parts(device, technology)
        for name, device in devices.items()
        if isinstance(device, Device) and not not_priced(device, technology)
    }
    return Report(manifest={**manifest, "technology": technology.name, "energy_assumed": assumed}, rows=again)


def _device(name: str, dtype: str, given: Mapping[str, Target], manifest: dict[str, Any], path: Path) -> Target:
    """Return the device that a report names, after its digest was compared."""
    device = with_dtype(given[name] if name in given else device_named(name), dtype)
    was = manifest.get("devices", {}).get(name, {}).get("hash")
    if was != device_digest(device):
        raise RequestError(
            f"{path}: device {name} is not the one of the run: its hash is another; --device names a file"
        )
    return device


def _row(row: dict[str, Any], device: Target, technology: Any, path: Path) -> dict[str, object]:
    if row["model_kind"] != "cycle":
        return {**row, **priced({}, device, technology)}
    missing = [name for name in PRICED if type(row.get(name)) is not int or row[name] < 0]
    if missing:
        raise RequestError(
            f"{path}: {missing[0]} of layer {row.get('layer')} is {row.get(missing[0])!r}, and must be a count"
        )
    return {**row, **priced({name: row[name] for name in PRICED}, device, technology)}
