"""What the system says about this host: processor, caches, clock, versions. "unknown" where it says nothing.

Read on Linux from ``/proc`` and ``/sys``; elsewhere only what Python's ``platform`` knows. Leaves out: anything that
the system does not state, the number of vector units among it.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

UNKNOWN = "unknown"
PACKAGES = ("gatherline", "numpy", "numba", "scipy", "torch")
_UNITS = {"K": 1024, "M": 1024**2, "G": 1024**3}


@dataclass(frozen=True, slots=True, kw_only=True)
class Cache:
    """One data or unified cache of the first processor; ``shared_by``: processors that share it, as the system says."""

    level: int
    bytes: int
    shared_by: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """Facts of a host. ``clock_hz``: what the system says that it runs at now; 0 where it says nothing."""

    cpu: str
    architecture: str
    system: str
    processors: int
    flags: tuple[str, ...]
    caches: tuple[Cache, ...]
    clock_hz: int
    hypervisor: bool
    load: float
    versions: tuple[tuple[str, str], ...]

    def manifest(self) -> dict[str, object]:
        """Return the facts as plain values, the flags cut to those that name vector units."""
        facts = asdict(self)
        facts["flags"] = [flag for flag in self.flags if flag.startswith(("avx", "fma", "sse4", "amx", "asimd", "sve"))]
        facts["versions"] = dict(self.versions)
        return facts


def read_host(root: Path = Path("/")) -> Host:
    """Return the facts of this host; ``root``: where ``proc`` and ``sys`` are found."""
    info = _cpuinfo(root / "proc/cpuinfo")
    flags = tuple((info.get("flags") or info.get("Features") or "").split())
    model = info.get("model name") or info.get("Model") or platform.processor()
    available = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return Host(
        cpu=model.strip() if model and model.strip() and model != platform.machine() else UNKNOWN,
        architecture=platform.machine() or UNKNOWN,
        system=f"{platform.system()} {platform.release()}".strip() or UNKNOWN,
        processors=available,
        flags=flags,
        caches=_caches(root / "sys/devices/system/cpu/cpu0/cache"),
        clock_hz=_clock_hz(info, root / "sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq"),
        hypervisor="hypervisor" in flags,
        load=os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0,
        versions=(("python", platform.python_version()), *_versions()),
    )


def vector_lanes(host: Host) -> tuple[int, str]:
    """Return the 32-bit lanes of a vector register and what says so; 0 where nothing does."""
    for flag, lanes in (("avx512f", 16), ("avx2", 8), ("avx", 8), ("sse2", 4), ("asimd", 4)):
        if flag in host.flags:
            return lanes, f"the system's processor flags: {flag}"
    return 0, "the system names no vector unit"


def _cpuinfo(path: Path) -> Mapping[str, str]:
    """The first processor's lines."""
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return {}
    pairs = (line.partition(":") for line in text.partition("\n\n")[0].splitlines())
    return {key.strip(): value.strip() for key, _, value in pairs}


def _caches(folder: Path) -> tuple[Cache, ...]:
    found = []
    for entry in sorted(folder.glob("index*")):
        try:
            kind, level, size, shared = (
                (entry / name).read_text(encoding="ascii").strip()
                for name in ("type", "level", "size", "shared_cpu_list")
            )
            number = int(size[:-1]) * _UNITS[size[-1]] if size[-1:] in _UNITS else int(size)
            if kind in ("Data", "Unified"):
                found.append(Cache(level=int(level), bytes=number, shared_by=_processors(shared)))
        except (OSError, ValueError):
            continue  # the system does not say
    return tuple(sorted(found, key=lambda cache: cache.level))


def _processors(ranges: str) -> int:
    """Return how many processors ``0-3,8`` names."""
    parts = [part.partition("-") for part in ranges.split(",") if part]
    return sum(int(last or first) - int(first) + 1 for first, _, last in parts)


def _clock_hz(info: Mapping[str, str], current: Path) -> int:
    try:
        return int(current.read_text(encoding="ascii")) * 1000
    except (OSError, ValueError):
        pass  # a virtual machine has no such file
    try:
        return int(float(info.get("cpu MHz", "0")) * 1e6)
    except ValueError:
        return 0


def _versions() -> list[tuple[str, str]]:
    found = []
    for name in PACKAGES:
        try:
            found.append((name, version(name)))
        except PackageNotFoundError:
            found.append((name, "not installed"))
    return found
