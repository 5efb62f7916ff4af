"""Error bands: how far measurements lay from predictions on devices that no number was fitted to.

``bands.csv`` is written by ``python -m costmodel.validation.store_bands`` from the folder of measurements, one line for
each (device kind, kernel family, dtype) with enough of them; a prediction outside every line is "not validated".
A band is of whole nets and single products as they were measured; a layer of a net gets the band of its kernel family,
though errors of single layers may be larger than those of sums.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from functools import cache
from importlib.resources import files

from costmodel.spmv import VECTOR_FAMILIES
from costmodel.validation.measurement import ValidationError
from simulator.result import LayerResult

FILE = "bands.csv"
LEAST_DEVICES, LEAST_ROWS, LEAST_NETS = 2, 20, 5  # held out; below that the spread of a band is chance
LOW_SHARE, HIGH_SHARE = 0.05, 0.95  # of measured over predicted, each device weighing the same
RULE = (
    f"a band needs {LEAST_ROWS} rows of {LEAST_NETS} nets or shapes on {LEAST_DEVICES} devices that nothing was "
    f"fitted to; it holds {HIGH_SHARE - LOW_SHARE:.0%} of measured / predicted, each device weighing the same"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Band:
    """``ratio_low`` and ``ratio_high``: measured over predicted; ``error_median``, ``error_p90``: absolute, 0.1 = 10 %.

    ``macs_least``, ``macs_most``, ``density_least``, ``threads_most``: what the rows covered; beyond it a prediction is
    extrapolated.
    """

    device_kind: str
    family: str
    dtype: str
    rows: int
    nets: int
    devices: int
    ratio_low: float
    ratio_high: float
    error_median: float
    error_p90: float
    macs_least: int
    macs_most: int
    density_least: float
    threads_most: int

    def __post_init__(self) -> None:
        if not 0 < self.ratio_low <= self.ratio_high:
            raise ValidationError(
                f"{FILE}: {self.device_kind} {self.family} {self.dtype}: ratios are {self.ratio_low} to "
                f"{self.ratio_high}, and must be above 0 and in order"
            )

    @property
    def text(self) -> str:
        return (
            f"{self.family} {self.dtype}, {self.rows} rows of {self.devices} devices left out of fitting: "
            f"{HIGH_SHARE - LOW_SHARE:.0%} of measured times were {self.ratio_low:.2f} to {self.ratio_high:.2f} of "
            f"predicted, each device weighing the same; median error {self.error_median:.0%}"
        )


def family_of(result: LayerResult) -> str:
    """Return the kernel family of a layer: how its weights are stored; "dense" for layers without weights.

    Products with one vector on a GPU are families of their own: a band of theirs says nothing of whole matrices.
    """
    return VECTOR_FAMILIES.get(result.kernel, result.encoding or "dense")


def banded(result: LayerResult, dtype: str, threads: int, bands: Sequence[Band] | None = None) -> LayerResult:
    """Return ``result`` with its error band; unchanged, "not validated", where no band is of its kind.

    A result that has a band already, of a calibration on its own machine, keeps it. ``bands``: instead of the
    package's own.
    """
    known = stored_bands() if bands is None else bands
    kind, family = result.device_kind, family_of(result)
    if result.model_kind != "roofline" or result.kind == "unsupported" or result.latency_low_s is not None:
        return result
    band = next((x for x in known if (x.device_kind, x.family, x.dtype) == (kind, family, dtype)), None)
    if band is None:
        return result
    left = beyond(result, band, threads)
    note = f"beyond what was validated: {left}" if left else ""
    return replace(
        result,
        latency_low_s=result.latency_s * band.ratio_low,
        latency_high_s=result.latency_s * band.ratio_high,
        validated=band.text,
        extrapolated=result.extrapolated or bool(left),
        reason="; ".join(part for part in (result.reason, note) if part),
    )


def beyond(result: LayerResult, band: Band, threads: int) -> str:
    """Return what of ``result`` lies outside the rows behind ``band``, "" for nothing.

    Its own value is not told, which stands in its row, so that layers that left the same range say the same.
    """
    found = []
    if threads > band.threads_most:
        found.append(f"threads above {band.threads_most}")
    if result.m:  # nothing of a layer without a product has a range, but threads
        if result.counters.macs_dense < band.macs_least:
            found.append(f"macs below {band.macs_least}")
        if result.counters.macs_dense > band.macs_most:
            found.append(f"macs above {band.macs_most}")
        if family_of(result) != "dense" and result.density is not None and result.density < band.density_least:
            found.append(f"density below {band.density_least:.4g}")
    return ", ".join(found)


@cache
def stored_bands() -> tuple[Band, ...]:
    """Return the package's own bands."""
    return read_bands((files("costmodel.validation") / FILE).read_text(encoding="utf-8"))


def read_bands(text: str) -> tuple[Band, ...]:
    """Return the bands of a file's text. Raises ValidationError for other columns or a value that is none."""
    header, *lines = text.splitlines() or [""]
    names = [part.name for part in fields(Band)]
    if header.split(",") != names:
        raise ValidationError(f"{FILE} line 1: columns are {header!r}, and must be {','.join(names)}")
    return tuple(_band(number, line.split(","), names) for number, line in enumerate(lines, start=2))


def _band(line: int, values: list[str], names: list[str]) -> Band:
    if len(values) != len(names):
        raise ValidationError(f"{FILE} line {line}: has {len(values)} fields, and must have {len(names)}")
    row = dict(zip(names, values, strict=True))
    try:
        return Band(
            device_kind=row["device_kind"],
            family=row["family"],
            dtype=row["dtype"],
            rows=int(row["rows"]),
            nets=int(row["nets"]),
            devices=int(row["devices"]),
            ratio_low=float(row["ratio_low"]),
            ratio_high=float(row["ratio_high"]),
            error_median=float(row["error_median"]),
            error_p90=float(row["error_p90"]),
            macs_least=int(row["macs_least"]),
            macs_most=int(row["macs_most"]),
            density_least=float(row["density_least"]),
            threads_most=int(row["threads_most"]),
        )
    except ValidationError:
        raise
    except ValueError as error:
        raise ValidationError(f"{FILE} line {line}: {error}") from None


def bands_text(bands: Sequence[Band]) -> str:
    """Return the file's text: the bands in order of kind, family and dtype; ratios and errors to four digits."""
    names = [part.name for part in fields(Band)]
    ordered = sorted(bands, key=lambda band: (band.device_kind, band.family, band.dtype))
    lines = [",".join(_cell(getattr(band, name)) for name in names) for band in ordered]
    return "\n".join([",".join(names), *lines]) + "\n"


def _cell(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
