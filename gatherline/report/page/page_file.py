"""The page of a folder as a file: made of what the folder holds, and never in the place of anything but a page.

So that no half page is ever seen under its name, an older one stays where a new one cannot be made, and no file of
results is lost to a name that was mistyped. A link is followed, and stays.
"""

from __future__ import annotations

import os
from pathlib import Path

from gatherline.report.staging import check_target, write_aside
from gatherline.request_error import RequestError
from gatherline.result_folder import folder_kind

NAME = "report.html"
SUFFIXES = (".html", ".htm")
_BEGINS = b"<!doctype html>"


def folder_page(folder: Path) -> str:
    """Return the page of the run or sweep in ``folder``. Raises RequestError for a folder of neither, and OSError."""
    match folder_kind(folder):
        case "run":
            from gatherline.report.page.run_page import run_page

            return run_page(folder)
        case "sweep":
            from gatherline.report.page.sweep_page import sweep_page

            return sweep_page(folder)


def write_page(folder: Path, out: Path | None = None) -> Path:
    """Write the page of ``folder`` to ``out``, by default report.html in it, and return its path.

    Raises RequestError for a name that is no page's or a file there that is no page, and what ``folder_page`` raises;
    then nothing is written.
    """
    target = folder / NAME if out is None else out
    if out is not None:
        page_target(target)
    page = folder_page(folder)
    write_aside(page_target(target), page)
    return target


def page_target(target: Path) -> Path:
    """Return the file that ``target`` names, links followed. Raises RequestError, OSError where no page may go."""
    if target.is_dir():
        raise IsADirectoryError(21, "is a folder, and a page is a file: name one, as in page.html", str(target))
    place = Path(os.path.realpath(target))
    if place.is_symlink():
        raise OSError(40, "is a link that leads back to itself", str(target))
    for path in dict.fromkeys((target, place)):
        if path.suffix.lower() not in SUFFIXES:
            leads = f" (which {target} leads to)" if path != target else ""
            raise RequestError(f"{path}{leads}: a page is a file that ends in {' or '.join(SUFFIXES)}")
    if place.exists():
        if not place.is_file():
            raise FileExistsError(17, "is there and no plain file", str(target))
        with place.open("rb") as file:
            begins = file.read(len(_BEGINS))
        if begins and begins.lower() != _BEGINS:
            raise RequestError(
                f"{target}: is there and no page: it does not begin with {_BEGINS.decode()}, and is not replaced"
            )
    check_target(place.parent)
    return place
