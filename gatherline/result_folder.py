"""What kind of results a folder holds, told by the files in it; says what is wrong with one that holds none."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import Literal

from gatherline.report_file import REPORT
from gatherline.request_error import RequestError
from gatherline.sweep.store_file import FILE as STORE

FolderKind = Literal["run", "sweep"]


def folder_kind(folder: Path) -> FolderKind:
    """Return whether ``folder`` holds a run or a sweep. Raises RequestError for anything else, and OSError."""
    if not folder.exists():
        raise FileNotFoundError(errno.ENOENT, "there is no such folder", str(folder))
    if not folder.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, "is not a folder; name the one that --out wrote", str(folder))
    if (folder / REPORT).is_file():
        return "run"
    if (folder / STORE).is_file():
        return "sweep"
    if (folder / "trace.json").is_file():
        raise RequestError(f"{folder}: holds request streams; simulate replay {folder} --device D tells their cycles")
    for name, command in (("inspect.json", "inspect"), ("break-even.json", "advise"), ("why.json", "advise")):
        if (folder / name).is_file():
            raise RequestError(
                f"{folder}: holds the answer of simulate {command}, and must be a folder of run or sweep"
            )
    raise RequestError(
        f"{folder}: has no {REPORT} (simulate run --out) and no {STORE} (simulate sweep): an unfinished run leaves none"
    )
