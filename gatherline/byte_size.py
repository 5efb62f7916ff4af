"""Sizes in bytes as people write them, such as ``2 GiB`` and ``500MB``. Left out: other units, fractions of a byte."""

from __future__ import annotations

import re

from gatherline.request_error import RequestError

_UNITS = {
    "b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "tb": 10**12,
    "kib": 2**10, "mib": 2**20, "gib": 2**30, "tib": 2**40,
}  # fmt: skip


def read_byte_size(text: str, where: str) -> int:
    """Return the bytes that ``text`` says. Raises RequestError, prefixed by ``where``."""
    found = re.fullmatch(r"\s*(\d{1,15}(?:\.\d{1,9})?)\s*([a-z]{1,3})\s*", text.lower(), flags=re.ASCII)
    if found is None or found[2] not in _UNITS:
        raise RequestError(f"{where} is {text!r}, and must be a number of bytes with its unit, as in 500 MB or 2 GiB")
    return int(float(found[1]) * _UNITS[found[2]])


def byte_size(count: int) -> str:
    """Return ``count`` in the largest binary unit of which it has at least one, as in ``3.04 MiB``."""
    for unit, size in (("TiB", 2**40), ("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10)):
        if count >= size:
            return f"{count / size:.2f} {unit}"
    return f"{count} B"
