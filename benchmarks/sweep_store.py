"""A sweep of many roofline points: seconds, points a second, peak memory of this process, and resuming it when done.

``python -m benchmarks.sweep_store [POINTS] [WORKERS]``; the default is 10^5 points of ResNet-50 in this process. Peak
memory is of one process (``getrusage``); workers are children, told apart.
"""

from __future__ import annotations

import resource
import sys
import tempfile
import time
from pathlib import Path

from gatherline.sweep.export import export
from gatherline.sweep.front import Fate
from gatherline.sweep.spec_file import read_spec
from gatherline.sweep.sweep import found_in, sweep

SPEC = """
schema = 1
models = ["resnet50"]
patterns = ["dense", "unstructured"]
sparsities = [0.9]
[[devices]]
device = "snapdragon-855"
[devices.fields]
"levels.dram.unit_bytes_per_s" = {{ from = "5 GB/s", to = "40 GB/s", steps = {first} }}
"levels.l2.bytes" = {{ from = "64 KiB", to = "1 MiB", steps = {second} }}
"""


def main(points: int, workers: int) -> None:
    second = round((points / 2) ** 0.5)
    first = points // 2 // second
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        file = folder / "spec.toml"
        file.write_text(SPEC.format(first=first, second=second), encoding="utf-8")
        for what in ("computed", "resumed"):
            begun, cpu = time.perf_counter(), time.process_time()
            spec = read_spec(file)
            done = sweep(spec, folder / "out", workers=workers)
            found = found_in(done, spec)
            on_front = found.found.fronts[0].count(Fate.FRONT)
            seconds, own = time.perf_counter() - begun, time.process_time() - cpu
            print(
                f"{what}: {done.points} points ({done.computed} computed, {done.refused} refused) in {seconds:.2f} s, "
                f"{own:.2f} s of this process: {done.points / seconds:.0f} points/s, front {on_front}"
            )
        for suffix in ("csv", "parquet"):
            begun = time.perf_counter()
            written = export(folder / "out", folder / f"t.{suffix}")
            print(
                f"{suffix}: {written.rows} rows, {written.path.stat().st_size / 1e6:.1f} MB in "
                f"{time.perf_counter() - begun:.2f} s"
            )
        size = done.store.stat().st_size
        print(f"store: {size / 1e6:.1f} MB, {size / done.points:.0f} bytes a point")
    for whose, of in (("this process", resource.RUSAGE_SELF), ("largest worker", resource.RUSAGE_CHILDREN)):
        print(f"peak memory of {whose}: {resource.getrusage(of).ru_maxrss / 1024:.0f} MiB")


if __name__ == "__main__":
    given = [int(argument) for argument in sys.argv[1:]]
    main(*([*given, *(100_000, 1)[len(given) :]]))
