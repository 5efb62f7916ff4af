"""Numbers that no chip has, and that a wrong unit makes: a clock in MHz or GHz, a bandwidth in GB per second.

Left out: every other number, of which a wrong unit makes one that some device could have.
"""

from __future__ import annotations

from simulator.spec import DeviceError

CLOCKS_HZ = (1_000_000, 10_000_000_000)  # assumed: no processor or memory bus of today is slower or faster
LEAST_BYTES_PER_S = 1_000_000  # assumed: no memory of today is slower


def check_clock(name: str, value: float) -> None:
    """Raise DeviceError for a clock that must have been meant in another unit than Hz."""
    low, high = CLOCKS_HZ
    if not low <= value <= high:
        raise DeviceError(f"{name} is {value:_}, and must be {low:_} to {high:_}: it is in Hz")


def check_bandwidth(name: str, value: float) -> None:
    """Raise DeviceError for a bandwidth that must have been meant in another unit than bytes per second."""
    if value < LEAST_BYTES_PER_S:
        raise DeviceError(f"{name} is {value:_}, and must be at least {LEAST_BYTES_PER_S:_}: it is in bytes per second")
