"""Mobile GPU devices: the pairs of GPU and runtime in ``mobile_gpus.csv``. A new one is a line there."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

from costmodel.gpu_device import gpu_device
from costmodel.spec import RooflineDevice
from simulator.spec import DeviceError

TABLE = Path(__file__).with_name("mobile_gpus.csv")


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedGpu:
    """One line: a device's name and the files that make it."""

    device: str
    gpu: str
    runtime: str


def listed_gpus(path: Path = TABLE) -> tuple[ListedGpu, ...]:
    """Return the lines of the table. Raises DeviceError, naming the line, for one that cannot be used."""
    found: dict[str, ListedGpu] = {}
    with path.open(encoding="utf-8", newline="") as file:
        for line, row in enumerate(csv.DictReader(file), start=2):
            if None in row.values() or not all(row.get(name) for name in ("device", "gpu", "runtime")):
                raise DeviceError(f"{path}: line {line}: must name device, gpu and runtime")
            if row["device"] in found:
                raise DeviceError(f"{path}: line {line}: device {row['device']} stands there twice")
            found[row["device"]] = ListedGpu(device=row["device"], gpu=row["gpu"], runtime=row["runtime"])
    return tuple(found.values())


MOBILE_GPUS: tuple[RooflineDevice, ...] = tuple(
    gpu_device(entry.device, entry.gpu, entry.runtime) for entry in listed_gpus()
)
ADRENO_640 = next(device for device in MOBILE_GPUS if device.name == "adreno-640")
