"""Numbers of a device as a reader wants them: a line for each part, values with units, and where each is from.

Units come from the names of the fields (``_hz``, ``_bytes``, ``_s`` ...), so that a new field needs nothing here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from fractions import Fraction
from typing import Any

from costmodel.spec import Kernel, RooflineDevice, source_of
from simulator.spec import Device

UNITS = (  # the end of a name, its unit, how many of what is stored make one, whether the name is told without its end
    ("macs_per_cycle", "MAC/cycle", 1.0, False),
    ("bytes_per_cycle", "B/cycle", 1.0, True),
    ("bytes_per_s", "GB/s", 1e9, True),
    ("_hz", "MHz", 1e6, True),
    ("_ns", "ns", 1.0, True),
    ("_s", "us", 1e-6, True),
    ("_cycles", "cycles", 1.0, True),
    ("bytes", "B", 1.0, True),
)
PLACE = re.compile(r"\.\d+(\.|$)")  # of a member of a list without a name
KIB, MIB = 1 << 10, 1 << 20
MANY = 4  # names of numbers with one source, from which on the longest such list is "the rest"


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One part of a device: ``values`` in words; ``sources``: each text with the names of the numbers that are its."""

    part: str
    values: str
    sources: tuple[tuple[str, tuple[str, ...]], ...]

    @property
    def key(self) -> tuple[str, str, tuple[tuple[str, tuple[str, ...]], ...]]:
        return (self.part, self.values, self.sources)


def cell(text: str) -> str:
    """Return ``text`` so that it cannot break out of a cell of a table."""
    return text.replace("|", "\\|").replace("<", "&lt;").replace("\n", " ")


def table(header: tuple[str, ...], rows: list[tuple[str, ...]], right: frozenset[int] = frozenset()) -> list[str]:
    """Return the lines of a table; ``right``: columns of numbers."""
    rule = ["---:" if at in right else "---" for at in range(len(header))]
    return [f"| {' | '.join(row)} |" for row in (header, tuple(rule), *rows)]


def quantity(name: str, value: float | Fraction) -> str:
    """Return a number with the unit that the end of its name says."""
    if name.endswith("bytes") and value >= KIB and value % KIB == 0:
        return f"{value / MIB:g} MiB" if value % MIB == 0 else f"{value / KIB:g} KiB"
    end, unit, each, _ = _unit(name, value)
    return f"{_digits(float(value) / each)} {unit}" if end else _digits(value)


def _unit(name: str, value: float | Fraction) -> tuple[str, str, float, bool]:
    """Return the entry of ``UNITS`` for a number; a whole number in ``_s`` is no time (tRRD_S of a DRAM is short)."""
    found = (entry for entry in UNITS if name.endswith(entry[0]))
    return next((one for one in found if one[0] != "_s" or isinstance(value, float)), ("", "", 1.0, False))


def _digits(value: float | Fraction) -> str:
    if isinstance(value, Fraction):
        return str(value)
    if isinstance(value, int) or float(value).is_integer():
        return f"{int(value):,}"
    return f"{value:,.4g}"


def device_lines(device: RooflineDevice | Device) -> list[Line]:
    """Return the lines of a device."""
    if isinstance(device, RooflineDevice):
        return list(_lines(device, lambda path: source_of(device, path) or ""))
    return list(_lines(device, lambda path: _nearest(device.sources, path)))


def _nearest(sources: Mapping[str, str], path: str) -> str:
    while path:
        if path in sources:
            return sources[path]
        path = path.rpartition(".")[0]
    return sources.get("*", "")


def _lines(device: Any, source: Callable[[str], str]) -> Iterator[Line]:
    for part in fields(device):
        value = getattr(device, part.name)
        if isinstance(value, tuple) and value and is_dataclass(value[0]):
            yield from _members(part.name, value, source)
        else:
            yield from _line(part.name, part.name, value, source)


def _members(name: str, members: tuple[Any, ...], source: Callable[[str], str]) -> Iterator[Line]:
    """Yield a line of each member of a list; of kernels that differ in their data type alone, one for all."""
    found: dict[tuple[object, ...], tuple[Line, list[str]]] = {}
    for at, member in enumerate(members):
        path = f"{name}.{getattr(member, 'name', at)}"
        for line in _line(path, path, member, source):
            dtypes = found.setdefault(line.key, (line, []))[1]
            dtypes += [x for x in (member.dtypes if isinstance(member, Kernel) else ()) if x not in dtypes]
    for line, dtypes in found.values():
        yield replace(line, part=f"{line.part} {', '.join(dtypes)}".strip())


def _line(part: str, path: str, value: Any, source: Callable[[str], str]) -> Iterator[Line]:
    """Yield one line of all numbers in ``value``, none where there are none."""
    numbers = list(flat(path, value))
    if not numbers:
        return
    shown: list[tuple[str, str]] = []
    texts: dict[str, list[str]] = {}
    for each, number in numbers:
        name = _short(each, path, number)
        shown.append((name, quantity(each, number)))
        texts.setdefault(source(each), []).append(name or ("size" if each.endswith("bytes") else part))
    sources = tuple((text, _fewer(text, texts)) for text in texts)
    yield Line(part=part, values=_joined(shown), sources=sources)


def _fewer(text: str, texts: Mapping[str, list[str]]) -> tuple[str, ...]:
    """Return the names whose source is ``text``; one for all members of a list that have no other source."""
    others = {name.partition(".")[0] for other, names in texts.items() if other != text for name in names}
    heads = ((name, name.partition(".")[0]) for name in texts[text])
    names = tuple(dict.fromkeys(name if head in others else head for name, head in heads))
    longest = len(names) > MANY and names == max((names, *texts.values()), key=len)
    return ("the rest",) if longest and len(texts) > 1 else names


def _joined(numbers: list[tuple[str, str]]) -> str:
    """Return names and values; members of a list, which have places for names, as one name and its values."""
    found: dict[str, list[str]] = {}
    for name, value in numbers:
        bare = PLACE.sub(r"\1", name)
        found.setdefault(bare if bare != name else f"{name} {value}", []).append(value)
    parts = (name if name.endswith(values[0]) else f"{name} {' '.join(values)}" for name, values in found.items())
    return ", ".join(part.strip() for part in parts)


def _short(path: str, prefix: str, value: float | Fraction) -> str:
    """Return a name without its part and without its unit, which stands beside the value."""
    name = path.removeprefix(prefix).lstrip(".")
    end, _, _, dropped = _unit(name, value)
    return (name.removesuffix(end) if dropped else name).replace("_", " ").strip()


def flat(path: str, value: Any) -> Iterator[tuple[str, float | Fraction]]:
    """Yield every number in ``value`` by its path; members of a tuple by name, data type or place."""
    if isinstance(value, bool) or value is None or isinstance(value, str | Mapping):
        return
    if isinstance(value, int | float | Fraction):
        yield path, value
    elif is_dataclass(value):
        for part in fields(value):
            yield from flat(f"{path}.{part.name}", getattr(value, part.name))
    elif isinstance(value, tuple):
        for at, part in enumerate(value):
            if isinstance(part, tuple) and len(part) == 2 and isinstance(part[0], str):
                yield from flat(f"{path}.{part[0]}", part[1])
            else:
                yield from flat(f"{path}.{getattr(part, 'name', at)}", part)
