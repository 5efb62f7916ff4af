"""Writes files so that no partial one is ever seen under a final name: into a hidden place beside, then renamed.

What fails leaves what was there as it was. Left out: what files hold, and whether an older file may go.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

Fill = Callable[[Path], list[str]]  # writes files into a folder and returns their names


def check_target(folder: Path) -> None:
    """Raise OSError unless ``folder`` is a folder that can be written, or can be made. Makes nothing."""
    for place in (folder, *folder.absolute().parents):
        if place.is_dir():
            if not os.access(place, os.W_OK | os.X_OK):
                raise PermissionError(13, "no permission to write there", str(place))
            break
        if place.exists() or place.is_symlink():
            raise NotADirectoryError(20, "is not a folder, and results are written into one", str(place))


def write_files(folder: Path, fill: Fill, *, replaced: Sequence[str] = ()) -> list[Path]:
    """Put what ``fill`` writes into ``folder`` (made if missing), all of it or nothing, and return the files.

    ``replaced``: names of an earlier report that must not stay where ``fill`` writes none. Raises OSError where the
    folder cannot be written or one of the names is a folder's, and what ``fill`` raises.
    """
    check_target(folder)
    made = _make(folder)
    staging = folder / f".gatherline-{os.getpid()}"
    try:
        staging.mkdir()
        names = fill(staging)
        for name in names:
            if (folder / name).is_dir():
                raise IsADirectoryError(21, "is a folder, and a file of that name is to be written", str(folder / name))
        for name in replaced:
            if (folder / name).is_file():
                (folder / name).unlink()
        for name in names:
            os.replace(staging / name, folder / name)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
        _unmake(made)
    return [folder / name for name in names]


def write_aside(path: Path, text: str) -> None:
    """Write one file, its folder made if missing. Raises OSError; then an older file stays as it was."""
    check_target(path.parent)
    if path.is_dir():
        raise IsADirectoryError(21, "is a folder, and a file is to be written", str(path))
    made = _make(path.parent)
    aside = path.with_name(f".gatherline-{os.getpid()}")  # without the name, which may be as long as names can be
    try:
        aside.write_text(text, encoding="utf-8", newline="\n")
        os.replace(aside, path)
    finally:
        aside.unlink(missing_ok=True)
        _unmake(made)


def _make(folder: Path) -> list[Path]:
    """Make ``folder`` and return what had to be made for it, the innermost first."""
    made = [place for place in (folder, *folder.parents) if not place.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    return made


def _unmake(made: Sequence[Path]) -> None:
    """Remove folders that nothing was written into."""
    for folder in made:
        with suppress(OSError):  # it holds something now
            folder.rmdir()
