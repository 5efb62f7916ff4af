"""Every variant on every device as one table to sort and to filter."""

from __future__ import annotations

from gatherline.report.page.results import DeviceResults, is_dense, speed_up, times
from gatherline.report.remarks import density, label
from gatherline.report.selection import (
    RowLike,
    band_s,
    count,
    megabytes,
    millijoules,
    milliseconds,
    number,
    percent,
    removed,
    text,
)

Cell = tuple[str, float | None]  # as it reads, and as it sorts


def totals_section(devices: list[DeviceResults]) -> list[dict[str, object]]:
    """Return a line for each total: texts, and cells of numbers with the value that they sort by."""
    return [_line(device, row) for device in devices for row in device.totals]


def _line(device: DeviceResults, row: RowLike) -> dict[str, object]:
    share = removed(row)
    stored = _sum(row, "weight_bytes", "index_bytes")
    factor = 1.0 if is_dense(row) and number(row, "latency_s") else speed_up(device.dense, row)
    band = band_s(row)
    numbers: list[Cell] = [
        ("-" if share is None else percent(share), share),
        (density(row), number(row, "density")),
        (milliseconds(number(row, "latency_s")), number(row, "latency_s")),
        (times(factor), factor),
        ("not validated", None) if band is None else (f"{milliseconds(band[0])} to {milliseconds(band[1])}", band[0]),
        (megabytes(number(row, "peak_memory_bytes")), number(row, "peak_memory_bytes")),
        (megabytes(stored), stored),
        (megabytes(number(row, "dram_bytes")), number(row, "dram_bytes")),
        (millijoules(number(row, "energy_pj")), number(row, "energy_pj")),
        (count(number(row, "cycles")), number(row, "cycles")),
    ]
    return {
        "device": device.name,
        "variant": label(row),
        "numbers": numbers,
        "bound": text(row, "bound"),
        "extrapolated": bool(row.get("extrapolated")),
    }


def _sum(row: RowLike, *columns: str) -> float | None:
    found = [number(row, column) for column in columns]
    known = [one for one in found if one is not None]
    return sum(known) if known else None
