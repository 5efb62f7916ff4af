"""All technologies. A new one is a file beside this one and a line here."""

from __future__ import annotations

from costmodel.tables.nm7 import NM7
from costmodel.tables.nm16 import NM16
from costmodel.tables.nm28 import NM28
from costmodel.tables.nm45 import NM45
from costmodel.technology import Technology, TechnologyError
from patterns.names import nearest

ALL_TECHNOLOGIES: tuple[Technology, ...] = (NM45, NM28, NM16, NM7)
# the node of edge accelerators beside LPDDR4X, which the presets have; all the same a choice, so every row names it
DEFAULT_TECHNOLOGY = NM16


def technology_named(name: str) -> Technology:
    """Return the technology ``name``, as in "16nm" or "16". Raises TechnologyError."""
    known = {technology.name: technology for technology in ALL_TECHNOLOGIES}
    found = known.get(name) or known.get(f"{name}nm")
    if found is None:
        raise TechnologyError(f"technology {name!r} is not known; {nearest(name, list(known))}")
    return found
