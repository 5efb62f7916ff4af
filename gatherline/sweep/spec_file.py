"""Reads a spec from a file of TOML or from its text. Left out: what its tables mean (``spec_reading.py``)."""

from __future__ import annotations

import tomllib
from pathlib import Path

from gatherline.request_error import RequestError
from gatherline.sweep.spec import SweepSpec
from gatherline.sweep.spec_reading import spec_of

_LARGEST_BYTES = 1 << 24


def read_spec(path: str | Path) -> SweepSpec:
    """Read a spec file. Paths in it are relative to its folder. Raises RequestError, naming file, key and rule."""
    file = Path(path)
    try:
        with file.open("rb") as stream:
            data = stream.read(_LARGEST_BYTES + 1)
    except FileNotFoundError:
        raise RequestError(f"{file}: no such spec file") from None
    except OSError as error:
        raise RequestError(f"{file}: it cannot be read: {error.strerror}") from None
    if len(data) > _LARGEST_BYTES:
        raise RequestError(f"{file}: it is larger than {_LARGEST_BYTES} bytes, and no spec is")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise RequestError(f"{file}: not a readable TOML file: {error.reason} at byte {error.start}") from None
    return parse_spec(text, file)


def parse_spec(text: str, file: Path) -> SweepSpec:
    """Return the spec that ``text`` is; ``file``: where it stands or would stand. Raises RequestError."""
    try:
        table = tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # ValueError: no TOML, or a number without end
        raise RequestError(f"{file}: not a readable TOML file: {' '.join(str(error).split())[:200]}") from None
    return spec_of(table, text, file)
