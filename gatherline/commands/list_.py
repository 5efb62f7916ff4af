"""``simulate list``: what there is, with its source."""

import sys
from typing import Annotated

import typer

from gatherline.options import ArgumentError, Debug, Listing


def list_(
    what: Annotated[
        Listing, typer.Argument(metavar="devices|patterns|encodings|models|technologies", help="What to list.")
    ],
    name: Annotated[
        str | None,
        typer.Argument(metavar="DEVICE", help="Of devices: fields and sources of this one, a name or .toml."),
    ] = None,
    debug: Debug = False,
) -> None:
    """List what there is, with its source."""
    from gatherline.report.listing import catalog, one_device
    from gatherline.report.table import print_catalog

    if name is not None and what is not Listing.DEVICES:
        raise ArgumentError(f"list {what.value} takes no name, and got {name!r}; list devices does")
    print_catalog(catalog(what.value) if name is None else one_device(name), sys.stdout)
