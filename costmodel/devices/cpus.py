"""CPU devices: the pairs of SoC, first cluster and runtime in ``cpus.csv``. A new one is a line there."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from costmodel.cpu_device import cpu_device
from costmodel.cpu_file import table_lines
from costmodel.spec import RooflineDevice
from simulator.spec import DeviceError

TABLE = Path(__file__).with_name("cpus.csv")


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """One line: a device's name, the files that make it, and the cluster that its threads start on."""

    device: str
    soc: str
    cluster: int
    runtime: str


def listed(path: Path = TABLE) -> tuple[Listed, ...]:
    """Return the lines of the table. Raises DeviceError, naming the line, for one that cannot be used."""
    found = []
    with path.open(encoding="utf-8", newline="") as file:
        for line, row in table_lines(path, file, ["device", "soc", "cluster", "runtime"]):
            if not row["cluster"].isdecimal():
                raise DeviceError(f"{path}: line {line}: cluster is {row['cluster']!r}, and must be a number from 0")
            found.append(
                Listed(device=row["device"], soc=row["soc"], cluster=int(row["cluster"]), runtime=row["runtime"])
            )
    names = [entry.device for entry in found]
    for name in names:
        if names.count(name) > 1:
            raise DeviceError(f"{path}: device {name} stands there twice")
    return tuple(found)


def _device(entry: Listed) -> RooflineDevice:
    try:
        return cpu_device(entry.device, entry.soc, entry.runtime, entry.cluster)
    except DeviceError as error:
        raise DeviceError(f"{TABLE.name}: device {entry.device}: {error}") from None


CPU_DEVICES: tuple[RooflineDevice, ...] = tuple(_device(entry) for entry in listed())
SNAPDRAGON_855 = next(device for device in CPU_DEVICES if device.name == "snapdragon-855")
