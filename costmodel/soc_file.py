"""A CPU device from a SoC file of the user's own, as in ``--device my-phone.toml``. Package files: ``cpu_file``.

The file is one of ``costmodel/socs`` with two liberties: ``cluster`` says which one threads start on (0, the first,
without it), and a core may be a file beside it (``core = "my-core.toml"``). The runtime is one of the package's, whose
fitted numbers the device takes; a core that nobody measured takes those of the core that it is ``like``, else the mean
of its kind, and the device's summary says which. Left out: runtimes of one's own.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from costmodel.cpu_device import compose
from costmodel.cpu_file import FOLDER, Core, Fitted, Soc, load_core, load_fitted, load_runtime, load_soc, named
from costmodel.spec import RooflineDevice
from patterns.names import nearest
from simulator.spec import DeviceError

NEEDED_DTYPES = ("fp32", "int8")  # what a core is compared by: rates of unlike cores, and its dot products


def load_soc_device(path: Path) -> RooflineDevice:
    """Return the device that a SoC file describes. Raises DeviceError, naming file, field, value and rule."""
    soc = load_soc.__wrapped__(path)  # not the stored one: a user edits a file and asks again
    _sourced(path, soc.sources, _soc_numbers(soc))
    read = {part.core: _core(path, f"clusters.{at}.core", part.core) for at, part in enumerate(soc.clusters)}
    cores = {core.name: core for core in read.values()}
    if len(cores) < len(read):
        raise DeviceError(f"{path}: clusters name {', '.join(read)}, and two of these cores have one name")
    clusters = tuple(replace(part, core=read[part.core].name) for part in soc.clusters)
    fitted = load_fitted()
    try:
        runtime = load_runtime(named("runtimes", soc.runtime, "runtime"))
        device = compose(soc.name, replace(soc, clusters=clusters), cores, runtime, fitted, soc.cluster)
    except DeviceError as error:
        raise DeviceError(f"{path}: {error}") from None
    said = [_borrowed(core, fitted) for name, core in read.items() if name.endswith(".toml")]
    return replace(device, summary="; ".join([device.summary, *(text for text in said if text)]))


def _borrowed(core: Core, fitted: Sequence[Fitted]) -> str:
    """Return whose fitted factors a core takes of which nobody fitted any, "" for one that has its own."""
    if core.name in {row.core for row in fitted}:
        return ""
    if core.like is not None:
        return f"nobody measured {core.name}: fitted factors of {core.like}, as its file asks"
    return f"nobody measured {core.name}: mean fitted factors of its kind of core ({core.kind})"


def _core(soc: Path, field: str, name: str) -> Core:
    if not name.endswith(".toml"):
        try:
            return load_core(named("cores", name, field))
        except DeviceError as error:
            raise DeviceError(f"{soc}: {error} (or a .toml file beside this one)") from None
    path = soc.parent / name
    if Path(name).name != name:
        raise DeviceError(f"{soc}: {field} is {name!r}, and must name a file beside this one")
    core = load_core.__wrapped__(path)
    for table, rates in (
        ("macs_per_cycle", core.macs_per_cycle),
        ("vector_macs_per_cycle", core.vector_macs_per_cycle),
    ):
        for dtype in NEEDED_DTYPES:
            if dtype not in rates:
                raise DeviceError(f"{path}: {table}.{dtype} is missing, and must be a number above 0")
    _sourced(path, core.sources, _core_numbers(core))
    with_numbers = sorted(
        {row.core for row in load_fitted()} & {file.stem for file in (FOLDER / "cores").glob("*.toml")}
    )
    if core.like is not None and core.like not in with_numbers:
        raise DeviceError(
            f"{path}: like is {core.like!r}, and must be a core with fitted factors; {nearest(core.like, with_numbers)}"
        )
    return core


def _soc_numbers(soc: Soc) -> Iterable[str]:
    yield from ("clusters", "core_bytes_per_s", "total_bytes_per_s")
    if soc.l3 is not None:
        yield from ("l3.bytes", "l3.bytes_per_cycle")


def _core_numbers(core: Core) -> Iterable[str]:
    yield from ("vector_bytes", "loads_per_cycle", "instructions_per_cycle", "load_to_use", "miss_to_use")
    for table in ("macs_per_cycle", "vector_macs_per_cycle"):
        yield from (f"{table}.{dtype}" for dtype in core.macs_per_cycle)
    for level in core.caches:
        yield from (f"caches.{level.name}.bytes", f"caches.{level.name}.bytes_per_cycle")


def _sourced(path: Path, sources: Mapping[str, str], needed: Iterable[str]) -> None:
    """Raise DeviceError for a number without a source, and for a source of no number."""
    numbers = list(needed)
    for name in sources:
        if name not in numbers:
            raise DeviceError(f'{path}: sources."{name}" is of no number of the file; {nearest(name, numbers)}')
    for name in numbers:
        if name not in sources:
            raise DeviceError(f'{path}: sources."{name}" is missing, and must say where it is from ("assumed" will do)')
