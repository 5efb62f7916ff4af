"""From a table to a device: this host, its levels as measured, its kernels as fitted.

Leaves out: hybrid processors (all cores are taken as the first), frequency scaling, other data types than fp32, and a
measurement of depthwise convolutions and element-wise operators, whose numbers say "assumed".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import ceil, exp, log

from costmodel.calibrate.fit import FittedKernel, fit_kernel
from costmodel.calibrate.host import Host, vector_lanes
from costmodel.calibrate.memory import Bandwidth, Plateau, level_bandwidth, plateaus
from costmodel.calibrate.operators import CalibrationError
from costmodel.calibrate.table import Measurement
from costmodel.spec import DepthwiseKernel, Kernel, MemoryLevel, Pipes, RooflineDevice, Units

_OWN_FIRST = ("bsr", "gs", "n_of_m", "csr", "bitmap", "run_length", "ell")  # a pattern's own encoding, then any mask's
_KEPT_SHARE = 0.5  # assumed: a last cache whose knee shows at under half of its size is shared with other tenants


@dataclass(frozen=True, slots=True, kw_only=True)
class HostFit:
    """The device, each kernel's fit, the levels that reads showed, and what could not be fitted, with the reason."""

    device: RooflineDevice
    kernels: tuple[FittedKernel, ...]
    plateaus: tuple[Plateau, ...]
    notes: tuple[str, ...]


def host_levels(host: Host, points: Sequence[Bandwidth], threads: int) -> tuple[tuple[MemoryLevel, ...], list[str]]:
    """Return the memory levels: sizes as the system states them, bandwidth as reads show it, and notes."""
    single = [point for point in points if point.kernel == "memory-read" and point.threads == 1]
    if len(single) < 2:
        raise CalibrationError(f"memory: {len(single)} footprints were read, and a device needs 2 or more")
    together = [point for point in points if point.kernel == "memory-read" and point.threads == threads > 1]
    shown, notes = plateaus(single), []
    sizes = [cache.bytes for cache in host.caches if cache.bytes < single[-1].footprint_bytes]
    shared = [cache.shared_by for cache in host.caches if cache.bytes < single[-1].footprint_bytes]
    if not host.caches:
        sizes = [level.bytes for level in shown if level.bytes is not None]
        shared = [1] * len(sizes)
        notes.append("the system states no caches: levels end where reads slow down")
    elif len(sizes) < len(host.caches):
        stated = host.caches[-1]
        knee = shown[-2].bytes if len(shown) > 1 else None
        if knee is not None and (not sizes or knee > 2 * sizes[-1]) and knee < _KEPT_SHARE * stated.bytes:
            notes.append(
                f"the system states {stated.bytes} bytes of level-{stated.level} cache, and reads slow down past "
                f"{knee}: the device has {knee}"
            )
            sizes.append(knee)
            shared.append(stated.shared_by)
        else:
            notes.append(
                f"level-{stated.level} cache: {stated.bytes} bytes are more than what was read, and no knee shows "
                f"inside: the device's main memory is this cache"
            )
    edges = [0, *sizes, single[-1].footprint_bytes]
    names = [f"l{at + 1}" for at in range(len(sizes))] + ["dram"]
    levels = []
    for at, name in enumerate(names):
        unit = level_bandwidth(single, edges[at], edges[at + 1])
        every = level_bandwidth(together, edges[at], edges[at + 1]) if together else unit
        levels.append(
            MemoryLevel(
                name=name,
                bytes=sizes[at] if at < len(sizes) else None,
                unit_bytes_per_s=unit,
                total_bytes_per_s=max(unit, every),
            )
        )
    return tuple(levels), notes


def fit_host(
    host: Host,
    points: Sequence[Bandwidth],
    rows: Sequence[Measurement],
    *,
    clock_hz: int,
    threads: int,
    seed: int,
    name: str,
    date: str,
) -> HostFit:
    """Return the device that the measurements show. Raises CalibrationError where they are too few for one."""
    levels, notes = host_levels(host, points, threads)
    by_name: dict[str, list[Measurement]] = {}
    for row in rows:
        by_name.setdefault(row.kernel, []).append(row)
    fits = []
    for kernel_name, found in by_name.items():
        fit = fit_kernel([row for row in found if row.threads == 1], levels, seed)
        if fit is None:
            notes.append(f"{kernel_name}: fewer than three matrices of it were measured: not fitted")
            continue
        share = parallel_share(found, threads)
        fits.append(replace(fit, kernel=replace(fit.kernel, parallel_share=share)))
    if not any(fit.kernel.encoding == "dense" for fit in fits):
        raise CalibrationError("no dense kernel could be fitted: too few matrices were measured")
    ordered = _ordered(fits, by_name)
    device = _device(host, levels, ordered, rows, clock_hz=clock_hz, threads=threads, name=name, date=date)
    return HostFit(device=device, kernels=tuple(ordered), plateaus=tuple(plateaus(_reads(points))), notes=tuple(notes))


