"""A figure as a file: PDF, SVG or PNG by its suffix, and its numbers as CSV beside it.

Both are written aside and then renamed, so that neither is ever seen half written. The same figure gives the same
bytes: no dates, no random ids. Left out: other formats.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gatherline.report.figures.figure import Drawn
from gatherline.report.figures.style import Theme, drawing
from gatherline.request_error import RequestError

# what of a file's facts is left out: dates, and of a PNG who drew it
_FACTS: dict[str, dict[str, Any]] = {
    ".pdf": {"CreationDate": None},
    ".svg": {"Date": None},
    ".png": {"Software": None},
}
SUFFIXES = tuple(_FACTS)
DPI = 300
LEAST_DPI, MOST_DPI = 50, 1200
# files of results that a figure's numbers must not replace
_RESULTS = ("rows.csv", "front.csv")


@dataclass(frozen=True, slots=True, kw_only=True)
class FigureFiles:
    """Where a figure and its numbers go."""

    figure: Path
    numbers: Path
    dpi: int = DPI

    def check(self) -> None:
        """Raise RequestError or OSError unless both can be written. Makes nothing."""
        if self.figure.suffix.lower() not in SUFFIXES:
            raise RequestError(f"{self.figure}: a figure is a file that ends in {', '.join(SUFFIXES)}")
        if not LEAST_DPI <= self.dpi <= MOST_DPI:
            raise RequestError(f"dpi is {self.dpi}, and must be from {LEAST_DPI} to {MOST_DPI}")
        if self.numbers.absolute() == self.figure.absolute():
            raise RequestError(f"{self.numbers}: the figure and its numbers must be two files")
        if self.numbers.name in _RESULTS and self.numbers.exists():
            raise RequestError(
                f"{self.numbers}: holds results, and the numbers of a figure would replace them; name the figure "
                "otherwise, or name another file with --csv"
            )
        for path in (self.figure, self.numbers):
            _check_file(path)


def figure_files(figure: Path, numbers: Path | None, dpi: int) -> FigureFiles:
    """Return where a figure goes, its numbers beside it unless said otherwise."""
    return FigureFiles(figure=figure, numbers=figure.with_suffix(".csv") if numbers is None else numbers, dpi=dpi)


def write_figure(drawn: Drawn, theme: Theme, files: FigureFiles) -> None:
    """Write the figure and its numbers. Raises RequestError and OSError; then neither is there under its name."""
    files.check()
    suffix = files.figure.suffix.lower()
    with tempfile.TemporaryDirectory(prefix=".gatherline-", dir=files.figure.parent) as folder:
        picture, numbers = Path(folder) / f"figure{suffix}", Path(folder) / "numbers.csv"
        with drawing(theme):
            drawn.figure.savefig(picture, dpi=files.dpi, metadata=_FACTS[suffix])
        numbers.write_text(drawn.to_csv(), encoding="utf-8")
        shutil.copyfile(numbers, aside := files.numbers.with_name(f".{files.numbers.name}.{os.getpid()}"))
        try:
            os.replace(picture, files.figure)
            os.replace(aside, files.numbers)
        finally:
            aside.unlink(missing_ok=True)


def _check_file(path: Path) -> None:
    if path.is_dir():
        raise IsADirectoryError(21, "is a folder, and a file is to be written", str(path))
    if path.exists() and not path.is_file():
        raise FileExistsError(17, "is there and no plain file", str(path))
    if not path.parent.is_dir():
        raise FileNotFoundError(2, "no such folder to write into", str(path.parent))
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise PermissionError(13, "no permission to write there", str(path.parent))
