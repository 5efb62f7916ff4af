"""Keys and plain values of a spec's tables: known or not, a value or a list of them. One line for each thing wrong."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gatherline.request_error import RequestError
from gatherline.sweep.axis import MOST_VALUES, Interval, Kind, read_axis
from gatherline.sweep.quantity import shown
from patterns.names import nearest


def check_keys(table: dict[str, Any], known: Sequence[str], where: str) -> None:
    """Raise RequestError for a key that is not known, naming the nearest one. ``where``: "" at the top."""
    for key in table:
        if key not in known:
            name = f"{where}.{key}" if where else key
            raise RequestError(f"unknown key {shown(name)[1:-1]}; {nearest(key, list(known))}")


def table_of(data: dict[str, Any], key: str) -> dict[str, Any]:
    """Return the table ``key``, {} where there is none. Raises RequestError for what is no table."""
    table = data.get(key, {})
    if not isinstance(table, dict):
        raise RequestError(f"{key} is {shown(table)}, and must be a table")
    return table


def listed(value: object, name: str) -> list[Any]:
    """Return the members of a list, or one value as a list. Raises RequestError for an empty or endless one."""
    found = value if isinstance(value, list) else [value]
    if not found:
        raise RequestError(f"{name} is an empty list, and must have at least one value")
    if len(found) > MOST_VALUES:
        raise RequestError(f"{name} has {len(found)} values, and at most {MOST_VALUES} are taken")
    return found


def texts(value: object, name: str) -> tuple[str, ...]:
    """Return texts of a value or list, each once; () for None."""
    if value is None:
        return ()
    found: tuple[str, ...] = _values(value, Kind(form="text"), name)
    for text in found:
        if not text.strip() or not text.isprintable():
            raise RequestError(f"{name} is {shown(text)}, and must be text of printable letters")
    return found


def one_of(value: object, name: str, known: tuple[str, ...]) -> tuple[str, ...]:
    """Return texts of a value or list that are all ``known``; () for None."""
    return () if value is None else _values(value, Kind(form="text", known=known), name)


def switches(value: object, name: str) -> tuple[bool, ...]:
    """Return truths of a value or list; () for None."""
    return () if value is None else _values(value, Kind(form="switch"), name)


def wholes(value: object, name: str, *, least: int) -> tuple[int, ...]:
    """Return whole numbers of a value, list or range, each at least ``least``; () for None."""
    if value is None:
        return ()
    if not isinstance(value, dict):
        for one in listed(value, name):
            if type(one) is not int:
                raise RequestError(f"{name} is {shown(one)}, and must be a whole number")
    found: tuple[int, ...] = _values(value, Kind(form="whole"), name)
    for number in found:
        if number < least:
            raise RequestError(f"{name} is {number}, and must be at least {least}")
    return found


def _values(value: object, kind: Kind, name: str) -> Any:
    axis = read_axis(value, kind, name)
    if isinstance(axis, Interval):
        raise RequestError(f"{name} is a range without steps, and needs steps, step or a list")
    return axis.values
