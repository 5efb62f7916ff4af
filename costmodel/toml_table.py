"""A TOML file read field by field, with one line for what is wrong in it: file, field, value and rule.

Keys that nobody asked for are unknown and named with the nearest known one. Left out: what the fields mean.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, NoReturn, get_args

from costmodel.plausible import check_bandwidth, check_clock
from costmodel.spec import MOST, Dtype
from patterns.names import nearest
from simulator.spec import DeviceError

UNITS = {"_hz": ", in Hz", "_bytes_per_s": ", in bytes per second"}  # by the end of a field's name


def read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise DeviceError(f"{path}: no such file") from None
    except (OSError, ValueError, RecursionError) as error:
        raise DeviceError(f"{path}: not a readable TOML file: {error}") from None


class Table:
    """A table of a file that is read field by field, so that what is left over is unknown."""

    def __init__(self, path: Path, data: dict[str, Any], prefix: str = "") -> None:
        self._path, self._data, self._prefix = path, dict(data), prefix
        self._known: list[str] = []

    def only(self, spec: type) -> Table:
        """Return this table. Raises DeviceError for a key that is no field of ``spec``.

        Asked before anything is missing, so that who writes a name nearly right is told the right one.
        """
        self._known = [field.name for field in fields(spec)]
        for key in self._data:
            if key not in self._known:
                self._unknown(key)
        return self

    def _unknown(self, key: str) -> NoReturn:
        raise DeviceError(f"{self._path}: unknown key {self._prefix}{key}; {nearest(key, self._known)}")

    def has(self, key: str) -> bool:
        return key in self._data

    def _take(self, key: str, kind: type | tuple[type, ...], rule: str) -> Any:
        if key not in self._known:
            self._known.append(key)
        if key not in self._data:
            raise DeviceError(f"{self._path}: {self._prefix}{key} is missing, and must be {rule}")
        value = self._data.pop(key)
        if kind is int and isinstance(value, float) and value.is_integer():
            value = int(value)  # 2e9 is how a rate is written
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            raise DeviceError(f"{self._path}: {self._prefix}{key} is {value!r}, and must be {rule}")
        return value

    def text(self, key: str) -> str:
        value = str(self._take(key, str, "text"))
        if not value.strip():
            raise DeviceError(f"{self._path}: {self._prefix}{key} is empty, and must be text")
        if not value.isprintable():
            raise DeviceError(f"{self._path}: {self._prefix}{key} is {value!r}, and must be text of printable letters")
        return value

    def one_of(self, key: str, known: tuple[str, ...]) -> str:
        """Return the text at ``key``, one of ``known``."""
        value = self.text(key)
        if value not in known:
            raise DeviceError(f"{self._path}: {self._prefix}{key} is {value!r}; {nearest(value, list(known))}")
        return value

    def flag(self, key: str) -> bool:
        return bool(self._take(key, bool, "true or false"))

    def whole(self, key: str) -> int:
        rule = f"a whole number above 0{next((unit for end, unit in UNITS.items() if key.endswith(end)), '')}"
        value = int(self._take(key, int, rule))
        if not 1 <= value <= MOST:
            rule = rule if value < 1 else f"at most {MOST:g}"
            raise DeviceError(f"{self._path}: {self._prefix}{key} is {value}, and must be {rule}")
        return value

    def named(self, key: str, name: str) -> str:
        """Return the text at ``key``, which must be ``name``: what other files and the sources call this part."""
        value = self.text(key)
        if value != name:
            raise DeviceError(f"{self._path}: {self._prefix}{key} is {value!r}, and must be {name!r}")
        return value

    def clock(self, key: str) -> int:
        value = self.whole(key)
        self._plausible(check_clock, key, value)
        return value

    def bandwidth(self, key: str) -> int:
        value = self.whole(key)
        self._plausible(check_bandwidth, key, value)
        return value

    def _plausible(self, check: Callable[[str, float], None], key: str, value: int) -> None:
        try:
            check(f"{self._prefix}{key}", value)
        except DeviceError as error:
            raise DeviceError(f"{self._path}: {error}") from None

    def place(self, key: str) -> int:
        value = int(self._take(key, int, "a whole number from 0"))
        if value < 0:
            raise DeviceError(f"{self._path}: {self._prefix}{key} is {value}, and must be a whole number from 0")
        return value

    def number(self, key: str) -> float:
        value = self._take(key, (int, float), "a number above 0")
        if not 0 < value < float("inf"):
            raise DeviceError(f"{self._path}: {self._prefix}{key} is {value}, and must be a number above 0")
        if value > MOST:
            raise DeviceError(f"{self._path}: {self._prefix}{key} is {value}, and must be at most {MOST:g}")
        return float(value)

    def per_dtype(self, key: str) -> Mapping[Dtype, float]:
        part = Table(self._path, self._take(key, dict, "a table by data type"), f"{self._prefix}{key}.")
        found: dict[Dtype, float] = {dtype: part.number(dtype) for dtype in get_args(Dtype) if part.has(dtype)}
        part._known = list(get_args(Dtype))
        part.done()
        if not found:
            raise DeviceError(f"{self._path}: {self._prefix}{key} is empty, and must have a data type")
        return found

    def table(self, key: str) -> Table:
        return Table(self._path, self._take(key, dict, "a table"), f"{self._prefix}{key}.")

    def tables(self, key: str) -> list[Table]:
        parts = self._take(key, list, "a list of tables")
        for part in parts:
            if not isinstance(part, dict):
                raise DeviceError(f"{self._path}: {self._prefix}{key} holds {part!r}, and must be a list of tables")
        return [Table(self._path, part, f"{self._prefix}{key}.{at}.") for at, part in enumerate(parts)]

    def sources(self) -> Mapping[str, str]:
        found = self._take("sources", dict, "a table of texts")
        for key, value in found.items():
            if not isinstance(value, str) or len(value) < 6:
                raise DeviceError(f"{self._path}: sources.{key} is {value!r}, and must say where the number is from")
        return dict(found)

    def rest(self) -> dict[str, Any]:
        found, self._data = self._data, {}
        return found

    def done(self) -> None:
        """Raise DeviceError for the first key that was not taken."""
        for key in self._data:
            self._unknown(key)
