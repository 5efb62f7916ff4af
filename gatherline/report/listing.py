"""What ``simulate list`` shows: the members of each explicit tuple, a line about each, and where it comes from.

Devices have thousands of numbers: their table stands alone, and ``one_device`` shows fields and sources of one of them.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from costmodel.spec import RooflineDevice
    from simulator.spec import Device

Entry = tuple[str, ...]
SHOWN_RUNTIMES = 2  # a server GPU's kernels come from many libraries


@dataclass(frozen=True, slots=True, kw_only=True)
class Catalog:
    """A table, fields of a device, paragraphs (a title and its (field, source) pairs), and lines at the end."""

    header: Entry
    entries: tuple[Entry, ...]
    fields: tuple[Entry, ...] = ()
    sources: tuple[tuple[str, Mapping[str, str]], ...] = ()
    notes: tuple[str, ...] = ()


def catalog(what: str) -> Catalog:
    """Return the catalog of "devices", "patterns", "encodings", "models" or "technologies". Raises KeyError."""
    catalogs = {"devices": _devices, "patterns": _patterns, "encodings": _encodings, "models": _models}
    return {**catalogs, "technologies": _technologies}[what]()


def one_device(name: str) -> Catalog:
    """Return the line of one device, a preset or a TOML file, its fields and their sources. Raises DeviceError."""
    from gatherline.device_fields import device_fields
    from gatherline.request import device_named

    device = device_named(name)
    return Catalog(
        header=DEVICE_HEADER,
        entries=(_device_entry(device, _measured()),),
        fields=tuple((field.path, _value(field.value), field.unit) for field in device_fields(device).values()),
        sources=((device.name, device.sources),),
    )


def _value(value: object) -> str:
    """Return a field's value as a device file spells it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return "not set" if value is None else str(value)


DEVICE_HEADER = ("device", "kind", "model", "runtime", "measured", "what")


def _devices() -> Catalog:
    from costmodel.devices import catalog as estimated
    from simulator.devices import catalog as simulated

    measured = _measured()
    every: tuple[Device | RooflineDevice, ...] = (*simulated.ALL_DEVICES, *estimated.ALL_DEVICES)
    notes = (
        "measured: rows in validation/; fitted: its numbers were chosen with them in view; held out: they were not.",
        "The fields of a device and their sources: simulate list devices DEVICE (a name, or a .toml file).",
    )
    return Catalog(
        header=DEVICE_HEADER, entries=tuple(_device_entry(device, measured) for device in every), notes=notes
    )


def _device_entry(device: Device | RooflineDevice, measured: Mapping[str, str]) -> Entry:
    from costmodel.spec import RooflineDevice

    if not isinstance(device, RooflineDevice):
        return (device.name, device.kind, "cycle", "", measured.get(device.name, ""), device.summary)
    runtimes = list(dict.fromkeys(kernel.runtime for kernel in device.kernels))
    more = [f"{len(runtimes) - SHOWN_RUNTIMES} more"] if len(runtimes) > SHOWN_RUNTIMES else []
    runtime = ", ".join([*runtimes[:SHOWN_RUNTIMES], *more])
    return (device.name, device.kind, "roofline", runtime, measured.get(device.name, ""), device.summary)


def _measured() -> dict[str, str]:
    """Return "fitted, N rows" or "held out, N rows" by device; nothing where the tables are not there.

    Rows are those that stand for the device, before a kernel or a net is found for them.
    """
    from collections import Counter

    from costmodel.validation import folder as tables
    from costmodel.validation.exclusions import sift
    from costmodel.validation.measurement import ValidationError
    from costmodel.validation.readers import measurements

    try:
        folder = tables.open_folder(tables.FOLDER)
        kept = sift(measurements(folder), folder.path).kept
    except ValidationError:
        return {}
    rows = Counter((row.key.soc, row.key.processor, row.key.runtime) for row in kept)
    found: dict[str, int] = {}
    for use in folder.devices:
        found[use.device] = found.get(use.device, 0) + sum(
            count
            for (soc, processor, runtime), count in rows.items()
            if (soc, processor) == (use.soc, use.processor) and (not use.runtimes or runtime in use.runtimes)
        )
    words = {use.device: "fitted" if use.use == "fit" else "held out" for use in folder.devices}
    return {name: f"{words[name]}, {count} rows" for name, count in found.items() if count}


def _patterns() -> Catalog:
    from patterns.catalog import ALL_PATTERNS

    entries = tuple((each.syntax, each.example, each.summary, each.source) for each in ALL_PATTERNS)
    return Catalog(header=("pattern", "as in", "rule", "source"), entries=entries)


def _encodings() -> Catalog:
    from patterns.encodings.catalog import ALL_ENCODINGS

    entries = tuple((each.name, *_module_says(each)) for each in ALL_ENCODINGS)
    return Catalog(header=("encoding", "what", "source"), entries=entries)


def _models() -> Catalog:
    from gatherline.loading import EMBEDDED
    from traces.workloads.catalog import ALL_PROFILES, ALL_WORKLOADS

    embedded = [(name, what, source) for name, (_, what, source) in EMBEDDED.items()]
    networks = [(each.name, each.summary, each.source) for each in ALL_WORKLOADS]
    profiles = [(each.name, each.summary, each.source) for each in ALL_PROFILES]
    entries = (*embedded, *networks, *profiles)
    return Catalog(header=("model", "what", "source"), entries=entries)


def _technologies() -> Catalog:
    from costmodel.tables.catalog import ALL_TECHNOLOGIES

    entries = tuple((each.name, each.summary) for each in ALL_TECHNOLOGIES)
    sources = tuple((each.name, each.sources()) for each in ALL_TECHNOLOGIES)
    return Catalog(header=("technology", "what"), entries=entries, sources=sources)


def _module_says(member: object) -> tuple[str, str]:
    """Return the first line of the docstring of the module that defines ``member``, and the source that ends it."""
    line = (sys.modules[type(member).__module__].__doc__ or "").split("\n")[0]
    what, found, where = line.rpartition(" DESIGN section")
    return (what, f"DESIGN section{where.rstrip('.')}") if found else (line, "")
