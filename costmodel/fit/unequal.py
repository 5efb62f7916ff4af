"""How far a slower core holds up the faster ones that share an operator with it, from fitted devices alone.

One exponent, found on a grid: the one whose times of nets over cores of unequal designs are nearest to the measured
ones, each SoC weighing the same. 1: work is dealt out evenly and all wait for the slowest; towards 0: it goes where it
is done soonest. Leaves out: what an operating system does to threads while they run.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from costmodel.cpu_device import compose
from costmodel.cpu_file import Fitted, load_core, load_runtime, load_soc, named
from costmodel.devices.cpus import Listed, listed
from costmodel.fit.layout import Row
from costmodel.spec import RooflineDevice
from costmodel.validation.folder import Folder
from costmodel.validation.predict import Predictor, predict

GRID = tuple(round(0.1 * step, 1) for step in range(1, 11))  # DEVIATIONS row 30


def held_up(folder: Folder, fitted: Sequence[Fitted], rows: Sequence[Row], day: str) -> list[Fitted]:
    """Return the exponent under which the rows of ``rows`` over unequal designs are met best, [] where none is."""
    own = [row for row in rows if row.unequal]
    if not own:
        return []
    misses = {value: _miss(folder, [*fitted, _number(value, "a point of the grid")], own) for value in GRID}
    best = min(GRID, key=lambda value: (misses[value], value))
    socs = sorted({row.measured.key.soc for row in own})
    return [_number(best, f"fitted: python -m costmodel.fit, {day}, {len(own)} rows of {', '.join(socs)}")]


def _number(value: float, source: str) -> Fitted:
    return Fitted(runtime="", core="", dtype="", parameter="held_up", value=value, source=source)


def _miss(folder: Folder, fitted: Sequence[Fitted], rows: Sequence[Row]) -> float:
    """Return the median |log(predicted / measured)| of each SoC, their mean."""
    by_soc: dict[str, list[float]] = defaultdict(list)
    predictors: dict[Listed, Predictor] = {}
    for row in rows:
        entry = _entry(folder, row)
        if entry not in predictors:
            predictors[entry] = Predictor(device=_device(entry, fitted), folder=folder.path)
        predicted = predict(predictors[entry], row.measured).low_s
        by_soc[row.measured.key.soc].append(abs(float(np.log(predicted / row.measured.seconds))))
    return float(np.mean([np.median(errors) for errors in by_soc.values()]))


def _entry(folder: Folder, row: Row) -> Listed:
    key = row.measured.key
    names = {use.device for use in folder.devices if (use.soc, use.processor) == (key.soc, key.processor)}
    return next(entry for entry in listed() if entry.device in names and entry.runtime == row.runtime)


def _device(entry: Listed, fitted: Sequence[Fitted]) -> RooflineDevice:
    soc = load_soc(named("socs", entry.soc))
    cores = {part.core: load_core(named("cores", part.core)) for part in soc.clusters}
    return compose(entry.device, soc, cores, load_runtime(named("runtimes", entry.runtime)), fitted, entry.cluster)
