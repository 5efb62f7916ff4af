"""Write the error bands of the package from the folder of measurements: ``python -m costmodel.validation.store_bands``.

Rows of devices that anything was fitted to never enter. Nothing is random but the masks, which are seeded.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from costmodel.devices.catalog import ALL_DEVICES
from costmodel.validation.bands import (
    FILE,
    HIGH_SHARE,
    LEAST_DEVICES,
    LEAST_NETS,
    LEAST_ROWS,
    LOW_SHARE,
    RULE,
    Band,
    bands_text,
)
from costmodel.validation.compare import Point, net_name, validate
from costmodel.validation.folder import FOLDER, open_folder
from costmodel.validation.metrics import weighted_quantile


def bands_of(points: Sequence[Point]) -> tuple[Band, ...]:
    """Return the bands that the points on held-out devices support (``costmodel.validation.bands.RULE``)."""
    groups: dict[tuple[str, str, str], list[Point]] = defaultdict(list)
    for point in points:
        if point.use == "held_out":
            key = (point.device.kind, point.prediction.family, point.measured.key.dtype)
            groups[key].append(point)
    return tuple(_band(*key, group) for key, group in groups.items() if _enough(group))


def _enough(points: Sequence[Point]) -> bool:
    devices = {point.device.name for point in points}
    nets = {net_name(point.measured) for point in points}
    return len(devices) >= LEAST_DEVICES and len(points) >= LEAST_ROWS and len(nets) >= LEAST_NETS


def _band(device_kind: str, family: str, dtype: str, points: Sequence[Point]) -> Band:
    names = [point.device.name for point in points]
    weights = [1 / names.count(name) for name in names]
    ratios = [point.measured.seconds / point.predicted_s for point in points]
    off = [abs(point.error) for point in points]
    predictions = [point.prediction for point in points]
    return Band(
        device_kind=device_kind,
        family=family,
        dtype=dtype,
        rows=len(points),
        nets=len({net_name(point.measured) for point in points}),
        devices=len(set(names)),
        ratio_low=weighted_quantile(ratios, weights, LOW_SHARE),
        ratio_high=weighted_quantile(ratios, weights, HIGH_SHARE),
        error_median=float(np.median(off)),
        error_p90=float(np.percentile(off, 90)),
        macs_least=min(prediction.macs_least for prediction in predictions),
        macs_most=max(prediction.macs_most for prediction in predictions),
        density_least=min(prediction.density for prediction in predictions),
        threads_most=max(point.measured.key.threads for point in points),
    )


def main(target: Path = Path(__file__).parent / FILE, folder: Path = FOLDER) -> None:
    """Write ``target`` and say what it holds."""
    bands = bands_of(validate(open_folder(folder), ALL_DEVICES).points)
    target.write_text(bands_text(bands), encoding="utf-8")
    print(f"{len(bands)} bands in {target.name}; {RULE}")
    for band in bands:
        print(f"{band.device_kind}: {band.text}")


if __name__ == "__main__":
    main()
