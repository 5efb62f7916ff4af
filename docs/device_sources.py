"""The text of docs/device-sources.md: every number of a device with its source, and the files that make CPUs.

A device's sources stand once, numbered, under its numbers. What a device has exactly as an earlier one has it, source
included, is told by that one's name. Errors and what devices reach: ``device_pages``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from device_list import ASSEMBLED, PAGE, Target, by_kind, files_of, link
from device_numbers import Line, cell, device_lines, quantity, table

from costmodel.cpu_file import Fitted, load_fitted
from costmodel.spec import RooflineDevice

PIPES = ("vector_bytes", "loads_per_cycle", "instructions_per_cycle", "load_to_use", "miss_to_use")
FEW = 4  # patterns that a kernel's entry names
Key = tuple[str, str, tuple[tuple[str, tuple[str, ...]], ...]]
WORTH = 120  # letters from which a line is not said twice

INTRODUCTION = """# Where the numbers of devices are from

For people who doubt a number of a device, or want to change one.

Made by `python docs/draw_devices.py`. [devices.md](devices.md) has errors, and what comes of these numbers.

A CPU is a [core](#cores), a [SoC](#socs) and a [runtime](#runtimes-of-cpus); numbers fitted to measurements stand with
the core or the runtime that they belong to. Every other device has a section of its own: the numbers in the last column
are those of the sources under the table. "as X": the numbers and the sources are those of that line of X.
"""


def page() -> str:
    """Return the document."""
    lines = [INTRODUCTION, *_cores(), *_socs(), *_runtimes(), *_fitted()]
    said: dict[Key, str] = {}
    for heading, devices in by_kind():
        own = [device for device in devices if device.name not in ASSEMBLED]
        if own:
            lines += [f"## {heading}", ""]
        for device in own:
            lines += [*_section(device, said), ""]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).rstrip() + "\n"


def _section(device: Target, said: dict[Key, str]) -> Iterator[str]:
    """Yield a device's numbers and sources; ``said``: what earlier devices have, by part, numbers and sources."""
    yield from (f"### {device.name}", "", f"{cell(device.summary)}. {link('Errors', PAGE, device.name)}.", "")
    kernels = _kernels(device) if isinstance(device, RooflineDevice) else ""
    yield from (kernels, "")
    sources: dict[str, int] = {}
    rows = []
    for line in device_lines(device):
        same = said.get(line.key)
        if same:
            rows.append((cell(line.part), f"as {link(same)}", ""))
            continue
        if len(line.values) + sum(len(text) for text, _ in line.sources) >= WORTH:
            said[line.key] = device.name
        rows.append((cell(line.part), cell(line.values), cell(_numbered(line, sources))))
    yield from table(("part", "numbers", "source"), rows)
    yield ""
    yield from (f"{number}. {cell(text)}" for text, number in sources.items())


def _numbered(line: Line, sources: dict[str, int]) -> str:
    """Return which of ``sources`` each number of ``line`` is from; a new text gets the next number there."""
    found = [(sources.setdefault(text, len(sources) + 1), names) for text, names in line.sources]
    if len(found) == 1:
        return str(found[0][0])
    return "; ".join(f"{', '.join(names)}: {number}" for number, names in found)


def _kernels(device: RooflineDevice) -> str:
    """Return the kernels of a device, each with its data types and with the patterns that run on it."""
    types: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    for kernel in device.kernels:
        types.setdefault((kernel.name, kernel.serves), []).extend(kernel.dtypes)
    texts = [f"`{name}` ({', '.join(dict.fromkeys(dtypes))}{_few(serves)})" for (name, serves), dtypes in types.items()]
    return f"Kernels: {', '.join(texts)}."


def _few(patterns: tuple[str, ...]) -> str:
    if not patterns:
        return ""
    return f": {', '.join(patterns) if len(patterns) <= FEW else f'{len(patterns)} patterns'}"


def _devices(names: Iterable[str]) -> str:
    found = ", ".join(link(name, PAGE) for name in names)
    return f"Devices: {found or 'none'}."


def _cores() -> Iterator[str]:
    yield from ("## Cores", "", "What CPUs share: a file each in `costmodel/cores`.", "")
    for core in files_of("cores"):
        kind = "in order" if core.in_order else "reorders"
        socs = [soc.name for soc in files_of("socs") if any(part.core == core.name for part in soc.clusters)]
        where = ", ".join(link(name, heading=f"SoC {name}") for name in socs)
        yield from (f"### core {core.name}", "", f"{cell(core.summary)} ({kind}). In {where or 'no SoC here'}.", "")
        rows = [(name, quantity(name, getattr(core, name)), core.sources[name]) for name in PIPES]
        for name in ("macs_per_cycle", "vector_macs_per_cycle"):
            for dtype, rate in getattr(core, name).items():
                rows.append((f"{name}.{dtype}", quantity(name, rate), core.sources[f"{name}.{dtype}"]))
        for level in core.caches:
            for name in ("bytes", "bytes_per_cycle"):
                path = f"caches.{level.name}.{name}"
                rows.append((path, quantity(name, getattr(level, name)), core.sources[path]))
        yield from table(("number", "value", "source"), [(a, b, cell(c)) for a, b, c in rows])
        yield ""
        factors = [row for row in load_fitted() if row.core == core.name]
        if factors:
            yield from ("Factors on what its runtimes reach:", "", *_fitted_table(factors), "")


def _socs() -> Iterator[str]:
    yield from ("## SoCs", "", "Clusters, shared cache and memory: a file each in `costmodel/socs`.", "")
    for soc in files_of("socs"):
        devices = _devices(entry.device for entry in ASSEMBLED.values() if entry.soc == soc.name)
        yield from (f"### SoC {soc.name}", "", f"{cell(soc.summary)}. {devices}", "")
        parts = [
            f"{part.count} x {link(part.core, heading=f'core {part.core}')} {quantity('_hz', part.clock_hz)}"
            + (f", L2 {quantity('bytes', part.l2_bytes)}" if part.l2_bytes else "")
            for part in soc.clusters
        ]
        rows = [("clusters", "; ".join(parts), soc.sources["clusters"])]
        for name in ("core_bytes_per_s", "total_bytes_per_s"):
            rows.append((name, quantity(name, getattr(soc, name)), soc.sources[name]))
        if soc.l3:
            for name in ("bytes", "bytes_per_cycle"):
                rows.append((f"l3.{name}", quantity(name, getattr(soc.l3, name)), soc.sources[f"l3.{name}"]))
        yield from table(("number", "value", "source"), [(a, b, cell(c)) for a, b, c in rows])
        yield ""


def _runtimes() -> Iterator[str]:
    yield from ("## Runtimes of CPUs", "", "Kernels of a library: a file each in `costmodel/runtimes`.", "")
    for runtime in files_of("runtimes"):
        devices = _devices(entry.device for entry in ASSEMBLED.values() if entry.runtime == runtime.name)
        yield from (f"### runtime {runtime.name}", "", f"{cell(runtime.summary)}. {devices}", "")
        rows = [
            (
                kernel["name"],
                ", ".join(kernel["dtypes"]),
                ", ".join(kernel.get("serves", ())) or "dense",
                ", ".join(kernel["kinds"]) + (", 1x1 alone" if kernel.get("pointwise") else ""),
            )
            for kernel in runtime.kernels
        ]
        yield from table(("kernel", "types", "patterns", "layers"), rows)
        yield ""
        for name, text in runtime.sources.items():
            yield f"- {name}: {cell(text)}"
        yield ""
        fitted = [row for row in load_fitted() if row.runtime == runtime.name and not row.core]
        yield from (*_fitted_table(fitted), "") if fitted else ()


def _fitted() -> Iterator[str]:
    """Yield the fitted numbers that belong to no one runtime or core."""
    cores = {core.name for core in files_of("cores")}
    runtimes = {runtime.name for runtime in files_of("runtimes")}
    rest = [row for row in load_fitted() if row.core not in cores and (row.core or row.runtime not in runtimes)]
    if rest:
        yield from ("## Numbers of any runtime, and of kinds of cores", "", *_fitted_table(rest), "")


def _fitted_table(rows: list[Fitted]) -> list[str]:
    """Return a table of fitted numbers, those of one owner and one source in a line."""
    found: dict[tuple[str, str], list[str]] = {}
    for row in rows:
        owner = " ".join((row.runtime, row.core)).strip() or "any"
        name = f"{row.parameter} {row.dtype}".strip()
        found.setdefault((owner, row.source), []).append(f"{name} {row.value:.4g}")
    lines = [(owner, ", ".join(numbers), cell(source)) for (owner, source), numbers in found.items()]
    return table(("of", "numbers", "source"), lines)
