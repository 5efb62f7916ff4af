"""From one node to another: the rule of Stillmaker and Baas, for energies and for logic areas.

Energy goes with a polynomial of the supply voltage per node, area with a factor per node. 28 nm is no node of the
tables: linear between 32 and 20 nm. Leaves out: SRAM cells, which shrink less than logic (their areas are per node),
and PHYs, which do not shrink.

Reference: Stillmaker and Baas, Scaling equations for the accurate prediction of CMOS device performance from 180 nm to
7 nm, Integration 58, 2017; coefficients as in Accelergy-Project/hwcomponents, hwcomponents/scaling/techscaling.py
@e67d7f10ee72.
"""

from __future__ import annotations

from costmodel.technology import Cited, TechnologyError, cited

ENERGY = {  # node in nm: a, b, c of a V^2 + b V + c
    45: (1.103, -0.362, 0.2767),
    32: (0.9559, -0.7823, 0.471),
    20: (0.373, -0.1582, 0.04104),
    16: (0.2958, -0.1241, 0.03024),
    7: (0.1776, -0.09097, 0.02447),
}
AREA = {45: 1.0, 32: 0.46, 20: 0.21, 16: 0.19, 7: 0.059}  # of 45 nm
_BETWEEN = {28: (32, 20)}


def energy_factor(from_nm: int, from_v: float, to_nm: int, to_v: float) -> float:
    """Return the energy of an operation at one node and supply over that at another. Raises TechnologyError."""
    return _energy(to_nm, to_v) / _energy(from_nm, from_v)


def area_factor(from_nm: int, to_nm: int) -> float:
    """Return the area of logic at ``to_nm`` over that at ``from_nm``. Raises TechnologyError."""
    return _area(to_nm) / _area(from_nm)


def scaled_energy(number: Cited, from_nm: int, from_v: float, to_nm: int, to_v: float) -> Cited:
    """Return ``number`` at another node and supply, its source saying so."""
    factor = energy_factor(from_nm, from_v, to_nm, to_v)
    rule = f"scaled {from_nm} nm {from_v} V to {to_nm} nm {to_v} V, x {factor:.4f} (Stillmaker-Baas)"
    return cited(number.value * factor, f"{number.source}; {rule}")


def scaled_area(number: Cited, from_nm: int, to_nm: int) -> Cited:
    """Return ``number`` at another node, its source saying so."""
    factor = area_factor(from_nm, to_nm)
    return cited(number.value * factor, f"{number.source}; {_rule(from_nm, to_nm, factor)}")


def scaled_density(number: Cited, from_nm: int, to_nm: int) -> Cited:
    """Return a number per area at another node, its source saying so."""
    factor = area_factor(to_nm, from_nm)
    return cited(number.value * factor, f"{number.source}; {_rule(from_nm, to_nm, factor)}")


def logic_area(transistors: Cited, density: Cited) -> Cited:
    """Return the um2 of logic of so many transistors at ``density`` a um2."""
    return cited(transistors.value / density.value, f"{transistors.value:g} {transistors.source}; at {density.source}")


def _rule(from_nm: int, to_nm: int, factor: float) -> str:
    return f"scaled {from_nm} nm to {to_nm} nm, x {factor:.4f} (Stillmaker-Baas)"


def _energy(node_nm: int, supply_v: float) -> float:
    if node_nm in _BETWEEN:
        high, low = _BETWEEN[node_nm]
        return _linear(node_nm, high, _energy(high, supply_v), low, _energy(low, supply_v))
    _check(node_nm)
    a, b, c = ENERGY[node_nm]
    return a * supply_v**2 + b * supply_v + c


def _area(node_nm: int) -> float:
    if node_nm in _BETWEEN:
        high, low = _BETWEEN[node_nm]
        return _linear(node_nm, high, AREA[high], low, AREA[low])
    _check(node_nm)
    return AREA[node_nm]


def _linear(at: int, high: int, of_high: float, low: int, of_low: float) -> float:
    return of_high + (of_low - of_high) * (high - at) / (high - low)


def _check(node_nm: int) -> None:
    if node_nm not in ENERGY:
        known = ", ".join(map(str, sorted({*ENERGY, *_BETWEEN})))
        raise TechnologyError(f"node is {node_nm} nm, and the scaling tables have {known}")
