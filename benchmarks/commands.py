"""Times whole commands, cold and warm, with peak memory: ``python benchmarks/commands.py``.

Cold: an empty Numba cache, as on a new machine. Prints; asserts nothing.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SIMULATE = str(Path(sys.executable).with_name("simulate"))
GRID = ["--pattern", "gs:16,1", "--pattern", "unstructured", "--pattern", "block:1x16"]
LEVELS = ["--sparsity", "0.8", "--sparsity", "0.9", "--sparsity", "0.95"]
COMMANDS: tuple[tuple[str, list[str], int], ...] = (
    ("simulate --help", ["--help"], 5),
    ("simulate run digits, 5 devices", ["run", "digits", "--json"], 3),
    ("simulate run resnet50, 3 patterns x 3 sparsities, 5 devices", ["run", "resnet50", *GRID, *LEVELS, "--json"], 2),
)


def timed(arguments: list[str], environment: dict[str, str]) -> tuple[float, float]:
    """Return wall seconds and the largest resident set so far of any child, in MB."""
    start = time.perf_counter()
    subprocess.run(
        [SIMULATE, *arguments], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment
    )
    return time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1000


def main() -> None:
    print(f"{os.cpu_count()} processors, Python {sys.version.split()[0]}")
    print(f"{'command':62} {'cold s':>8} {'warm s':>8} {'peak MB':>8}")
    for name, arguments, runs in COMMANDS:
        with tempfile.TemporaryDirectory() as cache:
            environment = {**os.environ, "NUMBA_CACHE_DIR": cache}
            cold, _ = timed(arguments, environment)
            warm = [timed(arguments, environment) for _ in range(runs)]
        print(f"{name:62} {cold:8.2f} {min(each[0] for each in warm):8.2f} {max(each[1] for each in warm):8.0f}")


if __name__ == "__main__":
    main()
