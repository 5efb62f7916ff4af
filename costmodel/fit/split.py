"""Which devices are fitted and which are held out: drawn with a seed, SoC by SoC, before any error is looked at.

All devices of one SoC fall on the same side, whatever their runtime. SoCs are grouped by the core that the device runs
on; of each group half, rounded up, is fitted, so that a core design with one SoC is fitted and those with more are
tested on silicon that was never seen. Snapdragon 835, 855 and 855+ were in view before and are fitted by rule. SoCs
that came later are drawn among themselves, so that no earlier draw changes.
"""

from __future__ import annotations

import random
from collections.abc import Mapping

SEED = 0
IN_VIEW = frozenset({"snapdragon-835", "snapdragon-855", "snapdragon-855-plus"})
LATER = frozenset(
    {
        "apple-a8",
        "kirin-810",
        "kirin-990",
        "raspberry-pi-3b",
        "snapdragon-670",
        "snapdragon-710",
        "snapdragon-821",
        "snapdragon-821-pixel",
        "x86-avx512",
    }
)


def held_out(cores: Mapping[str, str], seed: int = SEED, in_view: frozenset[str] = IN_VIEW) -> frozenset[str]:
    """Return the SoCs held out of ``cores``: SoC name to the name of its first core; for GPUs, name to family."""
    later = {soc: core for soc, core in cores.items() if soc in LATER}
    first = {soc: core for soc, core in cores.items() if soc not in LATER}
    return _drawn(first, seed, in_view) | _drawn(later, seed, in_view)


def _drawn(cores: Mapping[str, str], seed: int, in_view: frozenset[str]) -> frozenset[str]:
    found: set[str] = set()
    for core in sorted(set(cores.values())):
        socs = sorted(soc for soc, own in cores.items() if own == core and soc not in in_view)
        seen = sum(own == core and soc in in_view for soc, own in cores.items())
        random.Random(f"{seed} {core}").shuffle(socs)
        total = len(socs) + seen
        kept = max((total + 1) // 2 - seen, 0)
        found.update(socs[kept:])
    return frozenset(found)
