"""Where a curve of latency over density crosses the dense latency: probes, which to make next, and where it ends.

The latency is not monotone in the density (tiles are padded, rows are uneven, other weights are kept), so a crossing is
the end of an unbroken run: every probe from the sparsest on is faster than dense, and the next one is not. Between
these two the search goes on by halves. Leaves out: what happens between two probes, and below the sparsest.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, MutableMapping
from dataclasses import dataclass
from typing import TypeVar

Key = TypeVar("Key", bound=Hashable)


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """A layer or a network pruned to one target. ``target``: the share of weights asked to stay; ``pattern``: as run.

    ``kept`` of ``weights`` stay and are not zero, of a network those of its pruned layers; ``masked``: with the zeros
    of the model that the mask keeps, as blocks do. Both None: not counted, since they move no time.
    ``low_s`` and ``high_s``: the error band of ``latency_s``, None where not validated.
    ``note``: why the mask is not what was asked for; ``reason``: that and why the device runs it as it does.
    ``beyond``: how the time lies outside what its kernel was fitted to; of a total, in how many layers.
    """

    target: float
    pattern: str
    kept: int | None
    masked: int | None
    weights: int
    latency_s: float
    low_s: float | None = None
    high_s: float | None = None
    kernel: str = ""
    encoding: str = ""
    bound: str = ""
    validated: str = ""
    extrapolated: bool = False
    note: str = ""
    reason: str = ""
    beyond: str = ""

    @property
    def density(self) -> float | None:
        """Return the fraction of weights that stay and are not zero, None where it was not counted."""
        return None if self.kept is None or not self.weights else self.kept / self.weights

    @property
    def mask_density(self) -> float | None:
        """Return the fraction of weights that the mask keeps, zeros among them, None where it was not counted."""
        return None if self.masked is None or not self.weights else self.masked / self.weights

    @property
    def share(self) -> float:
        """The density, or the one that was asked for where it was not counted."""
        return self.target if self.density is None else self.density


Curve = Mapping[float, Probe]  # by target
Ask = Callable[[float, frozenset[Key]], Mapping[Key, Probe]]


def ordered(curve: Curve) -> list[Probe]:
    """Return the probes by rising target, without those in which no weight is left."""
    return [curve[target] for target in sorted(curve) if curve[target].kept != 0]


def first_slower(probes: list[Probe], dense_s: float) -> int | None:
    """Return the place of the first probe that is not faster than dense, None where all are faster."""
    return next((at for at, probe in enumerate(probes) if probe.latency_s >= dense_s), None)


def ends(curve: Curve, dense_s: float) -> list[Probe]:
    """Return the last probe of the faster run and the first slower one; fewer where there is none."""
    probes = ordered(curve)
    at = first_slower(probes, dense_s)
    return probes[-1:] if at is None else probes[at - 1 : at + 1] if at else []


def next_target(curve: Curve, dense_s: float, tolerance: float) -> float | None:
    """Return the target between the last faster probe and the first slower one, None where they are near enough."""
    probes = ordered(curve)
    at = first_slower(probes, dense_s)
    if not at:  # all faster, or not even the sparsest
        return None
    below, above = probes[at - 1].target, probes[at].target
    return (below + above) / 2 if above - below > tolerance else None


def settle(
    curves: MutableMapping[Key, dict[float, Probe]], dense_s: Mapping[Key, float], ask: Ask[Key], tolerance: float
) -> None:
    """Add probes to ``curves`` until each crossing lies between two targets that are ``tolerance`` apart or nearer.

    ``ask`` makes the probes of some keys at one target, and may give those of others too.
    """
    while True:
        wanted: dict[float, set[Key]] = {}
        for key, curve in curves.items():
            target = next_target(curve, dense_s[key], tolerance)
            if target is not None:
                wanted.setdefault(target, set()).add(key)
        if not wanted:
            return
        for target in sorted(wanted):
            for key, probe in ask(target, frozenset(wanted[target])).items():
                curves[key][target] = probe
