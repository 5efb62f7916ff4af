"""The text of docs/devices.md, from the catalogs of devices, the files that make them, and their errors.

No device, core, SoC or runtime is named here: what is in the tuples and the folders is what is written. What is
measured stands between ``MEASURED`` and ``END``, so that the rest can be looked at without a comparison.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, get_args

from device_errors import NONE, Measured
from device_numbers import Line, cell, device_lines, quantity, table

from costmodel.cpu_file import FOLDER, Fitted, load_core, load_fitted, load_runtime, load_soc, named
from costmodel.devices.catalog import ALL_DEVICES
from costmodel.devices.cpus import Listed, listed
from costmodel.spec import DeviceKind, RooflineDevice
from simulator.devices.catalog import ALL_DEVICES as CYCLE_DEVICES
from simulator.spec import Device

MEASURED, END = "<!-- measured -->", "<!-- end -->"
BETWEEN = re.compile(f"{MEASURED}.*?{END}", re.DOTALL)
KINDS: Mapping[str, str] = {
    "mobile_cpu": "Mobile and board CPUs",
    "cpu": "Desktop and server CPUs",
    "mobile_gpu": "Mobile GPUs",
    "server_gpu": "Server and edge GPUs",
    "fpga": "FPGAs",
    "accelerator": "Cycle-level accelerators",
}
ASSEMBLED = {entry.device: entry for entry in listed()}
PIPES = ("vector_bytes", "loads_per_cycle", "instructions_per_cycle", "load_to_use", "miss_to_use")
FEW = 4  # patterns that a kernel's entry names
Target = RooflineDevice | Device

INTRODUCTION = """# Devices

Made by `python docs/draw_devices.py` from the devices themselves and from what `simulate validate` compares.
[How to add one](adding-a-device.md), [what the errors mean](validation.md), where models are known to be wrong:
[DEVIATIONS.md](../validation/DEVIATIONS.md).

![Predicted over measured latency of every row, by kind of device](images/validation.png)

*Fitted*: numbers of the device were chosen with measurements of it in view, so its error says how well it was fitted.
*Held out*: nothing was. *Not measured*: no row of `validation/` is of it, so nothing says how far off it is.

`rows`: measurements that are predicted; `median`, `p90`: absolute error of predicted over measured latency; `bias`:
median signed error, + is too slow; `rank`: Spearman's correlation over nets; `anchored`: error after one net has set
the scale; `floor`: how far contributors who measured the same silicon are from their own centre (`*`: over all silicon
of the ncnn table, since only one measured this one; `-`: no silicon of this kind has two).
"""


def page(measured: Measured) -> str:
    """Return the document."""
    lines = [INTRODUCTION, *_summary(measured), ""]
    for kind in (*get_args(DeviceKind), "accelerator"):
        found = [device for device in every_device() if device.kind == kind]
        if found:
            lines += [f"## {KINDS.get(kind, kind)}", ""]
        for device in found:
            lines += [*_section(device, measured), ""]
    lines += [*_cores(), *_socs(), *_runtimes(), *_fitted()]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).rstrip() + "\n"


def without_measured(text: str) -> str:
    """Return ``text`` without what comparing with measurements gave."""
    return BETWEEN.sub(f"{MEASURED}{END}", text)


def every_device() -> tuple[Target, ...]:
    return (*ALL_DEVICES, *CYCLE_DEVICES)


def _measured(lines: list[str]) -> list[str]:
    return [MEASURED, *lines, END]


def _summary(measured: Measured) -> list[str]:
    rows = []
    for device in every_device():
        link = f"[{device.name}](#{anchor(device.name)})"
        rows.append(
            (link, device.kind, processor(device), measured.use_of(device.name), *measured.summary(device.name))
        )
    header = ("device", "kind", "processor", "used in fitting?", "rows", "median error", "floor")
    kinds = ["## By kind", "", *_measured(["", *measured.by_kind(), ""]), ""]
    return [*kinds, "## All devices", "", *_measured(["", *table(header, rows, right=frozenset((4, 5, 6))), ""])]


def anchor(heading: str) -> str:
    """Return the fragment that a heading has on a page."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def processor(device: Target) -> str:
    """Return the units of a device in words."""
    if isinstance(device, Device):
        return f"{device.cores} x {device.gather.lanes} lanes x {device.vector}, {quantity('_hz', device.clock_hz)}"
    clusters: tuple[Any, ...] = device.units
    if device.name in ASSEMBLED:
        entry = ASSEMBLED[device.name]
        clusters = load_soc(named("socs", entry.soc)).clusters[entry.cluster :]
    return " + ".join(
        f"{part.count} x {getattr(part, 'core', 'unit')} {quantity('_hz', part.clock_hz)}" for part in clusters
    )


