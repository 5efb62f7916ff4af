"""Roofline points a second on one core: ResNet-50 on a device whose fields vary, all points of a layer together.

A point is the whole network. Beside it: point by point, as ``estimate`` does, and building each point's device first.
Masks are drawn and pruned before; what a trace keeps of its mask for all devices is counted in (``cold``), or there
already. Prints the peak memory of the process after each number of points; a layer's columns are dropped once its
latency is added up, as a sweep does.
"""

from __future__ import annotations

import resource
from collections.abc import Sequence
from time import process_time

import numpy as np
import numpy.typing as npt

from costmodel.devices.catalog import ALL_DEVICES
from costmodel.estimate import estimate
from costmodel.many import estimate_many
from costmodel.spec import Dtype, RooflineDevice, numbers
from costmodel.varied import Varied
from gatherline.device_fields import with_fields
from patterns.catalog import parse_pattern
from traces.fusion import fuse
from traces.layer import Layer, MatrixLayer
from traces.trace import LayerTrace
from traces.workloads.catalog import built_in

DEVICES: tuple[tuple[str, Dtype], ...] = (("snapdragon-855", "fp32"), ("adreno-640", "fp16"), ("a100", "fp16"))
PATTERNS = (("dense", 0.0), ("unstructured", 0.9), ("block:4x4", 0.9), ("n_of_m:2,4", 0.5))
FIELDS = (
    "units.0.clock_hz",
    "levels.dram.total_bytes_per_s",
    "levels.l2.bytes",
    "levels.dram.unit_bytes_per_s",
    "overhead_s",
    "levels.l2.total_bytes_per_s",
)
POINTS = (1_000, 10_000, 100_000)
ALONE = 5  # points done one by one
RUNS = 3


def trace_of(layer: Layer, spelling: str, sparsity: float) -> LayerTrace:
    """Return ``layer`` with a drawn mask of the pattern."""
    if not isinstance(layer, MatrixLayer):
        return LayerTrace(layer=layer, pattern=parse_pattern("dense"))
    shape = (layer.groups, layer.m, layer.k)
    scores = np.random.default_rng(0).random(shape, dtype=np.float32)
    pattern = parse_pattern(spelling)
    mask = np.ones(shape, dtype=np.bool_) if spelling == "dense" else pattern.project(scores, sparsity)
    return LayerTrace(layer=layer, pattern=pattern, mask=mask)


def varied(device: RooflineDevice, fields: Sequence[str], points: int) -> Varied:
    """Return ``points`` devices, each field drawn from half to twice its own."""
    rng, known, columns = np.random.default_rng(1), numbers(device), []
    for path in fields:
        drawn = known[path] * np.exp2(rng.uniform(-1, 1, points))
        columns.append(np.rint(drawn).astype(np.int64) if isinstance(known[path], int) else drawn)
    return Varied(base=device, paths=tuple(fields), values=tuple(columns))


def together(traces: Sequence[LayerTrace], devices: Varied, dtype: Dtype) -> npt.NDArray[np.float64]:
    """Return the network's latency at each point."""
    latency_s = np.zeros(devices.points)
    for trace in traces:
        latency_s = latency_s + estimate_many(trace, devices, dtype=dtype).latency_s
    return latency_s


def one_by_one(traces: Sequence[LayerTrace], devices: Varied, dtype: Dtype) -> list[float]:
    """Return the same of the first points, each device built and estimated alone."""
    found = []
    for point in range(ALONE):
        changes = {path: values[point].item() for path, values in zip(devices.paths, devices.values, strict=True)}
        device = with_fields(devices.base, changes)
        assert isinstance(device, RooflineDevice)
        found.append(sum(estimate(trace, device, dtype=dtype).latency_s for trace in traces))
    return found


def main() -> None:
    """Print points a second of CPU time, the best of ``RUNS``; stop where the two ways differ."""
    layers = fuse(built_in("resnet50")).layers
    presets = {device.name: device for device in ALL_DEVICES}
    columns = "".join(f"{points:>11,}" for points in POINTS)
    print(f"{'device':16}{'pattern':14}fields{'alone':>8}{'cold':>9}{columns}{'MB':>8}")
    for spelling, sparsity in PATTERNS:
        for name, dtype in DEVICES:
            for fields in (FIELDS[:2], FIELDS[:4], FIELDS):
                traces = [trace_of(layer, spelling, sparsity) for layer in layers]
                start = process_time()
                together(traces, varied(presets[name], fields, POINTS[0]), dtype)
                rates = [POINTS[0] / (process_time() - start)]
                for points in POINTS:
                    times = []
                    for _ in range(RUNS if points < POINTS[-1] else 1):
                        devices = varied(presets[name], fields, points)  # nothing kept from the run before
                        start = process_time()
                        found = together(traces, devices, dtype)
                        times.append(process_time() - start)
                    rates.append(points / min(times))
                start = process_time()
                alone = one_by_one(traces, devices, dtype)
                slow = ALONE / (process_time() - start)
                if found[:ALONE].tolist() != alone:
                    raise SystemExit(f"{name} {spelling}: {found[:ALONE]} together, {alone} alone")
                peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
                shown = "".join(f"{rate:>11,.0f}" for rate in rates[1:])
                print(f"{name:16}{spelling:14}{len(fields):>6}{slow:>8,.0f}{rates[0]:>9,.0f}{shown}{peak:>8,.0f}")


if __name__ == "__main__":
    main()
