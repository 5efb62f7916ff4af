"""``simulate cache``: what sweeps keep between runs."""

import sys
from typing import Annotated

import typer

from gatherline.exit_status import FAILED
from gatherline.options import ArgumentError, Debug, Json


def cache(
    clear: Annotated[bool, typer.Option("--clear", help="Remove every entry.")] = False,
    limit: Annotated[
        str | None, typer.Option(metavar="SIZE", help="Remove the least recently used beyond SIZE, as in 500MB, now.")
    ] = None,
    verify: Annotated[bool, typer.Option("--verify", help="Hash every entry again, and remove damaged ones.")] = False,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Show what sweeps keep between runs, and how much room it takes.

    Lowered and masked networks, each made once. The folder is $GATHERLINE_CACHE, $XDG_CACHE_HOME/gatherline or
    ~/.cache/gatherline, and GATHERLINE_CACHE=off does without; $GATHERLINE_CACHE_LIMIT is the most it holds (2 GiB).
    """
    if clear + verify + (limit is not None) > 1:
        raise ArgumentError("--clear, --limit and --verify are one thing each, and more than one was given")
    from gatherline.cache_report import cache_report

    report = cache_report(clear=clear, limit=limit, verify=verify)
    sys.stdout.write(report.to_json() if json else report.to_text())
    if report.damaged:
        raise typer.Exit(FAILED)