def _section(device: Target, measured: Measured) -> Iterator[str]:
    yield from (
        f"### {device.name}",
        "",
        f"{cell(device.summary)}. {measured.use_of(device.name).capitalize()}.",
        "",
    )
    uses = [use for use in measured.uses if use.device == device.name]
    if uses:
        stands = {f"{use.processor} of {use.soc}" + _under(use.runtimes) for use in uses}
        notes = "; ".join(dict.fromkeys(use.note for use in uses if use.note))
        yield f"Stands for {'; '.join(sorted(stands))}" + (f" ({cell(notes)})." if notes else ".")
        yield ""
    errors, ratios = measured.table(device.name), measured.speed_up(device.name)
    yield from _measured(["", *errors, "", *([ratios, ""] if ratios else [])] if errors else [])
    yield ""
    if isinstance(device, RooflineDevice):
        yield from (_kernels(device), "")
    else:
        yield from ("Every pattern runs, as the request streams of its encoding ([how](machine.md)).", "")
    if device.name in ASSEMBLED and isinstance(device, RooflineDevice):
        yield from _assembled(device, ASSEMBLED[device.name])
    else:
        yield from _numbers(device_lines(device))


def _under(runtimes: tuple[str, ...]) -> str:
    return f" under {', '.join(runtimes)}" if runtimes else ""


def _kernels(device: RooflineDevice) -> str:
    """Return the kernels of a device, each with its data types and with the patterns that run on it."""
    types: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    for kernel in device.kernels:
        types.setdefault((kernel.name, kernel.serves), []).extend(kernel.dtypes)
    texts = [f"`{name}` ({', '.join(dict.fromkeys(dtypes))}{_few(serves)})" for (name, serves), dtypes in types.items()]
    served = sorted({pattern for kernel in device.kernels for pattern in kernel.serves})
    runs = f"Patterns with a kernel: {', '.join(served)}; others run dense." if served else "Every pattern runs dense."
    return f"Kernels: {', '.join(texts)}. {runs}"


def _few(patterns: tuple[str, ...]) -> str:
    if not patterns:
        return ""
    return f": {', '.join(patterns) if len(patterns) <= FEW else f'{len(patterns)} patterns'}"


def _assembled(device: RooflineDevice, entry: Listed) -> Iterator[str]:
    """Yield what a CPU is made of; numbers that are the product of two files' stand here, the rest with the files."""
    soc = load_soc(named("socs", entry.soc))
    core = soc.clusters[entry.cluster].core
    links = [f"[{kind} {name}](#{anchor(f'{kind} {name}')})"
             for kind, name in (("SoC", entry.soc), ("core", core), ("runtime", entry.runtime))]  # fmt: skip
    yield from (f"Made of {', '.join(links)}; threads start on cluster {entry.cluster}. Put together:", "")
    made = [
        line for line in device_lines(device) if line.part.startswith(("levels.", "overhead", "thread", "vector_eff"))
    ]
    rows = [(line.part, line.values) for line in made]
    shares: dict[str, list[str]] = {}
    for kernel in device.kernels:
        shares.setdefault(kernel.name, []).append(f"{kernel.dtypes[0]} {kernel.efficiency:.3g}")
    rows += [(f"efficiency of {name}", ", ".join(values)) for name, values in shares.items()]
    yield from table(("part", "numbers"), [(cell(part), cell(values)) for part, values in rows])


def _numbers(lines: list[Line]) -> list[str]:
    rows = [(cell(line.part), cell(line.values), cell(line.source)) for line in lines]
    return table(("part", "numbers", "source"), rows)


def _files(folder: str) -> list[Any]:
    load = {"cores": load_core, "socs": load_soc, "runtimes": load_runtime}[folder]
    return [load(path) for path in sorted((FOLDER / folder).glob("*.toml"))]


def _cores() -> Iterator[str]:
    yield from ("## Cores", "", "What CPUs share: a file each in `costmodel/cores`.", "")
    for core in _files("cores"):
        kind = "in order" if core.in_order else "reorders"
        yield from (f"### core {core.name}", "", f"{cell(core.summary)} ({kind}).", "")
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
            yield from ("Factors on what its runtimes reach:", "", *_fitted_table(factors, "runtime"), "")


def _socs() -> Iterator[str]:
    yield from ("## SoCs", "", "Clusters, shared cache and memory: a file each in `costmodel/socs`.", "")
    for soc in _files("socs"):
        yield from (f"### SoC {soc.name}", "", f"{cell(soc.summary)}.", "")
        parts = [
            f"{part.count} x [{part.core}](#{anchor(f'core {part.core}')}) {quantity('_hz', part.clock_hz)}"
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
    for runtime in _files("runtimes"):
        yield from (f"### runtime {runtime.name}", "", f"{cell(runtime.summary)}.", "")
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
        yield from (*_fitted_table(fitted, ""), "") if fitted else ()


def _fitted() -> Iterator[str]:
    """Yield the fitted numbers that belong to no one runtime or core."""
    cores = {core.name for core in _files("cores")}
    runtimes = {runtime.name for runtime in _files("runtimes")}
    rest = [row for row in load_fitted() if row.core not in cores and (row.core or row.runtime not in runtimes)]
    if rest:
        yield from ("## Numbers of any runtime, and of kinds of cores", "", *_fitted_table(rest, "both"), "")


def _fitted_table(rows: list[Fitted], owner: str) -> list[str]:
    owners = {"runtime": lambda row: row.runtime, "both": lambda row: " ".join((row.runtime, row.core)).strip()}
    of = owners.get(owner)
    header = ("number", "value", "source") if of is None else ("number", "of", "value", "source")
    found = []
    for row in rows:
        name, value = f"{row.parameter} {row.dtype}".strip(), f"{row.value:.4g}"
        whose = () if of is None else (of(row) or NONE,)
        found.append((name, *whose, value, cell(row.source)))
    return table(header, found)
