"""A number with its unit, as people write it: "1 GHz", "64 KiB", "17.1 GB/s", "20 ms", "90 %". Exact, no floats inside.

Prefixes are SI (k, M, G, T: powers of 1000) and binary (Ki, Mi, Gi, Ti: of 1024). Left out: other systems of units, and
arithmetic between quantities.
"""

from __future__ import annotations

import math
import re
from fractions import Fraction

from gatherline.request_error import RequestError
from patterns.names import nearest

_SI = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
_BINARY = {"Ki": 1 << 10, "Mi": 1 << 20, "Gi": 1 << 30, "Ti": 1 << 40}
_BYTES = {f"{prefix}B": Fraction(scale) for prefix, scale in {**_SI, **_BINARY}.items()}
_SECONDS = {
    "s": Fraction(1), "ms": Fraction(1, 10**3), "us": Fraction(1, 10**6), "µs": Fraction(1, 10**6),
    "μs": Fraction(1, 10**6), "ns": Fraction(1, 10**9), "ps": Fraction(1, 10**12),
}  # fmt: skip
# how each unit of a field may be written, and what that is in the unit itself
SPELLINGS: dict[str, dict[str, Fraction]] = {
    "Hz": {f"{prefix}Hz": Fraction(scale) for prefix, scale in _SI.items()},
    "B": _BYTES,
    "B/s": {f"{name}/s": scale for name, scale in _BYTES.items()},
    "s": _SECONDS,
    "pJ": {
        "pJ": Fraction(1), "nJ": Fraction(10**3), "uJ": Fraction(10**6), "µJ": Fraction(10**6), "μJ": Fraction(10**6),
        "mJ": Fraction(10**9), "J": Fraction(10**12),
    },
    "mm2": {"mm2": Fraction(1), "mm²": Fraction(1), "um2": Fraction(1, 10**6)},
    "cycles": {"cycles": Fraction(1), "cycle": Fraction(1)},
    "B/cycle": {"B/cycle": Fraction(1)},
    "elements/cycle": {"elements/cycle": Fraction(1)},
    "MAC/cycle": {"MAC/cycle": Fraction(1), "MACs/cycle": Fraction(1)},
    "share": {"%": Fraction(1, 100)},
    "": {},
}  # fmt: skip
BARE = ("cycles", "B/cycle", "elements/cycle", "MAC/cycle", "share", "")  # a number without a unit says it all
_EXAMPLES = {"Hz": "1 GHz", "B": "64 KiB", "B/s": "17.1 GB/s", "s": "20 ms", "pJ": "5 mJ", "mm2": "4 mm2"}
_NUMBER = re.compile(r"([+-]?(?:\d[\d_]*\.?[\d_]*|\.\d[\d_]*)(?:[eE][+-]?(\d+))?)\s*(\S.*)?", re.ASCII)
_LONGEST = 64  # letters of a quantity: longer is no number that a person wrote
LARGEST = 1 << 63


def parse_quantity(value: object, unit: str, name: str) -> Fraction:
    """Return ``value`` in ``unit`` (a key of SPELLINGS), exactly as written. Raises RequestError, naming ``name``.

    A bare number is taken where the unit is one of cycles or a count, and 0 everywhere.
    """
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise RequestError(f"{name} is {shown(value)}, and must be {_kind(unit)}")
    if isinstance(value, str):
        found, suffix = _split(value, unit, name)
    else:
        if isinstance(value, float) and not math.isfinite(value):
            raise RequestError(f"{name} is {value}, and must be finite")
        found, suffix = Fraction(repr(value)) if isinstance(value, float) else Fraction(value), ""
    if suffix:
        found *= _scale(suffix, value, unit, name)
    elif unit not in BARE and found:
        raise RequestError(f'{name} is {shown(value)}, and needs a unit, as in "{_EXAMPLES[unit]}"')
    if abs(found) >= LARGEST:
        raise RequestError(f"{name} is {shown(value)}, and must be below 2^63 {unit}".rstrip())
    return found


def _split(text: str, unit: str, name: str) -> tuple[Fraction, str]:
    match = _NUMBER.fullmatch(text.strip()) if len(text) <= _LONGEST else None
    if match is None or len(match[2] or "") > 2:  # an exponent of three digits has no unit to fit
        raise RequestError(f"{name} is {shown(text)}, and must be {_kind(unit)}")
    return Fraction(match[1].replace("_", "")), match[3] or ""


def _scale(suffix: str, value: object, unit: str, name: str) -> Fraction:
    known = SPELLINGS[unit]
    if not known:
        raise RequestError(f"{name} is {shown(value)}, and must be a number without a unit")
    if suffix not in known:
        folded = {spelling.lower(): spelling for spelling in known}
        near = folded.get(suffix.lower())
        hint = f"did you mean {near}?" if near else nearest(suffix, list(known))
        raise RequestError(f"{name} is {shown(value)}, and {suffix!r} is no unit of it; {hint}")
    return known[suffix]


def _kind(unit: str) -> str:
    if unit in BARE:
        return 'a number or a text like "90 %"' if unit == "share" else "a number"
    return f'a text like "{_EXAMPLES[unit]}"'


def shown(value: object) -> str:
    """Return a short text of any value that a TOML file can hold, for an error of one line."""
    if isinstance(value, dict):
        return f"a table of {len(value)}"
    if isinstance(value, list):
        return f"a list of {len(value)}"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value) if abs(value) < LARGEST else "a number beyond 2^63"
    text = repr(value) if isinstance(value, str | float) else f"{value} (a {type(value).__name__})"
    return text if len(text) <= 80 else f"{text[:76]}...'"