def _reads(points: Sequence[Bandwidth]) -> list[Bandwidth]:
    return [point for point in points if point.kernel == "memory-read" and point.threads == 1]


def parallel_share(rows: Sequence[Measurement], threads: int) -> float:
    """Return the share of further threads' work that is real, of calls of a millisecond or more; 0 for one thread."""
    alone = {(row.m, row.k, row.p, row.density): row.median_s for row in rows if row.threads == 1}
    gains = [
        alone[key] / row.median_s
        for row in rows
        if row.threads == threads > 1 and (key := (row.m, row.k, row.p, row.density)) in alone and alone[key] >= 1e-3
    ]
    if not gains:
        return 0.0
    gains.sort()
    return round(min(1.0, max(0.0, (gains[len(gains) // 2] - 1) / (threads - 1))), 4)


def _ordered(fits: Sequence[FittedKernel], rows: dict[str, list[Measurement]]) -> list[FittedKernel]:
    """Dense kernels first, then own encodings; of kernels of one encoding the fastest over what all of them ran."""

    def speed(fit: FittedKernel) -> float:
        rivals = [rows[one.kernel.name] for one in fits if one.kernel.encoding == fit.kernel.encoding]
        keys = [{(r.m, r.k, r.p, r.density): r.median_s for r in found if r.threads == 1} for found in rivals]
        common = set(keys[0]).intersection(*keys[1:])
        own = {(r.m, r.k, r.p, r.density): r.median_s for r in rows[fit.kernel.name] if r.threads == 1}
        return exp(sum(log(own[key]) for key in common) / max(len(common), 1))

    order = ("dense", *_OWN_FIRST)
    return sorted(fits, key=lambda fit: (order.index(fit.kernel.encoding), speed(fit)))


def _device(
    host: Host,
    levels: tuple[MemoryLevel, ...],
    fits: Sequence[FittedKernel],
    rows: Sequence[Measurement],
    *,
    clock_hz: int,
    threads: int,
    name: str,
    date: str,
) -> RooflineDevice:
    lanes, says = vector_lanes(host)
    best = max(row.m * row.k * row.p / row.median_s for row in rows if row.family == "dense" and row.threads == 1)
    macs = max(2 * lanes, ceil(best / clock_hz))
    measured = f"measured by simulate calibrate on {date}, {host.cpu}, one thread"
    here = f"{measured}; " if not host.hypervisor else f"{measured}, in a virtual machine; "
    depthwise = DepthwiseKernel(
        name="depthwise", runtime="none: assumed", encoding="dense", serves=(), kinds=("depthwise",),
        dtypes=("fp32",), unit="vector", efficiency=0.25, window_reuse=3,
    )  # fmt: skip
    kernels: tuple[Kernel, ...] = (*(fit.kernel for fit in fits), depthwise)
    rate = f"{says}; two multiply-add pipes assumed; the best dense product reached {best / clock_hz:.1f} a cycle"
    return RooflineDevice(
        name=name,
        summary=f"this host as calibrated: {host.cpu}, {threads} thread{'s' if threads > 1 else ''}, fp32",
        kind="cpu",
        units=(Units(count=threads, clock_hz=clock_hz),),
        static_threads=True,
        matrix_macs_per_cycle=(("fp32", macs),),
        vector_macs_per_cycle=(("fp32", macs),),
        levels=levels,
        overhead_s=min(dict(fit.kernel.regimes[-1].costs).get("call_s", 0.0) for fit in fits),
        vector_efficiency=0.25,
        pipes=Pipes(vector_bytes=4 * max(lanes, 1), loads_per_cycle=2, instructions_per_cycle=4),
        kernels=kernels,
        sources={
            "units": f"{here}a chain of instructions of known latency, or what the system states",
            "matrix_macs_per_cycle": rate,
            "vector_macs_per_cycle": rate,
            "levels": f"{here}reads of growing footprint",
            "overhead_s": f"{here}the smallest call among the fitted kernels",
            "step_overhead_s": "assumed: a measured kernel pays its own call each step",
            "vector_efficiency": "assumed",
            "pipes.vector_bytes": says,
            "pipes.loads_per_cycle": "assumed",
            "pipes.instructions_per_cycle": "assumed",
            "kernels.depthwise": "assumed: depthwise convolutions are not measured",
            **{
                f"kernels.{fit.kernel.name}": f"{here}fitted on {len(fit.fitted)} matrices, held-out error: median "
                f"{fit.held_out_errors.median:.1%}, 90 % within {fit.held_out_errors.p90:.1%} on "
                f"{len(fit.held_out)} others"
                for fit in fits
            },
        },
    )
