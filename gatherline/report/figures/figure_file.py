"""A figure as a file: PDF, SVG or PNG by its suffix, and its numbers as CSV beside it.

Both are written aside and then renamed, so that neither is ever seen half written. The same figure gives the same
bytes: no dates, no random ids. Numbers replace only what is missing or a CSV of the same kind of figure, and a figure
no picture of a folder of results: nothing that another command wrote is lost. Left out: other formats.
"""

from __future__ import annotations

import csv
import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gatherline.report.figures.catalog import FigureKind
from gatherline.report.figures.figure import Drawn, is_whole
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
# pictures that other commands write into a folder of results, and the files by which such a folder is known
_PICTURES = (
    "layers-*.png", "heatmap-*.png", "roofline-*.png", "break-even-*.png", "sensitivity-*.png", "scatter-*.png",
    "mask-*.png", "front*.png",
)  # fmt: skip
_RESULTS = (
    "report.json", "break-even.json", "sensitivity.json", "validation.json", "inspect.json", "front.csv",
    "sweep.sqlite",
)  # fmt: skip
_MOST_HEADER = 10_000  # letters of a header that are read


@dataclass(frozen=True, slots=True, kw_only=True)
class FigureFiles:
    """Where a figure and its numbers go."""

    kind: FigureKind
    figure: Path
    numbers: Path
    dpi: int = DPI

    def check(self) -> None:
        """Raise RequestError or OSError unless both can be written. Makes nothing."""
        if self.figure.suffix.lower() not in SUFFIXES:
            raise RequestError(f"{self.figure}: a figure is a file that ends in {', '.join(SUFFIXES)}")
        if self.numbers.absolute() == self.figure.absolute():
            raise RequestError(f"{self.numbers}: the figure and its numbers must be two files")
        if self.numbers.suffix.lower() != ".csv":
            raise RequestError(f"{self.numbers}: the numbers of a figure are a file that ends in .csv")
        if not is_whole(self.dpi) or not LEAST_DPI <= self.dpi <= MOST_DPI:
            raise RequestError(f"dpi is {self.dpi!r}, and must be a whole number from {LEAST_DPI} to {MOST_DPI}")
        for path in (self.figure, self.numbers):
            _check_file(path)
        if self.numbers.exists() and not self.kind.wrote(_header(self.numbers)):
            raise RequestError(
                f"{self.numbers}: holds something other than the numbers of a {self.kind.name} figure, which would "
                "replace it; name the figure otherwise, or name another file with --csv"
            )
        if self.figure.exists() and _is_result(self.figure):
            raise RequestError(
                f"{self.figure}: is a picture of the results in its folder, and a figure would replace it; name the "
                "figure otherwise"
            )


def _header(path: Path) -> tuple[str, ...]:
    """Return the first line of a CSV file, nothing where it is none."""
    with path.open(encoding="utf-8", errors="replace", newline="") as file:
        try:
            return tuple(next(csv.reader([file.readline(_MOST_HEADER)]), []))
        except csv.Error:
            return ()


def _is_result(path: Path) -> bool:
    named = any(path.match(name) for name in _PICTURES)
    return named and any((path.parent / name).exists() for name in _RESULTS)


def figure_files(kind: FigureKind, figure: Path, numbers: Path | None, dpi: int) -> FigureFiles:
    """Return where a figure goes, its numbers beside it unless said otherwise."""
    beside = figure.with_suffix(".csv") if numbers is None and figure.name else numbers or figure
    return FigureFiles(kind=kind, figure=figure, numbers=beside, dpi=dpi)


def write_figure(drawn: Drawn, theme: Theme, files: FigureFiles) -> None:
    """Write the figure and its numbers. Raises RequestError and OSError; then neither is there under its name."""
    files.check()
    suffix = files.figure.suffix.lower()
    try:
        aside_folder = tempfile.TemporaryDirectory(prefix=".gatherline-", dir=files.figure.parent)
    except OSError as error:  # which names a folder that nobody asked for
        raise type(error)(
            error.errno, f"{error.strerror}; no file can be made there", str(files.figure.parent)
        ) from error
    with aside_folder as folder:
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
