"""How sure the numbers of a run are: error bands and what stands behind them, device by device."""

from __future__ import annotations

from gatherline.report.page.results import DeviceResults, is_dense
from gatherline.report.remarks import remarks
from gatherline.report.selection import RowLike, Rows, number, text

NOT_VALIDATED = "not validated"


def trust_section(devices: list[DeviceResults], rows: Rows) -> dict[str, object]:
    """Return what validates each device, and the remarks that a terminal shows under the tables."""
    return {"devices": [_of_device(device) for device in devices], "remarks": remarks(rows)}


def _of_device(device: DeviceResults) -> dict[str, object]:
    layers = [row for found in device.layers.values() for row in found]
    sparse = [row for row in layers if text(row, "encoding") not in ("", "dense")]
    with_band = [row for row in device.totals if number(row, "latency_low_s") is not None]
    texts = sorted({text(row, "validated") for row in with_band} - {"", NOT_VALIDATED}, key=lambda one: (len(one), one))
    return {
        "device": device.name,
        "how": "counted cycle by cycle" if _cycles(device.totals) else "roofline: no clock loop",
        "totals": len(device.totals),
        "banded": len(with_band),
        "text": texts[0] if texts else NOT_VALIDATED,
        "other_texts": texts[1:],
        "sparse": len(sparse),
        "sparse_banded": sum(number(row, "latency_low_s") is not None for row in sparse),
        "extrapolated": sum(bool(row.get("extrapolated")) for row in device.totals),
        "extrapolated_layers": sum(bool(row.get("extrapolated")) for row in layers),
        "dense_banded": any(is_dense(row) for row in with_band),
        "synthetic": any(bool(row.get("synthetic")) for row in [*device.totals, *layers]),
    }


def _cycles(totals: list[RowLike]) -> bool:
    return any(row.get("model_kind") == "cycle" for row in totals)
