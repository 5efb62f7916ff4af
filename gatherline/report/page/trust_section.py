"""How sure the numbers of a run are: what stands behind each device, and what an error band says of each variant.

A band is of an absolute time. Two bands that overlap are told as "may be no faster", since nothing validates that the
errors of two variants go the same way, though on one device they mostly do. Left out: the error of masks and accuracy.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from gatherline.report.headline import DeviceHeadline, headline_facts
from gatherline.report.page.results import DeviceResults, band_text, is_dense, measure, speed_up, times
from gatherline.report.remarks import label, reasons, remarks
from gatherline.report.selection import RowLike, Rows, band_s, bands_overlap, number, percent, text

NOT_VALIDATED = "not validated"
NO_BAND = "No error band (not validated)"  # a remark that the tables of this section say device by device
_HELD_OUT = re.compile(  # as costmodel/validation/bands.py words it
    r"(?P<family>.+) (?P<dtype>\S+), (?P<rows>\d+) rows of (?P<devices>\d+) devices left out of fitting: "
    r"(?P<share>\d+)% of measured times were (?P<low>[\d.]+) to (?P<high>[\d.]+) of predicted, "
    r"each device weighing the same; median error (?P<median>\d+)%"
)


def trust_section(
    devices: list[DeviceResults], rows: Rows, facts: Sequence[DeviceHeadline] | None = None
) -> dict[str, object]:
    """Return what validates each device, each variant beside dense, and the remarks that stand nowhere else.

    ``facts``: the headline facts of ``rows`` where they are known. Beside dense, the section "No faster" tells the
    reasons of layers; without it the remarks do.
    """
    best = {one.device: [(each.limit, each.verdict) for each in one.limits] for one in facts or headline_facts(rows)}
    found = []
    for device in devices:
        limits: dict[int, list[float]] = {}
        for limit, verdict in best.get(device.name, []):
            if verdict is not None:
                limits.setdefault(id(verdict.best), []).append(limit)
        found.append(_of_device(device, limits))
    left_out = set(reasons(rows)) if any(device.dense is not None for device in devices) else set()
    lines = [line for line in remarks(rows) if line not in left_out and not line.startswith(NO_BAND)]
    return {"devices": found, "remarks": lines}


def plain_words(validated: str) -> str:
    """Return what validates a time as one says it; words of another kind stay as they are."""
    if validated in ("", NOT_VALIDATED):
        return "Not validated: no measurement stands behind these times, so they have no error band."
    found = _HELD_OUT.fullmatch(validated)
    if found is None:
        return validated
    share = "9 of 10" if found["share"] == "90" else f"{found['share']} %"
    return (
        f"Checked on {found['rows']} published times of {found['devices']} devices that were not used to fit: {share} "
        f"lay between {found['low']} and {found['high']} times the prediction, and half of them within "
        f"{found['median']} % of it (each device weighs the same; {found['family']} kernels, {found['dtype']})."
    )


def beside_dense(row: RowLike, dense: RowLike | None) -> str:
    """Return in words what the error bands of a total and of dense leave of their order."""
    if is_dense(row):
        return "what the others are compared with"
    if dense is None:
        return "dense was not run"
    factor = speed_up(dense, row)
    if factor is None:
        return "-"
    own, other = band_s(row), band_s(dense)
    if factor == 1.0:
        return "as fast as dense"
    if own is None or other is None:
        which = "either" if own is None and other is None else "this variant" if own is None else "dense"
        return f"{'faster' if factor > 1.0 else 'slower'}, but not validated: no error band of {which}"
    overlap = bands_overlap(own, other)
    if factor > 1.0:
        return "may be no faster: its band overlaps dense's" if overlap else "faster, even where both bands are worst"
    return "may be no slower: its band overlaps dense's" if overlap else "slower, even where both bands are best"


def _of_device(device: DeviceResults, limits: dict[int, list[float]]) -> dict[str, object]:
    layers = [row for found in device.layers.values() for row in found]
    sparse = [row for row in layers if text(row, "encoding") not in ("", "dense")]
    with_band = [row for row in device.totals if number(row, "latency_low_s") is not None]
    texts = sorted({text(row, "validated") for row in with_band} - {"", NOT_VALIDATED}, key=lambda one: (len(one), one))
    lines = [_line(row, device, limits.get(id(row), [])) for row in device.totals]
    first = [line for line in lines if line["first"]]
    return {
        "device": device.name,
        "how": "counted cycle by cycle" if _cycles(device.totals) else "roofline: no clock loop",
        "totals": len(device.totals),
        "banded": len(with_band),
        "text": plain_words(texts[0] if texts else NOT_VALIDATED),
        "other_texts": [plain_words(one) for one in texts[1:]],
        "sparse": len(sparse),
        "sparse_banded": sum(number(row, "latency_low_s") is not None for row in sparse),
        "extrapolated": sum(bool(row.get("extrapolated")) for row in device.totals),
        "extrapolated_layers": sum(bool(row.get("extrapolated")) for row in layers),
        "synthetic": any(bool(row.get("synthetic")) for row in [*device.totals, *layers]),
        "lines": first,
        "others": [line for line in lines if not line["first"]],
    }


def _line(row: RowLike, device: DeviceResults, limits: list[float]) -> dict[str, object]:
    return {
        "label": label(row),
        "first": is_dense(row) or bool(limits),
        "limits": ", ".join(percent(one) for one in limits),
        "latency": measure(row, "latency_s"),
        "factor": times(1.0 if is_dense(row) else speed_up(device.dense, row)),
        "band": band_text(row) or NOT_VALIDATED,
        "words": beside_dense(row, device.dense),
        "extrapolated": bool(row.get("extrapolated")),
    }


def _cycles(totals: list[RowLike]) -> bool:
    return any(row.get("model_kind") == "cycle" for row in totals)
