"""The fit of mobile GPUs as data: which GPUs are fitted, the rows of ``gpu_runtimes/fitted.csv``, and a cross-check.

GPUs are split by the design (a GPU in one SoC), within its family, with the seed of the CPUs' split; the Adreno 640 was
in view before and is fitted by rule. The cross-check leaves out one fitted GPU at a time and predicts it: it is how the
structure of the fit was chosen, without the devices held out.
"""

from __future__ import annotations

from collections.abc import Sequence

from costmodel.cpu_file import Fitted, named
from costmodel.devices.mobile_gpus import listed_gpus
from costmodel.fit.mobile_gpu_parts import GpuRow
from costmodel.fit.mobile_gpu_solve import BY_DTYPE, BY_RUNTIME, START, GpuSolution, mean_of, predictions, solve_gpus
from costmodel.fit.split import held_out
from costmodel.gpu_file import load_gpu
from costmodel.validation.folder import Folder
from costmodel.validation.metrics import Errors, errors

IN_VIEW = frozenset({"adreno-640"})
SAME = {"adreno-640-plus": "adreno-640"}  # one design at two clocks
VECTOR = 0.5
STILL = 0.005  # a number that moved less was never asked for


def gpus_held_out(folder: Folder) -> frozenset[str]:
    """Return the GPU files that no number may be fitted to, of those that anything was measured on."""
    measured = {line.device for line in folder.devices}
    gpus = {entry.gpu for entry in listed_gpus() if entry.device in measured}
    drawn = held_out({SAME.get(gpu, gpu): load_gpu(named("gpus", gpu)).family for gpu in gpus}, in_view=IN_VIEW)
    return frozenset(gpu for gpu in gpus if SAME.get(gpu, gpu) in drawn)


def fitted_gpu_rows(rows: Sequence[GpuRow], solution: GpuSolution, day: str) -> list[Fitted]:
    """Return every number: fitted ones, 32-bit ones as the 16-bit ones where only those have rows, and the means."""
    found: list[Fitted] = []
    for (runtime, family, dtype, name), value in solution.numbers.items():
        own = [
            row
            for row in rows
            if runtime in ("", row.runtime) and family in ("", row.family) and dtype in ("", row.measured.key.dtype)
        ]
        gpus = ", ".join(sorted({row.gpu for row in own}))
        source = f"fitted: python -m costmodel.fit mobile_gpu, {day}, {len(own)} rows of {gpus}"
        if abs(value / (1.0 if family else START[name]) - 1) < STILL:
            source = f"assumed: where the fit starts; {len(own)} rows of {gpus} do not move it"
        found.append(_number(runtime, family, dtype, name, value, source))
        if dtype == "fp16" and (runtime, "", "fp32", name) not in solution.numbers:
            found.append(_number(runtime, "", "fp32", name, value, "assumed: as fitted for fp16"))
    runtimes = ", ".join(sorted({row.runtime for row in rows}))
    source = f"assumed: geometric mean of the fits of {runtimes}, {day}"
    for name in BY_RUNTIME:
        found.append(_number("", "", "", name, mean_of(solution.numbers, name, ""), source))
    for name in BY_DTYPE:
        found += [
            _number("", "", dtype, name, mean_of(solution.numbers, name, dtype), source) for dtype in ("fp16", "fp32")
        ]
    return [*found, _number("", "", "", "vector", VECTOR, "assumed: half of the rate")]


def _number(runtime: str, family: str, dtype: str, name: str, value: float, source: str) -> Fitted:
    return Fitted(runtime=runtime, core=family, dtype=dtype, parameter=name, value=value, source=source)


def cross_check(rows: Sequence[GpuRow], evaluations: int = 15) -> list[tuple[str, Errors]]:
    """Predict each fitted GPU by a fit of the others, under runtimes that another GPU has rows of."""
    found = []
    for gpu in sorted({row.gpu for row in rows}):
        others = [row for row in rows if row.gpu != gpu]
        known = {row.runtime for row in others}
        numbers = solve_gpus(others, evaluations).numbers
        for device in sorted({row.device for row in rows if row.gpu == gpu and row.runtime in known}):
            own = [row for row in rows if row.device == device]
            predicted = [float(value) for value in predictions(own, numbers)]
            measured = [row.measured.seconds for row in own]
            found.append((device, errors(predicted, measured, [row.measured.net for row in own])))
    return found
