"""The version of all that decides a row: the package's, and a digest of the sources and data that rows come from.

A changed model must never find rows of the one before it. The packages that read models and draw weights
count too. Left out: other packages, and code that only asks, shows or stores.
"""

from __future__ import annotations

import hashlib
from functools import cache
from importlib.metadata import version
from pathlib import Path

import costmodel
import gatherline
import patterns
import simulator
import traces

WHOLE = (patterns, traces, simulator, costmodel)
OTHERS = ("numpy", "onnx")
SUFFIXES = (".py", ".toml", ".csv", ".json", ".onnx")
# of gatherline what ``evaluate`` runs through; a test compares this with what it imports
DECIDING = (
    "best_encoding.py", "device_fields.py", "digest.py", "energy_columns.py", "fpga_engine.py", "knobs.py",
    "levels.py", "loading.py", "models/digits.onnx", "network_facts.py", "pipeline.py", "report/columns.py",
    "report/plain.py", "request.py", "rows.py", "shares.py", "sweep/columns.py", "sweep/evaluate.py",
    "sweep/keys.py", "sweep/level_key.py", "sweep/packings.py", "sweep/point.py", "sweep/rooflines.py",
    "sweep/traced.py", "total_band.py",
)  # fmt: skip


@cache
def code_version() -> str:
    """Return the version, as "0.1.0+3f5a0c9d12ab4e67"."""
    digest = hashlib.sha256("".join(f"{name} {version(name)}\n" for name in OTHERS).encode())
    for path, name in _files():
        content = hashlib.sha256(path.read_bytes()).hexdigest()
        digest.update(f"{name} {content}\n".encode())
    return f"{version('gatherline')}+{digest.hexdigest()[:16]}"


def _files() -> list[tuple[Path, str]]:
    """Return every file that counts with its name, in the order of names."""
    found = []
    for package in WHOLE:
        root = Path(package.__path__[0])
        found += [
            (path, f"{package.__name__}/{path.relative_to(root).as_posix()}")
            for path in root.rglob("*")
            if path.suffix in SUFFIXES and path.is_file()
        ]
    home = Path(gatherline.__path__[0])
    found += [(home / name, f"gatherline/{name}") for name in DECIDING]
    return sorted(found, key=lambda entry: entry[1])
