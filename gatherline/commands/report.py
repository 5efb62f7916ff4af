"""``simulate report``: a finished run or sweep as one page."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from gatherline.options import Debug


def report(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder that simulate run --out or sweep wrote.")],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", metavar="FILE.html", help="The page; by default DIR/report.html.")
    ] = None,
    debug: Debug = False,
) -> None:
    """Show a run or a sweep as one page for a browser.

    The page needs no network. Nothing is simulated again.
    """
    from gatherline.report.page.page_file import write_page
    from gatherline.report.selection import megabytes

    path = write_page(folder, out)
    print(f"wrote {path} ({megabytes(path.stat().st_size)} MB): open it in a browser", file=sys.stdout)
