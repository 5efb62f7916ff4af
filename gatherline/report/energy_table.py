"""What ``simulate energy`` and ``simulate area`` show in the terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TextIO

from rich.console import Console
from rich.table import Table
from rich.text import Text

from costmodel.area import area
from costmodel.tables.catalog import technology_named
from gatherline.report.listing import Catalog
from gatherline.report.selection import RowLike, Rows, millijoules, number, percent, text, totals, unique
from gatherline.report.table import console_for
from simulator.spec import Device

SHARES = {  # columns of the table, and the parts that each sums
    "MACs": ("mac", "register", "vector"),
    "gather": ("gather", "crossbar"),
    "scatter": ("scatter",),
    "weights": ("weight_buffer", "index"),
    "DMA": ("dma", "second_level"),
    "DRAM": ("dram",),
}


ENERGY_CAVEAT = (
    "No chip was measured: sums of published parts, without leakage, clock tree, DRAM background and refresh, so a slow"
    " layer looks cheaper than it is."
)
AREA_CAVEAT = (
    "No chip was measured: sums of published cells, without sequencer, DMA, a core's own logic, clock tree, wiring "
    "between parts and pads."
)


def print_energy(rows: Rows, manifest: Mapping[str, object], stream: TextIO | Console) -> None:
    """Print the energy of every total and the shares of its parts, then why some have none, and what to make of it.

    The manifest's ``energy_assumed``: by device, the parts that rest on numbers without a source.
    """
    console = console_for(stream)
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("device", "pattern", "sparsity", "technology", "energy mJ", *SHARES):
        table.add_column(name, justify="left" if name in ("device", "pattern", "technology") else "right")
    for row in totals(rows):
        table.add_row(*map(Text, _cells(row)))
    console.print(table)
    for note in unique(
        [f"{text(row, 'device')}: {text(row, 'energy_note')}" for row in rows if text(row, "energy_note")]
    ):
        console.print(Text(note, style="dim"))
    assumed = manifest["energy_assumed"]
    assert isinstance(assumed, Mapping)
    if any(number(row, "energy_pj") for row in rows):
        console.print(Text(" ".join([ENERGY_CAVEAT, *(_assumed_share(rows, *one) for one in assumed.items())])))


def _assumed_share(rows: Rows, device: str, parts: Sequence[str]) -> str:
    """Return what share of a device's totals rests on assumptions, from the least to the most."""
    shares = []
    for row in totals(rows):
        whole = number(row, "energy_pj")
        if text(row, "device") == device and whole:
            shares.append(sum(number(row, f"energy_{part}_pj") or 0.0 for part in parts) / whole)
    ends = unique([percent(end) for end in (min(shares), max(shares))])
    return f"{device}: {' to '.join(ends)} of it rests on assumed numbers ({', '.join(parts)})."


def _cells(row: RowLike) -> list[str]:
    found = number(row, "energy_pj")
    shares = ["-"] * len(SHARES)
    if found:
        shares = [
            percent(sum(number(row, f"energy_{part}_pj") or 0.0 for part in of) / found) for of in SHARES.values()
        ]
    names = [text(row, "device"), text(row, "pattern"), percent(number(row, "sparsity_target"))]
    return [*names, text(row, "technology"), millijoules(found), *shares]


def area_catalog(device: Device, technology_name: str) -> Catalog:
    """Return the parts of a device with their area and rules, and the total. Raises TechnologyError."""
    technology = technology_named(technology_name)
    found = area(device, technology)
    parts = tuple((name, f"{mm2:.4f}", percent(mm2 / found.total_mm2)) for name, mm2 in found.parts_mm2.items())
    total = (f"total of {device.name} at {technology.name}", f"{found.total_mm2:.4f}", percent(1.0))
    return Catalog(
        header=("part", "area mm2", "share"),
        entries=(*parts, total),
        sources=((f"the parts of {device.name}", found.rules),),
    )


def area_caveat(device: Device, technology_name: str) -> str:
    """Return what an area leaves out, and what share of it is assumed. Raises TechnologyError."""
    found = area(device, technology_named(technology_name))
    share = percent(found.assumed_mm2 / found.total_mm2)
    return f"{AREA_CAVEAT} {device.name}: {share} of it rests on assumed numbers or rules."
