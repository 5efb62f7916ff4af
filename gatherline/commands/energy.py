"""``simulate energy`` and ``area``: what a finished run costs in joules, and a device in square millimetres."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from gatherline.options import Debug, DeviceTexts, Json, TechnologyName


def energy(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder that simulate run --out wrote.")],
    technology: TechnologyName = "16nm",
    device: DeviceTexts = None,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Price a finished run by another technology.

    Nothing is simulated.
    """
    from gatherline.energy_report import energy_report
    from gatherline.report.energy_table import print_energy

    report = energy_report(folder, technology, tuple(device or ()))
    if json:
        sys.stdout.write(report.to_json())
    else:
        print_energy(report.rows, report.manifest, sys.stdout)


def area(
    device: Annotated[str, typer.Argument(metavar="DEVICE", help="Name, or path of a .toml file.")],
    technology: TechnologyName = "16nm",
    debug: Debug = False,
) -> None:
    """Show the area of an accelerator by part, with sources."""
    from gatherline.report.energy_table import area_catalog, area_caveat
    from gatherline.report.table import print_catalog
    from gatherline.request import cycle_device

    print_catalog(area_catalog(cycle_device(device), technology), sys.stdout)
    print("\n" + area_caveat(cycle_device(device), technology))
