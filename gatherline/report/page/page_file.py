"""The page of a folder as a file: made of what the folder holds, written aside and renamed.

So that no half page is ever seen under its name, and an older one stays where a new one cannot be made.
"""

from __future__ import annotations

import os
from pathlib import Path

from gatherline.report.staging import check_target
from gatherline.result_folder import folder_kind

NAME = "report.html"


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

    Raises what ``folder_page`` raises; then nothing is written.
    """
    target = folder / NAME if out is None else out
    if target.is_dir():
        raise IsADirectoryError(21, "is a folder, and a page is a file: name one, as in page.html", str(target))
    page = folder_page(folder)
    check_target(target.parent)
    target.parent.mkdir(parents=True, exist_ok=True)
    aside = target.with_name(f".gatherline-{os.getpid()}-{target.name[:100]}")
    try:
        aside.write_text(page, encoding="utf-8")
        os.replace(aside, target)
    finally:
        aside.unlink(missing_ok=True)
    return target
