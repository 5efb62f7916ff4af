"""What ``simulate list`` shows: the members of each explicit tuple, a line about each, and where it comes from."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass

Entry = tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Catalog:
    """A table, and paragraphs under it: a title and its (field, source) pairs."""

    header: Entry
    entries: tuple[Entry, ...]
    sources: tuple[tuple[str, Mapping[str, str]], ...] = ()


def catalog(what: str) -> Catalog:
    """Return the catalog of "devices", "patterns", "encodings", "models" or "technologies". Raises KeyError."""
    catalogs = {"devices": _devices, "patterns": _patterns, "encodings": _encodings, "models": _models}
    return {**catalogs, "technologies": _technologies}[what]()


def _devices() -> Catalog:
    from costmodel.devices import catalog as estimated
    from simulator.devices import catalog as simulated

    cycle = [(device.name, device.kind, "cycle", device.summary) for device in simulated.ALL_DEVICES]
    roofline = [(device.name, device.kind, "roofline", device.summary) for device in estimated.ALL_DEVICES]
    sources = [(device.name, device.sources) for device in simulated.ALL_DEVICES]
    sources += [(device.name, device.sources) for device in estimated.ALL_DEVICES]
    header = ("device", "kind", "model", "what")
    return Catalog(header=header, entries=(*cycle, *roofline), sources=tuple(sources))


def _patterns() -> Catalog:
    from patterns.catalog import ALL_PATTERNS

    entries = tuple((each.syntax, each.example, each.summary, each.source) for each in ALL_PATTERNS)
    return Catalog(header=("pattern", "as in", "rule", "source"), entries=entries)


def _encodings() -> Catalog:
    from patterns.encodings.catalog import ALL_ENCODINGS

    entries = tuple((each.name, *_module_says(each)) for each in ALL_ENCODINGS)
    return Catalog(header=("encoding", "what", "source"), entries=entries)


def _models() -> Catalog:
    from gatherline.loading import EMBEDDED
    from traces.workloads.catalog import ALL_PROFILES, ALL_WORKLOADS

    embedded = [(name, what, source) for name, (_, what, source) in EMBEDDED.items()]
    networks = [(each.name, each.summary, each.source) for each in ALL_WORKLOADS]
    profiles = [(each.name, each.summary, each.source) for each in ALL_PROFILES]
    entries = (*embedded, *networks, *profiles)
    return Catalog(header=("model", "what", "source"), entries=entries)


def _technologies() -> Catalog:
    from costmodel.tables.catalog import ALL_TECHNOLOGIES

    entries = tuple((each.name, each.summary) for each in ALL_TECHNOLOGIES)
    sources = tuple((each.name, each.sources()) for each in ALL_TECHNOLOGIES)
    return Catalog(header=("technology", "what"), entries=entries, sources=sources)


def _module_says(member: object) -> tuple[str, str]:
    """Return the first line of the docstring of the module that defines ``member``, and the source that ends it."""
    line = (sys.modules[type(member).__module__].__doc__ or "").split("\n")[0]
    what, found, where = line.rpartition(" DESIGN section")
    return (what, f"DESIGN section{where.rstrip('.')}") if found else (line, "")
