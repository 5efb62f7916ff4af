"""``python -m costmodel.fit server_gpu``: what libraries reach on server GPUs, from the products of DeepBench.

A library is fitted in each data type to the devices that ``validation/devices.csv`` marks "fit"; times are the model's
own (``costmodel.estimate``), so that no formula stands twice. Unknowns are logarithms, bounded to what is possible and
held weakly near where they start. Nothing belongs to a shape. A library that several devices were fitted with is also
fitted without each in turn, which is the error to expect of a device never seen. Writes
``costmodel/runtimes/server_gpu.csv``; runs in minutes; needs SciPy.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy.optimize import least_squares

from costmodel.cpu_file import Fitted
from costmodel.devices.server_gpus import SERVER_GPUS
from costmodel.estimate import dense_cost
from costmodel.fit.split import held_out
from costmodel.fit.table import write_fitted
from costmodel.server_gpu_kernels import FITTED, PARAMETERS
from costmodel.server_gpu_tiles import GpuTileKernel
from costmodel.spec import Dtype, Kernel, RooflineDevice
from costmodel.validation.exclusions import sift
from costmodel.validation.folder import Folder
from costmodel.validation.measurement import Measurement
from costmodel.validation.nets import layers_of
from costmodel.validation.readers import measurements
from traces.layer import MatrixLayer

GENERATIONS: Mapping[str, str] = {  # SoC: the library that DeepBench's sheets were taken with (deepbench_specs)
    "m40": "cuda-7.5",
    "titan-x": "cuda-7.5",
    "gtx-1080-ti": "cuda-8",
    "p100": "cuda-8",
    "titan-x-pascal": "cuda-8",
    "titan-xp": "cuda-8",
    "v100": "cuda-10.1",
}
START: Mapping[str, float] = {
    "efficiency": 0.9,
    "latency_threads": 0.4,
    "tile_loss": 0.1,
    "l2_share": 0.5,
    "memory_share": 0.8,
    "launch_s": 5e-6,
    "split_s": 5e-6,
}
RANGE: Mapping[str, tuple[float, float]] = {
    "efficiency": (0.5, 1.0),
    "latency_threads": (0.02, 4.0),
    "tile_loss": (0.003, 1.0),
    "l2_share": (0.15, 1.0),
    "memory_share": (0.3, 1.0),
    "launch_s": (1e-6, 1e-4),  # DeepBench's host time included (DEVIATIONS 24)
    "split_s": (1e-6, 3e-5),
}
ASSUMED: Mapping[tuple[str, Dtype], tuple[str, Dtype, str]] = {  # whose numbers stand in where no rows say anything
    ("cublas-10.1", "int8"): ("cublas-10.1", "fp16", "as its fp16: no row has int8 on tensor cores"),
    ("cublas-8.0.88", "fp16"): ("cublas-8.0.88", "fp32", "as its fp32: no row multiplies in fp16 on CUDA cores"),
}
HOLD, ROBUST = 0.3, 0.15  # inverse standard deviation of a logarithm; residuals beyond it count linearly
Vector = npt.NDArray[np.float64]
Key = tuple[str, str]  # data type ("" where all share it), parameter


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One measured product and the device and library that it ran on."""

    measured: Measurement
    device: RooflineDevice
    library: str
    dtype: Dtype
    layer: MatrixLayer


@dataclass(frozen=True, slots=True, kw_only=True)
class Solution:
    """The numbers of one library and the errors that they leave."""

    library: str
    numbers: Mapping[Key, float]
    errors: Vector


def split() -> frozenset[str]:
    """Return the GPUs held out: half of each generation, drawn with the seed of all fits."""
    return held_out(GENERATIONS)


def rows_of(folder: Folder) -> list[Row]:
    """Return the dense products of the GPUs that are marked "fit" and run one of DeepBench's libraries."""
    uses = {(use.soc, use.processor): use for use in folder.devices if use.use == "fit"}
    known = {device.name: device for device in SERVER_GPUS}
    found = []
    for measured in sift(measurements(folder), folder.path).kept:
        use = uses.get((measured.key.soc, measured.key.processor))
        device = known.get(use.device) if use is not None else None
        if device is None or measured.pattern != "dense" or not measured.table.startswith("deepbench"):
            continue
        layer = layers_of(measured.net, folder.path, measured.batch)[0]
        dtype = next((one for one in device.dtypes if one == measured.key.dtype), None)
        if dtype is None or not isinstance(layer, MatrixLayer) or measured.table == "deepbench_sparse_gemm":
            continue
        kernel = next(k for k in device.kernels if layer.kind in k.kinds and dtype in k.dtypes and not k.serves)
        found.append(Row(measured=measured, device=device, library=kernel.runtime, dtype=dtype, layer=layer))
    return found


def with_numbers(device: RooflineDevice, library: str, numbers: Mapping[Key, float]) -> RooflineDevice:
    """Return ``device`` with the numbers of ``library`` in its dense kernels."""
    return replace(device, kernels=tuple(_changed(kernel, library, numbers) for kernel in device.kernels))


