"""One published time: where it stands, on what it was taken, and of which layers. No model is known here."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field

UNITS_S: dict[str, float] = {"s": 1.0, "ms": 1e-3, "us": 1e-6}
MOST_EXTENT = (1 << 31) - 1  # of a count in a table: what 32 bits hold
# what Python takes beyond these (6_4, other scripts' digits) is a slip in a table
_NUMBER = re.compile(r"[-+]?([0-9]{1,40}(\.[0-9]{0,40})?|\.[0-9]{1,40})([eE][-+]?[0-9]{1,4})?|[-+]?(nan|inf)")
_WHOLE = re.compile(r"[0-9]{1,20}")


class ValidationError(ValueError):
    """A table of measurements, or a band, that cannot be used: one line naming file, line, value and rule."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """What a model stands for: one processor of one SoC, the threads on it, the data type and the runtime.

    ``processor``: a core ("a76"), cores that run together ("a76+a55") or a GPU ("adreno-640").
    """

    soc: str
    processor: str
    threads: int
    dtype: str
    runtime: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """One row of a table. ``net`` names layers (``costmodel.validation.nets``), "" where their shapes are not known.

    ``seconds``: the typical time that the table gives (median where it has one, else mean, else the only one);
    ``seconds_min`` and ``seconds_max`` where it has them. ``pattern``: rule of the zeros; ``density_low`` and
    ``density_high``: fraction of the weights kept in the layers of ``scope`` ("all", "pointwise" convolutions, "mlp"),
    an interval where the source states one; ``blocks``: (start of a layer's name, pattern) of layers with another
    pattern. ``machine``: who measured on what, as the table writes it. ``asides``: what
    exclusion rules ask about (``costmodel.validation.exclusions``).
    """

    table: str
    line: int
    machine: str
    key: Key
    model: str
    net: str
    seconds: float
    seconds_min: float | None = None
    seconds_max: float | None = None
    pattern: str = "dense"
    density_low: float = 1.0
    density_high: float = 1.0
    scope: str = "all"
    blocks: tuple[tuple[str, str], ...] = ()
    batch: int = 1
    peak_macs_per_s: float | None = None
    asides: frozenset[str] = field(default=frozenset())

    def __post_init__(self) -> None:
        if not self.seconds > 0:
            raise ValidationError(f"{self.where}: time is {self.seconds} s, and must be above 0")
        if not 0 < self.density_low <= self.density_high <= 1:
            raise ValidationError(
                f"{self.where}: density is {self.density_low} to {self.density_high}, and must be in (0, 1]"
            )

    @property
    def where(self) -> str:
        return f"{self.table} line {self.line}"


def seconds(value: str, unit: str, where: str) -> float:
    """Return ``value`` in seconds. Raises ValidationError for a unit or a number that is none."""
    if unit not in UNITS_S:
        raise ValidationError(f"{where}: unit is {unit!r}, and must be one of {', '.join(UNITS_S)}")
    return number(value, where) * UNITS_S[unit]


def number(value: str, where: str) -> float:
    """Return ``value`` as a number. Raises ValidationError that says where it stands."""
    if not _NUMBER.fullmatch(value.strip(" ")):
        raise ValidationError(f"{where}: {value!r:.100} is no number, of digits 0 to 9")
    found = float(value)
    if not 0 <= found < float("inf"):
        raise ValidationError(f"{where}: {value!r:.100} is no finite number that is at least 0")
    return found


def whole(value: str, where: str, field: str, least: int = 1, most: int = MOST_EXTENT) -> int:
    """Return ``value`` as a whole number from ``least`` to ``most``. Raises ValidationError naming ``field``."""
    found = int(value) if _WHOLE.fullmatch(value.strip(" ")) else None
    if found is None or not least <= found <= most:
        raise ValidationError(f"{where}: {field} is {value!r:.100}, and must be a whole number from {least} to {most}")
    return found


Reader = Callable[..., "list[Measurement]"]
