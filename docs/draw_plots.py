"""Draws the figures of docs/plots.md: ``python docs/draw_plots.py``.

Runs MobileNet-v1 and a small sweep into a temporary folder, which takes a minute, and draws each command of the page
that writes a picture. The same version draws the same bytes.
"""

from __future__ import annotations

import re
import shlex
import tempfile
from pathlib import Path

import gatherline as gl
from gatherline.cli import main

DOCS = Path(__file__).parent
PAGE = DOCS / "plots.md"
IMAGES = DOCS / "images"
DPI = 150  # an image of the page stays below 120 kB
PATTERNS = ("dense", "unstructured", "gs:16,1", "block:1x8")
SPARSITIES = (0.5, 0.8, 0.9)
DEVICES = ("gs-tcm", "snapdragon-855", "adreno-640")
SPEC = Path(__file__).parents[1] / "examples" / "sweep.toml"


def commands() -> list[tuple[list[str], str]]:
    """Return the arguments of each ``simulate plot`` of the page, and the picture under it."""
    text = PAGE.read_text(encoding="utf-8")
    found = re.findall(r"```sh\nsimulate (plot [^\n]+)\n```\n+!\[[^\]]*\]\(images/(plot-[a-z-]+\.png)\)", text)
    return [(shlex.split(line), picture) for line, picture in found]


def make(folder: Path) -> None:
    """Make the folders that the page's commands name: mobilenet, streams and banks."""
    report = gl.run("mobilenet_v1", patterns=list(PATTERNS), sparsities=list(SPARSITIES), devices=list(DEVICES))
    report.write(folder / "mobilenet")
    gl.trace("mobilenet_v1", folder / "streams", pattern="gs:16,1", sparsity=0.9)
    gl.run_sweep(SPEC, folder / "banks")


def draw(arguments: list[str], picture: str, folder: Path) -> None:
    """Run one command of the page, its figure as a PNG of the page's size."""
    kind, name, at = arguments[1], arguments[2], arguments.index("-o")
    rest = arguments[3:at] + arguments[at + 2 :]
    target = IMAGES / picture
    wanted = ["plot", kind, str(folder / name), *rest, "-o", str(target), "--dpi", str(DPI)]
    try:
        main([*wanted, "--csv", str(folder / f"{picture}.csv")])
    except SystemExit as ended:
        if ended.code:
            raise


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as place:
        make(Path(place))
        for line, image in commands():
            draw(line, image, Path(place))