def _changed(kernel: Kernel, library: str, numbers: Mapping[Key, float]) -> Kernel:
    if not isinstance(kernel, GpuTileKernel) or kernel.runtime != library:
        return kernel

    def value(name: str) -> float:
        dtype = kernel.dtypes[0]
        return numbers.get((dtype, name), numbers.get(("", name), float(getattr(kernel, name))))

    return replace(
        kernel,
        efficiency=value("efficiency"),
        latency_threads=value("latency_threads"),
        tile_loss=value("tile_loss"),
        l2_share=value("l2_share"),
        memory_share=value("memory_share"),
        launch_s=value("launch_s"),
        split_s=value("split_s"),
    )


def log_ratios(rows: Sequence[Row], library: str, numbers: Mapping[Key, float]) -> Vector:
    """Return log(predicted / measured) of ``rows`` under ``numbers``."""
    changed = {row.device.name: row.device for row in rows}
    changed = {name: with_numbers(device, library, numbers) for name, device in changed.items()}
    taken = [dense_cost(row.layer, changed[row.device.name], dtype=row.dtype).latency_s for row in rows]
    return np.log(taken) - np.log([row.measured.seconds for row in rows])


def solve(rows: Sequence[Row], library: str, evaluations: int) -> Solution:
    """Return the numbers of ``library`` under which ``rows`` are predicted best. Deterministic."""
    dtypes = sorted({row.dtype for row in rows})
    keys: list[Key] = [(dtype, name) for dtype in dtypes for name in PARAMETERS if not name.endswith("_s")]
    keys += [("", name) for name in PARAMETERS if name.endswith("_s")]
    start = np.log([START[name] for _, name in keys])

    def residuals(point: Vector) -> Vector:
        numbers = dict(zip(keys, np.exp(point), strict=True))
        return np.concatenate([log_ratios(rows, library, numbers), ROBUST * HOLD * (point - start)])

    bounds = np.log([RANGE[name] for _, name in keys]).T
    found = least_squares(
        residuals, start, bounds=bounds, loss="soft_l1", f_scale=ROBUST, diff_step=1e-2, max_nfev=evaluations
    )
    numbers = {key: float(np.exp(value)) for key, value in zip(keys, found.x, strict=True)}
    return Solution(library=library, numbers=numbers, errors=np.expm1(log_ratios(rows, library, numbers)))


def fitted_rows(solutions: Sequence[Solution], rows: Sequence[Row], day: str) -> list[Fitted]:
    """Return the numbers as rows of the table, those that stand in for others included."""
    found = []
    for solution in solutions:
        own = [row for row in rows if row.library == solution.library]
        for dtype in sorted({row.dtype for row in own}):
            of_type = [row for row in own if row.dtype == dtype]
            gpus = ", ".join(sorted({row.device.name for row in of_type}))
            source = f"fitted: python -m costmodel.fit server_gpu, {day}, {len(of_type)} rows of {gpus}"
            for name in PARAMETERS:
                value = solution.numbers.get((dtype, name), solution.numbers.get(("", name)))
                if value is None:
                    raise AssertionError(f"{name} of {solution.library} {dtype} was not fitted")
                found.append(_row(solution.library, dtype, name, value, source))
            macs = [row.layer.macs for row in of_type]
            found.append(_row(solution.library, dtype, "macs_least", min(macs), source))
            found.append(_row(solution.library, dtype, "macs_most", max(macs), source))
    for (library, dtype), (theirs, kind, why) in ASSUMED.items():
        found += [
            _row(library, dtype, row.parameter, row.value, f"assumed {why}")
            for row in list(found)
            if (row.runtime, row.dtype) == (theirs, kind)
        ]
    return found


def _row(library: str, dtype: str, name: str, value: float, source: str) -> Fitted:
    return Fitted(runtime=library, core="", dtype=dtype, parameter=name, value=value, source=source)


def _told(label: str, errors: Vector) -> str:
    size = np.abs(errors)
    return (
        f"{label:42s} {len(errors):4d} rows, median {np.median(size):6.1%}, 90 % within "
        f"{np.percentile(size, 90):6.1%}, bias {np.median(errors):+6.1%}"
    )


def left_out_errors(rows: Sequence[Row], library: str, evaluations: int) -> dict[str, Vector]:
    """Return the errors on each device of the numbers that the others of the same library give."""
    names = sorted({row.device.name for row in rows})
    found: dict[str, Vector] = {}
    for name in names if len(names) > 1 else []:
        seen = [row for row in rows if row.device.name != name]
        unseen = [row for row in rows if row.device.name == name and row.dtype in {other.dtype for other in seen}]
        numbers = solve(seen, library, evaluations).numbers
        found[name] = np.expm1(log_ratios(unseen, library, numbers))
    return found


def fit_server_gpu(folder: Folder, out: Path | None, evaluations: int, day: str) -> None:
    """Fit the libraries of server GPUs, predict each device that was fitted from the others, and write the numbers."""
    rows = rows_of(folder)
    solutions = []
    for library in sorted({row.library for row in rows}):
        own = [row for row in rows if row.library == library]
        solutions.append(solve(own, library, evaluations))
        for device, dtype in sorted({(row.device.name, row.dtype) for row in own}):
            at = [i for i, row in enumerate(own) if (row.device.name, row.dtype) == (device, dtype)]
            print(_told(f"{library} {device} {dtype}", solutions[-1].errors[at]), flush=True)
        for device, errors in left_out_errors(own, library, evaluations).items():
            print(_told(f"{library} without {device}, on it", errors), flush=True)
    write_fitted(out or FITTED, fitted_rows(solutions, rows, day))
