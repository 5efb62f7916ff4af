"""Which devices the pages of devices show, in which order, and how the pages name and link them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, get_args

from device_numbers import quantity

from costmodel.cpu_file import FOLDER, load_core, load_runtime, load_soc, named
from costmodel.devices.catalog import ALL_DEVICES
from costmodel.devices.cpus import listed
from costmodel.spec import DeviceKind, RooflineDevice
from simulator.devices.catalog import ALL_DEVICES as CYCLE_DEVICES
from simulator.spec import Device

PAGE, SOURCES = "devices.md", "device-sources.md"
KINDS: Mapping[str, str] = {
    "mobile_cpu": "Mobile and board CPUs",
    "cpu": "Desktop and server CPUs",
    "mobile_gpu": "Mobile GPUs",
    "server_gpu": "Server and edge GPUs",
    "fpga": "FPGAs",
    "accelerator": "Cycle-level accelerators",
}
ASSEMBLED = {entry.device: entry for entry in listed()}  # CPUs, whose numbers are those of core, SoC and runtime
Target = RooflineDevice | Device


def every_device() -> tuple[Target, ...]:
    return (*ALL_DEVICES, *CYCLE_DEVICES)


def by_kind() -> list[tuple[str, list[Target]]]:
    """Return the heading of each kind that has devices, and those."""
    every = every_device()
    kinds = (*get_args(DeviceKind), "accelerator")
    found = [(KINDS.get(kind, kind), [device for device in every if device.kind == kind]) for kind in kinds]
    return [(heading, devices) for heading, devices in found if devices]


def anchor(heading: str) -> str:
    """Return the fragment that a heading has on a page."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def link(name: str, page: str = "", heading: str = "") -> str:
    """Return a link to the section ``heading`` (``name`` by default) of ``page`` ("": the same one)."""
    return f"[{name}]({page}#{anchor(heading or name)})"


def processor(device: Target) -> str:
    """Return the units of a device in words."""
    if isinstance(device, Device):
        return f"{device.cores} x {device.gather.lanes} lanes x {device.vector}, {quantity('_hz', device.clock_hz)}"
    clusters: tuple[Any, ...] = device.units
    if device.name in ASSEMBLED:
        entry = ASSEMBLED[device.name]
        clusters = load_soc(named("socs", entry.soc)).clusters[entry.cluster :]
    return " + ".join(
        f"{part.count} x {getattr(part, 'core', 'unit')} {quantity('_hz', part.clock_hz)}" for part in clusters
    )


def files_of(folder: str) -> list[Any]:
    """Return all cores, SoCs or runtimes of CPUs, by file name."""
    load = {"cores": load_core, "socs": load_soc, "runtimes": load_runtime}[folder]
    return [load(path) for path in sorted((FOLDER / folder).glob("*.toml"))]
