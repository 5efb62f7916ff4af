"""Roofline layers a second on one core: ResNet-50 on a device of each kind, dense and with masks of two patterns.

Warm: every layer was estimated once before. Masks are drawn, then pruned to 90 %; drawing and pruning are not timed.
"""

from __future__ import annotations

from time import process_time

import numpy as np

from costmodel.devices.catalog import ALL_DEVICES
from costmodel.estimate import estimate
from patterns.catalog import parse_pattern
from traces.fusion import fuse
from traces.layer import Layer, MatrixLayer
from traces.trace import LayerTrace
from traces.workloads.catalog import built_in

PATTERNS = ("dense", "unstructured", "block:4x1")
SPARSITY = 0.9
RUNS = 3


def trace_of(layer: Layer, spelling: str) -> LayerTrace:
    """Return ``layer`` with a drawn mask of the pattern."""
    pattern = parse_pattern(spelling)
    if not isinstance(layer, MatrixLayer):
        return LayerTrace(layer=layer, pattern=parse_pattern("dense"))
    shape = (layer.groups, layer.m, layer.k)
    scores = np.random.default_rng(0).random(shape, dtype=np.float32)
    mask = np.ones(shape, dtype=np.bool_) if spelling == "dense" else pattern.project(scores, SPARSITY)
    return LayerTrace(layer=layer, pattern=pattern, mask=mask)


def main() -> None:
    """Print layers a second, the best of ``RUNS``."""
    layers = fuse(built_in("resnet50")).layers
    chosen = list({device.kind: device for device in reversed(ALL_DEVICES)}.values())[::-1]
    print(f"{'device':20} {'pattern':14} layers/s  networks/s")
    for spelling in PATTERNS:
        traces = [trace_of(layer, spelling) for layer in layers]
        for device in chosen:
            dtype = "fp16" if "fp16" in device.dtypes else device.dtypes[0]
            times = []
            for _ in range(RUNS + 1):  # the first warms up
                start = process_time()
                for trace in traces:
                    estimate(trace, device, dtype=dtype)
                times.append(process_time() - start)
            best = min(times[1:])
            print(f"{device.name:20} {spelling:14} {len(traces) / best:8,.0f}  {1 / best:10,.1f}")


if __name__ == "__main__":
    main()
