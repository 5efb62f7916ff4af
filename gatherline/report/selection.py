"""Questions asked of report rows: totals, layers, variants, and how a value reads. Computes nothing of its own."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from gatherline.report.columns import TOTAL

SAME_SPARSITY = 0.005  # what was reached is told apart from what was asked beyond half a point
RowLike = Mapping[str, object]
Rows = Sequence[RowLike]


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """One way to prune: a pattern and the sparsity asked for (None: dense, or the zeros the model has)."""

    pattern: str
    sparsity: float | None

    @property
    def label(self) -> str:
        if self.sparsity is None:
            return self.pattern if self.pattern == "dense" else f"{self.pattern} (own zeros)"
        return f"{self.pattern} at {percent(self.sparsity)}"


def percent(fraction: float | None) -> str:
    """Return a fraction as the user reads it, "-" where there is none; what is not all does not read as 100 %."""
    if fraction is None:
        return "-"
    value = round(100 * fraction, 4)
    texts = [f"{value:.{digits}g}" for digits in (3, 4, 5, 6, 7)]
    return f"{texts[0] if value == 100 else next(one for one in texts if one != '100')} %"


def shortened(name: str, width: int) -> str:
    """Return a name of at most ``width`` letters: the middle goes, since both ends tell names apart."""
    plain = printable(name)
    return plain if len(plain) <= width else plain[: width // 2 - 2] + "..." + plain[-(width // 2 - 1) :]


def speed_up(dense_s: float | None, latency_s: float | None) -> float | None:
    """Return how many times as fast as dense a time is, None where one is missing or zero, or nothing can be told."""
    if not dense_s or not latency_s:
        return None
    factor = dense_s / latency_s
    return factor if math.isfinite(factor) else None


def times(factor: float | None, sign: str = "x") -> str:
    """Return a speed-up as people write it, "-" where there is none; never 1.00 for what is not.

    ``sign``: pages write a multiplication sign, terminals and files a letter.
    """
    if factor is None or not math.isfinite(factor):
        return "-"
    if factor >= 100:
        return f"{factor:,.0f}{sign}"
    if 0 < factor < 0.1:
        return f"{factor:.2g}{sign}"
    for digits in (2, 3, 4, 5, 6):
        if factor == 1.0 or float(f"{factor:.{digits}f}") != 1.0:
            return f"{factor:.{digits}f}{sign}"
    return f"about 1{sign}"


def band_s(row: RowLike) -> tuple[float, float] | None:
    """Return the error band of a row's latency, None where it has none."""
    low, high = number(row, "latency_low_s"), number(row, "latency_high_s")
    return None if low is None or high is None else (low, high)


def bands_overlap(one: tuple[float, float], other: tuple[float, float]) -> bool:
    """Return whether two bands have a time in common: then nothing tells which of the two is less."""
    return one[0] <= other[1] and other[0] <= one[1]


@lru_cache(maxsize=4096)
def printable(text: str) -> str:
    """Return ``text`` on one line, with control characters spelled out: names come from files that others wrote."""
    spaced = " ".join(text.split())
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode("ascii") for letter in spaced
    )


def text(row: RowLike, column: str) -> str:
    """Return a text column, "" where it is empty."""
    value = row.get(column)
    return "" if value is None else printable(str(value))


def number(row: RowLike, column: str) -> float | None:
    """Return a number column, None where it is empty. Raises TypeError where it holds something else."""
    value = row.get(column)
    if value is None:
        return None
    if isinstance(value, int | float):
        return value
    raise TypeError(f"column {column} is {value!r}, and must be a number")


def variant(row: RowLike) -> Variant:
    overall = number(row, "sparsity_overall")  # that of a layer may be its own
    return Variant(
        pattern=text(row, "pattern"), sparsity=number(row, "sparsity_target") if overall is None else overall
    )


def removed(row: RowLike) -> float | None:
    """Return which share of the pruned layers' weights a total lost: what was asked for where it does not tell."""
    if text(row, "pattern") == "dense":
        return 0.0
    reached, asked, density = number(row, "sparsity_reached"), variant(row).sparsity, number(row, "density")
    if reached is None and asked is None and density is not None:
        return 1.0 - density  # the zeros that a model has
    return asked if reached is None else reached


def totals(rows: Rows) -> list[RowLike]:
    """Return the rows that sum a network."""
    return [row for row in rows if row.get("layer") == TOTAL]


def layers(rows: Rows) -> list[RowLike]:
    """Return the rows of single layers."""
    return [row for row in rows if row.get("layer") != TOTAL]


def devices(rows: Rows) -> list[str]:
    """Return the devices' names in the order in which they appear."""
    return unique(text(row, "device") for row in rows)


def of_device(rows: Rows, device: str) -> list[RowLike]:
    return [row for row in rows if text(row, "device") == device]


def of_variant(rows: Rows, wanted: Variant) -> list[RowLike]:
    return [row for row in rows if variant(row) == wanted]


def unique(names: Iterable[str]) -> list[str]:
    """Return names once each, in order."""
    return list(dict.fromkeys(names))


def dense_latency_s(total_rows: Rows) -> float | None:
    """Return the latency of the dense network among the totals of one device, None where it was not run."""
    for row in total_rows:
        if text(row, "pattern") == "dense":
            return number(row, "latency_s")
    return None


def fastest(total_rows: Rows) -> RowLike | None:
    """Return the total with the least latency, the first of equals, None where there is none."""
    timed = [row for row in total_rows if number(row, "latency_s") is not None]
    return min(timed, key=lambda row: number(row, "latency_s") or 0.0, default=None)


def millijoules(energy_pj: float | None) -> str:
    """Picojoules as mJ with four digits."""
    return "-" if energy_pj is None else f"{energy_pj / 1e9:.4g}"


def milliseconds(seconds: float | None) -> str:
    """Return a time in milliseconds with three digits or more, "-" where there is none."""
    if seconds is None:
        return "-"
    value = seconds * 1e3
    for floor, digits in ((100.0, 0), (10.0, 1), (1.0, 2), (0.1, 3), (0.01, 4)):
        if value >= floor:
            return f"{value:,.{digits}f}"
    return f"{value:#.3g}" if value >= 1e-4 else f"{value:.3g}"  # "0.00600", but "1e-06"


def megabytes(count: float | None) -> str:
    """Return bytes in MB (10^6), "-" where there is none."""
    if count is None:
        return "-"
    value = count / 1e6
    return f"{value:,.1f}" if value >= 10 else f"{value:.2f}" if value >= 0.1 else f"{value:.4f}"


def count(value: float | None) -> str:
    """Return a whole number with separators, "-" where there is none."""
    return "-" if value is None else f"{int(value):,}"


def error_percent(row: RowLike, column: str, *, signed: bool = False) -> str:
    """Return a share column in percent, "-" where it is empty."""
    value = number(row, column)
    if value is None:
        return "-"
    return f"{value:+.0%}" if signed else f"{value:.0%}"


def millions(value: float | None) -> str:
    """Return a count, in millions where that is shorter, "-" where there is none."""
    return count(value) if value is None or value < 100_000 else f"{value / 1e6:,.2f}M"
