"""Digests of frozen values, for manifests: equal values, equal digests, on any machine."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from fractions import Fraction
from typing import Any


def device_digest(device: Any) -> str:
    """Return the SHA-256 of every field of a device."""
    return hashlib.sha256(json.dumps(asdict(device), sort_keys=True, default=_plain).encode()).hexdigest()


def _plain(value: object) -> str:
    if isinstance(value, Fraction):
        return f"{value.numerator}/{value.denominator}"
    raise TypeError(f"a device holds a {type(value).__name__}, which has no digest")
