"""Writes docs/devices.md, its picture, and docs/device-sources.md: ``python docs/draw_devices.py``.

Everything comes from the devices and from a comparison with the tables in ``validation/``, which takes a minute or
more. The picture carries a digest of what it shows, by which a test tells that it is of today.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import device_pages
import device_sources
import matplotlib
from device_errors import Measured
from device_list import PAGE, SOURCES
from matplotlib.backends.backend_agg import FigureCanvasAgg

from costmodel.devices.catalog import ALL_DEVICES
from costmodel.validation.compare import validate
from costmodel.validation.folder import open_folder
from gatherline.report.validation_plot import overview
from gatherline.validation import point_rows

DOCS = Path(__file__).parent
PICTURE = DOCS / "images" / "validation.png"
DIGEST = "shows"


def compared() -> Measured:
    """Return what the tables of the repository say of all devices."""
    folder = open_folder()
    return Measured(uses=folder.devices, validation=validate(folder, ALL_DEVICES))


def digest(rows: list[dict[str, object]]) -> str:
    """Return what tells whether a picture shows these points; times to four digits."""
    names = ("device_kind", "family", "use")
    numbers = ("measured_s", "predicted_low_s", "predicted_high_s")
    lines = [" ".join([*(str(row[name]) for name in names), *(f"{row[name]:.4g}" for name in numbers)]) for row in rows]
    return hashlib.sha256("\n".join(sorted(lines)).encode()).hexdigest()


def main() -> None:
    """Write the two documents and the picture."""
    measured = compared()
    assert measured.validation is not None
    rows = point_rows(measured.validation)
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        figure = overview(rows)
        FigureCanvasAgg(figure).print_png(PICTURE, metadata={"Software": None, DIGEST: digest(rows)})
    (DOCS / PAGE).write_text(device_pages.page(measured), encoding="utf-8")
    (DOCS / SOURCES).write_text(device_sources.page(), encoding="utf-8")
    print(f"wrote {DOCS / PAGE}, {DOCS / SOURCES} and {PICTURE}")


if __name__ == "__main__":
    main()
