"""The text of docs/devices.md: errors and numbers of each device. Where a number is from: ``device_sources``.

No device is named here: what is in the tuples of devices is what is written. What is measured stands between
``MEASURED`` and ``END``, so that the rest can be looked at without a comparison.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from device_errors import Measured
from device_list import ASSEMBLED, SOURCES, Target, by_kind, every_device, link, processor
from device_numbers import cell, device_lines, table

from costmodel.cpu_file import load_soc, named
from costmodel.devices.cpus import Listed
from costmodel.spec import RooflineDevice

MEASURED, END = "<!-- measured -->", "<!-- end -->"
BETWEEN = re.compile(f"{MEASURED}.*?{END}", re.DOTALL)
OF_FILES = ("units", "matrix_macs", "vector_macs", "pipes", "kernels")  # numbers of a CPU that its files hold

INTRODUCTION = """# Devices

For people who choose a device, and ask how far its predictions may be off.

Made by `python docs/draw_devices.py` from the devices themselves and from what `simulate validate` compares.
[Where each number is from](device-sources.md), [how to add a device](adding-a-device.md),
[what the errors mean](validation.md), where models are known to be wrong: [DEVIATIONS.md](../validation/DEVIATIONS.md).

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
    for heading, devices in by_kind():
        lines += [f"## {heading}", ""]
        for device in devices:
            lines += [*_section(device, measured), ""]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).rstrip() + "\n"


def without_measured(text: str) -> str:
    """Return ``text`` without what comparing with measurements gave."""
    return BETWEEN.sub(f"{MEASURED}{END}", text)


def _measured(lines: list[str]) -> list[str]:
    return [MEASURED, *lines, END]


def _summary(measured: Measured) -> list[str]:
    rows = []
    for device in every_device():
        what = (link(device.name), device.kind, processor(device), measured.use_of(device.name))
        rows.append((*what, *measured.summary(device.name)))
    header = ("device", "kind", "processor", "used in fitting?", "rows", "median error", "floor")
    kinds = ["## By kind", "", *_measured(["", *measured.by_kind(), ""]), ""]
    return [*kinds, "## All devices", "", *_measured(["", *table(header, rows, right=frozenset((4, 5, 6))), ""])]


def _section(device: Target, measured: Measured) -> Iterator[str]:
    yield from (f"### {device.name}", "", f"{cell(device.summary)}.", "")
    errors, ratios = measured.table(device.name), measured.speed_up(device.name)
    yield from _measured(["", measured.standing(device.name), "", *errors, "", *([ratios, ""] if ratios else [])])
    yield ""
    assembled = device.name in ASSEMBLED and isinstance(device, RooflineDevice)
    made = _made_of(ASSEMBLED[device.name]) if assembled else f"{link('Sources of the numbers', SOURCES, device.name)}:"
    yield from (_patterns(device), "", made, "")
    lines = [line for line in device_lines(device) if not (assembled and line.part.startswith(OF_FILES))]
    rows = [(line.part, line.values) for line in lines if not line.part.startswith("kernels.")]
    if isinstance(device, RooflineDevice):
        rows += [(f"efficiency of {name}", shares) for name, shares in _efficiencies(device)]
    yield from table(("part", "numbers"), [(cell(part), cell(values)) for part, values in rows])


def _efficiencies(device: RooflineDevice) -> Iterator[tuple[str, str]]:
    """Yield each kernel's name and its share of the peak by data type; types of one share together."""
    for name in dict.fromkeys(kernel.name for kernel in device.kernels):
        found: dict[str, list[str]] = {}
        for kernel in device.kernels:
            if kernel.name == name:
                found.setdefault(f"{kernel.efficiency:.3g}", []).extend(kernel.dtypes)
        yield name, ", ".join(f"{'/'.join(dict.fromkeys(types))} {share}" for share, types in found.items())


def _patterns(device: Target) -> str:
    """Return which patterns a device has a kernel for."""
    if not isinstance(device, RooflineDevice):
        return "Every pattern runs, as the request streams of its encoding ([how](machine.md))."
    served = sorted({pattern for kernel in device.kernels for pattern in kernel.serves})
    return f"Patterns with a kernel: {', '.join(served)}; others run dense." if served else "Every pattern runs dense."


def _made_of(entry: Listed) -> str:
    """Return what a CPU is made of, with links to where the numbers of its parts are from."""
    core = load_soc(named("socs", entry.soc)).clusters[entry.cluster].core
    parts = (("SoC", entry.soc), ("core", core), ("runtime", entry.runtime))
    links = [link(f"{kind} {name}", SOURCES) for kind, name in parts]
    return f"Made of {', '.join(links)}; threads start on cluster {entry.cluster}. Put together:"
