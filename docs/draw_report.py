"""Photographs the page of a run for README.md: ``python docs/draw_report.py [FOLDER]``, by default docs/images.

Runs MobileNet on a phone's processor, its graphics unit and an accelerator, makes the page, opens it in the system's
Chromium, and saves the top of it at 1440 pixels, the whole first screen of a phone at 390, and the section of layers.
Needs the ``test`` extra. Left out: the other sections.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page

import gatherline as gl
from gatherline.mask_samples import masks_json
from gatherline.report.files import write_report
from gatherline.report.page.run_page import run_page

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))  # the browser of the tests, which is no part of the package

from tests.browser.browsing import browser, shown  # noqa: E402

IMAGES = ROOT / "docs" / "images"
DEVICES = ("snapdragon-855", "adreno-640", "gs-tcm")
PATTERNS = ("dense", "unstructured", "gs:16,1", "block:4x1", "channel")
SPARSITIES = (0.5, 0.7, 0.9)
LAYER_VIEW = {"device": "gs-tcm", "pattern": "unstructured, 90 % removed"}
MARGIN = 16
LARGEST_BYTES = 300_000


def make_page(folder: Path) -> Path:
    report = gl.run("mobilenet_v1", patterns=PATTERNS, sparsities=SPARSITIES, devices=DEVICES)
    masks = masks_json(report.masks, report.manifest) if report.masks else None
    write_report(folder, report.manifest, report.rows, pictures=False, masks=masks)
    page = folder / "report.html"
    page.write_text(run_page(folder), encoding="utf-8")
    return page


def photograph_top(page: Page, target: Path, height: int) -> None:
    page.screenshot(path=target, clip={"x": 0, "y": 0, "width": page.viewport_size["width"], "height": height})  # type: ignore[index]


def photograph_layers(page: Page, target: Path) -> None:
    """Save the section's pickers, bars and the panel that says why; the rest of it does not fit a README."""
    page.locator("#choice-device").select_option(LAYER_VIEW["device"])
    page.locator("#layer-variant").select_option(label=LAYER_VIEW["pattern"])
    page.locator(".top").evaluate("(bar) => { bar.style.position = 'static'; }")
    start = page.locator("#layers").bounding_box()
    end = page.locator("#layer-bars").bounding_box()
    if start is None or end is None:
        raise RuntimeError("the page has no section of layers to photograph")
    box = {
        "x": start["x"] - MARGIN,
        "y": start["y"],
        "width": start["width"] + 2 * MARGIN,
        "height": end["y"] + end["height"] - start["y"] + MARGIN,
    }
    page.screenshot(path=target, clip=box, full_page=True)  # type: ignore[arg-type]


def shrink(target: Path) -> None:
    """Pack a picture tightly; raise where it is still too large to stand in the repository."""
    with Image.open(target) as picture:
        plain = picture.convert("RGB")
    plain.save(target, optimize=True)
    size = target.stat().st_size
    if size > LARGEST_BYTES:
        raise RuntimeError(f"{target}: {size} bytes, and must be at most {LARGEST_BYTES}")


def main() -> None:
    images = Path(sys.argv[1]) if len(sys.argv) > 1 else IMAGES
    images.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, browser() as opened:
        path = make_page(Path(folder))
        targets = [images / f"report-{name}.png" for name in ("headline", "phone", "layers")]
        with shown(opened, path, width=1440) as (page, _):
            photograph_top(page, targets[0], 900)
            photograph_layers(page, targets[2])
        with shown(opened, path, width=390) as (page, _):
            photograph_top(page, targets[1], 900)
    for target in targets:
        shrink(target)
        print(f"wrote {target}")


if __name__ == "__main__":
    main()
