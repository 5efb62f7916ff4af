"""Times a level of a network with an empty cache and with a full one: ``python benchmarks/sweep_cache.py``.

Each figure is of a fresh process that has loaded its kernels before, on a small network: CPU seconds until the level is
there (cold: lowered, masked and written; warm: read and verified), seconds to unpack all masks, seconds to plan all
streams of gs-tcm with packings made (cold) and read (warm), bytes on disk, and the largest resident set. Prints;
asserts nothing.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

LEVELS = (
    ("resnet50", "gs:16,1"),
    ("resnet50", "unstructured"),
    ("resnet50", "block:4x4"),
    ("bert_base", "unstructured"),
    ("vgg16", "gs:16,1"),
)
SPARSITY = 0.9
RUNS = 3


def measure(model: str, pattern: str, folder: str) -> dict[str, float]:
    """Return what one process takes for a level, whatever the cache in ``folder`` holds."""
    from gatherline.cache import Cache
    from gatherline.request import cycle_device
    from gatherline.sweep.point import LevelChoice, ModelChoice
    from gatherline.sweep.traced import TracedLevel, traced_level
    from simulator.schedule.sources import plan_streams

    device = cycle_device("gs-tcm")

    def planned(traced: TracedLevel) -> float:
        start = time.process_time()
        for trace in traced.traces():
            if trace.mask is not None and trace.layer.kind != "depthwise":
                plan = plan_streams(trace, device, None, "packed")
                for group in range(trace.layer.groups):
                    plan.source(group, None)
        return time.process_time() - start

    small = LevelChoice(model=ModelChoice(model="digits"), pattern=pattern, sparsity=SPARSITY)
    with tempfile.TemporaryDirectory() as other:
        planned(traced_level(small, Cache(folder=Path(other), limit_bytes=1 << 30)))
    cache = Cache(folder=Path(folder), limit_bytes=4 << 30)
    start = time.process_time()
    traced = traced_level(LevelChoice(model=ModelChoice(model=model), pattern=pattern, sparsity=SPARSITY), cache)
    made = time.process_time()
    for index in range(len(traced.stored.layers)):
        traced.stored.trace(index)
    unpacked = time.process_time()
    return {
        "level_s": made - start,
        "unpack_s": unpacked - made,
        "plan_s": planned(traced),
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000,
        **{f"{entry.kind}_bytes": entry.bytes for entry in cache.entries()},
    }


def in_a_process(model: str, pattern: str, folder: str) -> dict[str, float]:
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
    command = [sys.executable, __file__, model, pattern, folder]
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
    found: dict[str, float] = json.loads(done.stdout)
    return found


def main() -> None:
    if len(sys.argv) > 1:
        print(json.dumps(measure(*sys.argv[1:])))
        return
    print(f"{os.cpu_count()} processors, Python {sys.version.split()[0]}; best of {RUNS}, CPU seconds")
    head = ("cold s", "warm s", "unpack s", "plan cold", "plan warm", "level B", "packings B", "cold MB", "warm MB")
    print(f"{'level':24}" + "".join(f"{name:>12}" for name in head))
    for model, pattern in LEVELS:
        cold, warm = [], []
        for _ in range(RUNS):
            with tempfile.TemporaryDirectory() as folder:
                cold.append(in_a_process(model, pattern, folder))
                warm.append(in_a_process(model, pattern, folder))
        least = {name: (min(run[name] for run in cold), min(run[name] for run in warm)) for name in cold[0]}
        sizes = {"packings_bytes": 0.0, **warm[0]}
        figures = (
            *least["level_s"], least["unpack_s"][1], *least["plan_s"], sizes["levels_bytes"], sizes["packings_bytes"],
            max(run["peak_mb"] for run in cold), max(run["peak_mb"] for run in warm),
        )  # fmt: skip
        texts = [f"{value:12.3f}" if place < 5 else f"{value:12.0f}" for place, value in enumerate(figures)]
        print(f"{model + ' ' + pattern:24}" + "".join(texts))


if __name__ == "__main__":
    main()
