"""The share that sparse kernels reach, from sparse rows of fitted devices alone.

One number for each runtime, found on a grid: the one whose sparse times, and speed-ups over dense where the same
machine ran both, are nearest to the measured ones, each within its stated interval of sparsity.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from costmodel.cpu_device import compose
from costmodel.cpu_file import Fitted, load_core, load_runtime, load_soc, named
from costmodel.devices.cpus import Listed, listed
from costmodel.spec import RooflineDevice
from costmodel.validation.exclusions import sift
from costmodel.validation.folder import DeviceUse, Folder, Use
from costmodel.validation.measurement import Measurement
from costmodel.validation.predict import Predictor, obstacle, predict
from costmodel.validation.readers import measurements
from costmodel.validation.speedup import speed_ups

_FIT: Use = "fit"
GRID = tuple(round(0.2 + 0.05 * step, 3) for step in range(17))  # 0.2 to 1


def sparse_shares(folder: Folder, fitted: Sequence[Fitted], day: str) -> list[Fitted]:
    """Return the share of each runtime that has speed-ups on a fitted device."""
    sparse = {entry.runtime for entry in _sparse_runtimes()}
    rows = sift(measurements(folder), folder.path).kept
    errors: dict[str, dict[float, list[float]]] = defaultdict(lambda: defaultdict(list))
    socs: dict[str, set[str]] = defaultdict(set)
    for entry in listed():
        uses = [line for line in folder.devices if line.device == entry.device and line.use == "fit"]
        own = [row for row in rows for use in uses if entry.runtime in sparse and _of(row, use)]
        pruned = {row.net for row in own if row.pattern != "dense"}
        paired = [row for row in own if row.net in pruned]
        for share in GRID if pruned else ():
            errors[entry.runtime][share] += _errors(folder, device_with(entry, fitted, share), paired)
            socs[entry.runtime].update(row.key.soc for row in paired)
    result = []
    for runtime, shares in errors.items():
        best = min(shares, key=lambda share: (float(np.mean(shares[share])), share))
        count = len(shares[best])
        source = f"fitted: python -m costmodel.fit, {day}, {count} sparse times and speed-ups of "
        source += ", ".join(sorted(socs[runtime]))
        result.append(Fitted(runtime=runtime, core="", dtype="", parameter="spmm", value=best, source=source))
    if result:
        mean = float(np.exp(np.mean([np.log(row.value) for row in result])))
        source = f"assumed: geometric mean of the fits of {', '.join(sorted(errors))}, {day}"
        result.append(Fitted(runtime="", core="", dtype="", parameter="spmm", value=mean, source=source))
    return result


def _of(row: Measurement, use: DeviceUse) -> bool:
    return (row.key.soc, row.key.processor) == (use.soc, use.processor) and row.key.runtime in use.runtimes


def _errors(folder: Folder, device: RooflineDevice, rows: Sequence[Measurement]) -> list[float]:
    """Return |log(predicted / measured)| of each sparse time and each speed-up that ``rows`` hold."""
    predictor = Predictor(device=device, folder=folder.path)
    points = [(device.name, _FIT, row, predict(predictor, row)) for row in rows if not obstacle(predictor, row)]
    times = [(found.nearest_s(row.seconds), row.seconds) for _, _, row, found in points if row.pattern != "dense"]
    ratios = [(found.predicted, found.measured) for found in speed_ups(points)]
    return [abs(float(np.log(predicted / measured))) for predicted, measured in (*times, *ratios)]


def _sparse_runtimes() -> list[Listed]:
    return [
        entry
        for entry in listed()
        if any(kernel["family"] == "row" for kernel in load_runtime(named("runtimes", entry.runtime)).kernels)
    ]


def device_with(entry: Listed, fitted: Sequence[Fitted], share: float) -> RooflineDevice:
    """Return the device of ``entry`` under ``fitted``, its sparse kernels at ``share``."""
    soc = load_soc(named("socs", entry.soc))
    cores = {part.core: load_core(named("cores", part.core)) for part in soc.clusters}
    own = Fitted(runtime=entry.runtime, core="", dtype="", parameter="spmm", value=share, source="a point of the grid")
    rest = [row for row in fitted if row.parameter != "spmm"]
    return compose(
        entry.device, soc, cores, load_runtime(named("runtimes", entry.runtime)), [*rest, own], entry.cluster
    )
