"""What no roofline device can be: numbers that are not finite, parts of nothing, shares above all there is.

``device_file`` asks after it has built a device from a file, so that a model never divides by what a file says. Rules
of a single part stand with that part; those between parts are here. Left out: whether a number is plausible, but for
clocks and bandwidths in another unit (``costmodel.plausible``).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from typing import Any

from costmodel.measured import MeasuredKernel, check_terms
from costmodel.per_point import PerPoint
from costmodel.plausible import check_bandwidth, check_clock
from costmodel.spec import Kernel, RooflineDevice, RowKernel, TileKernel, numbers
from simulator.spec import DeviceError

AT_LEAST_ONE = frozenset({  # in a kernel: what a model divides by, or cuts a layer into
    "rows", "positions", "register_rows", "register_positions", "k_tile", "split_k", "kept", "outputs", "window_reuse",
    "row_block", "position_block", "sector_bytes", "smallest_block", "position_tile", "lanes",
})  # fmt: skip
SHARES = ("efficiency", "memory_share", "transform_efficiency", "dsp_share", "bram_share", "thread_loss")


def check_rules(device: RooflineDevice) -> None:
    """Raise DeviceError, naming the field, for the first number that no device can have."""
    _check_parts(device)
    found = [*numbers(device).items()]
    for kernel in device.kernels:  # by itself: kernels of several data types share a name
        found += _inside(f"kernels.{kernel.name}", kernel)
    for path, value in found:
        if not 0 <= value < float("inf"):
            raise DeviceError(f"{path} is {value}, and must be a finite number that is not negative")
        if path.endswith(SHARES) and value > 1:
            raise DeviceError(f"{path} is {value}, and must be at most 1")
    _check_pipes(device)
    for kernel in device.kernels:
        _check_kernel(kernel, device)


def _check_parts(device: RooflineDevice) -> None:
    """Raise DeviceError for a device without parts, for parts that do nothing, and for types that do not agree."""
    if not device.units or not device.matrix_macs_per_cycle or not device.kernels:
        raise DeviceError("units, matrix_macs_per_cycle and kernels must each have a member")
    positive = {f"units.{at}.{name}": getattr(unit, name) for at, unit in enumerate(device.units)
                for name in ("count", "clock_hz")}  # fmt: skip
    for level in device.levels:
        positive[f"levels.{level.name}.unit_bytes_per_s"] = level.unit_bytes_per_s
        positive[f"levels.{level.name}.total_bytes_per_s"] = level.total_bytes_per_s
        if level.bytes is not None:
            positive[f"levels.{level.name}.bytes"] = level.bytes
    for table in ("matrix_macs_per_cycle", "vector_macs_per_cycle"):
        positive |= {f"{table}.{dtype}": rate for dtype, rate in getattr(device, table)}
    for kernel in device.kernels:
        missing = [dtype for dtype in kernel.dtypes if dtype not in device.dtypes]
        if missing:
            raise DeviceError(
                f"kernels.{kernel.name}.dtypes has {missing[0]}, and matrix_macs_per_cycle has none for it"
            )
        if isinstance(kernel, MeasuredKernel):
            check_terms(kernel, device.levels)
    positive["vector_efficiency"] = device.vector_efficiency
    for name, value in positive.items():
        if not 0 < value < float("inf"):
            raise DeviceError(f"{name} is {value}, and must be above 0")
        if name.endswith("clock_hz"):
            check_clock(name, value)
        if name.endswith("bytes_per_s"):
            check_bandwidth(name, value)
    if {dtype for dtype, _ in device.vector_macs_per_cycle} != set(device.dtypes):
        raise DeviceError("vector_macs_per_cycle and matrix_macs_per_cycle must have the same data types")


def _check_pipes(device: RooflineDevice) -> None:
    if device.pipes is not None:
        for name in ("vector_bytes", "loads_per_cycle", "instructions_per_cycle"):
            if not getattr(device.pipes, name):
                raise DeviceError(f"pipes.{name} is 0, and must be above 0")
    for at, unit in enumerate(device.units):
        if unit.relative_rate == 0:
            raise DeviceError(f"units.{at}.relative_rate is 0, and must be above 0")


def _check_kernel(kernel: Kernel, device: RooflineDevice) -> None:
    where = f"kernels.{kernel.name}"
    for path, value in _inside(where, kernel):
        name = next(part for part in reversed(path.split(".")) if not part.isdecimal())
        if value < 1 and name in AT_LEAST_ONE:
            raise DeviceError(f"{path} is {value}, and must be at least 1")
    if isinstance(kernel, TileKernel) and not kernel.tiles:
        raise DeviceError(f"{where}.tiles is empty, and must have a member")
    kept, of = getattr(kernel, "kept", (1, 1))  # of every kind of N:M kernel
    if kept > of:
        raise DeviceError(f"{where}.kept is {kept} of {of}, and must keep at most all")
    if isinstance(kernel, RowKernel):
        most = len(device.levels) - 1
        if kernel.gather_level is not None and kernel.gather_level > most:
            raise DeviceError(f"{where}.gather_level is {kernel.gather_level}, and levels are 0 to {most}")
        if device.pipes is None:
            raise DeviceError(f"{where} counts instructions, and the device has no pipes")


def _inside(path: str, value: Any) -> Iterator[tuple[str, float]]:
    """Yield every number in a part, by its path."""
    if isinstance(value, int | float | PerPoint) and not isinstance(value, bool):
        yield path, value  # type: ignore[misc]
    elif is_dataclass(value):
        for part in fields(value):
            yield from _inside(f"{path}.{part.name}", getattr(value, part.name))
    elif isinstance(value, tuple):
        for at, part in enumerate(value):
            yield from _inside(f"{path}.{at}", part)
