"""Writes docs/devices.md and its picture: ``python docs/draw_devices.py``.

Everything comes from the devices and from a comparison with the tables in ``validation/``, which takes a minute or
more. The picture carries a digest of what it shows, by which a test tells that it is of today.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import matplotlib
from device_errors import Measured
from device_pages import page
from matplotlib.backends.backend_agg import FigureCanvasAgg

from costmodel.devices.catalog import ALL_DEVICES
from costmodel.validation.compare import validate
from costmodel.validation.folder import open_folder
from gatherline.report.validation_plot import overview
from gatherline.validation import point_rows

DOCUMENT = Path(__file__).parent / "devices.md"
PICTURE = Path(__file__).parent / "images" / "validation.png"
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
    """Write the document and the picture."""
    measured = compared()
    assert measured.validation is not None
    rows = point_rows(measured.validation)
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        figure = overview(rows)
        FigureCanvasAgg(figure).print_png(PICTURE, metadata={"Software": None, DIGEST: digest(rows)})
    DOCUMENT.write_text(page(measured), encoding="utf-8")
    print(f"wrote {DOCUMENT} and {PICTURE}")


if __name__ == "__main__":
    main()
